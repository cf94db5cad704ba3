"""The user agent's endpoint in calls without a network: the peer is an agent of ``sip_dialogs``, MSRP is only noted."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast
from unittest import mock

from tests.support.sip_dialogs import Agent, World
from wigwag.protocols.sdp import Agreement, Fingerprint
from wigwag.protocols.sip.dialogs import Call, DialogState, InviteClient
from wigwag.protocols.sip.dialogs import Session as Dialog
from wigwag.ua.endpoint.endpoint import Endpoint
from wigwag.ua.endpoint.media import MediaSide
from wigwag.ua.endpoint.model import EndpointEvent, OutgoingCall
from wigwag.ua.endpoint.session import ChatSession

T = TypeVar("T")
PATH = ("msrp://a.test:2855/ours;tcp",)


@dataclass
class NotedWay:
    """How the noted line is reached."""

    listens: bool = True
    cema: bool = False
    fingerprints: tuple[Fingerprint, ...] = ()


@dataclass(eq=False)
class NotedLine:
    """Stands where the MSRP of a session is; notes what it is told."""

    user: Any
    way: NotedWay = field(default_factory=NotedWay)
    path: tuple[str, ...] = PATH
    opened: list[Agreement] = field(default_factory=list)
    expected: list[Agreement] = field(default_factory=list)
    waits: bool = False
    closed: bool = False
    is_up: bool = False
    relayed: bool = False
    client: None = None
    session: None = None

    async def prepare(self, *, secure: bool | None = None) -> tuple[str, ...]:
        return self.path

    def await_answer(self) -> None:
        self.waits = True

    def expect(self, agreement: Agreement) -> None:
        self.expected.append(agreement)

    def open(self, agreement: Agreement) -> None:
        self.opened.append(agreement)

    async def close(self) -> None:
        self.closed = True


class EndpointSip:
    """The SIP of an endpoint in a world."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    @property
    def now(self) -> float:
        return self._agent.place.world.now

    def wake(self) -> None:
        """Nothing sleeps here."""

    def contact(self, session_id: str) -> str:
        return self._agent.uri

    def routes(self) -> tuple[str, ...]:
        return ()

    def call(self, call: Call) -> InviteClient:
        return self._agent.dialogs.call(call, self._agent.place, self.now)

    def restore(self, state: DialogState) -> Dialog:
        return self._agent.dialogs.restore(state, self._agent.place, self.now)

    def forget(self, dialog: Dialog) -> None:
        dialog.let_go(self.now)


class CallRig:
    """An endpoint, ``alice``, and its peers."""

    def __init__(self, *, session_expires: int = 0) -> None:
        self.world = World()
        self.alice = self.world.agent("alice", reliable=True, session_expires=session_expires)
        self.events: list[EndpointEvent] = []
        self.endpoint = Endpoint(MediaSide({}, random.Random(1).randbytes), random.Random(2).randbytes, self._told)
        self.endpoint.sip = cast(Any, EndpointSip(self.alice))
        self.alice.on_event = self.endpoint.dialog_event
        self.lines: list[NotedLine] = []

    def _told(self, event: EndpointEvent) -> None:
        self.events.append(event)

    def peer(self, name: str) -> Agent:
        return self.world.agent(name, reliable=True, session_expires=0)

    async def call(self, to: str = "sip:bob@bob.test", **more: Any) -> ChatSession:
        session = self.endpoint.start(OutgoingCall(session_id="s1", from_uri="sip:alice@alice.test", to_uri=to, **more))
        await self.settle()
        return session

    async def settle(self, seconds: float = 0.0) -> None:
        """Let everything happen that is to happen within so many seconds."""
        for _ in range(6):
            await asyncio.sleep(0)
            self.world.run()
        self.world.run(seconds)
        for _ in range(6):
            await asyncio.sleep(0)
            self.world.run()

    def heard(self, kind: type[T]) -> list[T]:
        """Return the events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def story(self) -> list[str]:
        """The names of all events."""
        return [type(event).__name__ for event in self.events]

    def line(self, session_id: str, way: str, side: MediaSide, user: Any, **_: Any) -> NotedLine:
        self.lines.append(NotedLine(user))
        return self.lines[-1]


@contextmanager
def call_rig(**options: Any) -> Iterator[CallRig]:
    """Give an endpoint whose MSRP is noted."""
    rig = CallRig(**options)
    with mock.patch("wigwag.ua.endpoint.session.MediaLine", rig.line):
        yield rig


def sdp(path: str = "msrp://b.test:2855/theirs;tcp", *more: str, types: str = "text/plain", version: int = 1) -> bytes:
    """Return a description of a peer."""
    lines = ["v=0", f"o=- 7 {version} IN IP4 b.test", "s=-", "c=IN IP4 b.test", "t=0 0", "m=message 2855 TCP/MSRP *"]
    return "\r\n".join([*lines, f"a=accept-types:{types}", f"a=path:{path}", *more, ""]).encode()
