"""The rules in Lua and those in Python are the same: random operations on both stores get the same answers."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.redis_server import RedisServer
from tests.support.stores import ALICE, BOB, PATIENT, Listener, WallClock, record
from wigwag.errors import WigwagError
from wigwag.store import Claim, Lease, Membership, PeerBinding, Pod, RecordState, Store
from wigwag.store.memory import MemoryStore
from wigwag.store.redis import RedisStore

pytestmark = pytest.mark.peer("redis-server")
_prefixes = count()

SESSION = st.just("s1")
SESSIONS = st.sampled_from(["s1", "s2"])
PODS = st.sampled_from(["pod-a", "pod-b"])
CONNECTIONS = st.integers(1, 2)
OWNERS = st.sampled_from([ALICE, replace(ALICE, client_uri="msrp://elsewhere;tcp"), BOB])
LIFETIMES = st.sampled_from([-59.75, 0.0, 30.0, 300.0])
WINDOWS = st.sampled_from([0.0, 30.0, 60.0])
AGES = st.none() | st.sampled_from([0.0, 29.5, 30.0, -5.0])
STEPS = st.sampled_from([0.0004, 1.0, 0.5, 29.5, 30.0, 60.0, 3700.0, -1.0, -3600.0])
EPOCHS = st.tuples(st.integers(0, 2), st.integers(-1, 1) | st.just(0))
"""Which of the latest epochs that were given out, and how far from it."""
BINDINGS = st.builds(PeerBinding, PODS, CONNECTIONS)
PEERS = st.sampled_from(["p1", "p2", "p3"])
MOST = st.integers(1, 2)


@dataclass
class World:
    """What operations refer to."""

    clock: WallClock
    epochs: list[int] = field(default_factory=lambda: [0])
    leases: list[Lease] = field(default_factory=lambda: [Lease("l", "nobody", 0)])

    def epoch(self, choice: tuple[int, int]) -> int:
        index, distance = choice
        return self.epochs[-1 - index % len(self.epochs)] + distance

    def learn(self, answer: object) -> None:
        if isinstance(answer, Claim):
            self.epochs.append(answer.record.epoch)
        if isinstance(answer, Lease):
            self.leases.append(answer)


Operation = tuple[str, dict[str, Any]]


def operation(name: str, **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Operation]:
    return st.tuples(st.just(name), st.fixed_dictionaries(arguments))


RECORD = {
    "session_id": SESSION,
    "pod": PODS,
    "connection": CONNECTIONS,
    "lifetime": LIFETIMES,
    "fencing_token": st.sampled_from([0, 0, 7, 8]),
}
WRITTEN_AGAIN = {
    **RECORD,
    "session_id": SESSIONS,
    "owner": OWNERS,
    "epoch": EPOCHS,
    "state": st.just(RecordState.ACTIVE),
}
BIND = {"session_id": SESSION, "peer": PEERS, "binding": BINDINGS, "lifetime": LIFETIMES, "replacing": BINDINGS}
WAIT = operation("wait", seconds=STEPS)
CLAIM = operation("claim_session", **RECORD, epoch=EPOCHS, must=st.booleans(), window=WINDOWS, dead=AGES)
OPERATIONS = {
    "pods": st.one_of(
        operation("wait", seconds=st.sampled_from([1.0, 3700.0, -3600.0])),
        operation("beat", pod=PODS, draining=st.booleans()),
        operation("leave", pod=PODS),
        operation("put_status", pod=PODS, document=st.binary(max_size=3)),
        operation("statuses"),
    ),
    "sessions": st.one_of(
        WAIT,
        CLAIM,
        operation("claim_session", **RECORD, epoch=EPOCHS, must=st.just(False), window=WINDOWS, dead=st.none()),
        operation("extend_session", session_id=SESSION, epoch=EPOCHS, lifetime=LIFETIMES),
        operation("suspend_session", session_id=SESSION, epoch=EPOCHS),
        operation("end_session", session_id=SESSION, epoch=EPOCHS),
        operation("find_sessions"),
        operation("put_sessions", **RECORD, epoch=EPOCHS, state=st.sampled_from(RecordState)),
    ),
    "owners": st.one_of(
        operation("wait", seconds=st.sampled_from([30.0, 60.0, 300.0])),
        operation("claim_owner", owner=OWNERS, candidate=SESSIONS, lifetime=LIFETIMES, most=MOST, replacing=SESSIONS),
        operation("claim_owner", owner=OWNERS, candidate=SESSIONS, lifetime=LIFETIMES, most=MOST, replacing=st.none()),
        operation("release_owner", owner=OWNERS, session_id=SESSIONS),
        operation(
            "put_sessions",
            **{**RECORD, "session_id": SESSIONS, "owner": OWNERS},
            epoch=EPOCHS,
            state=st.just(RecordState.ACTIVE),
        ),
    ),
    "peers": st.one_of(
        WAIT,
        operation(
            "bind_peer", session_id=SESSION, peer=PEERS, binding=BINDINGS, lifetime=LIFETIMES, replacing=BINDINGS
        ),
        operation("find_peer", session_id=SESSION, peer=PEERS),
        operation("unbind_peer", session_id=SESSION, peer=PEERS, binding=BINDINGS),
        operation("end_session", session_id=SESSION, epoch=EPOCHS),
        CLAIM,
    ),
    "leases": st.one_of(
        WAIT,
        operation("acquire_lease", holder=PODS, seconds=st.sampled_from([1.0, 30.0])),
        operation("acquire_lease", holder=PODS, seconds=st.just(1.0)),
        operation("release_lease", index=st.integers(0, 2)),
    ),
}


async def carry_out(store: Store, world: World, name: str, given_: dict[str, Any]) -> object:
    """Carry out one operation; return its answer, or the error."""
    try:
        answer = await _CARRY_OUT[name](store, world, **given_)
    except WigwagError as error:
        return type(error), str(error)
    if isinstance(answer, Membership):
        return sorted((seen.pod.id, seen.pod, round(seen.age, 4)) for seen in answer.sightings)
    return answer


def _claim_session(
    store: Store,
    world: World,
    *,
    epoch: tuple[int, int],
    must: bool,
    window: float,
    dead: float | None,
    **fields: Any,
) -> Any:
    now = world.clock.now
    wanted = record(now=now, epoch=max(world.epoch(epoch), 0), **fields)
    since = None if dead is None else now - dead
    return store.claim_session(wanted, must_exist=must, resume_window=window, dead_since=since)


def _put_sessions(store: Store, world: World, *, epoch: tuple[int, int], state: RecordState, **fields: Any) -> Any:
    wanted = record(now=world.clock.now, epoch=world.epoch(epoch), state=state, **fields)
    return store.put_sessions([replace(wanted, suspended_at=world.clock.now - 7.25)])


_CARRY_OUT: dict[str, Callable[..., Any]] = {
    "beat": lambda store, world, pod, draining: store.beat(Pod(id=pod, address="a:1", draining=draining)),
    "leave": lambda store, world, pod: store.leave(pod),
    "put_status": lambda store, world, pod, document: store.put_status(pod, document),
    "statuses": lambda store, world: store.statuses(),
    "claim_owner": lambda store, world, owner, candidate, lifetime, most, replacing: store.claim_owner(
        owner, candidate, expires_at=world.clock.now + lifetime, most=most, replacing=replacing
    ),
    "release_owner": lambda store, world, owner, session_id: store.release_owner(owner, session_id),
    "claim_session": _claim_session,
    "extend_session": lambda store, world, session_id, epoch, lifetime: store.extend_session(
        session_id, world.epoch(epoch), expires_at=world.clock.now + lifetime
    ),
    "suspend_session": lambda store, world, session_id, epoch: store.suspend_session(session_id, world.epoch(epoch)),
    "end_session": lambda store, world, session_id, epoch: store.end_session(session_id, world.epoch(epoch)),
    "find_sessions": lambda store, world: store.find_sessions(["s1", "s2"]),
    "put_sessions": _put_sessions,
    "bind_peer": lambda store, world, session_id, peer, binding, lifetime, replacing: store.bind_peer(
        session_id, peer, binding, expires_at=world.clock.now + lifetime, most=2, replacing=replacing
    ),
    "find_peer": lambda store, world, session_id, peer: store.find_peer(session_id, peer),
    "unbind_peer": lambda store, world, session_id, peer, binding: store.unbind_peer(session_id, peer, binding),
    "acquire_lease": lambda store, world, holder, seconds: store.acquire_lease("l", holder, seconds=seconds),
    "release_lease": lambda store, world, index: store.release_lease(world.leases[-1 - index % len(world.leases)]),
}


@pytest.mark.parametrize("area", OPERATIONS)
@settings(max_examples=200)
@given(data=st.data())
async def test_both_stores_answer_the_same_and_tell_the_same(
    redis: RedisServer, area: str, data: st.DataObject
) -> None:
    operations = data.draw(st.lists(OPERATIONS[area], min_size=5, max_size=40))
    clock = WallClock(1_764_100_000.25)
    world = World(clock)
    async with (
        MemoryStore(clock=clock) as ours,
        RedisStore(redis.url, timeout=PATIENT, clock=clock, prefix=f"rules{next(_prefixes)}") as theirs,
        Listener(ours) as told,
        Listener(theirs) as told_by_redis,
    ):
        for name, arguments in operations:
            if name == "wait":
                clock.now += arguments["seconds"]
                continue
            answer = await carry_out(ours, world, name, arguments)
            assert await carry_out(theirs, world, name, arguments) == answer, (name, arguments)
            world.learn(answer)
        for store in (ours, theirs):
            last = await store.claim_session(record("last", now=clock.now), must_exist=False, resume_window=60)
            assert last is not None
            await store.end_session("last", last.record.epoch)
        async with asyncio.timeout(5):
            while (notice := await told.next()) == await told_by_redis.next():
                if getattr(notice, "session_id", "") == "last":
                    return
        pytest.fail("they tell different things")
