"""Clusters for scenarios: pods as processes, a real Redis, all on loopback."""

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.support.cluster import Cluster, running
from tests.support.kafka_broker import Broker, running_kafka
from tests.support.redis_server import RedisServer, running_redis

PODS = 3


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Have the ends of the pods' logs told with what went wrong: the test's exception does not pass its fixtures."""
    report = yield
    if report.when == "call" and report.failed:
        clusters = [value for value in item.funcargs.values() if isinstance(value, Cluster)]
        report.sections += [("logs of the pods", cluster.logs()) for cluster in clusters]
    return report


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A Redis server that a scenario may stop and start."""
    with running_redis() as server:
        yield server


@pytest.fixture
def kafka() -> Iterator[Broker]:
    """A broker that a scenario may kill and start."""
    with running_kafka() as broker:
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
