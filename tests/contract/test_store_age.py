"""For how long the store on Redis says that it has held what it holds, after it lost something or may have."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.support.redis_server import RedisServer, running_redis, running_redis_cluster
from tests.support.stores import WallClock
from wigwag.errors import StoreError
from wigwag.store import Pod, Store
from wigwag.store.redis import RedisStore

pytestmark = pytest.mark.peer("redis-server")
POD = Pod(id="relay-0.1", address="10.0.0.1:2857")
TIMEOUT = 2.0
HOUR = 3600.0


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A server of the test's own, for it to mistreat."""
    with running_redis() as started:
        yield started


async def answered(store: Store) -> None:
    """Wait until the store answers again."""
    async with asyncio.timeout(15):
        while True:
            with suppress(StoreError):
                await store.find_registrations(["a"])
                return
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("empty", [True, False])
async def test_what_a_restarted_server_holds_is_young_whoever_asks_first(server: RedisServer, empty: bool) -> None:
    clock = WallClock()
    async with RedisStore(server.url, timeout=TIMEOUT, clock=clock) as store:
        await store.beat(POD)
        clock.now += HOUR
        assert await store.held_for("a") >= HOUR
        server.restart(empty=empty)  # the last writes may be missing in its file
        await answered(store)
        assert await store.held_for("a") == 0
        clock.now += 7
        async with RedisStore(server.url, timeout=TIMEOUT, clock=clock) as late:
            assert await late.held_for("a") == pytest.approx(7)


async def test_what_a_flushed_server_holds_is_young(server: RedisServer) -> None:
    clock = WallClock()
    async with RedisStore(server.url, timeout=TIMEOUT, clock=clock) as store:
        await store.beat(POD)
        clock.now += HOUR
        with server.admin() as admin:
            admin.flushall()
        assert await store.held_for("a") == 0


async def test_what_is_held_does_not_look_older_when_the_clock_is_set_back(server: RedisServer) -> None:
    clock = WallClock()
    async with RedisStore(server.url, timeout=TIMEOUT, clock=clock) as store:
        await store.beat(POD)
        clock.now -= HOUR
        assert await store.held_for("a") == 0
        clock.now += 5
        assert await store.held_for("a") == pytest.approx(5)


async def test_only_what_the_emptied_master_of_a_cluster_held_is_young() -> None:
    clock = WallClock()
    with running_redis_cluster() as cluster:
        async with RedisStore(cluster.url, timeout=TIMEOUT, clock=clock) as store:
            await store.beat(POD)
            clock.now += HOUR
            with cluster.masters[1].admin() as admin:
                admin.flushall()
            ages = [await store.held_for(f"sip:user{number}@example.com") for number in range(30)]
            assert 0 < ages.count(0) < 30
            assert all(age >= HOUR for age in ages if age)
