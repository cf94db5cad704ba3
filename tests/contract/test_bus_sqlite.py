"""What the log in an SQLite file has to do beside what every bus does."""

import asyncio
import resource
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.buses import Adapter, Collector, new_topic, numbered, replayed
from tests.support.victim import Victim
from tests.support.waiting import until
from wigwag.bus import Bus, BusError, Earliest, FromOffsets, FromTime, Message, OverloadedError, Topic
from wigwag.bus.sqlite import SqliteBus
from wigwag.bus.sqlite_tables import PAGE_OCTETS, append

KILLS = 8


@pytest.fixture
def adapter(tmp_path: Path) -> Adapter:
    return Adapter("sqlite", str(tmp_path / "bus.sqlite3"), is_shared=False)


@pytest.fixture
def topic() -> Topic:
    return new_topic()


@contextmanager
def no_file_larger_than(octets: int) -> Iterator[None]:
    """Let writes behind this size fail, as they do on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_full_disk_refuses_records_until_there_is_room_again(adapter: Adapter, topic: Topic) -> None:
    told: list[bool] = []
    async with adapter.opened(topic, on_availability=lambda available, detail: told.append(available)) as bus:
        await bus.publish(topic.name, b"before", key="key")
        with no_file_larger_than(1_000_000):
            for _ in range(3):
                with pytest.raises(BusError, match="can't be written"):
                    await bus.publish_many(topic.name, [Message(b"x" * 500_000, "key")] * 5)
            assert [record.value for record in await replayed(bus.replay(topic.name, Earliest()))] == [b"before"]
        after = await bus.publish(topic.name, b"after", key="key")
        found = await replayed(bus.replay(topic.name, Earliest()))
    assert [record.value for record in found] == [b"before", b"after"]
    assert (after.offset, told) == (1, [False, True])


def made_in(directory: Path) -> list[Path]:
    """Return the files of a bus."""
    return list(directory.glob("bus.sqlite3*"))


async def test_nobody_but_the_owner_reads_the_file(adapter: Adapter, topic: Topic, tmp_path: Path) -> None:
    async with adapter.opened(topic) as bus:
        await bus.publish(topic.name, b"a secret", key="key")
        files = {path.name: path.stat().st_mode & 0o077 for path in made_in(tmp_path)}
    assert files.keys() >= {"bus.sqlite3", "bus.sqlite3-wal"}
    assert set(files.values()) == {0}


async def test_topic_that_a_full_disk_kept_from_being_made_is_made_later(adapter: Adapter, topic: Topic) -> None:
    async with adapter.opened(topic) as bus:
        with no_file_larger_than(1_000), pytest.raises(BusError):
            await bus.publish(topic.name, b"x" * 5_000, key="key")
        await bus.publish(topic.name, b"value", key="key")
    async with adapter.opened(topic) as bus:
        assert [record.value for record in await replayed(bus.replay(topic.name, Earliest()))] == [b"value"]


async def test_consumer_goes_on_when_its_offsets_can_be_written_again(adapter: Adapter, topic: Topic) -> None:
    collector = Collector()
    async with adapter.opened(topic) as bus:
        await bus.publish(topic.name, b"0", key="key")
        with no_file_larger_than(1_000):
            async with bus.consume("group", [topic.name], collector):
                await asyncio.sleep(0)
        async with bus.consume("group", [topic.name], collector):
            await collector.until_has(b"0")
            await until(lambda: bus.lag()["group", topic.name] == 0)


async def test_publishers_that_are_killed_again_and_again_lose_nothing_and_share_no_offset(
    adapter: Adapter, topic: Topic, tmp_path: Path
) -> None:
    victim = Victim(adapter, topic, tmp_path)
    for _ in range(KILLS):
        acknowledged = await victim.run("publish", 500)
    async with adapter.opened(topic) as bus:
        found = {record.offset: record.value.decode().rstrip() async for record in bus.replay(topic.name, Earliest())}
    assert sorted(found) == list(range(len(found)))
    offsets = [int(row["offset"]) for row in acknowledged]
    assert len(offsets) == len(set(offsets))
    assert all(found.get(int(row["offset"])) == row["value"] for row in acknowledged)


async def test_second_process_is_refused_by_name(adapter: Adapter, topic: Topic) -> None:
    async with adapter.opened(topic) as bus:
        with pytest.raises(BusError, match=r"bus\.sqlite3 can't be opened: another process uses it"):
            await adapter.bus().__aenter__()
        await bus.publish(topic.name, b"still mine", key="key")
    async with adapter.opened(topic):
        pass


async def test_directory_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(BusError, match="unable to open database file"):
        await SqliteBus(tmp_path / "missing" / "bus.sqlite3").__aenter__()


async def test_old_records_are_deleted_and_their_offsets_never_given_again(adapter: Adapter) -> None:
    now = 1_000_000.0
    topic = new_topic(retention=60.0)
    async with adapter.opened(topic, clock=lambda: now) as bus:
        await bus.publish_many(topic.name, [Message(value, "key") for value in numbered(2_500)])
    now += 61.0
    async with adapter.opened(topic, clock=lambda: now) as bus:
        assert isinstance(bus, SqliteBus)
        await bus.trim()
        assert await replayed(bus.replay(topic.name, Earliest())) == []
    async with adapter.opened(topic, clock=lambda: now) as bus:
        assert (await bus.publish(topic.name, b"next", key="key")).offset == 2_500
        collector = Collector()
        async with bus.consume("group", [topic.name], collector):
            await collector.until_has(b"next")


async def test_time_that_is_set_back_leaves_the_log_in_order(adapter: Adapter, topic: Topic) -> None:
    now = 1_000.0
    async with adapter.opened(topic, clock=lambda: now) as bus:
        await bus.publish(topic.name, b"0", key="key")
        now = 10.0
        await bus.publish(topic.name, b"1", key="key")
    async with adapter.opened(topic, clock=lambda: now) as bus:
        await bus.publish(topic.name, b"2", key="key")
        times = [record.time for record in await replayed(bus.replay(topic.name, Earliest()))]
        assert times == [1_000.0] * 3
        assert len(await replayed(bus.replay(topic.name, FromTime(1_000.0)))) == 3
        assert await replayed(bus.replay(topic.name, FromTime(1_000.1))) == []


async def test_replay_reads_more_than_a_page_holds(adapter: Adapter, topic: Topic) -> None:
    value = b"x" * 900_000
    count = 2 * PAGE_OCTETS // len(value)
    async with adapter.opened(topic) as bus:
        for number in range(count):
            await bus.publish(topic.name, value + str(number).encode(), key="key")
        found = await replayed(bus.replay(topic.name, FromOffsets({0: 1})))
        assert [record.offset for record in found] == list(range(1, count))


async def test_log_ahead_of_the_file_does_not_grow_without_end(adapter: Adapter, topic: Topic, tmp_path: Path) -> None:
    collector = Collector()
    async with adapter.opened(topic) as bus, bus.consume("group", [topic.name], collector):
        for number in range(100):
            await bus.publish_many(topic.name, [Message(b"x" * 5_000, str(number))] * 40)
        await until(lambda: len(collector.records) == 4_000, 30)
        assert (tmp_path / "bus.sqlite3-wal").stat().st_size < 10_000_000


async def test_full_synchronisation_is_what_the_setting_says(adapter: Adapter, topic: Topic) -> None:
    async with adapter.opened(topic, sync="full") as bus:
        await bus.publish(topic.name, b"value", key="key")
        (record,) = await replayed(bus.replay(topic.name, Earliest()))
        assert record.value == b"value"
    with closing(sqlite3.connect(adapter.location)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_publisher_that_gave_up_does_not_keep_its_record_from_consumers(adapter: Adapter, topic: Topic) -> None:
    collector = Collector()
    async with adapter.opened(topic) as bus, bus.consume("group", [topic.name], collector):
        publishing = asyncio.create_task(bus.publish(topic.name, b"0", key="key"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        publishing.cancel()
        await bus.publish(topic.name, b"1", key="key")
        await collector.until_has(b"1")
        found = [record.value for record in await replayed(bus.replay(topic.name, Earliest()))]
        await collector.until_has(*found)
    assert collector.values == found


async def test_two_members_of_a_group_in_the_process_take_turns(adapter: Adapter, topic: Topic) -> None:
    one, two = Collector(), Collector()
    async with adapter.opened(topic) as bus, bus.consume("group", [topic.name], two):
        async with bus.consume("group", [topic.name], one):
            await bus.publish(topic.name, b"0", key="key")
            await two.until_has(b"0")
        await bus.publish(topic.name, b"1", key="key")
        await two.until_has(b"1")
    assert one.values == []


async def test_records_that_publishers_gave_up_still_count_until_the_writer_is_rid_of_them(
    adapter: Adapter, topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()

    def hang(connection: sqlite3.Connection, *arguments: Any) -> int:
        go_on.wait(30)
        return append(connection, *arguments)

    async with adapter.opened(topic, publish_timeout=0.05, buffer=100_000) as bus:
        monkeypatch.setattr("wigwag.bus.sqlite.append", hang)
        for _ in range(2):
            with pytest.raises(BusError, match=r"was not written within 0\.05 s"):
                await bus.publish(topic.name, b"x" * 40_000, key="key")
        with pytest.raises(OverloadedError):
            await bus.publish(topic.name, b"x" * 40_000, key="key")
        go_on.set()
        await _published(bus, topic)
        found = [record.value for record in await replayed(bus.replay(topic.name, Earliest()))]
        # One may have been under way when its publisher gave up; the other had not begun then.
        assert len([value for value in found if value != b"value"]) <= 1


async def _published(bus: Bus, topic: Topic) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                await bus.publish(topic.name, b"value", key="key")
            except (BusError, OverloadedError):
                await asyncio.sleep(0.01)
            else:
                return
