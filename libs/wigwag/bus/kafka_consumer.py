"""A member of a group that consumes topics of Kafka.

Theory of operation. A member joins once it sees the topics: whoever leads the group hands out the partitions that he
sees. One loop fetches for the partitions that have room, one commits what is finished. A rebalance takes all partitions
away: before they are given up, the handlers that run are awaited and what is finished is committed, while heartbeats go
on; nothing else begins. When the connection fails for good the consumer is made anew.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final, TypeVar

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError
from aiokafka.structs import ConsumerRecord

from . import Record
from .consuming import Processing
from .kafka_options import KafkaOptions
from .partition import Partition

logger = structlog.get_logger(__name__)

SESSION_TIMEOUT_MS: Final = 6_000
_HEARTBEAT_MS: Final = 1_500
_REBALANCE_TIMEOUT_MS: Final = 30_000
"""Has to be longer than handlers that run are awaited and their offsets committed."""
_REQUEST_TIMEOUT_MS: Final = 35_000
"""Has to be longer than a rebalance: the answer to a join comes at its end."""
_MAX_POLL_INTERVAL_MS: Final = 86_400_000
"""Nothing is fetched while handlers wait for a database that is away; that must not cost the membership."""
_METADATA_AGE_MS: Final = 10_000
"""How long partitions that the group's leader does not see stay unread at most; nothing else tells him of them."""
_FETCH_MS: Final = 500
_FETCH_SOME_MS: Final = 50
"""The same while a partition has no room: it may get some meanwhile."""
_COMMIT_SECONDS: Final = 5.0
_STOP_SECONDS: Final = 10.0
_AFTER_FAILURE: Final = 1.0

T = TypeVar("T")
Parts = Mapping[TopicPartition, Partition]


class KafkaConsumer(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Fetches, hands records over, commits what is finished.

    Args:
        options: How Kafka is reached.
        group: The group's name.
        topics: The topics' names.
        processing: Handles the records.
        limit: Records of each partition that are read but not committed.
        ready: Returns once Kafka has these topics.
    """

    def __init__(
        self,
        options: KafkaOptions,
        group: str,
        topics: Sequence[str],
        processing: Processing,
        *,
        limit: int,
        ready: Callable[[Sequence[str]], Awaitable[None]],
    ) -> None:
        self.group = group
        self._options = options
        self._topics = topics
        self._processing = processing
        self._limit = limit
        self._ready = ready
        self._parts: dict[TopicPartition, Partition] = {}
        self._assignment = 0
        self._consumer: AIOKafkaConsumer | None = None
        self._has_room = asyncio.Event()
        self._has_finished = asyncio.Event()
        self._committing = asyncio.Lock()
        self._commits: set[asyncio.Task[None]] = set()
        """Those that were given up too."""
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Finish the handlers that run, then end ``run``."""
        self._stopping.set()

    async def run(self) -> None:
        """Consume until ``stop``."""
        while not self._stopping.is_set():
            try:
                await self._until_stopped(self._ready(self._topics))
                await self._consume_once()
            except Exception as error:  # aiokafka asserts too; nothing may end the consumer unseen
                is_bug = not isinstance(error, KafkaError | OSError | TimeoutError)
                logger.warning("topics can't be consumed", group=self.group, reason=str(error), exc_info=is_bug)
                await self._until_stopped(asyncio.sleep(_AFTER_FAILURE))

    async def _consume_once(self) -> None:
        consumer = AIOKafkaConsumer(
            **self._options.arguments(),
            group_id=self.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=_HEARTBEAT_MS,
            rebalance_timeout_ms=_REBALANCE_TIMEOUT_MS,
            request_timeout_ms=_REQUEST_TIMEOUT_MS,
            max_poll_interval_ms=_MAX_POLL_INTERVAL_MS,
            metadata_max_age_ms=_METADATA_AGE_MS,
        )
        self._consumer = consumer
        committing = asyncio.create_task(self._commit_for_ever(consumer))
        try:
            # Before it starts, so that it joins no earlier than it sees the topics: a broker may not know yet of one
            # that was just made, and the group's leader would hand out none of its partitions.
            consumer.subscribe(self._topics, listener=self)
            await self._until_stopped(consumer.start())
            while not self._stopping.is_set():
                await self._fetch(consumer)
        finally:
            await self._give_up(consumer, dict(self._parts))
            committing.cancel()
            with suppress(KafkaError, OSError, TimeoutError):
                async with asyncio.timeout(_STOP_SECONDS):
                    await consumer.stop()
            given_up = [commit for commit in self._commits if commit.cancel()]
            await asyncio.gather(committing, *given_up, return_exceptions=True)

    async def _until_stopped(self, work: Awaitable[T]) -> T | None:
        """Await ``work``; cancelled when this consumer is stopped meanwhile."""
        working = asyncio.ensure_future(work)
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return working.result() if working.done() else None
        finally:
            stopping.cancel()
            working.cancel()
            await asyncio.gather(working, stopping, return_exceptions=True)

    # Fetching

    async def _fetch(self, consumer: AIOKafkaConsumer) -> None:
        self._has_room.clear()
        rooms = {where: part.room for where, part in self._parts.items() if part.room > 0}
        if self._parts and not rooms:
            await self._until_stopped(self._has_room.wait())
            return
        fetching = consumer.getmany(
            *rooms,
            timeout_ms=_FETCH_MS if len(rooms) == len(self._parts) else _FETCH_SOME_MS,
            max_records=min(rooms.values(), default=1),
        )
        found = await self._until_stopped(fetching)
        for where, records in (found or {}).items():
            self._begin(consumer, where, records)

    def _begin(self, consumer: AIOKafkaConsumer, where: TopicPartition, records: Sequence[ConsumerRecord]) -> None:
        part = self._parts.get(where)
        if part is None:
            # Fetched between the assignment and the call that tells us of it: they have to be fetched again.
            if where in consumer.assignment():
                consumer.seek(where, records[0].offset)
            return
        for record in records:
            part.begin(as_record(record, self._assignment))

    # Committing

    async def _commit_for_ever(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            await self._has_finished.wait()
            self._has_finished.clear()
            try:
                async with self._committing:
                    await self._commit(consumer, dict(self._parts))
            except Exception as error:  # noqa: BLE001 - what is not committed is handled again, never lost
                logger.warning("offsets can't be committed", group=self.group, reason=repr(error))
                await asyncio.sleep(_AFTER_FAILURE)
                self._has_finished.set()

    async def _commit(self, consumer: AIOKafkaConsumer, parts: Parts) -> None:
        offsets = {where: offset for where, part in parts.items() if (offset := part.committable) is not None}
        if not offsets:
            return
        committing = asyncio.create_task(consumer.commit(offsets))
        self._commits.add(committing)
        committing.add_done_callback(self._commit_is_over)
        # Not cancelled when it takes too long: aiokafka's request goes on, and somebody has to hear how it ends.
        done, _ = await asyncio.wait({committing}, timeout=_COMMIT_SECONDS)
        if not done:
            raise TimeoutError("the broker does not answer")
        await committing
        for where, offset in offsets.items():
            parts[where].committed(offset)
        self._has_room.set()

    def _commit_is_over(self, committing: asyncio.Task[None]) -> None:
        self._commits.discard(committing)
        if not committing.cancelled():
            committing.exception()  # Of one that was given up nobody else asks.

    # Partitions come and go

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """Begin with partitions of ours."""
        self._assignment += 1
        self._parts = {where: Partition(self._processing, self._limit, self._has_finished.set) for where in assigned}
        self._has_room.set()

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Finish and commit before others get the partitions."""
        assert self._consumer is not None
        await self._give_up(self._consumer, dict(self._parts))

    async def _give_up(self, consumer: AIOKafkaConsumer, parts: Parts) -> None:
        # Nothing is begun any more from here on, and the loop that commits has let go of them.
        self._parts = {}
        await asyncio.gather(*(part.settle() for part in parts.values()))
        try:
            async with self._committing:
                await self._commit(consumer, parts)
        except CommitFailedError:
            logger.info("the group has gone on without this member", group=self.group)
        except (KafkaError, OSError, TimeoutError) as error:
            logger.warning("what was handled last will be handled again", group=self.group, reason=repr(error))

    def lag(self) -> Mapping[str, int]:
        """Return by topic how many records of its partitions are not committed, as of the last fetch."""
        result = dict.fromkeys(self._topics, 0)
        for where, part in self._parts.items():
            end = self._consumer.highwater(where) if self._consumer else None
            if end is not None and part.position is not None:
                result[where.topic] += max(0, end - part.position)
        return result


def as_record(record: ConsumerRecord, assignment: int = 0) -> Record:
    """Return a record of Kafka as the port has it; what others than us publish may lack a key or a value."""
    return Record(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=(record.key or b"").decode(errors="replace"),
        value=record.value or b"",
        headers={name: value or b"" for name, value in record.headers},
        time=record.timestamp / 1000,
        assignment=assignment,
    )
