"""Order per key, bounded work, retries, dead letters and commits, without a log."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from tests.support.waiting import until
from wigwag.bus import (
    DEAD_REASON,
    BusError,
    Counters,
    GroupHandler,
    Handler,
    Message,
    Record,
    RecordTooLargeError,
    UnprocessableError,
)
from wigwag.bus.consuming import MOST_TOGETHER, HandlerPolicy, Processing, dead_letter, is_temporary
from wigwag.bus.partition import Partition
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

    def __init__(self, failures: int = 0, largest: int = 1_000, failure: type[Exception] = BusError) -> None:
        self.letters: list[Message] = []
        self.failures = failures
        self.failure = failure
        self.largest = largest

    async def bury(self, record: Record, letter: Message) -> None:
        if self.failures:
            self.failures -= 1
            raise self.failure("away")
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
    group_handler: GroupHandler | None = None,
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
        group_handler=group_handler,
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


@pytest.mark.parametrize("failure", [BusError, AssertionError])
async def test_record_is_not_finished_before_its_dead_letter_is_durable(failure: type[Exception]) -> None:
    cemetery, counters = Cemetery(failures=3, failure=failure), Counters()

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


class Groups:
    """Takes records alone and together, and remembers how; ``before`` may refuse them."""

    def __init__(self, before: Callable[[Sequence[int]], None] = lambda offsets: None) -> None:
        self.handled: list[list[int]] = []
        self._before = before

    async def alone(self, record: Record) -> None:
        await self.together([record])

    async def together(self, records: Sequence[Record]) -> None:
        offsets = [record.offset for record in records]
        self._before(offsets)
        await asyncio.sleep(0)
        self.handled.append(offsets)


async def test_records_that_are_there_are_handled_together_by_key_and_in_order() -> None:
    groups, counters = Groups(), Counters()
    work = partition(groups.alone, counters=counters, group_handler=groups.together)
    for offset, key in enumerate("aabacba"):
        work.begin(record(offset, key))
    await until(lambda: work.committable == 7)
    assert groups.handled == [[0, 1, 3, 6], [2, 5], [4]]
    assert counters.consumed == 7


async def test_records_that_come_while_others_of_their_key_are_handled_are_the_next_group() -> None:
    go_on, handled = asyncio.Event(), []

    async def together(records: Sequence[Record]) -> None:
        handled.append([record.offset for record in records])
        await go_on.wait()

    work = partition(nothing, group_handler=together)
    for offset in range(2):
        work.begin(record(offset))
    await until(lambda: handled)
    for offset in range(2, 5):
        work.begin(record(offset))
    assert work.committable is None
    go_on.set()
    await until(lambda: work.committable == 5)
    assert handled == [[0, 1], [2, 3, 4]]


async def test_a_group_is_bounded() -> None:
    groups = Groups()
    work = partition(groups.alone, limit=200, group_handler=groups.together)
    for offset in range(MOST_TOGETHER + 1):
        work.begin(record(offset))
    await until(lambda: work.committable == MOST_TOGETHER + 1)
    assert groups.handled == [list(range(MOST_TOGETHER)), [MOST_TOGETHER]]


async def test_a_group_whose_dependency_is_away_is_handled_again_as_a_whole() -> None:
    errors, counters = [StoreError(), BusError()], Counters()

    def before(offsets: Sequence[int]) -> None:
        if errors:
            raise errors.pop()

    groups = Groups(before)
    work = partition(groups.alone, counters=counters, group_handler=groups.together)
    for offset in range(3):
        work.begin(record(offset))
    await until(lambda: work.committable == 3)
    assert groups.handled == [[0, 1, 2]]
    assert (counters.retried, counters.consumed) == (2, 3)


async def test_of_a_group_only_the_record_that_can_not_be_processed_is_dead() -> None:
    def before(offsets: Sequence[int]) -> None:
        if 1 in offsets:
            raise UnprocessableError("no")

    groups, cemetery, counters = Groups(before), Cemetery(), Counters()
    work = partition(groups.alone, counters=counters, bury=cemetery.bury, group_handler=groups.together)
    for offset in range(3):
        work.begin(record(offset))
    await until(lambda: work.committable == 3)
    assert groups.handled == [[0], [2]]
    assert (len(cemetery.letters), counters.consumed, counters.dead) == (1, 2, 1)


async def test_what_a_group_left_unfinished_when_its_partition_is_given_up_is_not_committed() -> None:
    alone = []

    async def together(records: Sequence[Record]) -> None:
        raise ValueError

    async def handle(record: Record) -> None:
        alone.append(record.offset)
        if record.offset == 1:
            raise StoreError

    work = partition(handle, group_handler=together)
    for offset in range(3):
        work.begin(record(offset))
    await until(lambda: 1 in alone)
    await work.settle()
    assert work.committable == 1


async def test_records_of_all_keys_are_handled_together_where_order_does_not_matter() -> None:
    groups = Groups()
    work = partition(groups.alone, ordered=False, group_handler=groups.together)
    for offset in range(3):
        work.begin(record(offset, key=str(offset)))
    await until(lambda: work.committable == 3)
    assert groups.handled == [[0, 1, 2]]


async def test_a_group_without_order_does_not_hold_up_the_next_one() -> None:
    go_on, handled = asyncio.Event(), []

    async def together(records: Sequence[Record]) -> None:
        handled.append([record.offset for record in records])
        await go_on.wait()

    work = partition(nothing, ordered=False, group_handler=together)
    for first in (0, 2):
        for offset in (first, first + 1):
            work.begin(record(offset))
        await until(lambda first=first: len(handled) == first // 2 + 1)  # type: ignore[misc]
    assert handled == [[0, 1], [2, 3]]
    go_on.set()
    await until(lambda: work.committable == 4)


def test_delays_double_up_to_the_longest() -> None:
    policy = HandlerPolicy(first_delay=0.1, longest_delay=1.0)
    assert [policy.delay(attempt) for attempt in (0, 1, 2, 3, 4, 10_000)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_dead_letter_keeps_what_the_record_had_and_bounds_the_reason() -> None:
    letter = dead_letter(record(7), "group", "ü" * 10_000)
    assert (letter.value, letter.key, letter.headers["own"]) == (b"value", "key", b"\xff")
    assert len(letter.headers[DEAD_REASON]) == 1_024
