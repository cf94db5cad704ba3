"""The bus of a cluster: Apache Kafka, by aiokafka.

Theory of operation. Opening never waits for Kafka: a task connects, makes the declared topics, and looks again at
intervals, sooner after a failure. Publishers wait for it, at most ``publish_timeout``. A record is acknowledged by all
replicas in sync (``acks=all``). The producer is not idempotent: a batch whose acknowledgement was lost is sent again
and then stands twice, which consumers have to bear anyway.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from types import MappingProxyType
from typing import Final, Self

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from aiokafka.structs import RecordMetadata

from . import (
    MAX_ENVELOPE,
    MAX_VALUE,
    BusError,
    Counters,
    GroupHandler,
    Handler,
    Message,
    OnAvailability,
    Position,
    Record,
    RecordTooLargeError,
    Start,
    Topic,
)
from .consuming import DEFAULT_POLICY, HandlerPolicy, Processing
from .kafka_consumer import KafkaConsumer
from .kafka_options import KafkaOptions
from .kafka_replay import extent, replayed
from .kafka_topics import KafkaTopics
from .limits import DEFAULT_BUFFER, DEFAULT_PUBLISH_TIMEOUT, DEFAULT_RETENTION, Buffer, check_sizes
from .topics import Topics

logger = structlog.get_logger(__name__)

VENDOR_ERRORS: Final = (KafkaError, OSError, TimeoutError)
LOOK_INTERVAL: Final = 5.0
"""Seconds between two looks whether Kafka is there."""
LOOK_AGAIN: Final = 0.5
"""The same after a failure."""
_LOOK_TIMEOUT: Final = 10.0
_BATCH_OCTETS: Final = 524_288
_CLOSE_SECONDS: Final = 15.0


class KafkaBus:
    """Topics on Kafka; the port's operations are documented there.

    Args:
        options: How Kafka is reached.
        publish_timeout: Seconds that a publisher waits at most.
        buffer: Octets that may wait for their acknowledgement.
        retention: Seconds that records of topics are kept that don't say otherwise.
        policy: How handlers are retried and awaited.
        on_availability: Told when Kafka can't be reached, and when it can again.
    """

    def __init__(
        self,
        options: KafkaOptions,
        *,
        publish_timeout: float = DEFAULT_PUBLISH_TIMEOUT,
        buffer: int = DEFAULT_BUFFER,
        retention: float = DEFAULT_RETENTION,
        policy: HandlerPolicy = DEFAULT_POLICY,
        on_availability: OnAvailability = lambda available, detail: None,
    ) -> None:
        self.counters = Counters()
        self._options = options
        self._publish_timeout = publish_timeout
        self._buffer = Buffer(buffer)
        self._topics = Topics(retention)
        self._policy = policy
        self._kafka_topics = KafkaTopics(options, self._topics)
        self._on_availability = on_availability
        self._available: bool | None = None
        self._ready: set[str] = set()
        self._became_ready = asyncio.Condition()
        self._look_now = asyncio.Event()
        self._producer: AIOKafkaProducer | None = None
        self._is_suspect = False
        """Whether the producer has failed since Kafka was last seen."""
        self._closing: set[asyncio.Task[None]] = set()
        self._consumers: set[KafkaConsumer] = set()

    async def __aenter__(self) -> Self:
        """Begin to connect.

        Raises:
            ConfigurationError: The certificates can't be used.
        """
        self._options.arguments()
        self._looking = asyncio.create_task(self._look_for_ever())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Close the connections."""
        self._looking.cancel()
        with suppress(asyncio.CancelledError):
            await self._looking
        if self._producer is not None:
            await stop(self._producer)
        await asyncio.gather(*self._closing)

    def declare(self, *topics: Topic) -> None:
        """Make topics known; they are made on Kafka as soon as it is there."""
        self._topics.declare(topics)
        self._look_now.set()

    # Looking after Kafka

    async def _look_for_ever(self) -> None:
        while True:
            self._look_now.clear()
            interval = LOOK_INTERVAL
            try:
                async with asyncio.timeout(_LOOK_TIMEOUT):
                    await self._look()
            except Exception as error:  # noqa: BLE001 - aiokafka asserts too; nothing may end this task
                self._tell_availability(False, f"Kafka can't be used: {error!r}")
                interval = LOOK_AGAIN
            with suppress(TimeoutError):
                async with asyncio.timeout(interval):
                    await self._look_now.wait()

    async def _look(self) -> None:
        declared = {topic.name for topic in self._topics}
        await self._kafka_topics.ensure()
        if self._producer is None or self._is_suspect:
            await self._replace_producer()
        self._tell_availability(True, "")
        async with self._became_ready:
            self._ready |= declared
            self._became_ready.notify_all()

    async def _replace_producer(self) -> None:
        """Begin anew from the bootstrap servers: brokers may have moved, and aiokafka's sender may be dead."""
        old, self._producer = self._producer, await self._connected_producer()
        self._is_suspect = False
        if old is not None:
            task = asyncio.create_task(stop(old))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def _connected_producer(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **self._options.arguments(),
            acks="all",
            enable_idempotence=False,
            max_batch_size=_BATCH_OCTETS,
            max_request_size=MAX_VALUE + 4 * MAX_ENVELOPE,
            request_timeout_ms=int(self._publish_timeout * 1000),
        )
        try:
            await producer.start()
        except BaseException:
            await stop(producer)
            raise
        return producer

    def _tell_availability(self, available: bool, detail: str) -> None:
        if available != self._available:
            self._available = available
            self._on_availability(available, detail)

    async def _usable(self, topic: str) -> AIOKafkaProducer:
        if topic not in self._ready:
            async with self._became_ready:
                await self._became_ready.wait_for(lambda: topic in self._ready)
        assert self._producer is not None
        return self._producer

    # Publishing

    async def publish(
        self, topic: str, value: bytes, *, key: str, headers: Mapping[str, bytes] = MappingProxyType({})
    ) -> Position:
        """Add a record; returns when it is durable."""
        (position,) = await self.publish_many(topic, [Message(value, key, headers)])
        return position

    async def publish_many(self, topic: str, messages: Sequence[Message]) -> Sequence[Position]:
        """Add records in this order; returns when all are durable."""
        check_sizes(messages)
        return await self._append(self._topics[topic].name, messages)

    async def _append(self, topic: str, messages: Sequence[Message]) -> Sequence[Position]:
        release = self._buffer.take(messages)
        try:
            async with asyncio.timeout(self._publish_timeout):
                acknowledged = await _send(await self._usable(topic), topic, messages)
        except MessageSizeTooLargeError as error:
            raise RecordTooLargeError(f"Kafka takes no record of this size on {topic}: {error}") from error
        except VENDOR_ERRORS as error:
            self.counters.publish_failures += len(messages)
            detail = f"{topic} took no record within {self._publish_timeout:g} s: {error!r}"
            self._is_suspect = self._producer is not None
            self._look_now.set()
            self._tell_availability(False, detail)
            raise BusError(detail) from error
        finally:
            release()
        self.counters.published += len(messages)
        self._tell_availability(True, "")
        return [Position(topic, one.partition, one.offset) for one in acknowledged]

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
        names = [self._topics.to_consume(name).name for name in topics]
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
        consumer = KafkaConsumer(self._options, group, names, processing, limit=in_flight, ready=self._wait_until_ready)
        self._consumers.add(consumer)
        task = asyncio.create_task(consumer.run())
        try:
            yield
        finally:
            consumer.stop()
            await asyncio.gather(task, return_exceptions=True)
            self._consumers.discard(consumer)

    async def _wait_until_ready(self, topics: Sequence[str]) -> None:
        for topic in topics:
            await self._usable(topic)

    async def _bury(self, record: Record, letter: Message) -> None:
        await self._append(self._topics.dead(record.topic).name, [letter])

    def lag(self) -> Mapping[tuple[str, str], int]:
        """Return how many records its consumers have still to handle, by group and topic, as far as known here."""
        result: dict[tuple[str, str], int] = {}
        for consumer in self._consumers:
            for topic, lag in consumer.lag().items():
                result[consumer.group, topic] = result.get((consumer.group, topic), 0) + lag
        return result

    # Replaying

    async def extent(self, topic: str) -> Mapping[int, range]:
        """Return the offsets that each partition holds."""
        name = await self._readable(topic)
        try:
            return await extent(self._options, name, timeout=self._publish_timeout)
        except VENDOR_ERRORS as error:
            raise BusError(f"{name} can't be read: {error!r}") from error

    async def _readable(self, topic: str) -> str:
        name = self._topics[topic].name
        try:
            async with asyncio.timeout(self._publish_timeout):
                await self._usable(name)
        except TimeoutError as error:
            raise BusError(f"{name} can't be read: Kafka is not there") from error
        return name

    async def replay(self, topic: str, start: Start, *, follow: bool = False) -> AsyncIterator[Record]:
        """Yield records up to what is there when the iteration begins."""
        name = await self._readable(topic)
        records = replayed(self._options, name, start, follow=follow, timeout=self._publish_timeout)
        try:
            async for record in records:
                yield record
        except VENDOR_ERRORS as error:
            raise BusError(f"{name} can't be read: {error!r}") from error
        finally:
            await records.aclose()


async def _send(producer: AIOKafkaProducer, topic: str, messages: Sequence[Message]) -> Sequence[RecordMetadata]:
    waiting: list[asyncio.Future[RecordMetadata]] = []
    try:
        for message in messages:
            headers = [(name, value) for name, value in message.headers.items()]
            waiting.append(await producer.send(topic, message.value, key=message.key.encode(), headers=headers))
        return await asyncio.gather(*waiting)
    except BaseException:
        for future in waiting:
            future.cancel()
        raise


async def stop(client: AIOKafkaProducer) -> None:
    """Close a client of aiokafka; not longer than 15 s."""
    with suppress(*VENDOR_ERRORS):
        async with asyncio.timeout(_CLOSE_SECONDS):
            await client.stop()
