"""Two user agents over a wire that loses, repeats and reorders: what must hold whatever happens."""

import random
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.support.sip_dialogs import Agent, World
from wigwag.errors import LocalProtocolError
from wigwag.protocols.sip.dialogs import (
    Call,
    CallFailed,
    InviteClient,
    InviteReceived,
    OfferReceived,
    OfferRequested,
    RequestReceived,
    Session,
    SessionConfirmed,
    SessionEnded,
    SessionState,
)

T = TypeVar("T")
WHO = st.sampled_from(["alice", "bob"])
WHICH = st.integers(0, 100)


class Pair(RuleBasedStateMachine):
    @initialize(seed=st.integers(0, 1 << 32), losses=st.sampled_from([0.0, 0.0, 0.2, 0.5, 0.9]))
    def begin(self, seed: int, losses: float) -> None:
        chance = self.chance = random.Random(seed)
        self.losses = losses

        def delays() -> list[float]:
            copies = chance.choice((1, 1, 1, 2))
            return [chance.randint(0, 24) / 64 for _ in range(copies) if chance.random() >= self.losses]

        self.world = World(delays=delays)
        self.clients: list[InviteClient] = []
        self.numbers = 0
        for name in ("alice", "bob"):
            agent = self.world.agent(name, session_expires=120)
            agent.on_event = self._hearer()

    def _hearer(self) -> Callable[[object], None]:
        """Answer at once whatever asks for an answer: mostly as it is wanted."""

        def hear(event: object) -> None:
            now = self.world.now
            if isinstance(event, OfferReceived | OfferRequested):
                if self.chance.random() < 0.8:
                    event.session.answer(self.description(), now)
                else:
                    event.session.refuse(now)
            elif isinstance(event, RequestReceived):
                event.request.respond(self.chance.choice((200, 200, 403)), "So", now)

        return hear

    def description(self) -> bytes:
        self.numbers += 1
        return b"v=0 %d" % self.numbers

    @rule(who=WHO, offers=st.booleans(), reliable=st.booleans())
    def call(self, who: str, offers: bool, reliable: bool) -> None:
        agent, other = self.world.agents[who], self.world.agents["bob" if who == "alice" else "alice"]
        made = Call(
            uri=other.uri,
            from_address=f"<{agent.uri}>",
            contact=agent.uri,
            offer=self.description() if offers else None,
            reliable=reliable,
        )
        self.clients.append(agent.dialogs.call(made, agent.place, self.world.now))

    @rule(ticks=st.integers(1, 30) | st.integers(30, 6000))
    def wait(self, ticks: int) -> None:
        self.world.run(ticks / 64)

    @rule(who=WHO, which=WHICH, describes=st.booleans(), reliable=st.booleans())
    def ring(self, who: str, which: int, describes: bool, reliable: bool) -> None:
        for event in self._some(self.world.agents[who].heard(InviteReceived), which):
            description = self.description() if describes else None
            with suppress(LocalProtocolError):
                event.invite.ring(self.world.now, 183, "So", description=description, reliable=reliable)

    @rule(who=WHO, which=WHICH)
    def accept(self, who: str, which: int) -> None:
        for event in self._some(self.world.agents[who].heard(InviteReceived), which):
            description = None if event.invite.described else self.description()
            with suppress(LocalProtocolError):
                event.invite.accept(self.world.now, description)

    @rule(who=WHO, which=WHICH)
    def reject(self, who: str, which: int) -> None:
        for event in self._some(self.world.agents[who].heard(InviteReceived), which):
            with suppress(LocalProtocolError):
                event.invite.reject(self.world.now)

    @rule(which=WHICH)
    def cancel(self, which: int) -> None:
        for client in self._some(self.clients, which):
            client.cancel(self.world.now)

    @rule(who=WHO, which=WHICH, updates=st.booleans(), offers=st.booleans())
    def modify(self, who: str, which: int, updates: bool, offers: bool) -> None:
        for session in self._some(self._sessions(who), which):
            offer = self.description() if offers else None
            with suppress(LocalProtocolError):
                session.modify(offer, self.world.now, method="UPDATE" if updates else "INVITE")

    @rule(who=WHO, which=WHICH)
    def say(self, who: str, which: int) -> None:
        for session in self._some(self._sessions(who), which):
            with suppress(LocalProtocolError):
                session.request("MESSAGE", lambda response, now: None, self.world.now)

    @rule(who=WHO, which=WHICH)
    def hang_up(self, who: str, which: int) -> None:
        for session in self._some(self._sessions(who), which):
            with suppress(LocalProtocolError):
                session.hang_up(self.world.now)

    def _sessions(self, who: str) -> list[Session]:
        return list(self.world.agents[who].dialogs.sessions.values())

    @staticmethod
    def _some(things: list[T], which: int) -> list[T]:
        return [things[which % len(things)]] if things else []

    @invariant()
    def every_session_is_confirmed_and_ended_at_most_once(self) -> None:
        for agent in self.world.agents.values():
            confirmed = [id(event.session) for event in agent.heard(SessionConfirmed)]
            ended = [id(event.session) for event in agent.heard(SessionEnded)]
            assert len(confirmed) == len(set(confirmed))
            assert len(ended) == len(set(ended))

    @invariant()
    def what_is_over_is_forgotten_and_what_is_not_is_found(self) -> None:
        for agent in self.world.agents.values():
            ended = {id(event.session) for event in agent.heard(SessionEnded)}
            for session in agent.dialogs.sessions.values():
                assert session.state is not SessionState.TERMINATED
                assert id(session) not in ended

    @invariant()
    def a_call_has_one_outcome(self) -> None:
        for client in self.clients:
            agent = self._agent_of(client)
            failures = [event for event in agent.heard(CallFailed) if event.client is client]
            confirmed = [event for event in agent.heard(SessionConfirmed) if event.session in client.sessions.values()]
            assert len(failures) + len(confirmed) <= 1

    def _agent_of(self, client: InviteClient) -> Agent:
        return next(agent for agent in self.world.agents.values() if client.call.contact == agent.uri)

    def teardown(self) -> None:
        """Nothing is left once all calls have ended and their time has passed; both sides agree while they stand."""
        world = self.world
        for client in self.clients:
            client.cancel(world.now)
        world.run(200.0)
        self.losses = 0.0
        world.run(200.0)
        self._check_agreement()
        for who in world.agents:
            for event in world.agents[who].heard(InviteReceived):
                with suppress(LocalProtocolError):
                    event.invite.reject(world.now)
            for session in self._sessions(who):
                session.hang_up(world.now)
        world.run(400.0)
        for client in self.clients:
            agent = self._agent_of(client)
            told = [event for event in agent.heard(CallFailed) if event.client is client]
            told_sessions = [e for e in agent.heard(SessionEnded) if e.session in client.sessions.values()]
            assert told or told_sessions
        for agent in world.agents.values():
            assert not agent.dialogs.sessions
            assert not agent.dialogs.invites
            assert not agent.transactions.clients
            assert not agent.transactions.servers
            assert agent.next_timeout() is None

    def _check_agreement(self) -> None:
        """Both sides of what stands hold the same descriptions."""
        near, far = (self.world.agents[who].dialogs.sessions for who in ("alice", "bob"))
        for one, two in ((near, far), (far, near)):
            for (call_id, local, remote), session in one.items():
                # An early one on one side only is a caller who has given up and could not say so.
                if session.state is SessionState.CONFIRMED:
                    self._check_pair(session, two.get((call_id, remote, local)))

    def _check_pair(self, session: Session, other: Session | None) -> None:
        assert other is not None, "a session stands on one side only"
        assert other.state is SessionState.CONFIRMED
        ours, theirs = session.negotiation.exchange, other.negotiation.exchange
        assert not ours.open
        assert (ours.local, ours.remote) == (theirs.remote, theirs.local)


TestPair = Pair.TestCase
TestPair.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
