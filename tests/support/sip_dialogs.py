"""User agents that call each other without a network, for tests of SIP dialogs."""

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from wigwag.protocols.sip import Message, Request, Response, SipUri, parse_datagram, parse_uri, validate
from wigwag.protocols.sip.dialogs import (
    Call,
    DialogOptions,
    Dialogs,
    Event,
    InviteClient,
    InviteReceived,
    InviteServer,
    Session,
    SessionConfirmed,
    SessionState,
)
from wigwag.protocols.sip.digest import Account, DigestClient
from wigwag.protocols.sip.transactions import Transactions
from wigwag.protocols.sip.user_agent import UserAgentClient

T = TypeVar("T")
OFFER = b"v=0\r\no=- 1 1 IN IP4 a.test\r\n"
ANSWER = b"v=0\r\no=- 2 1 IN IP4 b.test\r\n"


@dataclass(eq=False)
class Place:
    """A way of one agent: what it sends is routed by the world."""

    world: "World"
    name: str
    reliable: bool = False

    @property
    def wire(self) -> "Place":
        return self

    def send(self, data: bytes) -> None:
        self.world.send(self.name, data)

    def via(self, branch: str) -> str:
        return f"SIP/2.0/UDP {self.name}.test;branch={branch}"


class Agent:
    """One user agent, and what it was told."""

    def __init__(self, world: "World", name: str, options: DialogOptions, *, reliable: bool = False) -> None:
        chance = random.Random(name)
        self.name = name
        self.place = Place(world, name, reliable)
        self.events: list[Event] = []
        self.on_event: Callable[[Event], None] = lambda event: None
        self.transactions = Transactions(options.timers)
        digest = DigestClient(lambda realm: Account("alice", "secret"), chance.randbytes)
        self.dialogs = Dialogs(
            UserAgentClient(self.transactions, digest, chance.randbytes),
            on_event=self._hear,
            contact=lambda way: self.uri,
            options=options,
        )

    @property
    def uri(self) -> str:
        return f"sip:{self.name}@{self.name}.test"

    def _hear(self, event: Event) -> None:
        self.events.append(event)
        self.on_event(event)

    def heard(self, kind: type[T]) -> list[T]:
        """Return the events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def story(self) -> list[str]:
        """The names of all events."""
        return [type(event).__name__ for event in self.events]

    @property
    def invite(self) -> InviteServer:
        """The last call that came."""
        return self.heard(InviteReceived)[-1].invite

    @property
    def session(self) -> Session:
        """The last session that was confirmed."""
        return self.heard(SessionConfirmed)[-1].session

    @property
    def session_now(self) -> Session:
        """The only session that there is."""
        (session,) = self.dialogs.sessions.values()
        return session

    def take(self, message: Request | Response, now: float) -> None:
        validate(message)
        if isinstance(message, Response):
            self.transactions.receive_response(message, now)
        else:
            self.dialogs.receive(message, self.place, now)

    def next_timeout(self) -> float | None:
        due = [at for at in (self.transactions.next_timeout(), self.dialogs.next_timeout()) if at is not None]
        return min(due, default=None)

    def handle_timeout(self, now: float) -> None:
        self.transactions.handle_timeout(now)
        self.dialogs.handle_timeout(now)


@dataclass
class World:
    """Agents, the time, and what is on its way. A request for ``sip:all@...`` goes to everybody but its sender."""

    agents: dict[str, Agent] = field(default_factory=dict)
    now: float = 0.0
    lost: Callable[[Message], bool] = lambda message: False
    """Tells whether a message is lost."""
    delays: Callable[[], list[float]] = lambda: [0.0]
    """Returns when the copies of a message arrive."""
    log: list[tuple[float, str, Request | Response]] = field(default_factory=list)
    """When, by whom and what was sent, also what was lost."""
    _flying: list[tuple[float, int, str, bytes]] = field(default_factory=list)
    _number: Any = field(default_factory=itertools.count)

    def agent(self, name: str, *, reliable: bool = False, **options: Any) -> Agent:
        made = self.agents[name] = Agent(self, name, DialogOptions(**options), reliable=reliable)
        return made

    def send(self, sender: str, data: bytes) -> None:
        message = parse_datagram(data)
        self.log.append((self.now, sender, message))
        if self.lost(message):
            return
        for name in self._destinations(sender, message):
            for delay in self.delays():
                self._flying.append((self.now + delay, next(self._number), name, data))

    def _destinations(self, sender: str, message: Request | Response) -> list[str]:
        if isinstance(message, Response):
            host = message.via.host
        else:
            uri = parse_uri(message.uri)
            if not isinstance(uri, SipUri):
                return []
            if uri.user == "all":
                return [name for name in self.agents if name != sender]
            host = uri.host
        name = host.removesuffix(".test")
        return [name] if name in self.agents else []

    def run(self, seconds: float = 0.0) -> None:
        """Let so much time pass: every timer and every message at its moment, messages first."""
        end = self.now + seconds
        while (at := self._next()) is not None and at <= end:
            self.now = max(self.now, at)
            arrived = sorted(entry for entry in self._flying if entry[0] <= self.now)
            self._flying = [entry for entry in self._flying if entry[0] > self.now]
            for _, _, name, data in arrived:
                self.agents[name].take(parse_datagram(data), self.now)
            if not arrived:
                for agent in self.agents.values():
                    agent.handle_timeout(self.now)
        self.now = end

    def _next(self) -> float | None:
        moments = [agent.next_timeout() for agent in self.agents.values()]
        moments += [entry[0] for entry in self._flying]
        return min((at for at in moments if at is not None), default=None)

    def sent(self, name: str | None = None) -> list[str]:
        """Return what was sent, as ``INVITE`` and ``200 INVITE``."""
        return [brief(message) for _, sender, message in self.log if name in (None, sender)]

    def moments(self, what: str) -> list[float]:
        """Return when such a message was sent."""
        return [at for at, _, message in self.log if brief(message) == what]

    def messages(self, what: str) -> list[Any]:
        """Return such messages."""
        return [message for _, _, message in self.log if brief(message) == what]


def brief(message: Message) -> str:
    """Return ``INVITE`` for a request, ``200 INVITE`` for a response to it."""
    return message.method if isinstance(message, Request) else f"{getattr(message, 'status')} {message.cseq.method}"  # noqa: B009


def losing(what: str, times: int = 1) -> Callable[[Message], bool]:
    """Return what loses the first so many messages of a kind."""
    left = [times]

    def lost(message: Message) -> bool:
        if brief(message) != what or not left[0]:
            return False
        left[0] -= 1
        return True

    return lost


def call(agent: Agent, to: str = "sip:bob@bob.test", *, offer: bytes | None = OFFER, **more: Any) -> InviteClient:
    """Let an agent call, and everything that follows at once happen."""
    made = Call(uri=to, from_address=f"<{agent.uri}>", contact=agent.uri, offer=offer, **more)
    world = agent.place.world
    client = agent.dialogs.call(made, agent.place, world.now)
    world.run()
    return client


def established(**options: Any) -> tuple[World, Agent, Agent]:
    """Return Alice and Bob in a session."""
    world = World()
    alice, bob = world.agent("alice", **options), world.agent("bob", **options)
    call(alice)
    bob.invite.accept(world.now, ANSWER)
    world.run()
    assert alice.session.state is bob.session.state is SessionState.CONFIRMED
    world.log.clear()
    alice.events.clear()
    bob.events.clear()
    return world, alice, bob
