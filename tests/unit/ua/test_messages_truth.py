"""Whatever is killed, lost or away: each message that was answered has one final state, and it is true."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import cast

import pytest

from tests.support.ledger import ManualClock, eventually
from tests.support.ua_messages import FakeOwned, MessageWorld, message_world
from wigwag.database.ledger import State
from wigwag.ua.endpoint.model import Settlement
from wigwag.ua.sessions.ports import OwnedSession

STEPS = 60


@dataclass(slots=True)
class Peer:
    """A SIP user who gets some of what is sent, and says so of some of that."""

    arrived: dict[str, None] = field(default_factory=dict)
    """Ids in the order of their first arrival."""
    silent: set[tuple[int, str]] = field(default_factory=set)
    """Pod and id of what came without a word: that pod's peer does not refuse it any more."""

    def look(self, random: Random, own: FakeOwned, world: MessageWorld) -> None:
        """Do something about the oldest messages on their way."""
        left = [message_id for message_id in own.wire.on_its_way if message_id not in own.wire.unsent]
        for message_id in left[: random.randrange(1, 6)]:
            fate = random.random()
            if fate < 0.6:
                self.arrived.setdefault(message_id)
                world.settle(own, message_id)
            elif fate < 0.7 and (own.token, message_id) not in self.silent:
                world.settle(own, message_id, Settlement.FAILED, 413)
            elif fate < 0.8:
                # It comes, and the report on it is lost with the connection.
                self.arrived.setdefault(message_id)
                world.settle(own, message_id, Settlement.UNCONFIRMED, 0)
            elif fate < 0.9:
                self.arrived.setdefault(message_id)
                self.silent.add((own.token, message_id))
            else:
                return


@dataclass(slots=True)
class History:
    """One run: pods that come and go over one ledger."""

    directory: Path
    random: Random
    clock: ManualClock = field(default_factory=ManualClock)
    peer: Peer = field(default_factory=Peer)
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    token: int = 0
    answered: list[str] = field(default_factory=list)
    world: MessageWorld | None = None
    owners: list[FakeOwned] = field(default_factory=list)

    @property
    def left(self) -> set[str]:
        """Ids of what any pod has sent."""
        return {message.message_id for own in self.owners for message in own.wire.sent}

    async def another_pod(self) -> tuple[MessageWorld, FakeOwned]:
        """Kill the pod, with all that it has not written, and take the session over at another."""
        if self.world is not None:
            await self._kill(self.world)
        self.token += 1
        context = message_world(
            self.directory, pod=f"pod-{self.token}", clock=self.clock, limits={"in_flight": 4, "unsent": 1_000}
        )
        self.world = await self.stack.enter_async_context(context)
        self.owners.append(await self.world.open(token=self.token, policy={"outcome_timeout": 30.0}))
        return self.world, self.owners[-1]

    async def _kill(self, world: MessageWorld) -> None:
        async def nothing(timeout: float) -> None:
            return

        world.pipeline.edits.flush = nothing  # type: ignore[method-assign]
        world.ledger.is_away = False
        await self.stack.aclose()
        self.stack = AsyncExitStack()

    async def accept(self, world: MessageWorld, own: FakeOwned) -> None:
        bodies = [f"{len(self.answered)}.{number}" for number in range(self.random.randrange(1, 8))]
        for outcome in await world.send(own, *bodies):
            if outcome.error is None:
                self.answered.append(outcome.message_id)


async def run(history: History) -> None:
    random = history.random
    world, own = await history.another_pod()
    for _ in range(STEPS):
        chance = random.random()
        if chance < 0.3:
            await history.accept(world, own)
        elif chance < 0.6:
            history.peer.look(random, own, world)
        elif chance < 0.67:
            world.ledger.is_away = not world.ledger.is_away
        elif chance < 0.72:
            world, own = await history.another_pod()
        elif chance < 0.86:
            history.clock.now += random.uniform(1, 20)
            world.pipeline.delivery.tick()
        elif chance < 0.95:
            own.wire.line_is_up = False
        else:
            own.wire.line_up()
        for _ in range(random.randrange(4)):
            await asyncio.sleep(0.001)
    world.ledger.is_away = False
    await finish(history, world, own)
    positions = {row.id: row.position for row in await world.rows()}
    sent = [positions[message.message_id] for message in own.wire.sent]
    assert sent == sorted(set(sent)), "in the order of their acceptance, each once"


async def finish(history: History, world: MessageWorld, own: FakeOwned) -> None:
    """End the session as the endpoint does: what may have left is unconfirmed, what has not has failed."""
    for message_id in list(own.wire.on_its_way):
        world.settle(own, message_id, Settlement.UNCONFIRMED, 0)
    del world.sessions.mine["s1"]
    await world.pipeline.ended(cast(OwnedSession, own), "over")

    async def all_final() -> bool:
        await world.ledger.end_overdue()
        return State.ACCEPTED not in await world.states()

    await eventually(all_final)


@pytest.mark.parametrize("seed", range(24))
async def test_each_message_that_was_answered_has_one_state_and_it_is_true(tmp_path: Path, seed: int) -> None:
    history = History(tmp_path, Random(seed))
    try:
        await run(history)
        assert history.world is not None
        rows = {row.id: row for row in await history.world.rows()}
        arrived = history.peer.arrived
        assert set(history.answered) <= set(rows)
        for message_id, row in rows.items():
            if row.state is State.DELIVERED:
                assert message_id in arrived
            elif row.state is State.FAILED and not row.status:
                assert message_id not in history.left, row.reason
            elif row.state in (State.FAILED, State.EXPIRED):
                assert message_id not in arrived, (row.state, row.reason)
    finally:
        await history.stack.aclose()
