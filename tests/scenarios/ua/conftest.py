"""A user agent of two pods for scenarios: with a real Redis, Kafka and PostgreSQL, all on loopback."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.kafka_broker import running_broker
from tests.support.postgresql import running_postgresql
from tests.support.redis_server import running_redis
from tests.support.ua_cluster import UaCluster, running_agents
from tests.support.ua_load import SESSIONS, user_names

PODS = 2


@dataclass(frozen=True, slots=True)
class Agents:
    """Running pods, and what they share."""

    cluster: UaCluster
    database: str
    kafka: str


@contextmanager
def agents_in(directory: Path, blobs: Mapping[str, Any] | None = None) -> Iterator[Agents]:
    """Run two ua pods behind an edge, their files in the database or where ``blobs`` says."""
    with running_redis() as redis, running_broker() as kafka, running_postgresql() as postgresql:
        database = asyncio.run(postgresql.new_database())
        servers = kafka.bootstrap_servers
        cluster = UaCluster(
            directory, PODS, user_names(SESSIONS), redis_url=redis.url, kafka=servers, database=database, blobs=blobs
        )
        with running_agents(cluster):
            yield Agents(cluster, database, servers)


@pytest.fixture(scope="module")
def agents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agents]:
    """Two ua pods behind an edge."""
    with agents_in(tmp_path_factory.mktemp("agents")) as running:
        yield running
