"""What consumers of every adapter have in common: order per key, bounded work, retries, dead letters, commits.

Theory of operation. Records of a partition enter ``Partition.begin`` in order and join the lane of their key; a lane is
one task that calls the handler for one record after the other. A record counts against the partition's limit until its
offset is committed, so that a kill repeats no more than the limit. ``committable`` never passes a record that is not
finished.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from typing import Final

import structlog

from wigwag.errors import ConfigurationError, OverloadedError, ProtocolError, ServiceError, WigwagError

from . import (
    DEAD_GROUP,
    DEAD_OFFSET,
    DEAD_PARTITION,
    DEAD_REASON,
    DEAD_TOPIC,
    Counters,
    Handler,
    Message,
    Record,
    RecordTooLargeError,
    UnprocessableError,
)

logger = structlog.get_logger(__name__)

_LONGEST_REASON: Final = 1_024

Bury = Callable[[Record, Message], Awaitable[None]]
"""Publishes a message to the dead letters of the record's topic."""


@dataclass(frozen=True, slots=True)
class HandlerPolicy:
    """How often and how fast a handler is called again, and how long it is waited for."""

    attempts: int = 5
    """Calls until a record that fails by itself is dead."""
    first_delay: float = 0.1
    """Seconds; doubled each time."""
    longest_delay: float = 5.0
    settle: float = 10.0
    """Seconds that handlers may still run when their partition is given up; then they are cancelled."""

    def delay(self, attempt: int) -> float:
        """Return the seconds to wait after the attempt with this number, from 0."""
        return float(min(self.first_delay * 2 ** min(attempt, 16), self.longest_delay))


DEFAULT_POLICY: Final = HandlerPolicy()


def is_temporary(error: BaseException) -> bool:
    """Tell whether it is no fault of the record: something that the handler needs is away or full."""
    if isinstance(error, OverloadedError):
        return True
    return isinstance(error, WigwagError) and not isinstance(error, ProtocolError | ServiceError | ConfigurationError)


def dead_letter(record: Record, group: str, reason: str) -> Message:
    """Return the record as a dead letter: the same key, value and headers, and where it came from and why."""
    headers = {
        **record.headers,
        DEAD_REASON: reason.encode(errors="replace")[:_LONGEST_REASON],
        DEAD_TOPIC: record.topic.encode(),
        DEAD_PARTITION: str(record.partition).encode(),
        DEAD_OFFSET: str(record.offset).encode(),
        DEAD_GROUP: group.encode(),
    }
    return Message(record.value, record.key, headers)


class Processing:
    """Brings records to an end: handled, or dead.

    Args:
        group: The group's name.
        handler: As ``Bus.consume`` says.
        in_flight: Handlers that run at once.
        bury: Publishes dead letters.
        counters: Where it counts.
        policy: When the handler is called again, and how long it may run on.
        ordered: Whether records of one key are handled one after the other.
    """

    def __init__(
        self,
        group: str,
        handler: Handler,
        *,
        in_flight: int,
        bury: Bury,
        counters: Counters,
        policy: HandlerPolicy,
        ordered: bool = True,
    ) -> None:
        self._group = group
        self._handler = handler
        self._bury = bury
        self._counters = counters
        self.policy = policy
        self.ordered = ordered
        self._slots = asyncio.Semaphore(in_flight)

    async def process(self, record: Record, stopping: asyncio.Event) -> bool:
        """Call the handler until it succeeds or the record is dead; False: given up because of ``stopping``."""
        faults = 0
        for attempt in count():
            async with self._slots:
                if stopping.is_set():
                    return False
                error = await self._call(record)
            if error is None:
                self._counters.consumed += 1
                return True
            faults += not is_temporary(error)
            if isinstance(error, UnprocessableError) or faults >= self.policy.attempts:
                return await self._give_up(record, error, stopping)
            self._counters.retried += 1
            await _pause(self.policy.delay(attempt), stopping)
        raise AssertionError("counting never ends")

    async def _call(self, record: Record) -> BaseException | None:
        try:
            await self._handler(record)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return error  # the handler's own: nobody cancelled this task
        except Exception as error:  # noqa: BLE001 - whatever it is, the record has to come to an end
            return error
        return None

    async def _give_up(self, record: Record, error: BaseException, stopping: asyncio.Event) -> bool:
        reason = str(error) if isinstance(error, UnprocessableError) else f"{type(error).__name__}: {error}"
        letter = dead_letter(record, self._group, reason)
        for attempt in count():
            try:
                await self._bury(record, letter)
            except RecordTooLargeError:
                # It fits no more with its reason; where it stands says enough to find it.
                letter = Message(b"", letter.key, letter.headers)
                continue
            except WigwagError:
                if stopping.is_set():
                    return False
                await _pause(self.policy.delay(attempt), stopping)
                continue
            break
        self._counters.dead += 1
        logger.error("record can't be processed", group=self._group, position=record.position, reason=reason)
        return True


async def _pause(seconds: float, stopping: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return


class Partition:
    """The records of one partition that are read and not yet committed.

    Args:
        processing: Brings them to an end.
        limit: How many they may be.
        on_finished: Called when a record is finished.
    """

    def __init__(self, processing: Processing, limit: int, on_finished: Callable[[], None]) -> None:
        self._processing = processing
        self._limit = limit
        self._on_finished = on_finished
        self._under_way: deque[int] = deque()
        self._finished: set[int] = set()
        self._lanes: dict[str, deque[Record]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._position: int | None = None

    @property
    def room(self) -> int:
        """How many records it takes now."""
        return self._limit - len(self._under_way)

    @property
    def position(self) -> int | None:
        """Offset up to which, itself excluded, all is committed; None before the first record."""
        return self._position

    def begin(self, record: Record) -> None:
        """Take a record; offsets have to grow."""
        if self._position is None:
            self._position = record.offset
        self._under_way.append(record.offset)
        key = record.key if self._processing.ordered else str(record.offset)
        lane = self._lanes.get(key)
        if lane is not None:
            lane.append(record)
            return
        self._lanes[key] = deque([record])
        task = asyncio.create_task(self._run(key))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, key: str) -> None:
        lane = self._lanes[key]
        while lane:
            record = lane[0]
            if not await self._processing.process(record, self._stopping):
                return
            lane.popleft()
            self._finished.add(record.offset)
            self._on_finished()
        del self._lanes[key]

    @property
    def committable(self) -> int | None:
        """The offset up to which, itself excluded, all are finished; None when that is nothing new."""
        result = None
        for offset in self._under_way:
            if offset not in self._finished:
                break
            result = offset + 1
        return result

    def committed(self, offset: int) -> None:
        """Forget what is below a committed offset."""
        self._position = offset
        while self._under_way and self._under_way[0] < offset:
            self._finished.discard(self._under_way.popleft())

    async def settle(self) -> None:
        """Begin no handler any more; wait for those that run, then cancel them."""
        self._stopping.set()
        if not self._tasks:
            return
        _, late = await asyncio.wait(set(self._tasks), timeout=self._processing.policy.settle)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
