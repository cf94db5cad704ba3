"""Blobs in S3 when something is wrong: killed and late writers, a server that hangs, other settings, lost objects."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.support.ledger import START, ManualClock, new_message
from tests.support.s3_server import S3Server, running_s3
from tests.support.waiting import until
from wigwag.database import BlobStore, Database
from wigwag.database.blob_objects import OBJECT_PIECE
from wigwag.database.blobs import UNFINISHED
from wigwag.database.ledger import Change, Ledger, State
from wigwag.errors import ConfigurationError, NotFoundError, StoreError
from wigwag.objects.s3 import PAGE, S3Objects
from wigwag.runtime.beside import beside

pytestmark = pytest.mark.peer("moto")

LATER = START + 1e6


class World:
    """A bucket, and blobs in it."""

    def __init__(self, server: S3Server, database: Database) -> None:
        self.server = server
        self.bucket = server.new_bucket()
        self.clock = ManualClock()
        self.told: list[tuple[bool, str]] = []
        self.objects = S3Objects(server.options(self.bucket, timeout=1.0), on_availability=self._tell)
        self.blobs = BlobStore(database, clock=self.clock, objects=self.objects)
        self.without = BlobStore(database, clock=self.clock)

    def _tell(self, available: bool, detail: str) -> None:
        self.told.append((available, detail))

    def keys(self) -> list[str]:
        return self.server.keys(self.bucket)


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    async with Database(url) as opened:
        yield opened


@pytest.fixture
async def world(s3: S3Server, database: Database) -> AsyncIterator[World]:
    made = World(s3, database)
    async with made.objects:
        yield made
    s3.resume()


async def stored(blobs: BlobStore, data: bytes) -> str:
    writer = await blobs.create()
    await writer.append(data)
    return (await writer.commit(expires=LATER)).id


async def read(blobs: BlobStore, blob_id: str) -> bytes:
    return b"".join([piece async for piece in blobs.read(blob_id)])


async def test_what_a_killed_writer_left_goes_with_its_blob(world: World) -> None:
    writer = await world.blobs.create()
    await writer.append(bytes(OBJECT_PIECE))
    # Killed between the object and its row.
    await world.objects.put(f"{writer.id}/00000001-killed", b"x")
    kept = await stored(world.blobs, b"kept")
    world.clock.now += UNFINISHED
    assert await world.blobs.sweep() == 1
    (left,) = world.keys()
    assert left.startswith(f"{kept}/")


async def test_writer_of_a_deleted_blob_hears_of_it_and_leaves_nothing(world: World) -> None:
    writer = await world.blobs.create()
    await writer.append(bytes(OBJECT_PIECE))
    await world.blobs.delete([writer.id])
    with pytest.raises(NotFoundError):
        await writer.append(bytes(OBJECT_PIECE))
    assert world.keys() == []


async def test_more_objects_than_one_request_lists_are_deleted(world: World) -> None:
    writer = await world.blobs.create()
    for begin in range(0, PAGE + 5, 50):
        await asyncio.gather(*(world.objects.put(f"{writer.id}/{number}", b"x") for number in range(begin, begin + 50)))
    other = await stored(world.blobs, b"other")
    await world.blobs.delete([writer.id])
    assert len(world.keys()) == 1
    assert await read(world.blobs, other) == b"other"


async def test_blobs_stay_where_they_are_when_the_setting_changes(world: World) -> None:
    in_rows, in_s3 = await stored(world.without, b"rows"), await stored(world.blobs, b"s3")
    begun = await world.without.create()
    await begun.append(b"beg")
    await begun.flush()
    assert await read(world.blobs, in_rows) == b"rows"
    again = await world.blobs.reopen(begun.id)
    await again.append(b"un")
    assert await read(world.blobs, (await again.commit(expires=LATER)).id) == b"begun"
    with pytest.raises(StoreError, match=r"blobs\.url"):
        await read(world.without, in_s3)
    assert len(world.keys()) == 1


async def test_blob_deleted_without_the_setting_goes_when_the_setting_is_back(world: World) -> None:
    blob_id = await stored(world.blobs, b"s3")
    with pytest.raises(StoreError, match=r"blobs\.url"):
        await world.without.delete([blob_id])
    with pytest.raises(NotFoundError):
        await world.without.info(blob_id)
    assert await world.blobs.sweep() == 1
    assert world.keys() == []


async def test_lost_object_is_an_error_not_a_shorter_body(world: World) -> None:
    blob_id = await stored(world.blobs, bytes(OBJECT_PIECE + 1))
    pieces = world.blobs.read(blob_id)
    await anext(pieces)
    await world.objects.delete(sorted(world.keys())[1])
    with pytest.raises(StoreError, match="lost"):
        await anext(pieces)


async def test_truncated_object_is_an_error(world: World) -> None:
    blob_id = await stored(world.blobs, b"hello")
    await world.objects.put(world.keys()[0], b"hel")
    with pytest.raises(StoreError, match="5 octets"):
        await read(world.blobs, blob_id)


async def test_removed_bucket_is_no_missing_blob(world: World) -> None:
    blob_id = await stored(world.blobs, b"hello")
    world.server.remove_bucket(world.bucket)
    with pytest.raises(StoreError, match="NoSuchBucket"):
        await read(world.blobs, blob_id)
    with pytest.raises(StoreError, match="NoSuchBucket"):
        await stored(world.blobs, b"hello")
    assert world.told[-1] == (False, "NoSuchBucket: The specified bucket does not exist")


async def test_server_that_hangs_costs_no_more_than_the_timeout_and_is_found_again(world: World) -> None:
    blob_id, writer = await stored(world.blobs, b"hello"), await world.blobs.create()
    world.server.pause()
    async with asyncio.timeout(5):
        with pytest.raises(StoreError, match="no answer in time"):
            await read(world.blobs, blob_id)
        with pytest.raises(StoreError):
            await writer.append(bytes(OBJECT_PIECE))
    assert [available for available, _ in world.told] == [True, False]
    world.server.resume()
    async with beside(world.objects.watch(look=0.05, away=0.05)):
        await until(lambda: world.told[-1][0])
    assert await read(world.blobs, blob_id) == b"hello"
    again = await world.blobs.reopen(writer.id)
    await again.append(b"after")
    assert await read(world.blobs, (await again.commit(expires=LATER)).id) == b"after"


async def test_ledger_keeps_rows_whose_bodies_cannot_be_deleted_and_purges_them_later(
    world: World, database: Database
) -> None:
    blob_id = await stored(world.blobs, b"body")
    async with Ledger(database, clock=world.clock) as ledger:
        message = new_message(body=None, blob=blob_id)
        await ledger.accept_one(message)
        await ledger.apply_one(Change(id=message.id, version=1, state=State.DELIVERED))
        await ledger.mark_published(await ledger.pending_events())
        world.clock.now += 100
        world.server.pause()
        with pytest.raises(StoreError):
            await ledger.purge(keep=50, delete_blobs=world.blobs.delete)
        assert await ledger.find(message.id) is not None
        world.server.resume()
        assert await ledger.purge(keep=50, delete_blobs=world.blobs.delete) == 1
    assert world.keys() == []


# How it begins

WRONG = [
    pytest.param({"bucket": "missing"}, "NoSuchBucket", id="bucket"),
    pytest.param({"secret_access_key": "wrong"}, "SignatureDoesNotMatch", id="secret"),
    pytest.param({"access_key_id": "nobody"}, "InvalidAccessKeyId", id="key"),
    pytest.param({"insecure": False}, r"http is not allowed \(blobs.insecure\)", id="http"),
]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("options", "reason"), WRONG)
async def test_start_ends_with_what_is_wrong(world: World, options: dict[str, Any], reason: str) -> None:
    given = {"bucket": world.bucket, **options}
    wrong = S3Objects(world.server.options(**given))
    with pytest.raises(ConfigurationError, match=reason):
        async with wrong:
            pass


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_start_does_not_wait_for_a_server_that_is_away(world: World) -> None:
    told: list[tuple[bool, str]] = []
    away = S3Objects(
        world.server.options(world.bucket, endpoint="http://127.0.0.1:1"),
        on_availability=lambda available, detail: told.append((available, detail)),
    )
    async with away:
        assert told == [(False, "Connection refused")]
        with pytest.raises(StoreError, match="Connection refused"):
            await away.put("x", b"x")
    assert world.keys() == []


@pytest.fixture(scope="module")
def s3_tls() -> Iterator[S3Server]:
    with running_s3(tls=True) as server:
        yield server


async def test_certificate_is_looked_at(s3_tls: S3Server) -> None:
    bucket = s3_tls.new_bucket()
    async with S3Objects(s3_tls.options(bucket)) as objects:
        await objects.put("x", b"hello")
        assert await objects.get("x", 1, 5) == b"ello"
    with pytest.raises(ConfigurationError, match="certificate is not trusted"):
        async with S3Objects(s3_tls.options(bucket, ca_file=None)):
            pass
