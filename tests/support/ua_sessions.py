"""A ua pod's sessions over a store in memory, without SIP and MSRP: what the endpoint is told to do is noted."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from wigwag.api.ua.v1 import event_pb2
from wigwag.errors import ConflictError, StoreError
from wigwag.protocols.sdp import FileTransfer
from wigwag.runtime.members import Members
from wigwag.store import AgentSession, Pod
from wigwag.store.memory import MemoryStore
from wigwag.ua.applications.registry import Applications
from wigwag.ua.config import ApplicationSettings, UaSettings
from wigwag.ua.endpoint.endpoint import Endpoint
from wigwag.ua.endpoint.model import CallReceived, Cause, Ended, MediaWish, Opened, OutgoingCall
from wigwag.ua.endpoint.states import State
from wigwag.ua.sessions.life import SessionLife
from wigwag.ua.sessions.ownership import Ownership
from wigwag.ua.sessions.pod_sessions import PodSessions
from wigwag.ua.sessions.ports import OwnedSession
from wigwag.ua.sessions.record import SessionRecord
from wigwag.ua.sessions.starting import Start

HELPDESK = "sip:helpdesk@example.com"
ALICE = "sip:alice@example.net"
LEASE = 6.0


class Clock:
    """Seconds, monotonic and since 1970 alike."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class SharedStore(MemoryStore):
    """A store that can be away, come back empty, and lose its answers."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock=clock)
        self.is_away = False
        self.gate: asyncio.Event | None = None
        """What creation waits for."""
        self.looked_up: list[Sequence[str]] = []

    async def find_agent_sessions(self, session_ids: Sequence[str]) -> Mapping[str, AgentSession]:
        self.looked_up.append(session_ids)
        return await super().find_agent_sessions(session_ids)

    def lose_everything(self, clock: Clock) -> None:
        """Come back empty."""
        self.__init__(clock)  # type: ignore[misc]

    async def create_agent_session(self, session: AgentSession, *, lease: float) -> AgentSession | None:
        made = await super().create_agent_session(session, lease=lease)
        if self.gate is not None:
            await self.gate.wait()
        return made

    async def put_agent_sessions(self, sessions: Any, *, lease: float) -> Any:
        self._check()
        return await super().put_agent_sessions(sessions, lease=lease)

    async def save_agent_session(self, session_id: str, token: int, content: bytes, *, expires_at: float) -> None:
        self._check()
        await super().save_agent_session(session_id, token, content, expires_at=expires_at)

    async def end_agent_session(self, session_id: str, token: int, content: bytes, *, keep: float) -> None:
        self._check()
        await super().end_agent_session(session_id, token, content, keep=keep)

    def _check(self) -> None:
        if self.is_away:
            raise StoreError("away")


@dataclass(eq=False)
class FakeCall:
    """A session as the endpoint has it."""

    endpoint: "FakeEndpoint"
    id: str
    token: int = 0
    state: State = State.CALLING
    call_id: str = "call"
    accept_types: tuple[str, ...] = ("text/plain",)
    accept_wrapped_types: tuple[str, ...] = ()
    max_size: int | None = None
    held: bool = False
    done: list[str] = field(default_factory=list)
    """What was asked of it."""

    def to_state(self) -> str:
        return json.dumps({"id": self.id})

    def accept(self, media: MediaWish) -> None:
        self.state = State.ACCEPTING
        self.done.append("accept")

    def ring(self) -> None:
        self.done.append("ring")

    def reject(self, status: int, reason: str) -> None:
        self.done.append(f"reject {status}")
        self.state = State.ENDED

    def end(self, reason: str = "") -> None:
        self.end_because(Cause.ENDED_HERE, reason)

    def end_because(self, cause: Cause, reason: str = "") -> None:
        self.done.append(f"end {cause.value}")
        self.over(cause)

    def let_go(self) -> None:
        self.done.append("let go")
        self.state = State.ENDED
        self.endpoint.sessions.pop(self.id, None)

    # What happens

    def opens(self) -> None:
        self.state = State.OPEN
        self.endpoint.tell(Opened(session=cast(Any, self)))

    def over(self, cause: Cause = Cause.ENDED_BY_PEER) -> None:
        self.state = State.ENDED
        self.endpoint.sessions.pop(self.id, None)
        self.endpoint.tell(Ended(session=cast(Any, self), cause=cause, status=0, reason=""))


class FakeEndpoint:
    """Sessions of one pod."""

    def __init__(self) -> None:
        self.sessions: dict[str, FakeCall] = {}
        self.tell: Callable[[Any], None] = lambda event: None
        self.fails: Exception | None = None
        self.before_answer: Callable[[Any, str], Awaitable[None]]
        self.hung_up: list[str] = []

    def hang_up(self, dialog: str) -> None:
        self.hung_up.append(dialog)

    def start(self, call: OutgoingCall, *, token: int = 0) -> FakeCall:
        return self._new(call.session_id, token, State.CALLING)

    def restore(self, stored: str, wish: MediaWish, *, token: int = 0) -> FakeCall:
        if self.fails is not None:
            raise self.fails
        return self._new(json.loads(stored)["id"], token, State.OPEN)

    def called(self, session_id: str) -> FakeCall:
        """Let a SIP user call the helpdesk."""
        call = self._new(session_id, 0, State.OFFERED)
        self.tell(
            CallReceived(
                session=cast(Any, call),
                to_uri=HELPDESK,
                from_uri=ALICE,
                display_name="",
                subject="",
                accept_types=(),
                file=None,
                fields=(),
            )
        )
        return call

    def _new(self, session_id: str, token: int, state: State) -> FakeCall:
        if session_id in self.sessions:
            raise ConflictError("here already")
        made = self.sessions[session_id] = FakeCall(self, session_id, token=token, state=state)
        return made


class NotedMessages:
    """Stands for the message side."""

    def __init__(self) -> None:
        self.opened_ids: list[str] = []
        self.ended_ids: list[str] = []

    def receive(self, session: OwnedSession, event: Any) -> None: ...

    async def opened(self, session: OwnedSession) -> None:
        self.opened_ids.append(session.record.id)

    async def taken_over(self, session: OwnedSession) -> None:
        self.opened_ids.append(session.record.id)

    async def ended(self, session: OwnedSession, reason: str) -> None:
        self.ended_ids.append(session.record.id)

    async def leaving(self, session: OwnedSession) -> None: ...

    async def resumable(self, session: SessionRecord, transfer: FileTransfer) -> str | None:
        return ""


class SessionPod:
    """One pod; pods of a test share the store, the clock and what applications are told."""

    def __init__(
        self, name: str, store: SharedStore, clock: Clock, told: list[event_pb2.Event], **application: Any
    ) -> None:
        settings = UaSettings(
            applications=(ApplicationSettings.model_validate({"name": "helpdesk", "uris": (HELPDESK,), **application}),)
        )
        self.name, self.store = name, store
        self.endpoint, self.messages, self.is_ready = FakeEndpoint(), NotedMessages(), True
        applications = Applications(settings.applications, _nothing)
        self.told = told
        self.members = Members(store, Pod(id=name, address="", rpc=""), clock, clock)
        endpoint = cast(Endpoint, self.endpoint)
        self.sessions = PodSessions(settings, pod=name, store=store, applications=applications, wall=clock)
        self.life = SessionLife(
            settings,
            sessions=self.sessions,
            endpoint=endpoint,
            applications=applications,
            events=self,
            wall=clock,
        )
        self.life.messages = self.messages
        self.endpoint.tell = self.life.happened
        self.ownership = self.sessions.ownership = Ownership(
            self.sessions,
            self.life,
            store=store,
            members=self.members,
            endpoint=endpoint,
            applications=applications,
            messages=self.messages,
            lease=LEASE,
            is_ready=lambda: self.is_ready,
            now=clock,
        )
        self.application = settings.applications[0]

    def tell(self, event: event_pb2.Event) -> None:
        """Note what applications are told (``Events``)."""
        self.told.append(event)

    async def start(self, session_id: str = "s1") -> FakeCall:
        """Start a session."""
        wanted = Start(application=self.application, session_id=session_id, from_uri=HELPDESK, to_uri=ALICE)
        await self.life.start(wanted)
        return self.endpoint.sessions[session_id]

    async def open(self, session_id: str = "s1") -> FakeCall:
        """Have an open session that is written down."""
        call = await self.start(session_id)
        call.opens()
        await self.sessions.all_owned[session_id].written()
        return call

    async def step(self) -> None:
        """Do once what is done again and again."""
        await self.ownership.beat()
        await self.ownership.renew()
        await self.ownership.take_what_is_free()

    async def held(self, session_id: str = "s1") -> AgentSession:
        """Return a session as the store has it."""
        return (await self.store.find_agent_sessions([session_id]))[session_id]

    async def close(self) -> None:
        await self.life.close()


def states_told(told: list[event_pb2.Event]) -> Mapping[str, str]:
    """Return the last state that was told of each session by event id, repetitions once."""
    return {
        event.event_id: str(event.session_changed.end_cause or event.session_changed.state)
        for event in told
        if event.WhichOneof("what") == "session_changed"
    }


async def _nothing() -> list[ApplicationSettings]:
    return []
