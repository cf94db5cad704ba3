"""Every adapter of the ports: the one in the process and the real servers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kafka_broker import Broker, running_broker
from tests.support.mariadb import running_mariadb
from tests.support.postgresql import running_postgresql
from tests.support.redis_server import (
    RedisCluster,
    RedisServer,
    running_redis,
    running_redis_cluster,
    running_redis_tls,
)
from tests.support.sql import SqlServer

SERVERS = [
    pytest.param("sqlite"),
    pytest.param("postgresql", marks=pytest.mark.peer("postgresql")),
    pytest.param("mariadb", marks=pytest.mark.peer("mariadb")),
]


@pytest.fixture(scope="session")
def postgresql() -> Iterator[SqlServer]:
    with running_postgresql() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[SqlServer]:
    with running_mariadb() as server:
        yield server


@pytest.fixture(params=SERVERS)
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'wigwag.sqlite3'}"
    server: SqlServer = request.getfixturevalue(request.param)
    return await server.new_database()


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    with running_redis() as server:
        yield server


@pytest.fixture(scope="session")
def redis_tls() -> Iterator[tuple[str, str]]:
    with running_redis_tls() as url_and_ca_file:
        yield url_and_ca_file


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[RedisCluster]:
    with running_redis_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def kafka() -> Iterator[Broker]:
    with running_broker() as broker:
        yield broker
