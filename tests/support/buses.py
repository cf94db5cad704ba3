"""Buses of every adapter, opened as often as a test wants on the same log."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.support.waiting import until
from wigwag.bus import Bus, Record, Topic
from wigwag.bus.kafka import KafkaBus
from wigwag.bus.kafka_options import KafkaOptions
from wigwag.bus.sqlite import SqliteBus

PATIENCE = 40.0
"""Seconds until a consumer has to have what it waits for: a member that was killed is missed after six, and the broker
gives the others as long again."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """One kind of bus and where its log is.

    Args:
        kind: ``sqlite``, ``kafka`` or ``tansu``.
        location: Path of the file, or bootstrap servers.
        is_shared: Whether several buses may be open at once.
    """

    kind: str
    location: str
    is_shared: bool

    def bus(self, **options: Any) -> SqliteBus | KafkaBus:
        """Return a bus, not yet opened."""
        if self.kind == "sqlite":
            return SqliteBus(Path(self.location), **options)
        return KafkaBus(KafkaOptions(bootstrap_servers=self.location, partitions=4), **options)

    @asynccontextmanager
    async def opened(self, *topics: Topic, **options: Any) -> AsyncIterator[SqliteBus | KafkaBus]:
        """Open a bus with these topics."""
        async with self.bus(**options) as bus:
            bus.declare(*topics)
            yield bus

    @asynccontextmanager
    async def another(self, bus: Bus, *topics: Topic) -> AsyncIterator[Bus]:
        """Open a bus of another member, or give the same where there can't be a second."""
        if not self.is_shared:
            yield bus
            return
        async with self.opened(*topics) as other:
            yield other


def new_topic(**options: Any) -> Topic:
    """Return a topic that nobody has used."""
    return Topic(f"wigwag.test.{uuid4().hex}", **options)


@dataclass(slots=True)
class Collector:
    """A handler that remembers what it was given."""

    records: list[Record] = field(default_factory=list)
    before: Callable[[Record], object] = lambda record: None

    async def __call__(self, record: Record) -> None:
        self.before(record)
        await asyncio.sleep(0)
        self.records.append(record)

    @property
    def values(self) -> list[bytes]:
        """The values in the order in which they were handled."""
        return [record.value for record in self.records]

    async def until_has(self, *values: bytes) -> None:
        """Wait until all these values were handled."""
        wanted = set(values)
        await until(lambda: wanted <= {record.value for record in self.records}, PATIENCE)


def numbered(count: int, first: int = 0) -> list[bytes]:
    """Return values that differ."""
    return [str(number).encode() for number in range(first, first + count)]


async def replayed(records: AsyncIterator[Record]) -> list[Record]:
    """Return all records of a replay that ends."""
    return [record async for record in records]
