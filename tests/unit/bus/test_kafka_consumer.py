"""Commits of a consumer on Kafka whose broker does not answer in time."""

import asyncio
import gc
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError

from wigwag.bus import Record, kafka_consumer
from wigwag.bus.consuming import Processing
from wigwag.bus.kafka_consumer import KafkaConsumer
from wigwag.bus.kafka_options import KafkaOptions
from wigwag.bus.partition import Partition

WHERE = TopicPartition("topic", 0)


class Committed:
    """One partition of which a record is finished."""

    committable = 1

    def __init__(self) -> None:
        self.up_to: list[int] = []

    def committed(self, offset: int) -> None:
        self.up_to.append(offset)


class Broker:
    """Answers a commit when it is told to, as aiokafka hears it: cancelling the call does not cancel the request."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.commits = 0

    async def _request(self) -> None:
        await self.answer

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        self.commits += 1
        await asyncio.shield(self._request())


async def _nothing(*args: Any) -> None:
    """Handle nothing."""


def consumer() -> KafkaConsumer:
    async def handle(record: Record) -> None:
        raise AssertionError("nothing is handled here")

    processing = Processing(
        "group", handle, in_flight=1, bury=_nothing, counters=cast(Any, None), policy=cast(Any, None)
    )
    return KafkaConsumer(KafkaOptions(bootstrap_servers="x:1"), "group", ["topic"], processing, limit=1, ready=_nothing)


async def commit(made: KafkaConsumer, broker: Broker, part: Committed) -> None:
    await made._commit(cast("AIOKafkaConsumer", broker), {WHERE: cast("Partition", part)})


async def test_what_is_committed_makes_room() -> None:
    broker, part = Broker(), Committed()
    broker.answer.set_result(None)
    await commit(consumer(), broker, part)
    assert part.up_to == [1]


async def test_a_commit_that_fails_says_so() -> None:
    broker, part = Broker(), Committed()
    broker.answer.set_exception(CommitFailedError("rebalanced"))
    with pytest.raises(CommitFailedError):
        await commit(consumer(), broker, part)
    assert part.up_to == []


async def test_the_failure_of_a_commit_that_was_given_up_is_no_unexpected_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kafka_consumer, "_COMMIT_SECONDS", 0.0)
    unexpected: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unexpected.append(context))
    broker, part, made = Broker(), Committed(), consumer()
    with pytest.raises(TimeoutError):
        await commit(made, broker, part)
    broker.answer.set_exception(CommitFailedError("rebalanced"))
    for _ in range(5):
        await asyncio.sleep(0)
    gc.collect()
    assert (broker.commits, part.up_to, unexpected) == (1, [], [])
