"""What the store on Redis does while servers are away, hang, come back empty, or forget scripts."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress

import pytest
from structlog.testing import capture_logs

from tests.support.redis_server import RedisCluster, RedisServer, running_redis, running_redis_cluster
from tests.support.stores import ALICE, FLOW, agent_session, binding, claim, conversation, record
from tests.support.waiting import until
from wigwag.errors import OverloadedError, StoreError
from wigwag.store import MARGIN, Change, Gap, MissingError, PeerBinding, Pod, Registration, RegistrationChanged, Store
from wigwag.store.redis import RedisStore
from wigwag.store.registration_rules import REMEMBERED

pytestmark = pytest.mark.peer("redis-server")
POD = Pod(id="relay-0.1", address="10.0.0.1:2857")
TIMEOUT = 2.0
HERE = PeerBinding("pod-a", 1)


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A server of the test's own, for it to mistreat."""
    with running_redis() as started:
        yield started


Told = list[tuple[bool, str]]


@pytest.fixture
def told() -> Told:
    return []


@pytest.fixture
async def store(server: RedisServer, told: Told) -> AsyncIterator[RedisStore]:
    async with RedisStore(server.url, timeout=TIMEOUT, on_availability=lambda *news: told.append(news)) as opened:
        yield opened


async def until_done(operation: Callable[[], Awaitable[object]], timeout: float = 15.0) -> None:
    """Try until it succeeds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while loop.time() < deadline:
        with suppress(StoreError):
            await operation()
            return
        await asyncio.sleep(0.05)
    await operation()


def operations(store: Store) -> dict[str, Callable[[], Awaitable[object]]]:
    """Every operation there is."""
    wanted = record(now=time.time())
    expires_at = wanted.expires_at
    phone = binding(now=wanted.created)
    agent = agent_session(now=wanted.created)
    return {
        "beat": lambda: store.beat(POD),
        "leave": lambda: store.leave("x"),
        "held_for": lambda: store.held_for("a"),
        "claim_owner": lambda: store.claim_owner(ALICE, "s1", expires_at=expires_at, most=9),
        "release_owner": lambda: store.release_owner(ALICE, "s1"),
        "claim_session": lambda: store.claim_session(wanted, must_exist=False, resume_window=60),
        "extend_session": lambda: store.extend_session("s1", 1, expires_at=expires_at),
        "suspend_session": lambda: store.suspend_session("s1", 1),
        "end_session": lambda: store.end_session("s1", 1),
        "find_sessions": lambda: store.find_sessions(["s1", "s2", "s3"]),
        "put_sessions": lambda: store.put_sessions([wanted]),
        "bind_peer": lambda: store.bind_peer("s1", "p", HERE, expires_at=expires_at),
        "find_peer": lambda: store.find_peer("s1", "p"),
        "unbind_peer": lambda: store.unbind_peer("s1", "p", HERE),
        "acquire_lease": lambda: store.acquire_lease("l", "pod-a", seconds=3),
        "put_status": lambda: store.put_status("x", b""),
        "statuses": lambda: store.statuses(),
        "register": lambda: store.register("a", call_id="c", cseq=1, bindings=[phone], most=1),
        "find_registrations": lambda: store.find_registrations(["a", "b", "c"]),
        "drop_flow": lambda: store.drop_flow("a", phone.key, FLOW, remove=True),
        "remove_bindings": lambda: store.remove_bindings("a"),
        "put_registrations": lambda: store.put_registrations([("a", phone)]),
        "registrations": lambda: listed(store),
        "use_nonce": lambda: store.use_nonce("n", 1, expires_at=expires_at),
        "create_agent_session": lambda: store.create_agent_session(agent, lease=6),
        "claim_agent_session": lambda: store.claim_agent_session("u1", "ua-a", lease=6),
        "renew_agent_sessions": lambda: store.renew_agent_sessions("ua-a", {"u1": 1}, lease=6),
        "save_agent_session": lambda: store.save_agent_session("u1", 2**60, b"", expires_at=expires_at),
        "release_agent_session": lambda: store.release_agent_session("u1", 2**60),
        "end_agent_session": lambda: store.end_agent_session("u1", 2**60, b"", keep=60),
        "find_agent_sessions": lambda: store.find_agent_sessions(["u1", "u2"]),
        "list_agent_sessions": lambda: store.list_agent_sessions(),
        "agent_sessions_of": lambda: store.agent_sessions_of(["ua-a"]),
        "ownerless_agent_sessions": lambda: store.ownerless_agent_sessions(),
        "put_agent_sessions": lambda: store.put_agent_sessions([agent], lease=6),
        "open_conversation": lambda: store.open_conversation(conversation(), after=0, most=9, keep=60),
        "put_conversation": lambda: store.put_conversation(conversation(generation=1), keep=60),
        "find_conversations": lambda: store.find_conversations(["c1", "c2"]),
        "list_conversations": lambda: store.list_conversations(),
    }


async def listed(store: Store) -> dict[str, Registration]:
    """Return all registrations."""
    return {registration.aor: registration async for registration in store.registrations()}


async def failure_of(operation: Callable[[], Awaitable[object]]) -> str:
    """Return why an operation fails."""
    with pytest.raises(StoreError) as failure:
        await operation()
    return str(failure.value)


async def took(operation: Callable[[], Awaitable[object]]) -> float:
    """Return how many seconds an operation takes to fail."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(StoreError):
        await operation()
    return loop.time() - began


async def test_it_opens_without_a_server_and_works_once_there_is_one(server: RedisServer, told: Told) -> None:
    server.stop()
    async with RedisStore(server.url, timeout=TIMEOUT, on_availability=lambda *news: told.append(news)) as store:
        assert [available for available, _ in told] == [False]
        assert str(server.port) in told[0][1]
        server.start()
        await until_done(lambda: store.beat(POD))
        assert told[1:] == [(True, "")]


async def test_every_operation_fails_while_the_server_is_stopped(store: RedisStore, server: RedisServer) -> None:
    server.stop()
    for name, operation in operations(store).items():
        reason = await failure_of(operation)
        assert f"redis 127.0.0.1:{server.port}" in reason, name


async def test_a_server_that_hangs_costs_its_callers_no_more_than_the_timeout(
    store: RedisStore, server: RedisServer
) -> None:
    server.pause()
    waits = await asyncio.gather(*(took(lambda: store.find_sessions(["s1"])) for _ in range(100)))
    assert max(waits) < TIMEOUT + 1.0


async def test_once_the_server_is_known_to_be_away_operations_fail_at_once(
    store: RedisStore, server: RedisServer
) -> None:
    server.pause()
    await took(lambda: store.beat(POD))
    waits = [await took(operation) for operation in operations(store).values()]
    assert max(waits) < TIMEOUT / 2


async def test_one_at_a_time_finds_out_whether_the_server_is_back(store: RedisStore, server: RedisServer) -> None:
    server.pause()
    await took(lambda: store.beat(POD))
    await asyncio.sleep(0.35)
    waits = await asyncio.gather(*(took(lambda: store.statuses()) for _ in range(20)))
    assert len([wait for wait in waits if wait > TIMEOUT / 2]) == 1


async def test_a_server_that_goes_on_is_used_again_and_each_change_is_told_once(
    store: RedisStore, server: RedisServer, told: Told
) -> None:
    server.pause()
    for _ in range(3):
        await took(lambda: store.beat(POD))
    server.resume()
    await until_done(lambda: store.beat(POD))
    await store.beat(POD)
    assert [available for available, _ in told] == [True, False, True]


async def test_what_the_server_kept_is_there_after_its_restart(store: RedisStore, server: RedisServer) -> None:
    claimed = await claim(store, record(now=time.time()))
    server.restart(empty=False)
    await until_done(lambda: store.beat(POD))
    assert await store.find_sessions(["s1"]) == {"s1": claimed}
    assert (await claim(store, record(now=time.time(), pod="pod-b"))).epoch > claimed.epoch


async def test_a_server_that_comes_back_empty_is_filled_again(store: RedisStore, server: RedisServer) -> None:
    now = time.time()
    records = [await claim(store, record(f"s{number}", now=now)) for number in range(20)]
    await store.claim_owner(ALICE, "s0", expires_at=now + 300, most=9)
    before = (await store.beat(POD)).generation
    server.restart(empty=True)
    await until_done(lambda: store.beat(POD))
    after = (await store.beat(POD)).generation
    assert after != before
    assert (await store.beat(POD)).generation == after
    assert await store.find_sessions(["s0"]) == {}
    assert await store.put_sessions(records) == []
    assert await store.find_sessions(["s0", "s19"]) == {"s0": records[0], "s19": records[19]}
    assert await store.claim_owner(ALICE, "new", expires_at=now + 300, most=9) == "s0"
    assert (await claim(store, record("s7", now=now, pod="pod-b"))).epoch > records[7].epoch


async def test_bindings_are_written_again_into_a_server_that_comes_back_empty(
    store: RedisStore, server: RedisServer
) -> None:
    now = time.time()
    for number in range(20):
        await store.register(f"u{number}", call_id="c", cseq=1, bindings=[binding(now=now)], most=1)
    before = await listed(store)
    server.restart(empty=True)
    await until_done(lambda: store.beat(POD))
    await store.register("u7", call_id="c", cseq=2, removed=[binding(now=now).key], most=1)
    mine = [(aor, known) for aor, registration in before.items() for known in registration.bindings]
    assert [aor for aor, _ in await store.put_registrations(mine)] == ["u7"]
    after = await listed(store)
    assert {aor: known.bindings for aor, known in after.items()} == {
        aor: known.bindings for aor, known in before.items() if aor != "u7"
    }
    assert all(known.version > before[aor].version for aor, known in after.items())


async def test_sessions_of_the_user_agent_are_written_again_into_a_server_that_comes_back_empty(
    store: RedisStore, server: RedisServer
) -> None:
    now = time.time()
    mine = [await store.create_agent_session(agent_session(f"u{number}", now=now), lease=30) for number in range(20)]
    owned = [session for session in mine if session is not None]
    server.restart(empty=True)
    await until_done(lambda: store.beat(POD))
    assert (
        await store.renew_agent_sessions("ua-a", {session.session_id: session.token for session in owned}, lease=30)
        == []
    )
    with pytest.raises(MissingError):
        await store.save_agent_session("u7", owned[7].token, b"", expires_at=now + 60)
    assert await store.put_agent_sessions(owned, lease=30) == []
    assert len(await store.list_agent_sessions("helpdesk")) == len(await store.agent_sessions_of(["ua-a"])) == 20
    claimed = await store.claim_agent_session("u7", "ua-b", lease=30, dead=["ua-a"])
    assert claimed is not None
    assert claimed.token > owned[7].token


async def test_conversations_are_written_again_into_a_server_that_comes_back_empty(
    store: RedisStore, server: RedisServer
) -> None:
    known, _ = await store.open_conversation(conversation(), after=0, most=1, keep=600)
    server.restart(empty=True)
    await until_done(lambda: store.beat(POD))
    assert await store.find_conversations([known.key]) == {}
    assert await store.put_conversation(known, keep=600) == known
    assert await store.list_conversations(known.page) == [known]
    with pytest.raises(OverloadedError):
        await store.open_conversation(conversation(known.page, "sip:x@example.com"), after=0, most=1, keep=600)
    again, is_ours = await store.open_conversation(conversation(), after=known.generation, most=1, keep=600)
    assert is_ours
    assert again.generation > known.generation


async def test_entries_of_sessions_that_the_server_forgot_are_taken_away(
    store: RedisStore, server: RedisServer
) -> None:
    now = time.time()
    for number in range(6):
        await store.create_agent_session(agent_session(f"u{number}", now=now), lease=0.001)
    with server.admin() as admin:
        for key in admin.keys("wigwag:*:u[135]:agent"):
            admin.delete(key)
        assert [known.session_id for known in await store.list_agent_sessions(limit=3)] == ["u0", "u2", "u4"]
        assert [known.session_id for known in await store.list_agent_sessions("helpdesk")] == ["u0", "u2", "u4"]
        assert sorted(await store.ownerless_agent_sessions()) == ["u0", "u2", "u4"]
        left = [member for key in admin.keys("wigwag:*:agents") for member in admin.zrange(key, 0, -1)]
        named = {member.rpartition(b" ")[2] for member in left if member[:1] not in (b"e", b"p")}
        assert named == {b"u0", b"u2", b"u4"}


async def test_what_is_kept_of_an_aor_is_gone_a_margin_after_all_of_it_has_expired(
    store: RedisStore, server: RedisServer
) -> None:
    phone = binding(now=time.time(), lifetime=900)
    await store.register("u", call_id="c", cseq=1, bindings=[phone], most=1)
    with server.admin() as admin:
        assert 900 + MARGIN - 5 < admin.ttl("wigwag:{u}:registration") <= 900 + MARGIN
        await store.register("u", call_id="c", cseq=2, removed=[phone.key], most=1)
        assert 900 + MARGIN - 5 < admin.ttl("wigwag:{u}:registration") <= 900 + MARGIN
        await store.register("v", call_id="c", cseq=2, removed=["never"], most=1)
        assert REMEMBERED + MARGIN - 5 < admin.ttl("wigwag:{v}:registration") <= REMEMBERED + MARGIN
        await store.use_nonce("n", 1, expires_at=time.time() + 300)
        await store.use_nonce("n", 2, expires_at=time.time() + 300)
        assert 300 + MARGIN - 5 < admin.ttl("wigwag:{n}:nonce") <= 300 + MARGIN


async def test_a_store_that_is_flushed_shows_another_generation(store: RedisStore, server: RedisServer) -> None:
    before = (await store.beat(POD)).generation
    with server.admin() as admin:
        admin.flushall()
    assert (await store.beat(POD)).generation != before


async def test_scripts_that_the_server_forgot_are_sent_again(store: RedisStore, server: RedisServer) -> None:
    now = time.time()
    claimed = [await claim(store, record(f"s{number}", now=now)) for number in range(3)]
    with server.admin() as admin:
        admin.script_flush()
    assert len(await store.find_sessions(["s0", "s1", "s2", "s3"])) == 3
    with server.admin() as admin:
        admin.script_flush()
    await store.end_session("s0", claimed[0].epoch)
    assert list(await store.find_sessions(["s0", "s1"])) == ["s1"]


async def test_many_are_found_in_one_round_trip(store: RedisStore, server: RedisServer) -> None:
    await store.find_sessions(["s0"])
    await store.find_registrations(["s0"])
    with server.admin() as admin:
        for find in (store.find_sessions, store.find_registrations):
            before = admin.info("stats")["total_reads_processed"]
            await find([f"s{number}" for number in range(50)])
            after = admin.info("stats")["total_reads_processed"]
            assert after - before == 2  # the store's read and that of INFO


async def test_a_server_that_became_a_replica_is_away_until_the_address_leads_to_the_primary(
    store: RedisStore, server: RedisServer
) -> None:
    await store.beat(POD)
    with running_redis() as primary, server.admin() as admin:
        admin.replicaof("127.0.0.1", primary.port)
        assert await took(lambda: store.beat(POD)) < TIMEOUT
        admin.replicaof("NO", "ONE")
        await until_done(lambda: store.beat(POD))


async def test_a_full_server_refuses_and_says_so(store: RedisStore, server: RedisServer, told: Told) -> None:
    with server.admin() as admin:
        admin.config_set("maxmemory", "1")
        with pytest.raises(StoreError, match="maxmemory"):
            await claim(store, record(now=time.time()))
        assert not told[-1][0]
        admin.config_set("maxmemory", "0")
        await until_done(lambda: claim(store, record(now=time.time())))
        assert told[-1] == (True, "")


async def test_one_broken_record_does_not_make_the_server_away(
    store: RedisStore, server: RedisServer, told: Told
) -> None:
    with server.admin() as admin:
        admin.set("wigwag:{s1}:session", "not a hash")
        admin.set("wigwag:{u}:registration", "too short")
    with pytest.raises(StoreError, match="WRONGTYPE"):
        await store.find_sessions(["s1"])
    with pytest.raises(StoreError, match="too short"):
        await store.find_registrations(["u"])
    await store.find_sessions(["s2"])
    assert told == [(True, "")]


async def test_an_operation_given_up_by_its_caller_leaves_the_store_usable(
    store: RedisStore, server: RedisServer
) -> None:
    server.pause()
    hanging = [asyncio.create_task(store.beat(POD)) for _ in range(20)]
    await asyncio.sleep(0)
    for task in hanging:
        task.cancel()
    await asyncio.gather(*hanging, return_exceptions=True)
    server.resume()
    await until_done(lambda: store.beat(POD))
    claimed = await claim(store, record(now=time.time()))
    assert await store.find_sessions(["s1"]) == {"s1": claimed}


async def test_nothing_stays_for_ever(store: RedisStore, server: RedisServer) -> None:
    for name, operation in operations(store).items():
        if name.partition("_")[0] in ("beat", "put", "claim", "bind", "acquire", "register", "use"):
            await operation()
    with server.admin() as admin:
        keys = [key.decode() for key in admin.scan_iter()]
        kinds = {key.rpartition(":")[2] for key in keys}
        ours = {
            "seen",
            "pods",
            "status",
            "generation",
            "since",
            "session",
            "peers",
            "sessions",
            "lease",
            "registration",
            "nonce",
        }
        assert kinds == ours | {"agent", "agents", "conversation", "conversations", "open", "expiries"}
        assert [key for key in keys if admin.ttl(key) < 0] == []


# Notices


async def test_a_lost_subscription_is_opened_again_with_a_gap(store: RedisStore, server: RedisServer) -> None:
    notices = store.changes()
    assert await anext(notices) == Gap()
    with server.admin() as admin:
        admin.client_kill_filter(_type="pubsub")
    assert await anext(notices) == Gap()
    first = await claim(store, record(now=time.time()))
    await store.suspend_session("s1", first.epoch)
    assert await anext(notices) == Change("s1", first.epoch, "pod-a")
    registration = await store.register('"\udcff"', call_id="c", cseq=1, bindings=[binding(now=time.time())], most=1)
    assert await anext(notices) == RegistrationChanged('"\udcff"', registration.version)


async def test_a_subscription_survives_a_server_that_is_away(store: RedisStore, server: RedisServer) -> None:
    notices = store.changes()
    assert await anext(notices) == Gap()
    server.restart(empty=True)
    async with asyncio.timeout(15):
        assert await anext(notices) == Gap()


async def test_a_subscription_to_a_server_that_hangs_is_given_up(store: RedisStore, server: RedisServer) -> None:
    notices = store.changes()
    assert await anext(notices) == Gap()
    server.pause()
    async with asyncio.timeout(15):
        with capture_logs() as logs:
            waiting = asyncio.ensure_future(anext(notices))
            await until(lambda: [entry for entry in logs if entry["event"] == "notices of changes are lost"])
        server.resume()
        assert await waiting == Gap()


async def test_a_message_of_a_stranger_counts_as_a_gap(store: RedisStore, server: RedisServer) -> None:
    notices = store.changes()
    assert await anext(notices) == Gap()
    with server.admin() as admin:
        for message in (b"\xff", b"[]", b'["s1", "x", ""]', b'{"a": 1}'):
            admin.publish("wigwag:changes", message)
            assert await anext(notices) == Gap()


# A cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisCluster]:
    with running_redis_cluster(replicas=1) as started:
        yield started


@pytest.fixture
async def clustered(cluster: RedisCluster) -> AsyncIterator[RedisStore]:
    async with RedisStore(cluster.url, timeout=TIMEOUT) as opened:
        yield opened


async def test_sessions_are_spread_over_the_masters_of_a_cluster(clustered: RedisStore, cluster: RedisCluster) -> None:
    now = time.time()
    for number in range(30):
        await claim(clustered, record(f"s{number}", now=now))
    assert len(await clustered.find_sessions([f"s{number}" for number in range(30)])) == 30
    for master in cluster.masters:
        with master.admin() as admin:
            assert len(admin.keys("wigwag:{s*}:session")) > 0


async def test_registrations_are_listed_from_all_masters_of_a_cluster(
    clustered: RedisStore, cluster: RedisCluster
) -> None:
    aors = {f"sip:user{number}@example.com" for number in range(30)}
    await clustered.put_registrations((aor, binding(now=time.time())) for aor in aors)
    for master in cluster.masters:
        with master.admin() as admin:
            assert len(admin.keys("wigwag:{*}:registration")) > 0
    assert (await listed(clustered)).keys() == aors


async def test_sessions_of_the_user_agent_are_spread_over_the_masters_of_a_cluster(
    clustered: RedisStore, cluster: RedisCluster
) -> None:
    now = time.time()
    ids = sorted(f"spread{number}" for number in range(60))
    written = [
        agent_session(session_id, now=now, application="spread", token=number + 1)
        for number, session_id in enumerate(ids)
    ]
    assert await clustered.put_agent_sessions(written, lease=30) == []
    for master in cluster.masters:
        with master.admin() as admin:
            assert len(admin.keys("wigwag:*:agent")) > 0
    assert [known.session_id for known in await clustered.list_agent_sessions("spread")] == ids
    tokens = {session.session_id: session.token for session in written}
    assert await clustered.renew_agent_sessions("ua-a", {**tokens, ids[3]: 0}, lease=30) == [ids[3]]
    assert await clustered.agent_sessions_of(["ua-a"]) == ids


async def test_a_master_that_lost_everything_shows_in_the_generation(
    clustered: RedisStore, cluster: RedisCluster
) -> None:
    before = (await clustered.beat(POD)).generation
    assert (await clustered.beat(POD)).generation == before
    for master in cluster.masters:
        with master.admin() as admin:
            admin.flushall()
        after = (await clustered.beat(POD)).generation
        assert after != before
        before = after


async def test_a_slot_that_moves_is_followed(clustered: RedisStore, cluster: RedisCluster) -> None:
    claimed = await claim(clustered, record("moving", now=time.time()))
    phone = binding(now=time.time())
    await clustered.register("moving", call_id="c", cseq=1, bindings=[phone], most=1)
    with cluster.masters[2].admin() as source, cluster.masters[1].admin() as target:
        slot = int(source.execute_command("CLUSTER", "KEYSLOT", "moving"))
        source_id, target_id = (client.execute_command("CLUSTER", "MYID") for client in (source, target))
        target.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
        source.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
        for kind in ("session", "registration"):
            key = f"wigwag:{{moving}}:{kind}"
            source.execute_command("MIGRATE", "127.0.0.1", cluster.masters[1].port, key, 0, 5000)
        asked = await clustered.find_sessions(["moving", "s1"])
        assert asked["moving"] == claimed
        moved = await clustered.register("moving", call_id="c", cseq=2, bindings=[phone], most=1)
        for client in (target, source):
            client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", target_id)
    assert await clustered.find_sessions(["moving"]) == {"moving": claimed}
    assert await clustered.find_registrations(["moving"]) == {"moving": moved}
    await clustered.end_session("moving", claimed.epoch)


async def test_a_bucket_that_moves_is_followed(clustered: RedisStore, cluster: RedisCluster) -> None:
    created = await clustered.create_agent_session(agent_session("moving", now=time.time()), lease=30)
    assert created is not None
    [key] = [key.decode() for master in cluster.masters for key in _keys(master, "wigwag:*:moving:agent")]
    source, target = cluster.masters[0], cluster.masters[1]
    for master in cluster.masters:
        if _keys(master, key):
            source, target = master, next(other for other in cluster.masters if other is not master)
    with source.admin() as from_there, target.admin() as to_here:
        slot = int(from_there.execute_command("CLUSTER", "KEYSLOT", key))
        source_id, target_id = (client.execute_command("CLUSTER", "MYID") for client in (from_there, to_here))
        to_here.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
        from_there.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
        from_there.execute_command("MIGRATE", "127.0.0.1", target.port, key, 0, 5000)
        assert await clustered.find_agent_sessions(["moving"]) == {"moving": created}
        with pytest.raises(StoreError):  # half of the bucket is on either side: nothing is written, nothing is lost
            await clustered.save_agent_session("moving", created.token, b"", expires_at=created.expires_at)
        for left in from_there.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 1000):
            from_there.execute_command("MIGRATE", "127.0.0.1", target.port, left, 0, 5000)
        await clustered.save_agent_session("moving", created.token, b"moved", expires_at=created.expires_at)
        for client in (to_here, from_there):
            client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", target_id)
    assert [known.content for known in await clustered.list_agent_sessions(after="movin", limit=1)] == [b"moved"]


def _keys(server: RedisServer, pattern: str) -> list[bytes]:
    with server.admin() as admin:
        found: list[bytes] = admin.keys(pattern)
        return found


async def test_a_replica_takes_over_for_a_master_that_died(clustered: RedisStore, cluster: RedisCluster) -> None:
    before = (await clustered.beat(POD)).generation
    cluster.masters[0].stop()
    names = [f"t{number}" for number in range(30)]
    await until_done(lambda: clustered.find_sessions(names), timeout=30)
    await until_done(lambda: clustered.beat(POD))
    assert (await clustered.beat(POD)).generation != before
    now = time.time()
    assert [(await claim(clustered, record(name, now=now))).session_id for name in names] == names


async def test_a_cluster_that_is_away_fails_within_the_timeout_and_is_found_again(cluster: RedisCluster) -> None:
    for server in (*cluster.masters[1:], *cluster.replicas):
        server.pause()
    async with RedisStore(cluster.url, timeout=TIMEOUT) as store:
        assert await took(lambda: store.beat(POD)) < TIMEOUT + 1.0
        for server in (*cluster.masters[1:], *cluster.replicas):
            server.resume()
        await until_done(lambda: store.beat(POD), timeout=30)
