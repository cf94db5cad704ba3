"""Files that broke off: what is kept of them, who may go on with them, and from which octet on."""

import hashlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from tests.support.ledger import eventually
from tests.support.s3_server import S3Server, running_s3
from tests.support.ua_messages import LOCAL, REMOTE, FakeOwned, FakeStream, MessageWorld, message_world
from tests.support.waiting import until
from wigwag.api.ua.v1 import message_pb2, ua_pb2
from wigwag.database.ledger import State
from wigwag.errors import ConflictError, InvalidRequestError, NotFoundError
from wigwag.objects.s3 import S3Objects
from wigwag.protocols.sdp import FileRange, FileSelector, FileTransfer
from wigwag.ua.config import ApplicationSettings
from wigwag.ua.endpoint.model import Reported, Settlement
from wigwag.ua.messages.file_events import transfer_of
from wigwag.ua.sessions.ports import OwnedSession

HELPDESK = ApplicationSettings(name="helpdesk")
DATA = bytes(range(256)) * 24_000
HASHES = (("sha-1", hashlib.sha1(DATA).digest()),)
HALF = 3_000_001
FAILED, COMPLETED = message_pb2.FILE_STATE_FAILED, message_pb2.FILE_STATE_COMPLETED


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with running_s3() as server:
        yield server


@pytest.fixture(params=["rows", pytest.param("s3", marks=pytest.mark.peer("moto"))])
async def objects(request: pytest.FixtureRequest) -> S3Objects | None:
    """Where files are: in rows of the database, or in a bucket."""
    if request.param == "rows":
        return None
    server: S3Server = request.getfixturevalue("s3")
    return S3Objects(server.options(server.new_bucket()))


@pytest.fixture
async def world(tmp_path: Path, objects: S3Objects | None) -> AsyncIterator[MessageWorld]:
    async with message_world(tmp_path, objects=objects) as made:
        yield made


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    for begin in range(0, len(data), 100_000):
        yield data[begin : begin + 100_000]


def told(world: MessageWorld) -> message_pb2.File:
    return cast(message_pb2.File, world.events.of("file_changed")[-1])


async def inbound(world: MessageWorld, session_id: str = "s1", start: int = 1, **changes: Any) -> FakeOwned:
    values = {"file": "f1", "file_direction": "inbound", "opened": 1.0, **changes}
    own = await world.open(session_id, **values)
    own.transfer = transfer_of("in.bin", "image/png", len(DATA), HASHES, start=start)
    return own


async def come(world: MessageWorld, own: FakeOwned, data: bytes, *, at: int = 0) -> FakeStream:
    stream = FakeStream(world, own, content_type="image/png", sent=at)
    stream.begin()
    async for piece in pieces(data):
        stream.piece(piece)
    return stream


async def ended(world: MessageWorld, own: FakeOwned) -> None:
    world.sessions.mine.pop(own.record.id, None)
    own.record = own.record.changed(state="ended")
    await world.pipeline.ended(cast(OwnedSession, own), "hung up")
    world.sessions.others[own.record.id] = own.record, ""


async def broken(world: MessageWorld, session_id: str = "s1", octets: int = HALF) -> FakeOwned:
    own = await inbound(world, session_id)
    stream = await come(world, own, DATA[:octets])
    stream.end(complete=False)
    await until(lambda: told(world).state == FAILED)
    await ended(world, own)
    return own


async def test_every_octet_of_a_file_that_broke_off_is_kept_and_told(world: MessageWorld) -> None:
    await broken(world)
    assert (told(world).transferred, told(world).reason) == (HALF, "cut off")
    assert (await world.files.look("helpdesk", ua_pb2.GetFileRequest(session_id="s1"))).transferred == HALF


@pytest.mark.parametrize("start", [HALF + 1, HALF - 999, 2])
async def test_rest_that_its_sender_offers_makes_the_file_whole(world: MessageWorld, start: int) -> None:
    await broken(world)
    offered = FileTransfer(selector=FileSelector(hashes=HASHES), range=FileRange(start))
    own = await inbound(world, "s2", start)
    own.record = own.record.changed(resumes=await world.pipeline.resumable(own.record, offered))
    assert own.record.resumes == "s1"
    stream = await come(world, own, DATA[start - 1 :])
    stream.end()
    await until(lambda: stream.answer.given)
    assert (stream.answer.given, told(world).state, told(world).size) == ([200], COMPLETED, len(DATA))
    (row,) = await world.rows("s2")
    assert b"".join([piece async for piece in world.blobs.read(row.blob or "")]) == DATA

    async def forgotten() -> bool:
        return await world.parts.find("s1") is None and await world.parts.find("s2") is None

    await eventually(forgotten)


@pytest.mark.parametrize(
    ("peer", "hashes", "wanted"),
    [
        (REMOTE, HASHES, FileRange(HALF + 2)),
        (REMOTE, (("sha-1", bytes(20)),), FileRange(HALF + 1)),
        (REMOTE, (), FileRange(HALF + 1)),
        (REMOTE, HASHES, FileRange(HALF + 1, len(DATA) - 1)),
        ("sip:eve@example.net", HASHES, FileRange(HALF + 1)),
    ],
)
async def test_rest_of_what_is_not_here_is_not_taken(
    world: MessageWorld, peer: str, hashes: Any, wanted: FileRange
) -> None:
    own = await broken(world)
    record = own.record.changed(id="s2", remote_uri=peer)
    selector = FileSelector(size=len(DATA), hashes=hashes)
    assert await world.pipeline.resumable(record, FileTransfer(selector=selector, range=wanted)) is None


async def test_end_of_a_file_that_is_small_goes_to_the_part(world: MessageWorld) -> None:
    await broken(world, octets=len(DATA) - 10)
    own = await inbound(world, "s2", len(DATA) - 9, resumes="s1")
    answer = world.arrive(own, DATA[-10:], "image/png")
    await until(lambda: answer.given)
    assert (answer.given, told(world).size) == ([200], len(DATA))


async def test_whole_file_that_differs_from_its_hash_is_refused_and_nothing_is_left(world: MessageWorld) -> None:
    await broken(world)
    own = await inbound(world, "s2", HALF + 1, resumes="s1")
    stream = await come(world, own, bytes(len(DATA) - HALF))
    stream.end()
    await until(lambda: stream.answer.given)
    assert (stream.answer.given, told(world).state) == ([400], FAILED)

    async def gone() -> bool:
        return await world.parts.find("s2") is None

    await eventually(gone)


async def test_rest_is_asked_for_by_what_was_said_of_the_file(world: MessageWorld) -> None:
    await broken(world)
    request = ua_pb2.FetchFileRequest(resume_session_id="s1", from_uri=LOCAL)
    file = await world.files.fetch(HELPDESK, request)
    own = world.sessions.mine[file.session_id]
    assert own.transfer is not None
    assert (own.transfer.range, own.transfer.selector.hashes) == (FileRange(HALF + 1), HASHES)
    assert (own.record.remote_uri, own.record.resumes) == (REMOTE, "s1")
    # The peer has not taken the range: all comes.
    own.wire.file = replace(own.transfer, range=None)
    own.record = own.record.changed(state="open", opened=1.0)
    stream = await come(world, own, DATA)
    stream.end()
    await until(lambda: stream.answer.given)
    assert (stream.answer.given, told(world).state) == ([200], COMPLETED)
    assert own.wire.ended


async def test_part_of_another_application_or_none_is_not_found(world: MessageWorld) -> None:
    await broken(world)
    for application, session_id in (("other", "s1"), ("helpdesk", "s9")):
        with pytest.raises(NotFoundError, match="resume_session_id"):
            await world.files.fetch(
                ApplicationSettings(name=application), ua_pb2.FetchFileRequest(resume_session_id=session_id)
            )


async def test_sender_who_asked_is_told_every_few_mebibytes_what_is_durable(world: MessageWorld) -> None:
    own = await inbound(world)
    stream = await come(world, own, DATA)
    await until(lambda: stream.reports)
    assert stream.reports[0] >= 4_194_304
    assert stream.reports[0] % 262_144 == 0
    stream.end()
    await until(lambda: stream.answer.given)


async def test_file_goes_on_over_another_connection_with_what_came_again_passed_over(world: MessageWorld) -> None:
    own = await inbound(world)
    first = await come(world, own, DATA[:HALF])
    first.end(complete=False, lost=True)
    second = await come(world, own, DATA[HALF - 5_000 :], at=HALF - 5_000)
    second.end()
    await until(lambda: second.answer.given)
    assert (second.answer.given, told(world).state) == ([200], COMPLETED)
    assert not [file for file in world.events.of("file_changed") if file.state == FAILED]


@pytest.mark.parametrize("octets", [HALF, 1_000])
async def test_file_goes_on_at_another_pod_and_its_hash_is_that_of_all_octets(
    tmp_path: Path, objects: S3Objects | None, octets: int
) -> None:
    async with message_world(tmp_path, pod="pod-1", objects=objects) as first:
        own = await inbound(first)
        stream = await come(first, own, DATA[:octets])
        await first.pipeline.leaving(cast(OwnedSession, own))
        assert stream.pauses[-1] is True
    async with message_world(tmp_path, pod="pod-2", objects=objects) as second:
        taken = await inbound(second, token=2)
        rest = await come(second, taken, DATA[octets:], at=octets)
        rest.end()
        await until(lambda: rest.answer.given)
        assert rest.answer.given == [200]
        assert (told(second).state, told(second).sha256) == (COMPLETED, hashlib.sha256(DATA).hexdigest())


async def test_octets_that_died_with_a_pod_make_the_file_fail_with_what_is_here(
    tmp_path: Path, objects: S3Objects | None
) -> None:
    async with message_world(tmp_path, pod="pod-1", objects=objects) as first:
        await come(first, await inbound(first), DATA[:HALF])
        (own,) = first.sessions.mine.values()

        async def some_is_there() -> bool:
            part = await first.parts.find(own.record.id)
            return part is not None and await first.blobs.written(part.blob) >= 2_000_000

        await eventually(some_is_there)
    async with message_world(tmp_path, pod="pod-2", objects=objects) as second:
        taken = await inbound(second, token=2)
        rest = await come(second, taken, DATA[HALF + 100_000 :], at=HALF + 100_000)
        await until(lambda: rest.answer.given)
        assert rest.answer.given == [413]
        rest.end(complete=False)
        await ended(second, taken)
        await until(lambda: second.events.of("file_changed") and told(second).state == FAILED)
        assert 2_000_000 <= told(second).transferred <= HALF


async def sent(world: MessageWorld) -> FakeOwned:
    described = ua_pb2.FileDescription(to_uri=REMOTE, from_uri=LOCAL, name="out.bin", content_type="image/png")
    file = await world.files.send(HELPDESK, described, pieces(DATA))
    own = world.sessions.mine[file.session_id]
    own.wire.file = own.transfer
    own.record = own.record.changed(state="open", opened=1.0, accept_types=("image/png",))
    await world.pipeline.opened(cast(OwnedSession, own))
    await until(lambda: own.wire.sent)
    return own


def report(world: MessageWorld, own: FakeOwned, first: int, last: int) -> None:
    event = Reported(
        session=own.chat, message_id=own.record.file, status=200, reason="", first_octet=first, last_octet=last, total=0
    )
    world.pipeline.receive(cast(OwnedSession, own), event)


async def fail(world: MessageWorld, own: FakeOwned) -> None:
    world.settle(own, own.record.file, Settlement.UNCONFIRMED, 0)
    await ended(world, own)

    async def settled() -> bool:
        return await world.states(own.record.id) == [State.UNCONFIRMED]

    await eventually(settled)


def resumed(own: FakeOwned) -> ua_pb2.FileDescription:
    return ua_pb2.FileDescription(resume_session_id=own.record.id)


async def test_file_is_sent_again_from_the_first_octet_that_nobody_reported(world: MessageWorld) -> None:
    own = await sent(world)
    for first, last in ((1_001, 2_000), (1, 1_000), (5_000, 6_000)):
        report(world, own, first, last)
    with pytest.raises(ConflictError, match="not over"):
        await world.files.send(HELPDESK, resumed(own), pieces(b""))
    await fail(world, own)
    assert (told(world).state, told(world).transferred) == (FAILED, 2_000)
    file = await world.files.send(HELPDESK, resumed(own), pieces(b""))
    again = world.sessions.mine[file.session_id]
    assert again.transfer is not None
    assert own.transfer is not None
    assert again.transfer.range == FileRange(2_001)
    assert again.transfer.selector == own.transfer.selector
    assert again.transfer.transfer_id != own.transfer.transfer_id
    assert again.record.remote_uri == REMOTE


@pytest.mark.parametrize(("agreed", "first"), [(FileRange(2_001), 2_000), (FileRange(501), 500), (None, 0)])
async def test_octets_that_are_sent_are_those_of_the_answer(
    world: MessageWorld, agreed: FileRange | None, first: int
) -> None:
    own = await sent(world)
    report(world, own, 1, 2_000)
    await fail(world, own)
    file = await world.files.send(HELPDESK, resumed(own), pieces(b""))
    again = world.sessions.mine[file.session_id]
    assert again.transfer is not None
    again.wire.file = replace(again.transfer, range=agreed)
    again.record = again.record.changed(state="open", opened=1.0, accept_types=("image/png",))
    await world.pipeline.opened(cast(OwnedSession, again))
    await until(lambda: again.wire.sent)
    (message,) = again.wire.sent
    assert not isinstance(message.body, bytes)
    assert message.total == len(DATA) - first
    assert message.body().read(10_000_000) == DATA[first:]
    report(world, again, 1, 100)
    assert again.record.file_octets == (first + 100 if first else 100)
    world.settle(again, message.message_id)
    assert (told(world).state, told(world).transferred) == (COMPLETED, len(DATA))
    await ended(world, again)

    async def delivered() -> bool:
        return await world.states(again.record.id) == [State.DELIVERED]

    await eventually(delivered)
    with pytest.raises(ConflictError, match="has the file"):
        await world.files.send(HELPDESK, resumed(again), pieces(b""))


async def cut(data: bytes) -> AsyncIterator[bytes]:
    async for piece in pieces(data):
        yield piece
    raise ConnectionResetError


async def test_upload_that_broke_goes_on_under_its_key_from_any_octet_that_is_here(world: MessageWorld) -> None:
    described = ua_pb2.FileDescription(to_uri=REMOTE, from_uri=LOCAL, idempotency_key="k", size=len(DATA))
    with pytest.raises(ConnectionResetError):
        await world.files.send(HELPDESK, described, cut(DATA[:HALF]))
    by_key = ua_pb2.GetFileRequest(idempotency_key="k")
    here = await world.files.look("helpdesk", by_key)
    assert (here.state, here.transferred) == (message_pb2.FILE_STATE_UPLOADING, HALF)
    rest = ua_pb2.FileDescription()
    rest.CopyFrom(described)
    rest.offset = HALF + 1
    with pytest.raises(ConflictError, match=f"{HALF} octets"):
        await world.files.send(HELPDESK, rest, pieces(DATA[HALF + 1 :]))
    rest.offset, rest.sha256 = HALF - 50, hashlib.sha256(DATA).hexdigest()
    file = await world.files.send(HELPDESK, rest, pieces(DATA[HALF - 50 :]))
    assert (file.size, file.sha1) == (len(DATA), HASHES[0][1].hex())
    assert (await world.files.look("helpdesk", by_key)).state == message_pb2.FILE_STATE_OFFERED
    with pytest.raises(NotFoundError):
        await world.files.look("other", by_key)


async def test_upload_without_a_key_can_not_go_on(world: MessageWorld) -> None:
    described = ua_pb2.FileDescription(to_uri=REMOTE, from_uri=LOCAL, offset=5)
    with pytest.raises(InvalidRequestError, match="offset"):
        await world.files.send(HELPDESK, described, pieces(DATA))


async def asked(world: MessageWorld, wanted: FileRange | None = None) -> FakeOwned:
    fields = {"file": "0011223344", "file_direction": "outbound", "state": "offered"}
    own = await world.open("s1", **fields)
    own.transfer = FileTransfer(selector=FileSelector(hashes=HASHES), transfer_id="theirs", range=wanted)
    return own


@pytest.mark.parametrize("by_blob", [False, True])
async def test_file_that_is_asked_for_is_answered_with_what_it_is(world: MessageWorld, by_blob: bool) -> None:
    own = await asked(world, FileRange(101, 200))
    looked = await world.files.look("", ua_pb2.GetFileRequest(session_id="s1"))
    assert (looked.state, looked.sha1) == (message_pb2.FILE_STATE_REQUESTED, HASHES[0][1].hex())
    described = ua_pb2.FileDescription(session_id="s1", name="plan.pdf", content_type="application/pdf")
    if by_blob:
        writer = await world.blobs.create()
        await writer.append(DATA)
        described.blob_id = (await writer.commit(expires=world.clock.now + 1e6)).id
    await world.files.send(HELPDESK, described, pieces(b"" if by_blob else DATA))
    wish = await world.files.wish_to_answer(cast(OwnedSession, own), own.record.file)
    assert wish.file is not None
    assert (wish.file.transfer_id, wish.file.range) == ("theirs", FileRange(101, 200))
    assert (wish.file.selector.name, dict(wish.file.selector.hashes)["sha-1"]) == ("plan.pdf", HASHES[0][1])
    own.transfer = own.wire.file = wish.file
    own.record = own.record.changed(state="open", opened=1.0, accept_types=("*",))
    await world.pipeline.opened(cast(OwnedSession, own))
    await until(lambda: own.wire.sent)
    body = own.wire.sent[0].body
    assert not isinstance(body, bytes)
    assert body().read(1_000) == DATA[100:200]


async def test_octets_that_the_file_does_not_have_are_not_promised(world: MessageWorld) -> None:
    own = await asked(world, FileRange(len(DATA) + 1))
    await world.files.send(HELPDESK, ua_pb2.FileDescription(session_id="s1"), pieces(DATA))
    with pytest.raises(ConflictError, match="are asked for"):
        await world.files.wish_to_answer(cast(OwnedSession, own), own.record.file)


async def test_only_a_session_that_asks_for_a_file_is_answered_with_one(world: MessageWorld) -> None:
    await world.open("s1")
    for session_id, error in (("s1", ConflictError), ("s9", NotFoundError)):
        with pytest.raises(error):
            await world.files.send(HELPDESK, ua_pb2.FileDescription(session_id=session_id), pieces(DATA))
    own = await asked(world)
    await ended(world, own)
    assert told(world).state == message_pb2.FILE_STATE_DECLINED
    with pytest.raises(ConflictError):
        await world.files.send(HELPDESK, ua_pb2.FileDescription(session_id="s1"), pieces(DATA))
