"""The gateway's flows over a real ledger and store; bus, edge and user agent do what a test says, when it says it.

What was published waits until ``run`` hands it over: so a test can hold a topic back, hand a record over twice or late,
and let a second pod go on where the first was killed.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, cast

from wigwag.api.events.v1.envelope_pb2 import Envelope
from wigwag.api.events.v1.gateway_pb2 import GatewaySetupFailed
from wigwag.api.events.v1.pager_pb2 import PagerRequest
from wigwag.api.ua.v1 import session_pb2, ua_pb2
from wigwag.bus import Bus, Message, Position, Record
from wigwag.database import Database
from wigwag.database.ledger import Change, Ledger, LedgerRow, NewMessage, State
from wigwag.errors import ConflictError, InvalidRequestError, NotFoundError, WigwagError
from wigwag.gateway.config import GatewaySettings
from wigwag.gateway.flows.consuming import TOPICS
from wigwag.gateway.module import GatewayModule
from wigwag.gateway.ports import Handed
from wigwag.protocols.digest import StoredCredentials
from wigwag.runtime.agents import GATEWAY
from wigwag.runtime.conversations import canonical_address, conversation_key
from wigwag.runtime.events import GATEWAY_EVENTS, PAGER_OUTBOUND, SESSIONS_EVENTS, session_envelope
from wigwag.runtime.ledger_events import LedgerEvents
from wigwag.runtime.pager_events import INBOUND, NOT_SENT, OUTBOUND, REASON, REQUEST_URI, attempt_id
from wigwag.runtime.status import StatusTree
from wigwag.runtime.ua_messages import INBOUND as SESSION_INBOUND
from wigwag.runtime.ua_messages import OUTBOUND as SESSION_OUTBOUND
from wigwag.runtime.ua_messages import (
    STATES,
    MsrpReports,
    SessionFields,
    conversation_of,
    headers_of,
    keyed_id,
)
from wigwag.store import Binding, Conversation
from wigwag.store.memory import MemoryStore

from .ledger import START, ManualClock

ALICE, BOB = "sip:alice@example.com", "sip:bob@example.com"
"""Page-mode user and session-mode user of our domain."""
KEY: Final = conversation_key(ALICE, BOB, GATEWAY)
OPEN, ENDED = session_pb2.SESSION_STATE_OPEN, session_pb2.SESSION_STATE_ENDED
OFFERED, STARTING = session_pb2.SESSION_STATE_OFFERED, session_pb2.SESSION_STATE_STARTING
WEEK: Final = 604_800.0
_NAMES: Final = frozenset(topic.name for topic in TOPICS)
_BY_STATE: Final = {told: state for state, told in STATES.items()}


class Killed(BaseException):
    """The pod was killed here."""


class FakeBus:
    """Keeps what is published."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def declare(self, *topics: Any) -> None:
        """All are known."""

    async def publish(
        self, topic: str, value: bytes, *, key: str, headers: Mapping[str, bytes] = MappingProxyType({})
    ) -> Position:
        self.records.append(
            Record(
                topic=topic,
                partition=0,
                offset=len(self.records),
                key=key,
                value=value,
                headers=dict(headers),
                time=START,
            )
        )
        return self.records[-1].position

    async def publish_many(self, topic: str, messages: Sequence[Message]) -> Sequence[Position]:
        return [await self.publish(topic, each.value, key=each.key, headers=each.headers) for each in messages]

    def of(self, topic: str) -> list[Envelope]:
        """Return what was published on a topic."""
        return [Envelope.FromString(record.value) for record in self.records if record.topic == topic]


class FakeUsers:
    """Who is ours."""

    async def credentials(self, username: str, domain: str) -> StoredCredentials | None:
        known = username in ("alice", "bob") and domain == "example.com"
        return cast("StoredCredentials", object()) if known else None


class FakeAgents:
    """The user agent: sessions go from state to state when the test says so, messages are rows of the ledger.

    Attributes:
        failures: What calls raise, by name, once each.
        after: What calls raise when they have done their work, likewise.
        fails_at: Bodies of messages that are not taken, and why, until it is removed.
        calls: Names of what was called with the session.
    """

    def __init__(self, ledger: Ledger, clock: ManualClock) -> None:
        self._ledger = ledger
        self._clock = clock
        self.sessions: dict[str, session_pb2.Session] = {}
        self.failures: dict[str, list[BaseException]] = {}
        self.after: dict[str, list[BaseException]] = {}
        self.fails_at: dict[bytes, Exception] = {}
        self.calls: list[tuple[str, str]] = []
        self.settled: list[tuple[str, State, int, str]] = []

    def made(self, name: str) -> list[str]:
        """Return the sessions that a call was made for."""
        return [session_id for called, session_id in self.calls if called == name]

    def _called(self, name: str, session_id: str) -> None:
        if self.failures.get(name):
            raise self.failures[name].pop(0)
        self.calls.append((name, session_id))

    def _done(self, name: str) -> None:
        if self.after.get(name):
            raise self.after[name].pop(0)

    async def start(self, request: ua_pb2.StartSessionRequest) -> session_pb2.Session:
        session_id = f"s-{request.idempotency_key.rpartition('#')[2]}"
        self._called("start", session_id)
        if session_id not in self.sessions:
            session = session_pb2.Session(session_id=session_id, application=GATEWAY, state=STARTING)
            session.direction = session_pb2.SESSION_DIRECTION_OUTBOUND
            session.local_uri, session.remote_uri = request.from_uri, request.to_uri
            session.labels.update(request.labels)
            self.sessions[session_id] = session
        self._done("start")
        return self.sessions[session_id]

    async def answer(self, session_id: str, labels: dict[str, str]) -> None:
        self._called("answer", session_id)
        session = await self.session(session_id)
        if session.state != OFFERED:
            raise ConflictError("it is offered no more")
        session.labels.update(labels)
        self._done("answer")

    async def reject(self, session_id: str, status: int, reason: str) -> None:
        self._called("reject", session_id)
        session = await self.session(session_id)
        session.sip_status, session.sip_reason = status, reason

    async def end(self, session_id: str) -> None:
        self._called("end", session_id)

    async def session(self, session_id: str) -> session_pb2.Session:
        if session_id not in self.sessions:
            raise NotFoundError(session_id)
        return self.sessions[session_id]

    async def send(self, messages: Sequence[ua_pb2.OutboundMessage]) -> list[Handed]:
        self._called("send", messages[0].session_id if messages else "")
        handed = [await self._take(message) for message in messages]
        self._done("send")
        return handed

    async def _take(self, message: ua_pb2.OutboundMessage) -> Handed:
        if message.body in self.fails_at:
            return Handed(error=self.fails_at[message.body])
        session = self.sessions.get(message.session_id)
        if session is None or session.state != OPEN:
            return Handed(error=ConflictError("the session is over"))
        row_id = keyed_id(message.session_id, message.idempotency_key)
        before = await self._ledger.find(row_id)
        if before is not None and before.body != message.body:
            return Handed(error=ConflictError("idempotency_key: it stands for another message"))
        verdict = await self._ledger.accept_one(
            NewMessage(
                id=row_id,
                conversation=conversation_of(message.session_id),
                service="ua",
                direction=SESSION_OUTBOUND,
                sender=session.local_uri,
                recipient=session.remote_uri,
                expires=self._clock() + 60.0,
                content_type=message.content_type,
                headers=headers_of(
                    SessionFields(session_id=session.session_id, application=GATEWAY, reference=message.reference)
                ),
                body=message.body,
                claim=("pod-1", 1),
            )
        )
        return Handed(row_id, duplicate=not verdict.done)

    async def settle(self, message_id: str, state: Any, *, status: int = 0, reason: str = "") -> None:
        self._called("settle", message_id)
        row = await self._ledger.find(message_id)
        if row is None:
            raise NotFoundError(message_id)
        wanted = _BY_STATE[state]
        if row.state is State.ACCEPTED:
            change = Change(id=row.id, version=row.version, state=wanted, status=status or None, reason=reason)
            await self._ledger.apply_one(change)
        elif row.state is not wanted and not (wanted is State.DELIVERED and row.state is State.DISPLAYED):
            raise ConflictError(f"the message is {row.state.value} already")
        self.settled.append((message_id, wanted, status, reason))


@dataclass
class GatewayWorld:
    """A gateway pod and all that is around it."""

    database: Database
    ledger: Ledger
    store: MemoryStore
    clock: ManualClock
    bus: FakeBus
    agents: FakeAgents
    settings: GatewaySettings
    gateway: GatewayModule = field(init=False)
    in_groups: bool = False
    """Whether records of one topic and key are handed over together, as many as there are."""
    held: set[str] = field(default_factory=set)
    """Topics whose records wait."""
    _next: int = 0
    _kept: list[Record] = field(default_factory=list)
    _numbers: int = 0

    def __post_init__(self) -> None:
        self.start_pod()

    def start_pod(self) -> None:
        """Let a pod go on that knows nothing: the one before was killed."""
        self.gateway = GatewayModule(
            self.settings,
            agents=self.agents,
            store=self.store,
            bus=cast("Bus", self.bus),
            ledger=self.ledger,
            database=self.database,
            source=FakeUsers(),
            status=StatusTree(self.clock),
            pod="pod",
            clock=self.clock,
        )
        self.consuming, self.waking = self.gateway.flows()

    # Records

    async def publish(self) -> None:
        """Publish what the ledger has to tell."""
        events = await self.ledger.pending_events(limit=1_000)
        await LedgerEvents(cast("Bus", self.bus), "pod").publish(events)
        await self.ledger.mark_published(events)

    async def run(self, assignment: int = 0) -> None:
        """Hand all records over, and those that come of it, but for topics that are held.

        Raises:
            Killed: The pod was killed; what it was handling comes again.
        """
        while True:
            await self.publish()
            fresh = self._kept + self.bus.records[self._next :]
            self._next, self._kept = len(self.bus.records), []
            for record in fresh:
                if record.topic in self.held:
                    self._kept.append(record)
            todo = [record for record in fresh if record.topic in _NAMES - self.held]
            if not todo:
                return
            await self._hand_over(todo, assignment)

    async def _hand_over(self, todo: list[Record], assignment: int) -> None:
        groups = self._groups(todo)
        for number, group in enumerate(groups):
            records = [replace(record, assignment=assignment) for record in group]
            handling = self.consuming.handle_group(records) if records[1:] else self.consuming.handle(records[0])
            try:
                await handling
            except Killed:
                self._kept = [record for left in groups[number:] for record in left] + self._kept
                raise

    def forget_held(self) -> None:
        """Let nobody here get what was held, or what a killed pod was handling: another pod has it now."""
        self._kept = []

    def _groups(self, todo: list[Record]) -> list[list[Record]]:
        if not self.in_groups:
            return [[record] for record in todo]
        groups: dict[tuple[str, str], list[Record]] = {}
        for record in todo:
            groups.setdefault((record.topic, record.key), []).append(record)
        return list(groups.values())

    async def again(self, topic: str, number: int = -1) -> None:
        """Hand a record over once more; what comes of it too."""
        records = [record for record in self.bus.records if record.topic == topic]
        await self.consuming.handle(records[number])
        await self.run()

    async def killed(self, assignment: int = 0) -> None:
        """Run until the pod is killed; another goes on."""
        try:
            await self.run(assignment)
        except Killed:
            self.start_pod()
        else:
            raise AssertionError("the pod was not killed")

    async def later(self, seconds: float) -> None:
        """Let time pass, and the sweep look."""
        self.clock.now += seconds
        await self.ledger.end_overdue()
        await self.waking.sweep(self.clock())
        await self.run()

    # The page-mode side

    async def writes(
        self,
        text: str | bytes = "hello",
        *,
        sender: str = ALICE,
        recipient: str = BOB,
        content_type: str = "text/plain",
        reason: str = "absent",
        expires: float = WEEK,
        **headers: str,
    ) -> str:
        """Keep a MESSAGE as the edge does; returns its id."""
        self._numbers += 1
        message_id = f"m{self._numbers}"
        fields = {
            "From": f"<{sender}>;tag=1",
            "To": f"<{recipient}>",
            "Call-ID": f"c{self._numbers}",
            "CSeq": "1 MESSAGE",
        }
        await self.ledger.accept_one(
            NewMessage(
                id=message_id,
                conversation=conversation_key(sender, recipient, GATEWAY),
                service=GATEWAY,
                direction=INBOUND,
                sender=sender,
                recipient=recipient,
                expires=self.clock() + expires,
                content_type=content_type,
                headers=(*(fields | headers).items(), (REQUEST_URI, recipient), (REASON, reason)),
                body=text.encode() if isinstance(text, str) else text,
            )
        )
        return message_id

    async def registers(self, aor: str, *keys: str, params: str = "") -> None:
        """Let a user register these devices, and no others."""
        keys = keys or ("phone",)
        await self.store.register(
            aor,
            call_id="c",
            cseq=round(self.clock() * 1_000),
            bindings=[
                Binding(
                    contact=f"sip:{key}@192.0.2.1",
                    key=key,
                    call_id="c",
                    cseq=1,
                    expires_at=self.clock() + WEEK,
                    q=1000,
                    params=params,
                    instance="",
                    reg_id=0,
                    path=(),
                    flow=None,
                    user_agent="",
                )
                for key in keys
            ],
            remove_all=True,
            most=9,
        )
        self.clock.now += 0.01

    def asked(self) -> list[PagerRequest]:
        """Return the attempts that the edge was asked for, each once."""
        found = {
            (each.pager_request.message_id, each.pager_request.attempt): each.pager_request
            for each in self.bus.of(PAGER_OUTBOUND.name)
        }
        return list(found.values())

    async def sends(
        self, number: int = -1, state: State = State.DELIVERED, status: int = 200, *, sent: bool = True
    ) -> None:
        """Let the edge end an attempt, and tell it."""
        request = self.asked()[number]
        row_id = attempt_id(request.message_id, request.attempt)
        await self.edge_takes(request)
        words = "words" if sent else f"{NOT_SENT}words"
        await self.ledger.apply_one(Change(id=row_id, version=1, state=state, status=status, reason=words))
        await self.run()

    async def edge_takes(self, request: PagerRequest) -> None:
        """Let the edge note an attempt."""
        await self.ledger.accept_one(
            NewMessage(
                id=attempt_id(request.message_id, request.attempt),
                conversation=request.conversation,
                service="relay",
                direction=OUTBOUND,
                sender=request.from_uri,
                recipient=request.to_uri,
                expires=self.clock() + WEEK,
                publish=False,
            )
        )

    # The session-mode side

    @property
    def last_call(self) -> session_pb2.Session:
        """The session that was started last."""
        return self.agents.sessions[self.agents.made("start")[-1]]

    async def opens(self, session: session_pb2.Session, *types: str) -> None:
        """Let a session open."""
        session.state = OPEN
        session.opened_at.FromMicroseconds(round(self.clock() * 1e6))
        session.accept_types[:] = types or ("*",)
        await self.tell(session)

    async def ends(self, session: session_pb2.Session, cause: Any, status: int = 0) -> None:
        """Let a session end."""
        session.state, session.end_cause, session.sip_status = ENDED, cause, status
        session.ended_at.FromMicroseconds(round(self.clock() * 1e6))
        await self.tell(session)

    async def tell(self, session: session_pb2.Session) -> None:
        """Publish the state of a session."""
        told, event = session_envelope(event_id=f"{session.session_id}:{session.state}", at=START, pod="p", version=1)
        event.application, event.session_id = GATEWAY, session.session_id
        event.session_changed.CopyFrom(session)
        await self.bus.publish(SESSIONS_EVENTS.name, told.SerializeToString(), key=session.session_id)

    async def calls(self, session_id: str = "in", *, caller: str = BOB, callee: str = ALICE) -> session_pb2.Session:
        """Let a session-mode user call."""
        session = session_pb2.Session(session_id=session_id, application=GATEWAY, state=OFFERED)
        session.direction = session_pb2.SESSION_DIRECTION_INBOUND
        session.local_uri, session.remote_uri = callee, caller
        self.agents.sessions[session_id] = session
        await self.tell(session)
        return session

    async def says(
        self, session: session_pb2.Session, text: str | bytes = "hi", content_type: str = "text/plain"
    ) -> str:
        """Let a message come in a session; returns its id."""
        self._numbers += 1
        message_id = f"u{self._numbers}"
        await self.ledger.accept_one(
            NewMessage(
                id=message_id,
                conversation=conversation_of(session.session_id),
                service="ua",
                direction=SESSION_INBOUND,
                sender=canonical_address(session.remote_uri),
                recipient=canonical_address(session.local_uri),
                expires=self.clock() + WEEK,
                content_type=content_type,
                headers=headers_of(
                    SessionFields(
                        session_id=session.session_id,
                        application=GATEWAY,
                        msrp_reports=MsrpReports(success=True, failure=True, octets=len(text)),
                    )
                ),
                body=text.encode() if isinstance(text, str) else text,
            )
        )
        return message_id

    async def answers(self, message_id: str, state: State = State.DELIVERED, status: int = 0) -> None:
        """Let a session's peer answer a message of the page-mode side; status 0 of a failure: it was never sent."""
        for session in self.agents.sessions.values():
            row = await self.ledger.find(keyed_id(session.session_id, message_id))
            if row is not None and row.state is State.ACCEPTED:
                change = Change(id=row.id, version=1, state=state, status=status or None)
                await self.ledger.apply_one(change)

    async def handed(self, session: session_pb2.Session) -> list[str]:
        """Return the bodies that a session was given, in order."""
        rows = await self.ledger.conversation(conversation_of(session.session_id), limit=500)
        return [(row.body or b"").decode() for row in rows if row.direction == SESSION_OUTBOUND]

    # What became of it

    async def row(self, message_id: str) -> LedgerRow:
        """Return a row that has to be there."""
        row = await self.ledger.find(message_id)
        assert row is not None, message_id
        return row

    async def state(self, message_id: str) -> tuple[State, int]:
        """Return state and status of a message."""
        row = await self.row(message_id)
        return row.state, row.status or 0

    async def conversation(self) -> Conversation:
        """Return the conversation of Alice and Bob."""
        return (await self.store.find_conversations([KEY]))[KEY]

    def failures(self) -> list[GatewaySetupFailed]:
        """Return what was told of sessions that could not be set up."""
        told = self.bus.of(GATEWAY_EVENTS.name)
        return [each.gateway_setup_failed for each in told if each.HasField("gateway_setup_failed")]


@asynccontextmanager
async def gateway_world(directory: Path, **settings: Any) -> AsyncIterator[GatewayWorld]:
    """Open a world whose ledger is in a directory."""
    clock = ManualClock()
    async with (
        Database(f"sqlite:///{directory / 'ledger.sqlite3'}") as database,
        Ledger(database, clock=clock) as ledger,
        MemoryStore(clock=clock) as store,
    ):
        agents = FakeAgents(ledger, clock)
        yield GatewayWorld(database, ledger, store, clock, FakeBus(), agents, GatewaySettings.model_validate(settings))


def refused(reason: str = "no") -> WigwagError:
    """Return the error of a request that can't be carried out, now or later."""
    return InvalidRequestError(reason)
