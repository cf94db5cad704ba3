"""Clusters for scenarios: pods as processes, a real Redis, all on loopback."""

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import Cluster, running
from tests.support.redis_server import RedisServer, running_redis

PODS = 3


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A Redis server that a scenario may stop and start."""
    with running_redis() as server:
        yield server


@pytest.fixture
def kafka() -> Iterator[Any]:
    """A broker that a scenario may kill and start."""
    if find_spec("tests.support.kafka_broker") is None:
        pytest.skip("tests.support.kafka_broker is not there yet")
    with import_module("tests.support.kafka_broker").running_kafka() as broker:
        yield broker


@pytest.fixture
def cluster(redis: RedisServer, tmp_path: Path) -> Iterator[Cluster]:
    """Three pods that are one relay."""
    with running(Cluster(tmp_path, PODS, redis_url=redis.url)) as pods:
        yield pods


@pytest.fixture
def one_pod(tmp_path: Path) -> Iterator[Cluster]:
    """A relay of one pod, without a store."""
    with running(Cluster(tmp_path, 1)) as pod:
        yield pod
