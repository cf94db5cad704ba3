"""What consumers of every adapter have in common: calls of the handler, retries, dead letters.

Theory of operation. A record is brought to an end: handled, or dead. Records that go to a group handler together have
one fate as long as it takes them, or something that it needs is away. When it refuses them for another reason, nobody
knows which of them is meant: each goes to the handler alone.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
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
    GroupHandler,
    Handler,
    Message,
    Record,
    RecordTooLargeError,
    UnprocessableError,
)

logger = structlog.get_logger(__name__)

MOST_TOGETHER: Final = 50
"""Records of a key that a group handler is given at most."""
MOST_UNORDERED: Final = 256
"""The same where no order is kept."""
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
        group_handler: As ``Bus.consume`` says.
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
        group_handler: GroupHandler | None = None,
    ) -> None:
        self._group = group
        self._handler = handler
        self._group_handler = group_handler
        self._bury = bury
        self._counters = counters
        self.policy = policy
        self.ordered = ordered
        self._slots = asyncio.Semaphore(in_flight)

    @property
    def together(self) -> int:
        """How many records may be processed together at most."""
        if self._group_handler is None:
            return 1
        return MOST_TOGETHER if self.ordered else MOST_UNORDERED

    async def process(self, records: Sequence[Record], stopping: asyncio.Event) -> int:
        """Bring records to an end, in order; returns how many are: not all of them because of ``stopping``."""
        handler = self._group_handler if len(records) > 1 else None
        if handler is not None and await self._together(handler, records, stopping):
            return len(records)
        for number, record in enumerate(records):
            if not await self._alone(record, stopping):
                return number
        return len(records)

    async def _together(self, handler: GroupHandler, records: Sequence[Record], stopping: asyncio.Event) -> bool:
        """Call the group handler until it succeeds; False: it refuses them together, or because of ``stopping``."""
        for attempt in count():
            async with self._slots:
                if stopping.is_set():
                    return False
                error = await _outcome(handler(records))
            if error is None:
                self._counters.consumed += len(records)
                return True
            self._counters.retried += 1
            if not is_temporary(error):
                return False
            await _pause(self.policy.delay(attempt), stopping)
        raise AssertionError("counting never ends")

    async def _alone(self, record: Record, stopping: asyncio.Event) -> bool:
        """Call the handler until it succeeds or the record is dead; False: given up because of ``stopping``."""
        faults = 0
        for attempt in count():
            async with self._slots:
                if stopping.is_set():
                    return False
                error = await _outcome(self._handler(record))
            if error is None:
                self._counters.consumed += 1
                return True
            faults += not is_temporary(error)
            if isinstance(error, UnprocessableError) or faults >= self.policy.attempts:
                return await self._give_up(record, error, stopping)
            self._counters.retried += 1
            await _pause(self.policy.delay(attempt), stopping)
        raise AssertionError("counting never ends")

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
            except Exception:  # noqa: BLE001 - clients assert too; what is behind it would wait for ever
                if stopping.is_set():
                    return False
                await _pause(self.policy.delay(attempt), stopping)
                continue
            break
        self._counters.dead += 1
        logger.error("record can't be processed", group=self._group, position=record.position, reason=reason)
        return True


async def _outcome(call: Awaitable[None]) -> BaseException | None:
    """Return what a handler raised; None: nothing."""
    try:
        await call
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        return error  # the handler's own: nobody cancelled this task
    except Exception as error:  # noqa: BLE001 - whatever it is, the record has to come to an end
        return error
    return None


async def _pause(seconds: float, stopping: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return
