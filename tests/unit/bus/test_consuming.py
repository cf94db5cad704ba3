"""Order per key, bounded work, retries, dead letters and commits, without a log."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.support.waiting import until
from wigwag.bus import (
    DEAD_REASON,
    BusError,
    Counters,
    Handler,
    Message,
    Record,
    RecordTooLargeError,
    UnprocessableError,
)
from wigwag.bus.consuming import HandlerPolicy, Partition, Processing, dead_letter, is_temporary
from wigwag.errors import (
    ConfigurationError,
    ConflictError,
    DatabaseError,
    NotFoundError,
    OverloadedError,
    RemoteProtocolError,
    StoreError,
)


def record(offset: int, key: str = "key") -> Record:
    return Record(
        topic="wigwag.test.unit",
        partition=3,
        offset=offset,
        key=key,
        value=b"value",
        headers={"own": b"\xff"},
        time=1.0,
    )


class Cemetery:
    """Takes dead letters, after some failures."""

    def __init__(self, failures: int = 0, largest: int = 1_000) -> None:
        self.letters: list[Message] = []
        self.failures = failures
        self.largest = largest

    async def bury(self, record: Record, letter: Message) -> None:
        if self.failures:
            self.failures -= 1
            raise BusError("away")
        if len(letter.value) > self.largest:
            raise RecordTooLargeError
        self.letters.append(letter)


def partition(
    handler: Handler,
    *,
    limit: int = 8,
    in_flight: int = 8,
    bury: Callable[[Record, Message], Awaitable[None]] | None = None,
    counters: Counters | None = None,
    settle: float = 5.0,
    ordered: bool = True,
) -> Partition:
    policy = HandlerPolicy(attempts=3, first_delay=0.001, longest_delay=0.002, settle=settle)
    processing = Processing(
        "group",
        handler,
        in_flight=in_flight,
        bury=bury or Cemetery().bury,
        counters=counters or Counters(),
        policy=policy,
        ordered=ordered,
    )
    return Partition(processing, limit, lambda: None)


async def nothing(record: Record) -> None:
    pass


@pytest.mark.parametrize("error", [StoreError(), DatabaseError(), BusError(), OverloadedError()])
def test_failure_of_what_a_handler_needs_is_temporary(error: Exception) -> None:
    assert is_temporary(error)


@pytest.mark.parametrize(
    "error",
    [
        UnprocessableError("no"),
        RecordTooLargeError(),
        RemoteProtocolError("no"),
        ConfigurationError(),
        ConflictError(),
        NotFoundError(),
        KeyError(),
        asyncio.CancelledError(),
    ],
)
def test_failure_of_the_record_itself_is_not_temporary(error: BaseException) -> None:
    assert not is_temporary(error)


async def test_nothing_is_committed_beyond_a_record_that_is_not_finished() -> None:
    gates = {offset: asyncio.Event() for offset in range(4)}

    async def handle(record: Record) -> None:
        await gates[record.offset].wait()

    work = partition(handler=handle)
    for offset in range(4):
        work.begin(record(offset, key=str(offset)))
    for offset in (1, 3):
        gates[offset].set()
    await asyncio.sleep(0)
    assert work.committable is None
    gates[0].set()
    await until(lambda: work.committable == 2)
    gates[2].set()
    await until(lambda: work.committable == 4)


async def test_records_of_a_key_are_handled_at_once_where_order_does_not_matter() -> None:
    begun: list[int] = []
    go_on = asyncio.Event()

    async def handle(record: Record) -> None:
        begun.append(record.offset)
        await go_on.wait()

    work = partition(handle, ordered=False)
    for offset in range(4):
        work.begin(record(offset))
    await until(lambda: len(begun) == 4)
    assert work.committable is None
    go_on.set()
    await until(lambda: work.committable == 4)


async def test_record_takes_room_until_it_is_committed() -> None:
    work = partition(nothing, limit=3)
    for offset in (10, 11, 15):
        work.begin(record(offset))
    await until(lambda: work.committable == 16)
    assert (work.room, work.position) == (0, 10)
    work.committed(12)
    assert (work.room, work.position) == (2, 12)
    work.committed(16)
    assert (work.room, work.position, work.committable) == (3, 16, None)


async def test_handler_that_cancels_itself_has_failed() -> None:
    cemetery = Cemetery()

    async def handle(record: Record) -> None:
        raise asyncio.CancelledError

    work = partition(handler=handle, bury=cemetery.bury)
    work.begin(record(0))
    await until(lambda: work.committable == 1)
    assert cemetery.letters[0].headers[DEAD_REASON] == b"CancelledError: "


async def test_record_is_not_finished_before_its_dead_letter_is_durable() -> None:
    cemetery, counters = Cemetery(failures=3), Counters()

    async def handle(record: Record) -> None:
        raise UnprocessableError("no")

    work = partition(handler=handle, bury=cemetery.bury, counters=counters)
    work.begin(record(0))
    await until(lambda: cemetery.failures == 1)
    assert work.committable is None
    await until(lambda: work.committable == 1)
    assert (len(cemetery.letters), counters.dead, counters.consumed) == (1, 1, 0)


async def test_dead_letter_that_does_not_fit_goes_without_its_value() -> None:
    cemetery = Cemetery(largest=0)

    async def handle(record: Record) -> None:
        raise UnprocessableError("no")

    work = partition(handler=handle, bury=cemetery.bury)
    work.begin(record(0))
    await until(lambda: work.committable == 1)
    (letter,) = cemetery.letters
    assert (letter.value, letter.headers[DEAD_REASON]) == (b"", b"no")


async def test_temporary_failures_do_not_count_as_faults_of_the_record() -> None:
    errors: list[Exception] = [StoreError(), ValueError(), StoreError(), StoreError(), ValueError(), BusError()]
    counters = Counters()

    async def handle(record: Record) -> None:
        if errors:
            raise errors.pop(0)

    work = partition(handler=handle, counters=counters)
    work.begin(record(0))
    await until(lambda: work.committable == 1)
    assert (counters.retried, counters.dead, counters.consumed) == (6, 0, 1)


async def test_key_that_waits_for_its_turn_again_does_not_hold_up_the_others() -> None:
    is_away = True

    async def handle(record: Record) -> None:
        if record.key == "stuck" and is_away:
            raise StoreError

    counters = Counters()
    work = partition(handler=handle, in_flight=1, counters=counters)
    work.begin(record(0, "stuck"))
    for offset in range(1, 6):
        work.begin(record(offset, str(offset)))
    await until(lambda: counters.consumed == 5)
    is_away = False
    await until(lambda: work.committable == 6)


async def test_partition_that_is_given_up_finishes_what_runs_and_begins_nothing() -> None:
    begun, go_on = [], asyncio.Event()

    async def handle(record: Record) -> None:
        begun.append(record.offset)
        await go_on.wait()

    work = partition(handler=handle, in_flight=2)
    for offset in range(4):
        work.begin(record(offset, key=str(offset % 3)))
    await until(lambda: len(begun) == 2)
    settling = asyncio.create_task(work.settle())
    await asyncio.sleep(0)
    assert not settling.done()
    go_on.set()
    await settling
    assert (begun, work.committable) == ([0, 1], 2)


async def test_handler_that_takes_too_long_is_cancelled_when_its_partition_is_given_up() -> None:
    cancelled = []

    async def handle(record: Record) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(record.offset)
            raise

    work = partition(handler=handle, settle=0.01)
    work.begin(record(0))
    await asyncio.sleep(0)
    await work.settle()
    assert (cancelled, work.committable) == ([0], None)


async def test_partition_is_given_up_at_once_while_it_waits_to_try_again() -> None:
    async def handle(record: Record) -> None:
        raise StoreError

    policy = HandlerPolicy(first_delay=1_000.0, longest_delay=1_000.0)
    counters = Counters()
    processing = Processing("group", handle, in_flight=1, bury=Cemetery().bury, counters=counters, policy=policy)
    work = Partition(processing, 1, lambda: None)
    work.begin(record(0))
    await until(lambda: counters.retried == 1)
    async with asyncio.timeout(5):
        await work.settle()
    assert work.committable is None


def test_delays_double_up_to_the_longest() -> None:
    policy = HandlerPolicy(first_delay=0.1, longest_delay=1.0)
    assert [policy.delay(attempt) for attempt in (0, 1, 2, 3, 4, 10_000)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_dead_letter_keeps_what_the_record_had_and_bounds_the_reason() -> None:
    letter = dead_letter(record(7), "group", "ü" * 10_000)
    assert (letter.value, letter.key, letter.headers["own"]) == (b"value", "key", b"\xff")
    assert len(letter.headers[DEAD_REASON]) == 1_024
