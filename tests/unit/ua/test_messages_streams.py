"""Messages that come in pieces: kept whole or not at all, with bounded memory."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.ua_messages import LOCAL, REMOTE, FakeStream, MessageWorld, message_world
from tests.support.waiting import until
from wigwag.protocols.cpim import CpimAddress, CpimMessage
from wigwag.runtime.ua_messages import message_of

PIECE = b"0123456789abcdef" * 4_096


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[MessageWorld]:
    async with message_world(tmp_path, limits={"message_bytes": 20 * len(PIECE)}) as made:
        yield made


async def body(world: MessageWorld, blob: str | None) -> bytes:
    assert blob is not None
    return b"".join([piece async for piece in world.blobs.read(blob)])


async def test_a_large_message_is_written_as_it_comes_and_answered_when_it_is_durable(world: MessageWorld) -> None:
    stream = FakeStream(world, await world.open(), total=10 * len(PIECE))
    stream.begin()
    for _ in range(10):
        stream.piece(PIECE)
    stream.end()
    assert stream.answer.given == []
    await until(lambda: stream.answer.given)
    assert stream.answer.given == [200]
    (row,) = await world.rows()
    assert message_of(row).size == 10 * len(PIECE)
    assert await body(world, row.blob) == PIECE * 10


async def test_a_small_message_in_pieces_is_like_any_other(world: MessageWorld) -> None:
    stream = FakeStream(world, await world.open())
    stream.begin()
    stream.piece(b"hel")
    stream.piece(b"lo")
    stream.end()
    await until(lambda: stream.answer.given)
    (row,) = await world.rows()
    assert (row.body, row.blob) == (b"hello", None)


async def test_what_is_longer_than_messages_may_be_is_refused_as_soon_as_it_is_known(world: MessageWorld) -> None:
    announced = FakeStream(world, await world.open(), total=21 * len(PIECE))
    announced.begin()
    assert announced.answer.given == [413]
    creeping = FakeStream(world, announced.own, "creeping")
    creeping.begin()
    for _ in range(21):
        creeping.piece(PIECE)
    assert creeping.answer.given == [413]
    creeping.end(complete=False)
    await until(lambda: not len(world.pipeline.streams))
    assert await world.rows() == []


async def test_what_is_cut_off_is_not_kept_and_may_come_again(world: MessageWorld) -> None:
    stream = FakeStream(world, await world.open())
    stream.begin()
    for _ in range(6):
        stream.piece(PIECE)
    stream.end(complete=False)
    again = FakeStream(world, stream.own)
    again.begin()
    for _ in range(6):
        again.piece(PIECE)
    again.end()
    await until(lambda: again.answer.given)
    assert stream.answer.given == []
    (row,) = await world.rows()
    assert await body(world, row.blob) == PIECE * 6


async def test_a_peer_that_is_faster_than_the_database_is_paused_and_goes_on(tmp_path: Path) -> None:
    async with message_world(tmp_path, limits={"message_bytes": 200 * len(PIECE)}) as world:
        stream = FakeStream(world, await world.open())
        stream.begin()
        for _ in range(60):
            stream.piece(PIECE)
        assert stream.pauses == [True]
        await until(lambda: stream.pauses == [True, False])
        stream.end()
        await until(lambda: stream.answer.given)
        (row,) = await world.rows()
        assert await body(world, row.blob) == PIECE * 60


async def test_a_large_wrapped_message_is_kept_without_its_wrapping(world: MessageWorld) -> None:
    wrapping = bytes(CpimMessage.of(CpimAddress(REMOTE), [CpimAddress(LOCAL)], "text/plain", b"", subject="big"))
    stream = FakeStream(world, await world.open(), content_type="message/cpim")
    stream.begin()
    stream.piece(wrapping)
    for _ in range(6):
        stream.piece(PIECE)
    stream.end()
    await until(lambda: stream.answer.given)
    (row,) = await world.rows()
    assert row.content_type == "text/plain"
    assert ("cpim", "Subject: big") in row.headers
    assert await body(world, row.blob) == PIECE * 6


async def test_a_large_message_of_a_type_that_is_not_taken_is_refused_before_its_end(world: MessageWorld) -> None:
    stream = FakeStream(world, await world.open(), content_type="image/png")
    stream.begin()
    for _ in range(5):
        stream.piece(PIECE)
    assert stream.answer.given == [415]


async def test_a_large_message_that_comes_again_is_the_same(world: MessageWorld) -> None:
    own = await world.open()
    for _ in range(2):
        stream = FakeStream(world, own)
        stream.begin()
        for _ in range(6):
            stream.piece(PIECE)
        stream.end()
        await until(stream.answer.given.copy)
        assert stream.answer.given == [200]
    assert len(await world.rows()) == 1
