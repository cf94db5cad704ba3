"""Replay of a Kafka topic, and what it holds, by a consumer that belongs to no group."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from . import BusError, FromOffsets, FromTime, Record, Start
from .kafka_consumer import as_record
from .kafka_options import KafkaOptions

_FETCH_MS: Final = 500
_FETCH_RECORDS: Final = 256
_STOP_SECONDS: Final = 10.0

Offsets = Mapping[TopicPartition, int]


async def replayed(
    options: KafkaOptions, topic: str, start: Start, *, follow: bool, timeout: float
) -> AsyncGenerator[Record, None]:
    """Yield the topic's records from ``start`` up to its end as of now.

    Args:
        options: How Kafka is reached.
        topic: An existing topic.
        start: Where to begin.
        follow: Go on without end.
        timeout: Seconds without progress after which it fails; with ``follow`` only at the beginning.

    Raises:
        KafkaError: Kafka refuses or can't be reached.
        BusError: Nothing came in time.
    """
    consumer = AIOKafkaConsumer(topic, **options.arguments(), enable_auto_commit=False, auto_offset_reset="earliest")
    try:
        async with asyncio.timeout(timeout):
            await consumer.start()
            ends = await _seek(consumer, start)
        async for record in _records(consumer, ends, follow=follow, timeout=timeout):
            yield record
    finally:
        await _stop(consumer)


async def extent(options: KafkaOptions, topic: str, *, timeout: float) -> Mapping[int, range]:
    """Return the offsets that each partition holds, the end excluded.

    Raises:
        KafkaError: Kafka refuses or can't be reached.
        TimeoutError: It took longer than ``timeout`` seconds.
    """
    consumer = AIOKafkaConsumer(topic, **options.arguments(), enable_auto_commit=False)
    try:
        async with asyncio.timeout(timeout):
            await consumer.start()
            partitions = consumer.assignment()
            begins: Offsets = await consumer.beginning_offsets(partitions)
            ends: Offsets = await consumer.end_offsets(partitions)
    finally:
        await _stop(consumer)
    return {where.partition: range(begins[where], ends[where]) for where in partitions}


async def _stop(consumer: AIOKafkaConsumer) -> None:
    with suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(_STOP_SECONDS):
            await consumer.stop()


async def _seek(consumer: AIOKafkaConsumer, start: Start) -> Offsets:
    """Set every partition's position; returns where they end."""
    partitions = consumer.assignment()
    begins: Offsets = await consumer.beginning_offsets(partitions)
    ends: Offsets = await consumer.end_offsets(partitions)
    found: Mapping[TopicPartition, object] = {}
    if isinstance(start, FromTime):
        found = await consumer.offsets_for_times(dict.fromkeys(partitions, int(start.time * 1000)))
    for where in partitions:
        offset = begins[where]
        if isinstance(start, FromOffsets):
            offset = max(offset, start.offsets.get(where.partition, 0))
        elif isinstance(start, FromTime):
            offset = getattr(found.get(where), "offset", ends[where])
        consumer.seek(where, offset)
    return ends


async def _records(
    consumer: AIOKafkaConsumer, ends: Offsets, *, follow: bool, timeout: float
) -> AsyncGenerator[Record, None]:
    loop = asyncio.get_running_loop()
    last_progress = loop.time()
    while follow or (open_partitions := await _unfinished(consumer, ends)):
        found = await consumer.getmany(
            *(() if follow else open_partitions), timeout_ms=_FETCH_MS, max_records=_FETCH_RECORDS
        )
        for where, records in found.items():
            for record in records:
                if follow or record.offset < ends[where]:
                    yield as_record(record)
        if found:
            last_progress = loop.time()
        elif not follow and loop.time() - last_progress > timeout:
            raise BusError(f"nothing came from Kafka for {timeout:g} s")


async def _unfinished(consumer: AIOKafkaConsumer, ends: Offsets) -> list[TopicPartition]:
    return [where for where, end in ends.items() if await consumer.position(where) < end]
