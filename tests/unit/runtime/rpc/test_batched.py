import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import grpc
import pytest

from tests.support.rpc import ItemPeer, items_call, items_frame
from tests.support.waiting import until
from wigwag.errors import InvalidRequestError, LocalProtocolError, NotAuthorizedError, RemoteProtocolError, ServiceError
from wigwag.runtime.rpc import Backoff, BatchedStream, BatchLimits, open_channel

FAST = Backoff(first=0.01, longest=0.02)


@asynccontextmanager
async def stream_to(target: str, **limits: int) -> AsyncIterator[BatchedStream[str]]:
    async with open_channel(target) as channel:
        stream = BatchedStream[str](
            partial(items_call, channel),
            frame=items_frame,
            acknowledged=lambda response: response["last"],
            size=len,
            limits=BatchLimits(**limits),
            backoff=FAST,
        )
        async with stream:
            yield stream


async def send_all(stream: BatchedStream[str], items: Sequence[str]) -> None:
    number = 0
    for item in items:
        number = await stream.send(item)
    async with asyncio.timeout(20):
        await stream.acknowledged(number)


async def test_what_is_sent_in_one_turn_travels_in_few_frames() -> None:
    peer, items = ItemPeer(), [str(index) for index in range(1_000)]
    async with peer.served() as target, stream_to(target) as stream:
        await send_all(stream, items)
    assert peer.items == items
    assert max(count for _, count in peer.frames) == 64
    assert len(peer.frames) <= 1_000 // 64 + 2


async def test_a_single_item_waits_for_no_other() -> None:
    peer = ItemPeer()
    async with peer.served() as target, stream_to(target) as stream:
        await send_all(stream, ["a"])
        await send_all(stream, ["b"])
    assert peer.frames == [(1, 1), (2, 1)]


async def test_a_sender_waits_while_the_peer_acknowledges_nothing() -> None:
    peer = ItemPeer()
    peer.hold = True
    async with peer.served() as target, stream_to(target, buffer_items=3) as stream:
        for item in "abc":
            await stream.send(item)
        waiting = asyncio.create_task(stream.send("d"))
        await until(lambda: peer.items == ["a", "b", "c"])
        assert not waiting.done()
        assert stream.unacknowledged() == ["a", "b", "c"]
        waiting.cancel()


async def test_what_a_lost_call_left_unacknowledged_is_sent_again_in_order() -> None:
    peer, items = ItemPeer(), [str(index) for index in range(300)]
    peer.lose_after = 2
    async with peer.served() as target, stream_to(target, batch_items=10) as stream:
        await send_all(stream, items)
    assert peer.items == items
    assert peer.calls == 2


async def test_a_peer_that_restarts_gets_the_rest() -> None:
    peer = ItemPeer()
    async with peer.served() as target, stream_to(target) as stream:
        await send_all(stream, ["a"])
    port = int(target.rpartition(":")[2])
    async with stream_to(target) as stream:
        await stream.send("b")
        again = ItemPeer()
        async with again.served(port), asyncio.timeout(20):
            await stream.acknowledged(1)
    assert again.items == ["b"]


async def test_a_refusal_that_will_not_go_away_ends_the_stream() -> None:
    peer = ItemPeer()
    peer.refuse = grpc.StatusCode.PERMISSION_DENIED
    async with peer.served() as target, stream_to(target) as stream:
        number = await stream.send("a")
        with pytest.raises(NotAuthorizedError, match="PERMISSION_DENIED: no"):
            await asyncio.wait_for(stream.acknowledged(number), 10)
        with pytest.raises(NotAuthorizedError):
            await stream.send("b")
        assert stream.unacknowledged() == ["a"]
    assert peer.calls == 1


@pytest.mark.parametrize("code", [grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN])
async def test_any_other_end_of_a_call_is_followed_by_another_call(code: grpc.StatusCode) -> None:
    peer = ItemPeer()
    peer.refuse = code
    async with peer.served() as target, stream_to(target) as stream:
        number = await stream.send("a")
        await until(lambda: peer.calls > 1)
        peer.refuse = None
        await asyncio.wait_for(stream.acknowledged(number), 10)
    assert peer.items == ["a"]


async def test_an_item_that_fits_into_no_frame_is_refused_at_once() -> None:
    peer = ItemPeer()
    async with peer.served() as target, stream_to(target, batch_bytes=10) as stream:
        with pytest.raises(InvalidRequestError):
            await stream.send("x" * 11)


async def test_a_peer_that_acknowledges_too_much_ends_the_stream() -> None:
    peer = ItemPeer()
    async with peer.served() as target, open_channel(target) as channel:
        stream = BatchedStream[str](
            partial(items_call, channel), frame=items_frame, acknowledged=lambda response: 99, size=len, backoff=FAST
        )
        async with stream:
            number = await stream.send("a")
            with pytest.raises(RemoteProtocolError):
                await asyncio.wait_for(stream.acknowledged(number), 10)


async def test_a_frame_that_cannot_be_made_ends_the_stream_and_nobody_waits_for_ever() -> None:
    def broken(first: int, items: Sequence[str]) -> object:
        raise ValueError("no")

    peer = ItemPeer()
    async with peer.served() as target, open_channel(target) as channel:
        stream = BatchedStream[str](
            partial(items_call, channel), frame=broken, acknowledged=lambda response: 0, size=len, backoff=FAST
        )
        async with stream:
            number = await stream.send("a")
            with pytest.raises(LocalProtocolError, match="a frame can't be made: no"):
                await asyncio.wait_for(stream.acknowledged(number), 10)


async def test_who_waits_is_told_when_the_stream_is_closed() -> None:
    peer = ItemPeer()
    peer.hold = True
    async with peer.served() as target:
        async with stream_to(target) as stream:
            waiting = asyncio.create_task(stream.acknowledged(await stream.send("a")))
            await until(lambda: peer.items)
        with pytest.raises(ServiceError, match="closed"):
            await waiting
        assert stream.unacknowledged() == ["a"]
