"""Files in sessions of their own: sent from a blob, received into one, checked against what was said of them."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from tests.support.ledger import eventually
from tests.support.ua_messages import LOCAL, REMOTE, FakeOwned, FakeStream, MessageWorld, message_world
from tests.support.waiting import until
from wigwag.api.ua.v1 import message_pb2, ua_pb2
from wigwag.database.ledger import State
from wigwag.errors import ConflictError, InvalidRequestError
from wigwag.ua.config import ApplicationSettings
from wigwag.ua.endpoint.model import Settlement
from wigwag.ua.messages.file_events import transfer_of
from wigwag.ua.sessions.ports import OwnedSession

HELPDESK = ApplicationSettings(name="helpdesk")
DATA = bytes(range(256)) * 2_000


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[MessageWorld]:
    async with message_world(tmp_path, limits={"file_bytes": 1_000_000}) as made:
        yield made


async def in_pieces(data: bytes = DATA) -> AsyncIterator[bytes]:
    for begin in range(0, len(data), 100_000):
        yield data[begin : begin + 100_000]


def described(**fields: Any) -> ua_pb2.FileDescription:
    return ua_pb2.FileDescription(
        to_uri=REMOTE, from_uri=LOCAL, name="picture.png", content_type="image/png", size=len(DATA), **fields
    )


async def opened(world: MessageWorld, session_id: str) -> FakeOwned:
    own = world.sessions.mine[session_id]
    own.record = own.record.changed(state="open", accept_types=("image/png",))
    await world.pipeline.opened(cast(OwnedSession, own))
    return own


def states(world: MessageWorld) -> list[int]:
    return [file.state for file in world.events.of("file_changed")]


def tick(world: MessageWorld) -> None:
    assert world.pipeline.telling is not None
    world.pipeline.telling.tick()


async def test_a_file_is_durable_offered_and_sent_as_one_message_from_a_source(world: MessageWorld) -> None:
    file = await world.files.send(HELPDESK, described(), in_pieces())
    assert file.sha256 == hashlib.sha256(DATA).hexdigest()
    own = await opened(world, file.session_id)
    assert own.transfer is not None
    assert dict(own.transfer.selector.hashes)["sha-1"] == hashlib.sha1(DATA).digest()
    await until(lambda: own.wire.sent)
    (sent,) = own.wire.sent
    assert not isinstance(sent.body, bytes)
    assert sent.body().read(1_000_000) == DATA
    assert (sent.total, sent.content_type) == (len(DATA), "image/png")
    world.settle(own, sent.message_id)
    assert own.wire.ended
    assert states(world)[-1] == message_pb2.FILE_STATE_COMPLETED

    async def delivered() -> bool:
        return await world.states(file.session_id) == [State.DELIVERED]

    await eventually(delivered)


async def test_progress_is_told_at_most_once_a_second(world: MessageWorld) -> None:
    file = await world.files.send(HELPDESK, described(), in_pieces())
    own = await opened(world, file.session_id)
    await until(lambda: own.wire.sent)
    body = own.wire.sent[0].body
    assert not isinstance(body, bytes)
    source = body()
    for octets in (100, 100, 100):
        source.read(octets)
        tick(world)
    source.read(1_000)
    world.clock.now += 1.5
    tick(world)
    running = [told.transferred for told in world.events.of("file_changed") if told.state == 2]
    assert len(running) == 2
    assert running[-1] == 1_300


async def test_a_file_is_sent_again_by_whoever_takes_the_session_over(tmp_path: Path) -> None:
    async with message_world(tmp_path, pod="pod-1") as first:
        file = await first.files.send(HELPDESK, described(), in_pieces())
        own = await opened(first, file.session_id)
        await until(lambda: own.wire.sent)
    async with message_world(tmp_path, pod="pod-2") as second:
        taken = second.sessions.add(own.record, token=2)
        await second.pipeline.opened(cast(OwnedSession, taken))
        await until(lambda: taken.wire.sent)
        assert taken.wire.sent[0].message_id == own.wire.sent[0].message_id


async def test_a_refused_file_has_failed_and_one_never_answered_was_declined(world: MessageWorld) -> None:
    file = await world.files.send(HELPDESK, described(), in_pieces())
    own = await opened(world, file.session_id)
    await until(lambda: own.wire.sent)
    world.settle(own, own.wire.sent[0].message_id, Settlement.FAILED, 413)
    assert states(world)[-1] == message_pb2.FILE_STATE_FAILED
    other = await world.files.send(HELPDESK, described(), in_pieces())
    declined = world.sessions.mine.pop(other.session_id)
    await world.pipeline.ended(cast(OwnedSession, declined), "declined")
    assert states(world)[-1] == message_pb2.FILE_STATE_DECLINED


@pytest.mark.parametrize(
    "change",
    [{"size": len(DATA) - 1}, {"size": len(DATA) + 1}, {"sha256": "00" * 32}, {"sha256": "x"}, {"content_type": "a"}],
)
async def test_a_file_that_is_not_what_was_said_of_it_is_refused(world: MessageWorld, change: dict[str, Any]) -> None:
    wanted = described()
    for name, value in change.items():
        setattr(wanted, name, value)
    with pytest.raises(InvalidRequestError):
        await world.files.send(HELPDESK, wanted, in_pieces())
    assert world.sessions.mine == {}


async def test_the_same_key_sends_a_file_once(world: MessageWorld) -> None:
    first = await world.files.send(HELPDESK, described(idempotency_key="k"), in_pieces())
    again = await world.files.send(HELPDESK, described(idempotency_key="k"), in_pieces())
    assert again.session_id == first.session_id
    other = described(idempotency_key="k", sha256="00" * 32)
    with pytest.raises(ConflictError):
        await world.files.send(HELPDESK, other, in_pieces())


async def inbound(world: MessageWorld, **selector: Any) -> FakeOwned:
    own = await world.open("s1", file="f1", accept_types=("image/png",))
    transfer = transfer_of("picture.png", "image/png", selector.get("size", 0), selector.get("hashes", ()))
    own.transfer = replace(transfer, disposition="attachment")
    return own


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"size": len(DATA)},
        {"hashes": [("sha-1", hashlib.sha1(DATA).digest())]},
        {"hashes": [("sha-256", hashlib.sha256(DATA).digest())]},
    ],
)
async def test_a_file_that_comes_is_a_blob_and_a_message_of_its_session(
    world: MessageWorld, said: dict[str, Any]
) -> None:
    own = await inbound(world, **said)
    stream = FakeStream(world, own, content_type="image/png")
    stream.begin()
    async for piece in in_pieces():
        stream.piece(piece)
    stream.end()
    await until(lambda: stream.answer.given)
    assert stream.answer.given == [200]
    (row,) = await world.rows()
    told = world.events.of("file_changed")[-1]
    assert (told.state, told.blob_id, told.size) == (message_pb2.FILE_STATE_COMPLETED, row.blob, len(DATA))


@pytest.mark.parametrize(
    "said", [{"size": 3}, {"hashes": [("sha-1", bytes(20))]}, {"hashes": [("sha-256", bytes(32))]}]
)
async def test_a_file_that_is_not_the_one_that_was_offered_is_refused(
    world: MessageWorld, said: dict[str, Any]
) -> None:
    own = await inbound(world, **said)
    answer = world.arrive(own, b"short", "image/png")
    await until(lambda: answer.given)
    assert answer.given == [400]
    assert states(world) == [message_pb2.FILE_STATE_FAILED]
    assert await world.rows() == []


async def test_a_file_that_is_fetched_is_asked_for_by_its_selector(world: MessageWorld) -> None:
    request = ua_pb2.FetchFileRequest(to_uri=REMOTE, from_uri=LOCAL, name="picture.png", sha256="ab" * 32)
    file = await world.files.fetch(HELPDESK, request)
    own = world.sessions.mine[file.session_id]
    assert own.transfer is not None
    assert own.transfer.selector.name == "picture.png"
    assert own.transfer.selector.hashes == (("sha-256", b"\xab" * 32),)
    assert file.state == message_pb2.FILE_STATE_OFFERED
