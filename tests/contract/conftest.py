"""Every adapter of the ports: the one in the process and the real servers."""

from collections.abc import AsyncIterator, Iterator
from itertools import count
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
from tests.support.s3_server import S3Server, running_s3
from tests.support.sql import SqlServer
from tests.support.stores import Backend, WallClock
from wigwag.store import Store

SERVERS = [
    pytest.param("sqlite"),
    pytest.param("postgresql", marks=pytest.mark.peer("postgresql")),
    pytest.param("mariadb", marks=pytest.mark.peer("mariadb")),
]

STORES = [
    pytest.param("memory"),
    pytest.param("redis", marks=pytest.mark.peer("redis-server")),
    pytest.param("redis_tls", marks=pytest.mark.peer("redis-server")),
    pytest.param("redis_cluster", marks=pytest.mark.peer("redis-server")),
]
_prefixes: Iterator[int] = count()


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
def s3() -> Iterator[S3Server]:
    with running_s3() as server:
        yield server


@pytest.fixture(scope="session")
def kafka() -> Iterator[Broker]:
    with running_broker() as broker:
        yield broker


@pytest.fixture
def clock() -> WallClock:
    return WallClock()


@pytest.fixture(params=STORES)
def backend(request: pytest.FixtureRequest, clock: WallClock) -> Backend:
    options = {"prefix": f"test{next(_prefixes)}"}
    if request.param == "memory":
        return Backend("memory", "", options, clock)
    server: RedisServer | RedisCluster | tuple[str, str] = request.getfixturevalue(request.param)
    if isinstance(server, tuple):
        url, ca_file = server
        return Backend("redis", url, {**options, "ca_file": ca_file}, clock)
    return Backend("redis", server.url, options, clock)


@pytest.fixture
async def store(backend: Backend) -> AsyncIterator[Store]:
    async with backend.new() as opened:
        yield opened


@pytest.fixture
async def other(backend: Backend) -> AsyncIterator[Store]:
    """The same state, as another pod sees it."""
    async with backend.new() as opened:
        yield opened
