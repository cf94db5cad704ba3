"""The rules about conversations in Lua and in Python are the same: both stores answer the same."""

from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.redis_server import RedisServer
from tests.support.stores import PATIENT, WallClock, conversation
from wigwag.errors import WigwagError
from wigwag.store import Conversation, Store
from wigwag.store.memory import MemoryStore
from wigwag.store.redis import RedisStore

pytestmark = pytest.mark.peer("redis-server")
_prefixes = count()

USERS = st.sampled_from(["sip:a@x", "sip:b@x", "sip:c@x"])
KEEPS = st.sampled_from([0.0, 30.0, 300.0])
STEPS = st.sampled_from([0.0004, 1.0, 29.5, 60.0, 90.0, -1.0, -3600.0])
GENERATIONS = st.tuples(st.integers(0, 3), st.integers(-1, 1) | st.just(0))
"""Which of the latest generations that were given out, and how far from it."""
TEXTS = {
    "session_id": st.sampled_from(["", "u1"]),
    "started_by": st.sampled_from(["page", "session"]),
    "failures": st.integers(0, 3),
    "reason": st.sampled_from(["", "BYE", "ü ' \" \\"]),
}
Fields = dict[str, Any]
Operation = tuple[str, Fields]


@dataclass
class World:
    """What operations refer to."""

    generations: list[int] = field(default_factory=lambda: [0])

    def generation(self, choice: tuple[int, int]) -> int:
        index, distance = choice
        return max(self.generations[-1 - index % len(self.generations)] + distance, 0)

    def learn(self, answer: object) -> None:
        match answer:
            case (Conversation(generation=generation), True) | Conversation(generation=generation):
                self.generations.append(generation)


def operation(name: str, **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Operation]:
    return st.tuples(st.just(name), st.fixed_dictionaries(arguments))


PARTIES = {"page": USERS, "session": USERS}
OPERATIONS = st.one_of(
    operation("wait", seconds=STEPS),
    operation("open", **PARTIES, **TEXTS, after=GENERATIONS, most=st.integers(0, 3), keep=KEEPS),
    operation(
        "put",
        **PARTIES,
        **TEXTS,
        state=st.sampled_from(["starting", "open", "closed"]),
        generation=GENERATIONS,
        created_at=st.sampled_from([0.0, 1.25]),
        closed_at=st.sampled_from([0.0, 2.5]),
        keep=KEEPS,
    ),
    operation("list", address=st.just("") | USERS, after=st.just("") | USERS, limit=st.integers(1, 3)),
)


async def carry_out(store: Store, world: World, name: str, arguments: Fields) -> object:
    """Carry out one operation; return its answer, or the error's kind."""
    fields = dict(arguments)
    try:
        if name == "list":
            return await store.list_conversations(**fields)
        keep = fields.pop("keep")
        if name == "put":
            generation = world.generation(fields.pop("generation"))
            return await store.put_conversation(conversation(generation=generation, **fields), keep=keep)
        after, most = world.generation(fields.pop("after")), fields.pop("most")
        return await store.open_conversation(conversation(**fields), after=after, most=most, keep=keep)
    except WigwagError as error:
        return type(error)


@settings(max_examples=150, deadline=None)
@given(operations=st.lists(OPERATIONS, min_size=5, max_size=40))
async def test_both_stores_answer_the_same(redis: RedisServer, operations: list[Operation]) -> None:
    clock, world = WallClock(1_764_100_000.25), World()
    keys = [conversation(f"sip:{one}@x", f"sip:{other}@x").key for one in "abc" for other in "abc"]
    async with (
        MemoryStore(clock=clock) as ours,
        RedisStore(redis.url, timeout=PATIENT, clock=clock, prefix=f"talks{next(_prefixes)}") as theirs,
    ):
        for name, arguments in operations:
            if name == "wait":
                clock.now += arguments["seconds"]
                continue
            answer = await carry_out(ours, world, name, arguments)
            assert await carry_out(theirs, world, name, arguments) == answer, (name, arguments)
            world.learn(answer)
            assert await theirs.find_conversations(keys) == await ours.find_conversations(keys)
