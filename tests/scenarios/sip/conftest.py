"""SIP edges for scenarios: pods on the same ports, a real Redis, a real Kafka, all on loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import running
from tests.support.device_load import EdgePods
from tests.support.kafka_broker import Broker, running_broker
from tests.support.redis_server import RedisServer, running_redis


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A Redis server that a scenario may stop and start."""
    with running_redis() as server:
        yield server


@pytest.fixture
def kafka() -> Iterator[Broker]:
    """A broker that a scenario may kill and start."""
    with running_broker() as broker:
        yield broker


@pytest.fixture
def edge(redis: RedisServer, kafka: Broker, tmp_path: Path) -> Iterator[EdgePods]:
    """Three pods that are one edge."""
    pods = EdgePods(tmp_path, redis_url=redis.url, kafka=kafka.bootstrap_servers)
    with running(pods.cluster):
        yield pods
