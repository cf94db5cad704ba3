"""Messages on their way between services, and events: a port; adapters stand beside it.

Theory of operation. A topic is a log, cut into partitions; a record's key decides its partition, so that records of one
key keep their order. ``publish`` returns when the record is durable. What raised may have been taken all the same: the
caller publishes again, and whoever consumes treats equal identities as one (at least once, never exactly once).

A *group* of consumers, in any number of processes, shares a topic's partitions. Records of one key are handled one
after the other, different keys at the same time. How far all earlier records are handled is committed; a member that
dies, or gives a partition up, leaves at most ``in_flight`` records of each partition to be handled again by another.

A record that its handler can't process goes to ``<topic>.dead`` with the reason in its headers, and the consumer goes
on. A failure of something that the handler needs (store, database, bus) is no fault of the record: it is tried again
until it works, and meanwhile what comes behind it waits.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol, Self

import msgspec

from wigwag.errors import BusError, OverloadedError, ServiceError

__all__ = [
    "Bus",
    "BusError",
    "Counters",
    "Earliest",
    "FromOffsets",
    "FromTime",
    "GroupHandler",
    "Handler",
    "Message",
    "OnAvailability",
    "OverloadedError",
    "Position",
    "Record",
    "RecordTooLargeError",
    "Start",
    "Topic",
    "UnprocessableError",
]

MAX_VALUE: Final = 1_048_576
"""Octets of a record's value; larger bodies go to the blob store."""
MAX_ENVELOPE: Final = 32_768
"""Octets of a record's key and headers together."""
DEAD_SUFFIX: Final = ".dead"
DEAD_RETENTION: Final = 2_592_000.0
"""Seconds that dead letters are kept at least."""
DEAD_REASON: Final = "wigwag-dead-reason"
DEAD_TOPIC: Final = "wigwag-dead-topic"
DEAD_PARTITION: Final = "wigwag-dead-partition"
DEAD_OFFSET: Final = "wigwag-dead-offset"
DEAD_GROUP: Final = "wigwag-dead-group"

# wigwag.<what>.<which>, or wigwag.<what> where there is only one of it, and dead letters behind it.
# Kafka takes 249 characters of [a-zA-Z0-9._-].
_TOPIC_NAME: Final = re.compile(r"wigwag(?:\.[a-z0-9_-]{1,100}){1,2}(\.dead)?")


class RecordTooLargeError(ServiceError):
    """The record is larger than any adapter takes; it will never be taken."""


class UnprocessableError(ServiceError):
    """Raised by a handler: the record can't be processed, now or later, and belongs to the dead letters.

    Args:
        reason: Why, for an operator.
    """


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it is created; what exists already is left as it is.

    Raises:
        ValueError: The name is not of the form ``wigwag.<what>.<which>``, or a number is not positive.
    """

    name: str
    partitions: int | None = None
    """Fixed when the topic is created; None: the adapter's default."""
    retention: float | None = None
    """Seconds that a record is kept, consumed or not; None: the adapter's default."""

    def __post_init__(self) -> None:
        if not _TOPIC_NAME.fullmatch(self.name):
            raise ValueError(f"topic {self.name!r} is not of the form wigwag.<what>.<which>")
        if (self.partitions is not None and self.partitions < 1) or (
            self.retention is not None and self.retention <= 0
        ):
            raise ValueError(f"topic {self.name}: partitions and retention have to be positive")

    @property
    def is_dead(self) -> bool:
        """Whether it holds dead letters of another topic."""
        return self.name.endswith(DEAD_SUFFIX)

    def dead(self, default_retention: float) -> "Topic":
        """Return the topic of its dead letters."""
        retention = max(self.retention or default_retention, DEAD_RETENTION)
        return Topic(self.name + DEAD_SUFFIX, partitions=1, retention=retention)


class Position(NamedTuple):
    """Where a record stands."""

    topic: str
    partition: int
    offset: int


class Message(msgspec.Struct, frozen=True):
    """What is to be published."""

    value: bytes
    key: str
    headers: Mapping[str, bytes] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A message in the log."""

    topic: str
    partition: int
    offset: int
    """Grows within the partition; not always by one."""
    key: str
    value: bytes
    headers: Mapping[str, bytes]
    time: float
    """When it was published, wall clock, in seconds since the epoch."""
    assignment: int = field(default=0, compare=False)
    """Which time this member was given the partition: between two of them others have handled its records."""

    @property
    def position(self) -> Position:
        """Where it stands."""
        return Position(self.topic, self.partition, self.offset)


@dataclass(frozen=True, slots=True)
class Earliest:
    """Replay everything that is still there."""


@dataclass(frozen=True, slots=True)
class FromOffsets:
    """Replay from these offsets on, by partition; a partition that is not named is replayed from its beginning."""

    offsets: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class FromTime:
    """Replay what was published at this time or later, in seconds since the epoch."""

    time: float


Start = Earliest | FromOffsets | FromTime
Handler = Callable[[Record], Awaitable[None]]
GroupHandler = Callable[[Sequence[Record]], Awaitable[None]]
OnAvailability = Callable[[bool, str], None]
"""Told at every change whether the bus takes and gives records, and why not."""


@dataclass(slots=True)
class Counters:
    """What a bus has done since it was opened; read by metrics."""

    published: int = 0
    publish_failures: int = 0
    """Records whose publisher got an error; they may have been taken."""
    consumed: int = 0
    """Records that their handler processed."""
    retried: int = 0
    """Calls of a handler that were repeated."""
    dead: int = 0
    """Records that went to the dead letters."""


class Bus(Protocol):
    """The port; ``async with`` opens it."""

    @property
    def counters(self) -> Counters:
        """What it has done."""

    def declare(self, *topics: Topic) -> None:
        """Make topics known, and create those that don't exist, with the topics of their dead letters.

        Raises:
            ValueError: A topic was declared otherwise before.
        """

    async def publish(
        self, topic: str, value: bytes, *, key: str, headers: Mapping[str, bytes] = MappingProxyType({})
    ) -> Position:
        """Add a record; returns when it is durable.

        Args:
            topic: A declared topic.
            value: At most 1 MiB.
            key: Decides the partition: records of one key keep their order.
            headers: At most 32 KiB together with the key.

        Raises:
            BusError: It could not be made durable in time. It may have been taken all the same, or still be.
            OverloadedError: Too much is waiting to become durable already; nothing was taken.
            RecordTooLargeError: It exceeds a limit; nothing was taken.
            ValueError: The topic was not declared.
        """

    async def publish_many(self, topic: str, messages: Sequence[Message]) -> Sequence[Position]:
        """Add records in this order; returns when all are durable.

        Raises:
            BusError: As ``publish``; some of them may have been taken.
            OverloadedError: As ``publish``.
            RecordTooLargeError: As ``publish``, for any of them; nothing was taken.
        """

    def consume(
        self,
        group: str,
        topics: Sequence[str],
        handler: Handler,
        *,
        in_flight: int = 128,
        ordered: bool = True,
        group_handler: GroupHandler | None = None,
    ) -> AbstractAsyncContextManager[None]:
        """Handle the topics' records as a member of a group, in the background, until the context ends.

        A new group begins at the topics' beginning. At the context's end handlers that run are awaited (10 s at most)
        and their records committed. When the bus is away the consumer waits for it.

        Args:
            group: Its name, the same in every process that shares the work.
            topics: Declared topics; not those of dead letters.
            handler: Is given a record at least once; has to bound its own time. What it raises decides:
                ``UnprocessableError``: the record is dead. ``StoreError``, ``DatabaseError``, ``BusError`` and
                ``OverloadedError``: again, without end. Anything else: again, and dead after 5 calls.
            in_flight: Handlers that run at once, and records of a partition that are read but not committed.
            ordered: Whether records of one key are handled one after the other; else at once, in any order.
            group_handler: Is given, in place of ``handler``, records of one topic and key that are there together, in
                their order; where ``ordered`` is not, of any key. What it raises concerns all of them: what it needs is
                away, and they are given to it again; for anything else each is given to ``handler`` alone.

        Raises:
            ValueError: A topic was not declared, or holds dead letters.
        """

    def replay(self, topic: str, start: Start, *, follow: bool = False) -> AsyncIterator[Record]:
        """Yield records, in order within each partition, up to what is there when the iteration begins.

        Args:
            topic: A declared topic, dead letters included.
            start: Where to begin.
            follow: Go on with what is published later, without end.

        Raises:
            BusError: They can't be read, or not in time (with ``follow``: only at the beginning).
            ValueError: The topic was not declared.
        """

    async def extent(self, topic: str) -> Mapping[int, range]:
        """Return the offsets that each partition holds: from its oldest record's to the next one's, itself excluded.

        Raises:
            BusError: They can't be asked for, or not in time.
            ValueError: The topic was not declared.
        """

    def lag(self) -> Mapping[tuple[str, str], int]:
        """Return how many records its consumers have still to handle, by group and topic, as far as known here."""

    async def __aenter__(self) -> Self:
        """Open it."""

    async def __aexit__(self, *exc_info: object) -> None:
        """Close it; what was accepted by ``publish`` is durable already."""
