"""Clusters for scenarios: pods as processes, a real Redis, all on loopback."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import Cluster, running

PODS = 3


@pytest.fixture
def redis() -> Iterator[Any]:
    """A Redis server that a scenario may stop and start."""
    with import_module("tests.support.redis_server").running_redis() as server:
        yield server


@pytest.fixture
def kafka() -> Iterator[Any]:
    """A broker that a scenario may kill and start."""
    with import_module("tests.support.kafka_broker").running_kafka() as broker:
        yield broker


@pytest.fixture
def cluster(redis: Any, tmp_path: Path) -> Iterator[Cluster]:
    """Three pods that are one relay."""
    with running(Cluster(tmp_path, PODS, redis_url=redis.url)) as pods:
        yield pods


@pytest.fixture
def one_pod(tmp_path: Path) -> Iterator[Cluster]:
    """A relay of one pod, without a store."""
    with running(Cluster(tmp_path, 1)) as pod:
        yield pod
