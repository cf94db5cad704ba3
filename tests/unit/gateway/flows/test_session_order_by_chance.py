"""Order of MESSAGEs into sessions, whatever comes when: two pods, sessions that come, are replaced and end, kills."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence

import pytest

from tests.support.gateway_chance import Chance
from tests.support.gateway_world import ALICE, BOB, ENDED, OFFERED, OPEN, STARTING, GatewayWorld, Killed
from wigwag.api.ua.v1 import session_pb2, ua_pb2
from wigwag.database.ledger import Change, LedgerRow, State
from wigwag.errors import OverloadedError
from wigwag.gateway.ports import Handed
from wigwag.runtime.ua_messages import OUTBOUND, conversation_of, keyed_id
from wigwag.store import Conversation

STEPS = 80
SEEDS = (*range(5), 40, 54, 62)
MOST_ROUNDS = 60


class Sessions(Chance):
    """Alice writes; Bob takes sessions, calls, hangs up, and gets what is sent in a session in its order."""

    def __init__(self, world: GatewayWorld, seed: int) -> None:
        super().__init__(world, seed)
        self.got: list[str] = []
        self.queues: defaultdict[str, list[str]] = defaultdict(list)
        """Session -> what its owner has to send, in order."""
        self.not_brought: list[tuple[str, str]] = []
        """Session and id of what is durable, and the present owner of its session does not know of yet."""
        self.loses_owner = False
        self.is_slow = True
        self.at_bob = asyncio.Lock()
        send, session, find_many = world.agents.send, world.agents.session, world.ledger.find_many

        async def slow_send(messages: Sequence[ua_pb2.OutboundMessage]) -> list[Handed]:
            await self.pause()
            is_lost, self.loses_owner = self.loses_owner, False
            try:
                handed = await send(messages)
            except Killed:
                for message in messages:
                    self._is_durable(message.session_id, keyed_id(message.session_id, message.idempotency_key))
                raise
            pairs = [(message.session_id, each.message_id) for message, each in zip(messages, handed, strict=True)]
            if is_lost:
                self.not_brought += pairs
                raise OverloadedError("the owner does not answer")
            for pair in pairs:
                self._is_durable(*pair)
            await self.pause()
            return handed

        async def slow_session(session_id: str) -> session_pb2.Session:
            await self.pause()
            return await session(session_id)

        async def slow_find_many(message_ids: Iterable[str]) -> dict[str, LedgerRow]:
            found = await find_many(message_ids)
            await self.pause()
            return found

        find_conversations = world.store.find_conversations

        async def slow_find_conversations(keys: Sequence[str]) -> dict[str, Conversation]:
            found = await find_conversations(keys)
            await self.pause()
            return found

        world.store.find_conversations = slow_find_conversations  # type: ignore[method-assign]
        world.ledger.find_many = slow_find_many  # type: ignore[method-assign]
        world.agents.send = slow_send  # type: ignore[method-assign]
        world.agents.session = slow_session  # type: ignore[method-assign]

    def _is_durable(self, session_id: str, row_id: str) -> None:
        if row_id and row_id not in self.queues[session_id]:
            self.queues[session_id].append(row_id)

    async def owner_is_lost(self) -> None:
        """Let the owner of a session lose it in the moment in which he writes the next messages down."""
        self.loses_owner = True

    async def are_brought(self) -> None:
        """Let the next owner hear of what the last one had written down."""
        while self.not_brought:
            self._is_durable(*self.not_brought.pop(0))

    async def pause(self) -> None:
        """Let others go on, at times for long."""
        if self.is_slow:
            for _ in range(self.random.choice((0, 1, 5, 40))):
                await asyncio.sleep(0)

    async def some(self) -> None:
        await self.collect()
        keys = sorted(key for key, records in self.waiting.items() if records)
        others = (self.hangs_up, self.answers, self.calls, self.obeys, self.delivers)
        going = [self.handle(key) for key in self.random.sample(keys, min(len(keys), 4))]
        await asyncio.gather(*going, *(each() for each in self.random.sample(others, self.random.randrange(3))))

    async def writes(self) -> None:
        text = str(len(self.said))
        await self.world.writes(text, reason="session-mode")
        self.said.append(text)

    async def is_written_to(self) -> None:
        """Let Alice get a message in between."""
        await self.world.writes("the other way", sender=BOB, recipient=ALICE)

    def in_state(self, *states: "session_pb2.SessionState") -> list[session_pb2.Session]:
        return [each for each in self.world.agents.sessions.values() if each.state in states]

    async def under_way(self, session: session_pb2.Session) -> list[LedgerRow]:
        rows = await self.world.ledger.conversation(conversation_of(session.session_id), limit=500)
        return [row for row in rows if row.direction == OUTBOUND and row.state is State.ACCEPTED]

    async def delivers(self) -> None:
        """Let Bob get the next message of a session."""
        async with self.at_bob:
            await self._delivers()

    async def _delivers(self) -> None:
        for session in self.in_state(OPEN):
            rows = {row.id: row for row in await self.under_way(session)}
            found = next((row_id for row_id in self.queues[session.session_id] if row_id in rows), None)
            if found is not None:
                change = Change(id=found, version=1, state=State.DELIVERED, status=200)
                if (await self.world.ledger.apply_one(change)).done:
                    self.got.append((rows[found].body or b"").decode())

    async def calls(self) -> None:
        self.sessions += 1
        await self.world.calls(f"bob{self.sessions}")

    async def answers(self) -> None:
        """Let a session open that can."""
        answered = {session_id for called, session_id in self.world.agents.calls if called == "answer"}
        for session in self.in_state(STARTING, OFFERED):
            if session.state == STARTING or session.session_id in answered:
                await self.world.opens(session)
                return

    async def hangs_up(self) -> None:
        async with self.at_bob:
            there = self.in_state(OPEN, STARTING, OFFERED)
            if there:
                await self._is_over(self.random.choice(there))

    async def _is_over(self, session: session_pb2.Session) -> None:
        """Let a session end; what it has not sent has failed, and maybe that is told first."""
        cause = session_pb2.END_CAUSE_ENDED_BY_PEER if session.state == OPEN else session_pb2.END_CAUSE_TIMEOUT
        session.state = ENDED
        if self.random.random() < 0.5:
            await self.fail(session)
        await self.world.ends(session, cause)
        await self.collect()
        await self.fail(session)

    async def fail(self, session: session_pb2.Session) -> None:
        for row in await self.under_way(session):
            await self.world.ledger.apply_one(Change(id=row.id, version=1, state=State.FAILED))

    async def obeys(self) -> None:
        """Let ua end and reject what it was told to."""
        wanted = {session_id for called, session_id in self.world.agents.calls if called in ("end", "reject")}
        async with self.at_bob:
            for session in self.in_state(OPEN, STARTING, OFFERED):
                if session.session_id in wanted:
                    await self._is_over(session)

    async def dies(self) -> None:
        where = self.world.agents.after if self.random.random() < 0.5 else self.world.agents.failures
        where.setdefault("send", []).append(Killed())

    async def finish(self) -> None:
        self.is_slow = self.loses_owner = False
        for _ in range(MOST_ROUNDS):
            await self.drain()
            await self.obeys()
            for session in self.in_state(ENDED):
                await self.fail(session)  # What it was given in the moment of its end.
            await self.answers()
            await self.drain()
            await self.are_brought()
            while any([await self.under_way(session) for session in self.in_state(OPEN)]):
                await self.delivers()
            await self.drain()
            if not await self.world.ledger.undelivered(recipient=BOB):
                return
            self.world.clock.now += 61.0
            await self.world.waking.sweep(self.world.clock())


@pytest.mark.parametrize("seed", SEEDS)
async def test_all_arrive_once_and_in_order_whatever_sessions_do(world: GatewayWorld, seed: int) -> None:
    chance = Sessions(world, seed)
    steps = [chance.writes] * 6 + [chance.some] * 12 + [chance.delivers] * 3 + [chance.answers] * 3
    steps += [chance.calls, chance.hangs_up, chance.obeys, chance.moves, chance.later, chance.dies]
    steps += [chance.owner_is_lost, chance.are_brought, chance.is_written_to, chance.is_written_to]
    await world.registers(BOB, params=';methods="INVITE"')
    await world.registers(ALICE, params=';methods="MESSAGE"')
    for _ in range(STEPS):
        await chance.random.choice(steps)()
    await chance.finish()
    assert chance.got == chance.said
