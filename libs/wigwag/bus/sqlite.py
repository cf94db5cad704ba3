"""The bus of a single process: a log in an SQLite file of the data directory.

Every topic has one partition. Of several members of a group, which are in the same process here, one works at a time
and the next takes over when it ends.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self

import structlog

from . import (
    BusError,
    Counters,
    FromOffsets,
    FromTime,
    GroupHandler,
    Handler,
    Message,
    OnAvailability,
    Position,
    Record,
    Start,
    Topic,
)
from .consuming import DEFAULT_POLICY, HandlerPolicy, Processing
from .limits import DEFAULT_BUFFER, DEFAULT_PUBLISH_TIMEOUT, DEFAULT_RETENTION, Buffer, check_sizes
from .sqlite_consumer import SqliteConsumer
from .sqlite_file import LogFile, Sync
from .sqlite_tables import LogTopic, append, offset_at, oldest, page, trim
from .topics import Topics

logger = structlog.get_logger(__name__)

TRIM_INTERVAL: Final = 60.0
_TRIM_AT_ONCE: Final = 1_000
_PAGE_RECORDS: Final = 256


class SqliteBus:
    """Log in an SQLite file; the port's operations are documented there.

    Args:
        path: The file; made when missing. ``<path>-lock`` beside it keeps other processes out.
        sync: ``full``: what was published survives power loss; ``normal``: the death of the process.
        publish_timeout: Seconds that a publisher waits at most.
        buffer: Octets that may wait to be written.
        retention: Seconds that records of topics are kept that don't say otherwise.
        policy: How handlers are retried and awaited.
        on_availability: Told when the file can't be written, and when it can again.
        clock: Wall clock in seconds.
    """

    def __init__(
        self,
        path: Path,
        *,
        sync: Sync = "normal",
        publish_timeout: float = DEFAULT_PUBLISH_TIMEOUT,
        buffer: int = DEFAULT_BUFFER,
        retention: float = DEFAULT_RETENTION,
        policy: HandlerPolicy = DEFAULT_POLICY,
        on_availability: OnAvailability = lambda available, detail: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.counters = Counters()
        self._path = path
        self._sync: Sync = sync
        self._publish_timeout = publish_timeout
        self._buffer = Buffer(buffer)
        self._topics = Topics(retention)
        self._policy = policy
        self._on_availability = on_availability
        self._clock = clock
        self._available = True
        self._listeners: dict[str, set[Callable[[], None]]] = {}
        self._turns: dict[tuple[str, str], asyncio.Lock] = {}
        self._consumers: set[SqliteConsumer] = set()

    async def __aenter__(self) -> Self:
        """Open the file.

        Raises:
            BusError: Another process uses it, or it can't be made.
        """
        self._file = LogFile(self._path, self._sync)
        await asyncio.to_thread(self._file.open)
        self._trimming = asyncio.create_task(self._trim_for_ever())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Close the file."""
        self._trimming.cancel()
        with suppress(asyncio.CancelledError):
            await self._trimming
        await asyncio.to_thread(self._file.close)

    def declare(self, *topics: Topic) -> None:
        """Make topics known."""
        self._topics.declare(topics)

    # Publishing

    async def publish(
        self, topic: str, value: bytes, *, key: str, headers: Mapping[str, bytes] = MappingProxyType({})
    ) -> Position:
        """Add a record; returns when it is durable."""
        (position,) = await self.publish_many(topic, [Message(value, key, headers)])
        return position

    async def publish_many(self, topic: str, messages: Sequence[Message]) -> Sequence[Position]:
        """Add records in this order, all or none; returns when they are durable."""
        check_sizes(messages)
        return await self._append(self._topics[topic].name, messages)

    async def _append(self, topic: str, messages: Sequence[Message]) -> Sequence[Position]:
        file, now = self._file, self._clock()
        release = self._buffer.take(messages)
        written = file.submit(
            lambda connection: append(connection, file.topic(connection, topic), messages, now),
            on_commit=lambda: self._appended(topic),
            on_end=release,
        )
        try:
            async with asyncio.timeout(self._publish_timeout):
                first = await written
        except (BusError, TimeoutError) as error:
            self.counters.publish_failures += len(messages)
            detail = str(error) or f"{self._path.name} was not written within {self._publish_timeout:g} s"
            self._tell_availability(False, detail)
            raise BusError(detail) from error
        self.counters.published += len(messages)
        self._tell_availability(True, "")
        return [Position(topic, 0, first + number) for number in range(len(messages))]

    def _appended(self, topic: str) -> None:
        for wake in self._listeners.get(topic, ()):
            wake()

    def _tell_availability(self, available: bool, detail: str) -> None:
        if available != self._available:
            self._available = available
            self._on_availability(available, detail)

    # Consuming

    @asynccontextmanager
    async def consume(
        self,
        group: str,
        topics: Sequence[str],
        handler: Handler,
        *,
        in_flight: int = 128,
        ordered: bool = True,
        group_handler: GroupHandler | None = None,
    ) -> AsyncGenerator[None, None]:
        """Handle the topics' records as a member of a group until the context ends."""
        processing = Processing(
            group,
            handler,
            in_flight=in_flight,
            bury=self._bury,
            counters=self.counters,
            policy=self._policy,
            ordered=ordered,
            group_handler=group_handler,
        )
        consumers = [
            SqliteConsumer(
                self._file,
                group,
                self._topics.to_consume(name).name,
                processing,
                limit=in_flight,
                turn=self._turns.setdefault((group, name), asyncio.Lock()),
            )
            for name in topics
        ]
        for consumer in consumers:
            self._listeners.setdefault(consumer.topic, set()).add(consumer.wake)
        self._consumers.update(consumers)
        tasks = [asyncio.create_task(consumer.run()) for consumer in consumers]
        try:
            yield
        finally:
            await _end(consumers, tasks)
            self._consumers.difference_update(consumers)
            for consumer in consumers:
                self._listeners[consumer.topic].discard(consumer.wake)

    async def _bury(self, record: Record, letter: Message) -> None:
        await self._append(self._topics.dead(record.topic).name, [letter])

    def lag(self) -> Mapping[tuple[str, str], int]:
        """Return how many records its consumers have still to handle, by group and topic."""
        return {(consumer.group, consumer.topic): consumer.lag for consumer in self._consumers if consumer.is_active}

    # Replaying

    async def replay(self, topic: str, start: Start, *, follow: bool = False) -> AsyncIterator[Record]:
        """Yield records up to what is there when the iteration begins."""
        name, appended = self._topics[topic].name, asyncio.Event()
        listeners = self._listeners.setdefault(name, set())
        listeners.add(appended.set)
        try:
            log = await self._file.submit(lambda connection: self._file.topic(connection, name))
            offset, end = await self._first_offset(log, start), log.next
            while follow or offset < end:
                appended.clear()
                records = await self._file.read(page(log, offset, _PAGE_RECORDS))
                for record in records:
                    if not follow and record.offset >= end:
                        return
                    yield record
                    offset = record.offset + 1
                if not records:
                    if not follow:
                        return
                    await appended.wait()
        finally:
            listeners.discard(appended.set)

    async def extent(self, topic: str) -> Mapping[int, range]:
        """Return the offsets that the only partition holds."""
        name = self._topics[topic].name
        log = await self._file.submit(lambda connection: self._file.topic(connection, name))
        end = log.next
        first = await self._file.read(oldest(log))
        return {0: range(end if first is None else min(first, end), end)}

    async def _first_offset(self, log: LogTopic, start: Start) -> int:
        if isinstance(start, FromTime):
            return await self._file.read(offset_at(log, start.time))
        if isinstance(start, FromOffsets):
            return max(0, start.offsets.get(0, 0))
        return 0

    # Trimming

    async def _trim_for_ever(self) -> None:
        while True:
            await asyncio.sleep(TRIM_INTERVAL)
            try:
                await self.trim()
            except BusError as error:
                logger.warning("old records can't be deleted", reason=str(error))

    async def trim(self) -> None:
        """Delete records that are older than their topic keeps them; done by itself once a minute.

        Raises:
            BusError: The file can't be written.
        """
        for topic in self._topics.with_retention():
            await self._trim(topic.name, self._clock() - topic.retention)

    async def _trim(self, name: str, before: float) -> None:
        file = self._file
        deleted = _TRIM_AT_ONCE
        # In small steps, each a transaction, between which publishers have their turn.
        while deleted == _TRIM_AT_ONCE:
            deleted = await file.submit(
                lambda connection: trim(connection, file.topic(connection, name), before, _TRIM_AT_ONCE)
            )


async def _end(consumers: Iterable[SqliteConsumer], tasks: Sequence[asyncio.Task[None]]) -> None:
    for consumer, task in zip(consumers, tasks, strict=True):
        consumer.stop()
        if not consumer.is_active:
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
