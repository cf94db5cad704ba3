"""Topics on Kafka: those that are missing are made, those that exist are left as they are."""

from collections.abc import Iterable, Mapping
from typing import Final

import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from . import MAX_ENVELOPE, MAX_VALUE, Topic
from .kafka_options import BROKERS_FOR_REPLICATION, KafkaOptions
from .topics import Topics

logger = structlog.get_logger(__name__)

_REQUEST_TIMEOUT_MS: Final = 5_000
# A dead letter carries where it came from beside what it had; Kafka counts its own framing too.
_MAX_MESSAGE: Final = MAX_VALUE + 4 * MAX_ENVELOPE


class KafkaTopics:
    """Makes declared topics.

    Args:
        options: How Kafka is reached.
        topics: What was declared.
    """

    def __init__(self, options: KafkaOptions, topics: Topics) -> None:
        self._options = options
        self._topics = topics
        self._seen: set[str] = set()
        """Topics whose partitions were compared."""
        self._has_warned = False

    async def ensure(self) -> None:
        """Make the declared topics that are missing.

        Raises:
            KafkaError: Kafka can't be reached or refuses.
            OSError: Kafka can't be reached.
        """
        admin = AIOKafkaAdminClient(**self._options.arguments(), request_timeout_ms=_REQUEST_TIMEOUT_MS)
        try:
            await admin.start()
            # Asking for topics by name would make them, with the broker's own number of partitions.
            existing = {row["topic"]: len(row["partitions"]) for row in await admin.describe_topics()}
            missing = [topic for topic in self._topics if topic.name not in existing]
            if missing:
                brokers = len((await admin.describe_cluster())["brokers"])
                await self._create(admin, missing, brokers)
        finally:
            await admin.close()
        self._compare(existing)

    async def _create(self, admin: AIOKafkaAdminClient, missing: Iterable[Topic], brokers: int) -> None:
        replication = self._replication(brokers)
        kept = {topic.name: topic.retention for topic in self._topics.with_retention()}
        rows = [
            NewTopic(
                topic.name,
                topic.partitions or self._options.partitions,
                replication,
                topic_configs=_configuration(kept[topic.name], replication),
            )
            for topic in missing
        ]
        response = await admin.create_topics(rows)
        for name, code, *rest in response.topic_errors:
            error = for_code(code)
            if code and error is not TopicAlreadyExistsError:
                raise error(f"topic {name} can't be made: {rest[0] if rest else error.__name__}")
            logger.info("topic is there", topic=name, replication=replication)

    def _replication(self, brokers: int) -> int:
        wanted = self._options.replication or min(BROKERS_FOR_REPLICATION, brokers)
        if wanted < BROKERS_FOR_REPLICATION and not self._has_warned:
            logger.warning("records are not safe from the loss of a broker", brokers=brokers, replication=wanted)
            self._has_warned = True
        return wanted

    def _compare(self, existing: Mapping[str, int]) -> None:
        for topic in self._topics:
            wanted = topic.partitions or self._options.partitions
            found = existing.get(topic.name, wanted)
            if found != wanted and topic.name not in self._seen:
                logger.warning("topic has another number of partitions", topic=topic.name, found=found, wanted=wanted)
            self._seen.add(topic.name)


def _configuration(retention: float, replication: int) -> Mapping[str, str]:
    in_sync = 2 if replication >= BROKERS_FOR_REPLICATION else 1
    return {
        "retention.ms": str(int(retention * 1000)),
        "min.insync.replicas": str(in_sync),
        "max.message.bytes": str(_MAX_MESSAGE),
        "cleanup.policy": "delete",
    }
