"""What the store of blobs has to do on every database."""

import asyncio
import hashlib
import random
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest

from tests.support.ledger import START, ManualClock, new_message
from tests.support.s3_server import S3Server
from tests.support.sql import execute
from wigwag.database import BlobStore, Database, Objects
from wigwag.database.blob_objects import OBJECT_PIECE
from wigwag.database.blob_pieces import DELETE_STEP, PIECE
from wigwag.database.blobs import UNFINISHED
from wigwag.database.file_parts import INBOUND, FilePart, FileParts
from wigwag.database.ledger import Change, Ledger, State
from wigwag.errors import ConflictError, NotFoundError
from wigwag.objects.s3 import S3Objects

LATER = START + 1e6


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    async with Database(url) as opened:
        yield opened


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@dataclass
class Place:
    """Where the pieces of new blobs go."""

    piece: int
    """Octets of all but a blob's last."""
    objects: Objects | None
    count: Callable[[], Awaitable[int]]
    """Counts the pieces that are there."""


@pytest.fixture(params=["rows", pytest.param("s3", marks=pytest.mark.peer("moto"))])
async def place(request: pytest.FixtureRequest, url: str) -> AsyncIterator[Place]:
    if request.param == "rows":

        async def rows() -> int:
            return int((await execute(url, "SELECT count(*) FROM wigwag_blob_chunk"))[0][0])

        yield Place(PIECE, None, rows)
        return
    server: S3Server = request.getfixturevalue("s3")
    bucket = server.new_bucket()

    async def keys() -> int:
        assert server.uploads(bucket) == 0
        found = len(server.keys(bucket))
        assert await execute(url, "SELECT count(*) FROM wigwag_blob_object") == [(found,)]
        return found

    async with S3Objects(server.options(bucket, prefix="some/where")) as objects:
        yield Place(OBJECT_PIECE, objects, keys)


@pytest.fixture
def blobs(database: Database, clock: ManualClock, place: Place) -> BlobStore:
    return BlobStore(database, clock=clock, objects=place.objects)


def octets(length: int) -> bytes:
    return random.Random(length).randbytes(length)


async def stored(blobs: BlobStore, data: bytes, *, step: int = 100_000, expires: float = LATER) -> str:
    writer = await blobs.create()
    for begin in range(0, len(data), step):
        await writer.append(data[begin : begin + step])
    return (await writer.commit(expires=expires)).id


async def read(blobs: BlobStore, blob_id: str, offset: int = 0) -> bytes:
    return b"".join([piece async for piece in blobs.read(blob_id, offset)])


@pytest.mark.parametrize(("pieces", "more"), [(0, 0), (0, 1), (1, -1), (1, 0), (1, 1), (2, 77)])
async def test_blob_is_read_as_it_was_written_from_any_offset(
    blobs: BlobStore, place: Place, pieces: int, more: int
) -> None:
    length = pieces * place.piece + more
    data = octets(length)
    blob_id = await stored(blobs, data)
    assert await blobs.size(blob_id) == length
    assert (await blobs.info(blob_id)).sha256 == hashlib.sha256(data).hexdigest()
    for offset in {0, 1, place.piece - 1, place.piece, place.piece + 1, length - 1, length, length + 1}:
        assert await read(blobs, blob_id, offset) == data[max(offset, 0) :]


async def test_blob_is_not_there_before_it_is_committed(blobs: BlobStore) -> None:
    writer = await blobs.create()
    await writer.append(octets(PIECE))
    with pytest.raises(NotFoundError):
        await blobs.info(writer.id)
    with pytest.raises(NotFoundError):
        await read(blobs, writer.id)
    for unknown in ("unknown", "", "\x00", "ü" * 100):
        with pytest.raises(NotFoundError):
            await blobs.size(unknown)


async def test_blob_with_another_hash_than_was_said_is_not_committed(blobs: BlobStore) -> None:
    writer = await blobs.create()
    await writer.append(b"hello")
    with pytest.raises(ConflictError, match="SHA-256"):
        await writer.commit(expires=LATER, sha256="00" * 32)
    with pytest.raises(NotFoundError):
        await blobs.info(writer.id)
    assert (await writer.commit(expires=LATER, sha256=hashlib.sha256(b"hello").hexdigest().upper())).size == 5


async def test_unfinished_blob_is_gone_on_with_where_its_last_piece_ends(blobs: BlobStore, place: Place) -> None:
    data = octets(3 * place.piece + 99)
    first = await blobs.create()
    await first.append(data[: 2 * place.piece + 500])
    again = await blobs.reopen(first.id)
    assert again.size == 2 * place.piece
    await again.append(data[again.size :])
    blob = await again.commit(expires=LATER, sha256=hashlib.sha256(data).hexdigest())
    assert await read(blobs, blob.id) == data
    with pytest.raises(ConflictError):
        await blobs.reopen(blob.id)
    with pytest.raises(NotFoundError):
        await blobs.reopen("unknown")


async def test_blob_whose_commit_was_cut_off_is_gone_on_with(blobs: BlobStore, url: str) -> None:
    data = octets(PIECE + 99)
    blob_id = await stored(blobs, data)
    await execute(url, f"UPDATE wigwag_blob SET complete = false WHERE id = '{blob_id}'")
    again = await blobs.reopen(blob_id)
    assert again.size == len(data)
    await again.append(data[again.size :])
    await again.commit(expires=LATER)
    assert await read(blobs, blob_id) == data


async def test_blobs_that_nobody_needs_are_swept(blobs: BlobStore, place: Place, clock: ManualClock) -> None:
    unfinished = await blobs.create()
    await unfinished.append(octets((DELETE_STEP + 2) * PIECE))
    short = await stored(blobs, octets(PIECE + 1), expires=START + 10)
    kept = await stored(blobs, b"kept")
    assert await blobs.sweep() == 0
    clock.now += 10
    assert await blobs.sweep() == 1
    with pytest.raises(NotFoundError):
        await blobs.size(short)
    clock.now = START + UNFINISHED
    assert await blobs.sweep() == 1
    assert await place.count() == 1
    assert await read(blobs, kept) == b"kept"
    with pytest.raises(NotFoundError):
        await unfinished.commit(expires=LATER)


async def test_blob_that_is_deleted_while_it_is_read_ends_with_an_error(blobs: BlobStore, place: Place) -> None:
    blob_id = await stored(blobs, octets(3 * place.piece))
    pieces = blobs.read(blob_id)
    await anext(pieces)
    await blobs.delete([blob_id, "unknown", "\x00"])
    with pytest.raises(NotFoundError):
        await anext(pieces)


async def test_blobs_go_with_the_rows_that_refer_to_them(
    blobs: BlobStore, database: Database, clock: ManualClock
) -> None:
    blob_id, other = await stored(blobs, b"body"), await stored(blobs, b"other")
    async with Ledger(database, clock=clock) as ledger:
        message = new_message(body=None, blob=blob_id)
        await ledger.accept_one(message)
        await ledger.apply_one(Change(id=message.id, version=1, state=State.DELIVERED))
        await ledger.mark_published(await ledger.pending_events())
        clock.now += 100
        assert await ledger.purge(keep=50, delete_blobs=blobs.delete) == 1
    with pytest.raises(NotFoundError):
        await blobs.size(blob_id)
    assert await read(blobs, other) == b"other"


async def test_several_are_written_at_once(blobs: BlobStore) -> None:
    bodies = [octets(PIECE * 2 + number) for number in range(6)]
    ids = await asyncio.gather(*(stored(blobs, body) for body in bodies))
    assert [await read(blobs, blob_id) for blob_id in ids] == bodies


async def test_large_blob_takes_little_memory(blobs: BlobStore, place: Place) -> None:
    part = octets(PIECE)
    await stored(blobs, part)  # what is loaded once is no part of it
    tracemalloc.start()
    try:
        writer = await blobs.create()
        for _ in range(64):
            await writer.append(part)
        blob = await writer.commit(expires=LATER)
        size = 0
        async for piece in blobs.read(blob.id):
            size += len(piece)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size == 64 * PIECE
    assert peak < max(16 * PIECE, 4 * place.piece)


async def test_blob_that_was_flushed_is_gone_on_with_to_the_octet(blobs: BlobStore, place: Place) -> None:
    data = octets(2 * place.piece + 100_000)
    writer = await blobs.create()
    for end in (place.piece + 77, place.piece + 78, 2 * place.piece + 5):
        await writer.append(data[writer.size : end])
        await writer.flush()
        assert await blobs.written(writer.id) == end
        writer = await blobs.reopen(writer.id)
        assert writer.size == end
    await writer.append(data[writer.size :])
    blob = await writer.commit(expires=LATER)
    assert blob.sha256 == hashlib.sha256(data).hexdigest()
    assert await read(blobs, blob.id) == data
    assert await place.count() == 3
    assert await blobs.written("nothing") == 0


async def test_two_who_go_on_with_one_blob_do_not_spoil_it(blobs: BlobStore, place: Place) -> None:
    data = octets(3 * place.piece)
    silent = await blobs.create()
    await silent.append(data[: place.piece + 9])
    writer = await blobs.reopen(silent.id)
    await writer.append(data[place.piece :])
    with pytest.raises(ConflictError):
        await silent.append(bytes(place.piece))
    blob = await writer.commit(expires=LATER)
    assert await read(blobs, blob.id) == data
    assert await place.count() == 3


async def test_empty_and_deleted_blobs_leave_nothing(blobs: BlobStore, place: Place) -> None:
    ids = [await stored(blobs, octets(length)) for length in (0, 1, 2 * place.piece + 1)]
    assert await place.count() == 4
    await blobs.delete(ids)
    assert await place.count() == 0


async def test_part_of_a_file_is_found_moved_and_goes_with_its_blob(blobs: BlobStore, database: Database) -> None:
    parts, writer = FileParts(database), await blobs.create()
    hashes = (("sha-1", b"\x01" * 20), ("sha-256", b"\x02" * 32))
    part = FilePart(
        session="s1", application="helpdesk", peer="sip:bob@example.com", direction=INBOUND, blob=writer.id, size=5,
        name="plan.pdf", content_type="application/pdf", hashes=hashes,
    )  # fmt: skip
    await parts.put(part)
    await parts.put(part)
    assert await parts.find("s1") == part
    assert await parts.of_peer("helpdesk", "sip:bob@example.com") == [part]
    assert await parts.of_peer("helpdesk", "sip:eve@example.com") == []
    assert await parts.move("s1", "s2")
    assert not await parts.move("s1", "s3")
    assert await parts.find("s1") is None
    await blobs.delete([writer.id])
    assert await parts.find("s2") is None


def test_part_is_of_a_file_when_a_hash_is_equal_and_none_differs() -> None:
    part = FilePart(session="s", application="a", peer="p", direction=INBOUND, blob="b", hashes=(("sha-1", b"1"),))
    assert part.is_of([("sha-1", b"1"), ("md5", b"x")])
    assert not part.is_of([("sha-1", b"2")])
    assert not part.is_of([("md5", b"1")])
