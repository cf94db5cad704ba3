"""The rules about the user agent's sessions in Lua and in Python are the same: both stores answer the same."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.redis_server import RedisServer
from tests.support.stores import PATIENT, WallClock, agent_session
from wigwag.errors import WigwagError
from wigwag.store import AgentSession, Store
from wigwag.store.memory import MemoryStore
from wigwag.store.redis import RedisStore

pytestmark = pytest.mark.peer("redis-server")
_prefixes = count()

IDS = st.sampled_from(["u1", "u2"])
PODS = st.sampled_from(["ua-a", "ua-b"])
OWNERS = st.sampled_from(["ua-a", "ua-b", ""])
APPLICATIONS = st.sampled_from(["desk", "desk-2"])
LIFETIMES = st.sampled_from([-59.75, 0.0, 30.0, 300.0])
LEASES = st.sampled_from([0.0004, 6.0, 6.0, 1e9])
STEPS = st.sampled_from([0.0004, 1.0, 6.0, 29.5, 60.0, -1.0, -3600.0])
TOKENS = st.tuples(st.integers(0, 2), st.integers(-1, 1) | st.just(0))
"""Which of the latest tokens that were given out, and how far from it."""
CONTENT = st.binary(max_size=3)
Fields = dict[str, Any]
Operation = tuple[str, Fields]


@dataclass
class World:
    """What operations refer to."""

    clock: WallClock
    tokens: list[int] = field(default_factory=lambda: [1])

    def token(self, choice: tuple[int, int]) -> int:
        index, distance = choice
        return max(self.tokens[-1 - index % len(self.tokens)] + distance, 0)

    def learn(self, answer: object) -> None:
        if isinstance(answer, AgentSession):
            self.tokens.append(answer.token)

    def session(self, *, token: tuple[int, int], **fields: Any) -> AgentSession:
        return agent_session(now=self.clock.now, token=self.token(token), **fields)


def operation(name: str, **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Operation]:
    return st.tuples(st.just(name), st.fixed_dictionaries(arguments))


SESSION = {
    "session_id": IDS,
    "application": APPLICATIONS,
    "pod": OWNERS,
    "lifetime": LIFETIMES,
    "content": CONTENT,
    "token": TOKENS,
}
OPERATIONS = st.one_of(
    operation("wait", seconds=STEPS),
    operation("create", **SESSION, lease=LEASES),
    operation("claim", session_id=IDS, pod=PODS, lease=LEASES, dead=st.lists(PODS, max_size=1)),
    operation("renew", pod=PODS, tokens=st.dictionaries(IDS, TOKENS), lease=LEASES),
    operation("save", session_id=IDS, token=TOKENS, content=CONTENT, lifetime=LIFETIMES),
    operation("release", session_id=IDS, token=TOKENS),
    operation("end", session_id=IDS, token=TOKENS, content=CONTENT, keep=st.sampled_from([0.0, 60.0])),
    operation("list", application=st.just("") | APPLICATIONS, after=st.just("") | IDS, limit=st.integers(1, 2)),
    operation("ownerless", limit=st.integers(1, 2)),
    operation("put", **SESSION, ended=st.booleans(), lease=LEASES),
)


async def carry_out(store: Store, world: World, name: str, arguments: Fields) -> object:
    """Carry out one operation; return its answer, or the error."""
    try:
        return await _CARRY_OUT[name](store, world, **arguments)
    except WigwagError as error:
        return type(error), str(error)


_CARRY_OUT: dict[str, Callable[..., Any]] = {
    "create": lambda store, world, lease, **fields: store.create_agent_session(world.session(**fields), lease=lease),
    "claim": lambda store, world, session_id, **fields: store.claim_agent_session(session_id, **fields),
    "renew": lambda store, world, pod, tokens, lease: store.renew_agent_sessions(
        pod, {session_id: world.token(token) for session_id, token in tokens.items()}, lease=lease
    ),
    "save": lambda store, world, session_id, token, content, lifetime: store.save_agent_session(
        session_id, world.token(token), content, expires_at=world.clock.now + lifetime
    ),
    "release": lambda store, world, session_id, token: store.release_agent_session(session_id, world.token(token)),
    "end": lambda store, world, session_id, token, content, keep: store.end_agent_session(
        session_id, world.token(token), content, keep=keep
    ),
    "list": lambda store, world, **fields: store.list_agent_sessions(**fields),
    "ownerless": lambda store, world, limit: store.ownerless_agent_sessions(limit=limit),
    "put": lambda store, world, lease, **fields: store.put_agent_sessions([world.session(**fields)], lease=lease),
}


@settings(max_examples=150, deadline=None)
@given(operations=st.lists(OPERATIONS, min_size=5, max_size=40))
async def test_both_stores_answer_the_same(redis: RedisServer, operations: list[Operation]) -> None:
    clock = WallClock(1_764_100_000.25)
    world = World(clock)
    async with (
        MemoryStore(clock=clock) as ours,
        RedisStore(redis.url, timeout=PATIENT, clock=clock, prefix=f"agents{next(_prefixes)}") as theirs,
    ):
        for name, arguments in operations:
            if name == "wait":
                clock.now += arguments["seconds"]
                continue
            answer = await carry_out(ours, world, name, arguments)
            assert await carry_out(theirs, world, name, arguments) == answer, (name, arguments)
            world.learn(answer)
            assert await theirs.find_agent_sessions(["u1", "u2"]) == await ours.find_agent_sessions(["u1", "u2"])
