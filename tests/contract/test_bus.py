"""What every bus has to do: the log in an SQLite file, and Kafka."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from tests.support.bus_process import GROUP, IN_FLIGHT
from tests.support.buses import PATIENCE, Adapter, Collector, new_topic, numbered, replayed
from tests.support.kafka_broker import Broker
from tests.support.victim import Victim
from tests.support.waiting import until
from wigwag.bus import (
    DEAD_GROUP,
    DEAD_OFFSET,
    DEAD_PARTITION,
    DEAD_REASON,
    DEAD_TOPIC,
    MAX_VALUE,
    Bus,
    Earliest,
    FromOffsets,
    FromTime,
    Message,
    Record,
    RecordTooLargeError,
    Topic,
    UnprocessableError,
)
from wigwag.bus.consuming import HandlerPolicy
from wigwag.errors import ConflictError, OverloadedError, StoreError

QUICK = HandlerPolicy(first_delay=0.01, longest_delay=0.05, settle=0.5)
BUSES = [
    pytest.param("sqlite"),
    pytest.param("kafka", marks=pytest.mark.peer("kafka")),
]


@pytest.fixture(params=BUSES)
def adapter(request: pytest.FixtureRequest, tmp_path: Path) -> Adapter:
    if request.param == "sqlite":
        return Adapter("sqlite", str(tmp_path / "bus.sqlite3"), is_shared=False)
    broker: Broker = request.getfixturevalue("kafka")
    return Adapter(broker.kind, broker.bootstrap_servers, is_shared=True)


@pytest.fixture
def topic() -> Topic:
    return new_topic()


@pytest.fixture
async def bus(adapter: Adapter, topic: Topic) -> AsyncIterator[Bus]:
    async with adapter.opened(topic, policy=QUICK) as opened:
        yield opened


@pytest.fixture
def knows_its_end(adapter: Adapter) -> None:
    if adapter.kind == "tansu":
        pytest.skip("Tansu takes the first record of the last batch for the end")


# Publishing


async def test_published_record_is_consumed_with_key_headers_and_time(bus: Bus, topic: Topic) -> None:
    headers = {"traceparent": b"00-ab-cd-01", "binary": bytes(range(256)), "empty": b""}
    position = await bus.publish(topic.name, b"\x00\xffvalue", key="sip:älice@example.com", headers=headers)
    collector = Collector()
    async with bus.consume("group", [topic.name], collector):
        await collector.until_has(b"\x00\xffvalue")
    (record,) = collector.records
    assert (record.key, dict(record.headers)) == ("sip:älice@example.com", headers)
    assert record.position == position
    (again,) = await replayed(bus.replay(topic.name, FromTime(record.time)))
    assert again == record


@pytest.mark.usefixtures("knows_its_end")
async def test_offsets_of_a_key_grow_in_the_order_of_publishing(bus: Bus, topic: Topic) -> None:
    many = await bus.publish_many(topic.name, [Message(value, "key") for value in numbered(100)])
    one = await bus.publish(topic.name, b"last", key="key")
    offsets = [position.offset for position in (*many, one)]
    assert offsets == sorted(set(offsets))
    assert len({position.partition for position in (*many, one)}) == 1
    assert [record.value for record in await replayed(bus.replay(topic.name, Earliest()))] == [*numbered(100), b"last"]


async def test_largest_value_is_taken_and_a_larger_one_refused_by_name(bus: Bus, topic: Topic) -> None:
    largest = os.urandom(MAX_VALUE)
    await bus.publish(topic.name, largest, key="", headers={"header": b"x" * 30_000})
    with pytest.raises(RecordTooLargeError, match="1048577 octets, at most 1048576"):
        await bus.publish(topic.name, largest + b"x", key="key")
    with pytest.raises(RecordTooLargeError, match="key and headers have 32775 octets, at most 32768"):
        await bus.publish(topic.name, b"", key="key", headers={"name": b"x" * 32_768})
    collector = Collector()
    async with bus.consume("group", [topic.name], collector):
        await collector.until_has(largest)
    assert len(collector.records) == 1


async def test_publisher_is_refused_at_once_when_too_much_waits(adapter: Adapter, topic: Topic) -> None:
    async with adapter.opened(topic, buffer=300_000) as bus:
        publishing = [bus.publish(topic.name, b"x" * 100_000, key=str(number)) for number in range(10)]
        outcomes = await asyncio.gather(*publishing, return_exceptions=True)
        refused = [outcome for outcome in outcomes if isinstance(outcome, OverloadedError)]
        assert len(refused) == 8
        assert "200" in str(refused[0])
        assert bus.counters.published == len(await replayed(bus.replay(topic.name, Earliest()))) == 2


async def test_topic_has_to_be_declared_and_always_the_same(bus: Bus, topic: Topic) -> None:
    with pytest.raises(ValueError, match="was not declared"):
        await bus.publish("wigwag.test.unknown", b"", key="key")
    with pytest.raises(ValueError, match="declared otherwise"):
        bus.declare(Topic(topic.name, partitions=99))
    with pytest.raises(ValueError, match="replay it"):
        await bus.consume("group", [f"{topic.name}.dead"], Collector()).__aenter__()
    bus.declare(topic)


# Consuming


async def test_new_group_begins_at_the_beginning_and_resumes_where_it_stopped(adapter: Adapter, topic: Topic) -> None:
    async with adapter.opened(topic) as bus:
        await bus.publish_many(topic.name, [Message(value, value.decode()) for value in numbered(20)])
        first = Collector()
        async with bus.consume("group", [topic.name], first):
            await first.until_has(*numbered(20))
    async with adapter.opened(topic) as bus:
        await bus.publish_many(topic.name, [Message(value, value.decode()) for value in numbered(20, 20)])
        second, other = Collector(), Collector()
        async with bus.consume("group", [topic.name], second), bus.consume("other", [topic.name], other):
            await second.until_has(*numbered(20, 20))
            await other.until_has(*numbered(40))
    assert sorted(second.values) == sorted(numbered(20, 20))
    assert sorted(other.values) == sorted(numbered(40))


async def test_consumer_is_woken_by_what_is_published_later(bus: Bus, topic: Topic) -> None:
    collector = Collector()
    async with bus.consume("group", [topic.name], collector):
        for value in numbered(5):
            await bus.publish(topic.name, value, key="key")
            await collector.until_has(value)
    assert collector.values == numbered(5)


async def test_several_topics_are_consumed_by_one_handler(adapter: Adapter, topic: Topic) -> None:
    other, collector = new_topic(), Collector()
    async with adapter.opened(topic, other) as bus, bus.consume("group", [topic.name, other.name], collector):
        await bus.publish(topic.name, b"one", key="key")
        await bus.publish(other.name, b"other", key="key")
        await collector.until_has(b"one", b"other")
    assert {record.topic for record in collector.records} == {topic.name, other.name}


async def test_records_of_a_key_are_handled_in_order_and_others_at_the_same_time(bus: Bus, topic: Topic) -> None:
    running: Counter[str] = Counter()
    most_at_once = 0
    handled: dict[str, list[bytes]] = {}

    async def handle(record: Record) -> None:
        nonlocal most_at_once
        running[record.key] += 1
        assert running[record.key] == 1
        most_at_once = max(most_at_once, running.total())
        for _ in range(record.offset % 7):
            await asyncio.sleep(0)
        running[record.key] -= 1
        handled.setdefault(record.key, []).append(record.value)

    keys = [str(number) for number in range(10)]
    await bus.publish_many(topic.name, [Message(value, key) for value in numbered(50) for key in keys])
    async with bus.consume("group", [topic.name], handle, in_flight=8):
        await until(lambda: sum(map(len, handled.values())) == 500, PATIENCE)
    assert handled == dict.fromkeys(keys, numbered(50))
    assert 1 < most_at_once <= 8


async def test_records_of_one_topic_and_key_that_are_there_are_handled_together_in_order(
    adapter: Adapter, topic: Topic
) -> None:
    other, collector = new_topic(), Collector()
    sizes: list[int] = []

    async def together(records: Sequence[Record]) -> None:
        assert len({(record.topic, record.partition, record.key) for record in records}) == 1
        sizes.append(len(records))
        for record in records:
            await collector(record)

    topics, keys = [topic.name, other.name], [str(number) for number in range(5)]
    async with adapter.opened(topic, other) as bus:
        for name in topics:
            await bus.publish_many(name, [Message(value, key) for value in numbered(40) for key in keys])
        async with bus.consume("group", topics, collector, group_handler=together):
            await until(lambda: len(collector.records) == 400, PATIENCE)
    for name in topics:
        for key in keys:
            mine = [record.value for record in collector.records if (record.topic, record.key) == (name, key)]
            assert mine == numbered(40)
    assert max(sizes) > 1


async def test_no_more_is_read_than_may_be_in_flight(bus: Bus, topic: Topic) -> None:
    begun: list[bytes] = []
    go_on = asyncio.Event()

    async def handle(record: Record) -> None:
        begun.append(record.value)
        await go_on.wait()

    await bus.publish_many(topic.name, [Message(value, value.decode()) for value in numbered(50)])
    async with bus.consume("group", [topic.name], handle, in_flight=4):
        await until(lambda: len(begun) == 4, PATIENCE)
        collector = Collector()
        async with bus.consume("other", [topic.name], collector):  # as long as this takes, no fifth is begun
            await collector.until_has(*numbered(50))
        assert len(begun) == 4
        go_on.set()
        await until(lambda: len(begun) == 50, PATIENCE)


async def test_record_is_not_committed_before_its_handler_has_returned(adapter: Adapter, topic: Topic) -> None:
    begun = asyncio.Event()

    async def handle(record: Record) -> None:
        if record.value == b"1":
            begun.set()
            await asyncio.Event().wait()

    async with adapter.opened(topic, policy=QUICK) as bus:
        await bus.publish_many(topic.name, [Message(value, value.decode()) for value in numbered(3)])
        consuming = asyncio.create_task(_consume_until(bus, topic, handle, begun))
        await asyncio.wait_for(consuming, PATIENCE)
        collector = Collector()
        async with bus.consume("group", [topic.name], collector):
            await collector.until_has(b"1")


async def _consume_until(bus: Bus, topic: Topic, handler: object, event: asyncio.Event) -> None:
    assert callable(handler)
    async with bus.consume("group", [topic.name], handler):
        await event.wait()


async def test_handler_that_runs_when_the_consumer_ends_is_finished_and_committed(bus: Bus, topic: Topic) -> None:
    begun, finished = asyncio.Event(), []

    async def handle(record: Record) -> None:
        begun.set()
        await asyncio.sleep(0.1)
        finished.append(record.value)

    await bus.publish(topic.name, b"one", key="key")
    await _consume_until(bus, topic, handle, begun)
    assert finished == [b"one"]
    await bus.publish(topic.name, b"two", key="key")
    collector = Collector()
    async with bus.consume("group", [topic.name], collector):
        await collector.until_has(b"two")
    assert collector.values == [b"two"]


@pytest.mark.usefixtures("knows_its_end")
async def test_lag_is_what_is_not_committed(bus: Bus, topic: Topic) -> None:
    go_on = asyncio.Event()

    async def handle(record: Record) -> None:
        await go_on.wait()

    await bus.publish_many(topic.name, [Message(value, "key") for value in numbered(30)])
    async with bus.consume("group", [topic.name], handle, in_flight=5):
        await until(lambda: bus.lag().get(("group", topic.name)) == 30, PATIENCE)
        go_on.set()
        await until(lambda: bus.lag()["group", topic.name] == 0, PATIENCE)
    assert bus.counters.consumed == 30


# Failures of the handler


async def test_unprocessable_record_goes_to_the_dead_letters_with_its_reason(bus: Bus, topic: Topic) -> None:
    def refuse(record: Record) -> None:
        if record.value == b"1":
            raise UnprocessableError("no such thing: ü")

    collector = Collector(before=refuse)
    positions = await bus.publish_many(topic.name, [Message(v, "key", {"own": b"\xff"}) for v in numbered(3)])
    async with bus.consume("group", [topic.name], collector):
        await collector.until_has(b"0", b"2")
    (letter,) = await replayed(bus.replay(f"{topic.name}.dead", Earliest()))
    assert (letter.value, letter.key) == (b"1", "key")
    assert letter.headers == {
        "own": b"\xff",
        DEAD_REASON: "no such thing: ü".encode(),
        DEAD_TOPIC: topic.name.encode(),
        DEAD_PARTITION: str(positions[1].partition).encode(),
        DEAD_OFFSET: str(positions[1].offset).encode(),
        DEAD_GROUP: b"group",
    }
    assert (bus.counters.dead, bus.counters.retried) == (1, 0)


async def test_unprocessable_record_of_a_group_takes_none_of_the_others_with_it(bus: Bus, topic: Topic) -> None:
    def refuse(record: Record) -> None:
        if record.value == b"3":
            raise UnprocessableError("no such thing")

    collector = Collector(before=refuse)

    async def together(records: Sequence[Record]) -> None:
        for record in records:
            refuse(record)
        collector.records += records

    await bus.publish_many(topic.name, [Message(value, "key") for value in numbered(8)])
    async with bus.consume("group", [topic.name], collector, group_handler=together):
        await collector.until_has(*(value for value in numbered(8) if value != b"3"))
    assert collector.values == [value for value in numbered(8) if value != b"3"]
    (letter,) = await replayed(bus.replay(f"{topic.name}.dead", Earliest()))
    assert letter.value == b"3"


async def test_record_that_fails_five_times_is_dead_and_the_next_one_handled(bus: Bus, topic: Topic) -> None:
    calls: Counter[bytes] = Counter()

    def fail(record: Record) -> None:
        calls[record.value] += 1
        if record.value == b"0":
            raise ConflictError("twice")

    collector = Collector(before=fail)
    await bus.publish_many(topic.name, [Message(value, "key") for value in numbered(2)])
    async with bus.consume("group", [topic.name], collector):
        await collector.until_has(b"1")
    assert calls == {b"0": 5, b"1": 1}
    (letter,) = await replayed(bus.replay(f"{topic.name}.dead", Earliest()))
    assert letter.headers[DEAD_REASON] == b"ConflictError: twice"


async def test_failure_of_a_dependency_is_retried_in_order_until_it_works(bus: Bus, topic: Topic) -> None:
    failures = 8

    def fail(record: Record) -> None:
        nonlocal failures
        if record.value == b"0" and failures:
            failures -= 1
            raise StoreError("away")

    collector = Collector(before=fail)
    await bus.publish_many(topic.name, [Message(value, "key") for value in numbered(3)])
    async with bus.consume("group", [topic.name], collector):
        await collector.until_has(*numbered(3))
    assert collector.values == numbered(3)
    assert (bus.counters.dead, bus.counters.retried) == (0, 8)


# Members of a group


async def test_members_that_come_and_go_share_the_work_and_lose_nothing(
    adapter: Adapter, bus: Bus, topic: Topic
) -> None:
    values, one, two = numbered(400), Collector(), Collector()
    publishing = asyncio.create_task(_publish_slowly(bus, topic, values))
    async with bus.consume("group", [topic.name], one):
        await until(lambda: one.records, PATIENCE)
        async with adapter.another(bus, topic) as other, other.consume("group", [topic.name], two):
            if adapter.is_shared:
                await until(lambda: two.records, PATIENCE)
        await publishing
        await until(lambda: set(values) <= {*one.values, *two.values}, PATIENCE)
    assert sorted([*one.values, *two.values]) == sorted(values)
    for key in map(str, range(20)):
        for collector in (one, two):
            mine = [int(record.value) for record in collector.records if record.key == key]
            assert mine == sorted(mine)


async def _publish_slowly(bus: Bus, topic: Topic, values: list[bytes]) -> None:
    for number, value in enumerate(values):
        await bus.publish(topic.name, value, key=str(number % 20))
        await asyncio.sleep(0.01)


@pytest.fixture
def victim(adapter: Adapter, topic: Topic, tmp_path: Path) -> Victim:
    return Victim(adapter, topic, tmp_path)


async def test_consumer_killed_in_mid_batch_loses_nothing_and_repeats_a_bounded_number(
    adapter: Adapter, topic: Topic, victim: Victim
) -> None:
    values = numbered(3_000)
    async with adapter.opened(topic) as bus:
        await bus.publish_many(topic.name, [Message(value, str(int(value) % 40)) for value in values])
    before = await victim.run("consume", 500)
    collector = Collector()
    async with adapter.opened(topic) as bus, bus.consume(GROUP, [topic.name], collector):
        await until(lambda: len({*collector.values, *(row["value"].encode() for row in before)}) == 3_000, PATIENCE)
    repeated = {row["value"].encode() for row in before} & set(collector.values)
    partitions = 1 if adapter.kind == "sqlite" else 4
    assert len(repeated) <= partitions * IN_FLIGHT
    assert len(collector.values) == len(set(collector.values))
    for key in map(str, range(40)):
        handled = [int(row["value"]) for row in before if row["key"] == key]
        assert handled == sorted(handled)


@pytest.mark.usefixtures("knows_its_end")
async def test_publisher_that_is_killed_loses_nothing_that_was_acknowledged(
    adapter: Adapter, topic: Topic, victim: Victim
) -> None:
    acknowledged = await victim.run("publish", 2_000)
    async with adapter.opened(topic) as bus:
        found = await replayed(bus.replay(topic.name, Earliest()))
    assert {row["value"] for row in acknowledged} <= {record.value.decode().rstrip() for record in found}
    positions = [record.position for record in found]
    assert len(positions) == len(set(positions))
    for key in {record.key for record in found}:
        numbers = [int(record.value.split()[1]) for record in found if record.key == key]
        assert numbers == sorted(numbers)


# Replay


@pytest.mark.usefixtures("knows_its_end")
async def test_replay_begins_at_an_offset_and_ends_at_what_was_there(bus: Bus, topic: Topic) -> None:
    positions = await bus.publish_many(topic.name, [Message(value, "key") for value in numbered(10)])
    start = FromOffsets({positions[0].partition: positions[4].offset})
    records = bus.replay(topic.name, start)
    found = []
    async for record in records:
        await bus.publish(topic.name, b"later", key="key")
        found.append(record.value)
    assert found == numbered(6, 4)


@pytest.mark.usefixtures("knows_its_end")
async def test_replay_begins_at_a_time(bus: Bus, topic: Topic) -> None:
    await bus.publish_many(topic.name, [Message(value, value.decode()) for value in numbered(10)])
    published = time.time()
    await until(lambda: time.time() > published + 0.002)  # the log tells times apart by the millisecond
    await bus.publish_many(topic.name, [Message(value, value.decode()) for value in numbered(10, 10)])
    everything = await replayed(bus.replay(topic.name, Earliest()))
    start = min(record.time for record in everything if record.value in numbered(10, 10))
    found = await replayed(bus.replay(topic.name, FromTime(start)))
    assert sorted(record.value for record in found) == sorted(numbered(10, 10))
    assert await replayed(bus.replay(topic.name, FromTime(start + 3600))) == []


@pytest.mark.usefixtures("knows_its_end")
async def test_extent_is_where_records_stand_and_the_next_one_will(bus: Bus, topic: Topic) -> None:
    empty = await bus.extent(topic.name)
    positions = await bus.publish_many(topic.name, [Message(value, value.decode()) for value in numbered(10)])
    held = await bus.extent(topic.name)
    assert empty.keys() == held.keys()
    assert not any(map(len, empty.values()))
    assert sum(map(len, held.values())) == 10
    assert all(position.offset in held[position.partition] for position in positions)
    with pytest.raises(ValueError):
        await bus.extent("wigwag.never.declared")


async def test_replay_of_an_empty_topic_ends(bus: Bus, topic: Topic) -> None:
    assert await replayed(bus.replay(topic.name, Earliest())) == []


async def test_replay_that_follows_goes_on_with_what_is_published(bus: Bus, topic: Topic) -> None:
    await bus.publish(topic.name, b"0", key="key")
    records = bus.replay(topic.name, Earliest(), follow=True)
    assert (await anext(records)).value == b"0"
    waiting = asyncio.ensure_future(anext(records))
    await bus.publish(topic.name, b"1", key="key")
    assert (await asyncio.wait_for(waiting, PATIENCE)).value == b"1"
