"""The rules about bindings and nonces in Lua and in Python are the same: both stores answer and tell the same."""

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.redis_server import RedisServer
from tests.support.stores import FLOW, PATIENT, Listener, WallClock, binding
from wigwag.errors import WigwagError
from wigwag.store import Binding, Flow, Registration, RegistrationChanged, Store
from wigwag.store.memory import MemoryStore
from wigwag.store.redis import RedisStore

pytestmark = pytest.mark.peer("redis-server")
_prefixes = count()

AOR = "sip:alice@example.com"
CALL_IDS = st.sampled_from(["c1", "c2", "\udcff"])
CSEQS = st.integers(1, 4)
KEYS = st.sampled_from(["k1", "k2", "k3"])
MANY_KEYS = st.sampled_from([f"k{number}" for number in range(1, 24)])
FLOWS = st.none() | st.sampled_from([FLOW, Flow(pod="pod-b", listener="l", connection=7, transport="ws", remote="é")])
WRITERS = st.sampled_from(["", "pod-a", "pod-b"])
LIFETIMES = st.sampled_from([-1.0, 0.0, 30.0, 300.5, 3600.0])
STEPS = st.sampled_from([0.0004, 1.0, 29.75, 30.0, 300.0, 3600.0, -1.0, -400.0])
WRITTEN = st.sampled_from([-400.0, -1.0, -0.001, 0.0, 0.001, 60.0])
Fields = dict[str, Any]
Operation = tuple[str, Fields]


def operation(name: str, **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Operation]:
    return st.tuples(st.just(name), st.fixed_dictionaries(arguments))


def contacts(keys: st.SearchStrategy[str]) -> st.SearchStrategy[Fields]:
    more = {"flow": FLOWS, "q": st.sampled_from([500, 1000]), "writer": WRITERS}
    return st.fixed_dictionaries({"key": keys, "lifetime": LIFETIMES, **more})


LASTING = st.fixed_dictionaries({"key": st.just("k1"), "lifetime": st.sampled_from([30.0, 3600.0])})


def register(keys: st.SearchStrategy[str], **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Operation]:
    wanted = {
        "call_id": CALL_IDS,
        "cseq": CSEQS,
        "contacts": st.lists(contacts(keys), max_size=3),
        "removed": st.lists(keys, max_size=2),
        "remove_all": st.just(False),
        "most": st.integers(1, 4),
    }
    return operation("register", **{**wanted, **arguments})


REFRESH = register(
    KEYS, contacts=st.lists(contacts(KEYS), min_size=1, max_size=1), removed=st.just([]), most=st.just(9)
)
PUT = operation(
    "put", key=KEYS, call_id=CALL_IDS, cseq=CSEQS, lifetime=LIFETIMES, written=WRITTEN, flow=FLOWS, writer=WRITERS
)
OPERATIONS = {
    "requests": st.one_of(
        REFRESH,
        register(KEYS),
        register(KEYS, remove_all=st.booleans()),
        operation("wait", seconds=STEPS),
        operation("drop", key=KEYS, flow=st.just(FLOW), remove=st.booleans()),
        operation("remove", keys=st.none() | st.lists(KEYS, max_size=2)),
        operation("find"),
    ),
    "written again": st.one_of(
        PUT,
        operation("put back", index=st.integers(0, 5)),
        REFRESH,
        register(KEYS, contacts=st.just([]), remove_all=st.booleans()),
        operation("remove", keys=st.none() | st.lists(KEYS, max_size=2)),
        operation("wait", seconds=STEPS),
        operation("drop", key=KEYS, flow=st.just(FLOW), remove=st.booleans()),
    ),
    "expiry": st.one_of(
        register(
            st.just("k1"), contacts=st.lists(LASTING, min_size=1, max_size=1), removed=st.just([]), most=st.just(1)
        ),
        operation("remove", keys=st.sampled_from([None, ["k1"]])),
        operation("put", key=st.just("k1"), call_id=st.just("old"), lifetime=st.just(9000.0), written=st.just(-9000.0)),
        operation("wait", seconds=st.sampled_from([299.5, 300.0, 30.0, 3300.0])),
    ),
    "many removals": st.one_of(
        register(MANY_KEYS, removed=st.lists(MANY_KEYS, min_size=5, max_size=12), most=st.just(30)),
        operation("put", key=MANY_KEYS, call_id=CALL_IDS, cseq=CSEQS, lifetime=LIFETIMES, written=WRITTEN, flow=FLOWS),
        operation("remove", keys=st.lists(MANY_KEYS, min_size=5, max_size=20)),
        operation("wait", seconds=STEPS),
    ),
    "nonces": st.one_of(
        operation(
            "nonce",
            nonce=st.sampled_from(["n1", "n2"]),
            nc=st.integers(1, 70) | st.sampled_from([0, -1, 0xFFFFFFFF, 0x100000000, 0xFFFFFFF0, 1 << 70]),
            lifetime=LIFETIMES,
        ),
        operation("nonce", nonce=st.just("n1"), nc=st.integers(1, 40), lifetime=st.just(300.0)),
        operation("wait", seconds=STEPS),
    ),
}


class World:
    """One store, what it answered, and its operations by name."""

    def __init__(self, store: Store, clock: WallClock) -> None:
        self._store = store
        self._clock = clock
        self._known: list[Binding] = []

    async def carry_out(self, name: str, arguments: Fields) -> object:
        """Return the answer of an operation, or its error."""
        operations: dict[str, Callable[..., Any]] = {
            "register": self._register,
            "put": self._put,
            "put back": self._put_back,
            "find": lambda: self._store.find_registrations([AOR, "nobody"]),
            "drop": lambda **wanted: self._store.drop_flow(AOR, **wanted),
            "remove": lambda keys: self._store.remove_bindings(AOR, keys),
            "nonce": lambda nonce, nc, lifetime: self._store.use_nonce(
                nonce, nc, expires_at=self._clock.now + lifetime
            ),
        }
        try:
            answer = await operations[name](**arguments)
        except WigwagError as error:
            return type(error), str(error)
        if isinstance(answer, Registration):
            self._known += answer.bindings
        return answer

    async def found(self) -> object:
        """Return all there is."""
        registrations: AsyncIterator[Registration] = self._store.registrations()
        return [registration async for registration in registrations]

    def _register(self, contacts: list[Fields], **wanted: Any) -> Any:
        bindings = [binding(now=self._clock.now, **fields) for fields in contacts]
        return self._store.register(AOR, bindings=bindings, **wanted)

    def _put(self, written: float, **fields: Any) -> Any:
        now = self._clock.now
        return self._store.put_registrations([(AOR, binding(now=now, updated_at=now + written, **fields))])

    def _put_back(self, index: int) -> Any:
        return self._store.put_registrations([(AOR, known) for known in self._known[-1 - index : -index or None]])


@pytest.mark.parametrize("area", OPERATIONS)
@settings(max_examples=200)
@given(data=st.data())
async def test_both_stores_answer_the_same_and_tell_the_same(
    redis: RedisServer, area: str, data: st.DataObject
) -> None:
    operations = data.draw(st.lists(OPERATIONS[area], min_size=5, max_size=40))
    clock = WallClock(1_764_100_000.25)
    async with (
        MemoryStore(clock=clock) as ours,
        RedisStore(redis.url, timeout=PATIENT, clock=clock, prefix=f"bindings{next(_prefixes)}") as theirs,
        Listener(ours) as told,
        Listener(theirs) as told_by_redis,
    ):
        here, there = World(ours, clock), World(theirs, clock)
        for name, arguments in operations:
            if name == "wait":
                clock.now += arguments["seconds"]
                continue
            answer = await here.carry_out(name, arguments)
            assert await there.carry_out(name, arguments) == answer, (name, arguments)
            # As text, since writers don't count where bindings are compared.
            assert repr(await there.found()) == repr(await here.found()), (name, arguments)
        for store in (ours, theirs):
            await store.register("last", call_id="c", cseq=1, bindings=[binding(now=clock.now)], most=1)
        async with asyncio.timeout(5):
            while (notice := await told.next()) == await told_by_redis.next():
                if isinstance(notice, RegistrationChanged) and notice.aor == "last":
                    return
        pytest.fail("they tell different things")
