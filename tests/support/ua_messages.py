"""The message side of the user agent with sessions that are made up, over a real ledger and real blobs."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from wigwag.api.ua.v1 import event_pb2, ua_pb2
from wigwag.bus import Bus
from wigwag.database import BlobStore, Database, FileParts, Objects
from wigwag.database.ledger import Edit, Ledger, LedgerRow, NewMessage, State, Verdict
from wigwag.errors import ConflictError, DatabaseError, NotFoundError
from wigwag.protocols.msrp import FailureReport
from wigwag.protocols.sdp import FileTransfer
from wigwag.runtime.ua_messages import conversation_of
from wigwag.ua.config import ApplicationSettings, UaLimits, UaSettings
from wigwag.ua.endpoint.model import (
    OutgoingMessage,
    OutgoingReport,
    Received,
    Settled,
    Settlement,
    StreamBegan,
    StreamEnded,
    StreamPiece,
)
from wigwag.ua.endpoint.session import ChatSession
from wigwag.ua.messages.files import Files
from wigwag.ua.messages.forwarding import AcceptThere
from wigwag.ua.messages.handover import OpenCall
from wigwag.ua.messages.pipeline import MessagePipeline
from wigwag.ua.ports import Outcome
from wigwag.ua.sessions.ports import OwnedSession
from wigwag.ua.sessions.record import SessionRecord
from wigwag.ua.sessions.starting import Start

from .ledger import START, ManualClock

LOCAL = "sip:helpdesk@example.com"
REMOTE = "sip:alice@example.net"
TYPES = ("message/cpim", "text/plain", "application/im-iscomposing+xml", "message/imdn+xml")


@dataclass(slots=True, eq=False)
class FakeChat:
    """What the message side uses of a session at the endpoint."""

    id: str
    held: bool = False
    sent: list[OutgoingMessage] = field(default_factory=list)
    on_its_way: dict[str, OutgoingMessage] = field(default_factory=dict)
    unsent: set[str] = field(default_factory=set)
    """Ids of what the connection does not have: it can be withdrawn."""
    ended: bool = False
    line_is_up: bool = True
    file: FileTransfer | None = None
    """What the peer says of a file."""
    reports: list[OutgoingReport] = field(default_factory=list)

    def report(self, report: OutgoingReport) -> None:
        self.reports.append(report)

    def send(self, message: OutgoingMessage) -> None:
        if message.message_id in self.on_its_way:
            raise ConflictError("on its way")
        self.on_its_way[message.message_id] = message
        if self.line_is_up:
            self.sent.append(message)
        else:
            self.unsent.add(message.message_id)

    def end(self, reason: str = "") -> None:
        self.ended = True

    def line_up(self) -> None:
        """Have a connection, and send what waits for it."""
        self.line_is_up = True
        self.sent += [message for message in self.on_its_way.values() if message.message_id in self.unsent]
        self.unsent.clear()

    def withdraw(self, message_id: str) -> bool:
        self.on_its_way.pop(message_id, None)
        never_left = message_id in self.unsent
        self.unsent.discard(message_id)
        return never_left


@dataclass(slots=True, eq=False)
class FakeOwned:
    """A session of the pod."""

    record: SessionRecord
    token: int
    chat: ChatSession
    application: ApplicationSettings
    lost: bool = False
    transfer: FileTransfer | None = None

    def change(self, **changes: Any) -> None:
        self.record = self.record.changed(**changes)

    @property
    def wire(self) -> FakeChat:
        return cast(FakeChat, self.chat)


class FakeSessions:
    """Sessions without SIP."""

    def __init__(self, pod: str = "pod-1") -> None:
        self._pod = pod
        self.mine: dict[str, FakeOwned] = {}
        self.others: dict[str, tuple[SessionRecord, str]] = {}
        """Record and owner, by id."""
        self.to_take: set[str] = set()
        """Of the others: free."""
        self.store_is_young = False
        """Whether the store has just lost what it held."""
        self.lost_to: dict[str, str] = {}
        """Which pods have which of ours by now, as is found out by asking."""

    @property
    def pod(self) -> str:
        return self._pod

    def owned(self, session_id: str) -> FakeOwned | None:
        return self.mine.get(session_id)

    def is_between(self, session_id: str) -> bool:
        return False

    async def find(self, session_id: str) -> SessionRecord:
        if session_id in self.mine:
            return self.mine[session_id].record
        if session_id not in self.others:
            raise NotFoundError(session_id)
        return self.others[session_id][0]

    async def confirm(self) -> None:
        """Nothing has slept, unless a test says so."""
        for session_id, pod in self.lost_to.items():
            self.others[session_id] = (self.mine.pop(session_id).record, pod)
        self.lost_to.clear()

    async def store_is_complete(self) -> bool:
        return not self.store_is_young

    async def owner_of(self, session_id: str) -> str:
        if session_id in self.mine:
            return self._pod
        record, pod = self.others.get(session_id, (None, ""))
        return pod if record is not None and record.state != "ended" else ""

    async def take_over(self, session_id: str) -> FakeOwned | None:
        if session_id not in self.to_take:
            return self.mine.get(session_id)
        record, _ = self.others.pop(session_id)
        return self.add(record, token=2)

    def add(self, record: SessionRecord, *, token: int = 1, **application: Any) -> FakeOwned:
        """Make a session of this pod."""
        settings = ApplicationSettings(name=record.application, **application)
        own = FakeOwned(record, token, cast(ChatSession, FakeChat(record.id)), settings)
        self.mine[record.id] = own
        return own

    def active(self, session_id: str) -> None:
        pass

    def send(self, session_id: str, message: OutgoingMessage) -> None:
        own = self.mine.get(session_id)
        if own is None:
            raise ConflictError("not ours")
        own.wire.send(message)


class BreakableLedger(Ledger):
    """A ledger whose database can be away."""

    is_away = False
    loses_answers = False
    """Whether what is written is written, but nobody hears of it."""

    def accept(self, messages: Iterable[NewMessage]) -> "list[asyncio.Future[Verdict]]":
        messages = list(messages)
        if self.is_away:
            return [_failed() for _ in messages]
        if self.loses_answers:
            super().accept(messages)
            return [_failed() for _ in messages]
        return super().accept(messages)

    def apply(self, edits: Iterable[Edit]) -> "list[asyncio.Future[Verdict]]":
        edits = list(edits)
        if self.is_away:
            return [_failed() for _ in edits]
        return super().apply(edits)

    async def find_many(self, message_ids: Iterable[str]) -> dict[str, LedgerRow]:
        if self.is_away:
            raise DatabaseError("away")
        return await super().find_many(message_ids)


def _failed() -> "asyncio.Future[Verdict]":
    future: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
    future.set_exception(DatabaseError("away"))
    future.exception()
    return future


class ToldEvents:
    """Keeps events."""

    def __init__(self) -> None:
        self.events: list[event_pb2.Event] = []

    def tell(self, event: event_pb2.Event) -> None:
        self.events.append(event)

    def of(self, what: str) -> list[Any]:
        """Return the events of one kind."""
        return [getattr(event, what) for event in self.events if event.WhichOneof("what") == what]


@dataclass(slots=True, kw_only=True)
class MessageWorld:
    """A pod's message side and what is around it."""

    pipeline: MessagePipeline
    sessions: FakeSessions
    ledger: BreakableLedger
    blobs: BlobStore
    parts: FileParts
    events: ToldEvents
    clock: ManualClock
    files: Files

    async def open(self, session_id: str = "s1", **changes: Any) -> FakeOwned:
        """Open a session of this pod."""
        token = changes.pop("token", 1)
        application = changes.pop("policy", {})
        own = self.sessions.add(record(session_id, **changes), token=token, **application)
        if own.record.state == "open":
            await self.pipeline.opened(cast(OwnedSession, own))
        return own

    async def send(self, own: FakeOwned, *bodies: str, **fields: Any) -> list[Outcome]:
        """Accept messages of a session."""
        return list(await self.pipeline.accept(own.record, own.application, [outbound(b, **fields) for b in bodies]))

    def settle(
        self, own: FakeOwned, message_id: str, settlement: Settlement = Settlement.DELIVERED, status: int = 200
    ) -> None:
        """Tell what became of a message."""
        own.wire.on_its_way.pop(message_id, None)
        event = Settled(session=own.chat, message_id=message_id, settlement=settlement, status=status)
        self.pipeline.receive(cast(OwnedSession, own), event)

    async def start(self, wanted: Start) -> SessionRecord:
        """Start a session of this pod."""
        made = record(
            wanted.session_id,
            direction="outbound",
            state="starting",
            accept_types=(),
            local_uri=wanted.from_uri,
            remote_uri=wanted.to_uri,
            file=wanted.file,
            file_direction=wanted.file_direction,
            resumes=wanted.resumes,
        )
        own = self.sessions.add(made)
        own.transfer = wanted.media.file
        return own.record

    def arrive(
        self,
        own: FakeOwned,
        body: bytes,
        content_type: str = "text/plain",
        message_id: str = "msrp1",
        *,
        success_report: bool = False,
        failure_report: FailureReport = FailureReport.YES,
    ) -> "Answer":
        """Let a message come."""
        answer = Answer()
        event = Received(
            session=own.chat,
            message_id=message_id,
            content_type=content_type,
            body=body,
            fields=(),
            accept=answer.accept,
            refuse=answer.refuse,
            success_report=success_report,
            failure_report=failure_report,
        )
        self.pipeline.receive(cast(OwnedSession, own), event)
        return answer

    async def rows(self, session_id: str = "s1") -> list[LedgerRow]:
        """Return the messages of a session, as the ledger has them."""
        return await self.ledger.conversation(conversation_of(session_id), limit=1_000)

    async def states(self, session_id: str = "s1") -> list[State]:
        """Return their states."""
        return [row.state for row in await self.rows(session_id)]


@dataclass(slots=True)
class Answer:
    """What a peer is answered."""

    given: list[int] = field(default_factory=list)

    def accept(self) -> None:
        self.given.append(200)

    def refuse(self, status: int, comment: str) -> None:
        self.given.append(status)


def record(session_id: str = "s1", **changes: Any) -> SessionRecord:
    """Return a session that is open unless said otherwise."""
    values: dict[str, Any] = {
        "id": session_id,
        "application": "helpdesk",
        "direction": "inbound",
        "state": "open",
        "local_uri": LOCAL,
        "remote_uri": REMOTE,
        "created": START,
        "accept_types": TYPES,
        "accept_wrapped_types": ("*",),
    }
    return SessionRecord(**{**values, **changes})


def outbound(body: str, **fields: Any) -> ua_pb2.OutboundMessage:
    """Return a message of an application."""
    content_type = fields.pop("content_type", "text/plain")
    return ua_pb2.OutboundMessage(content_type=content_type, body=body.encode(), **fields)


@asynccontextmanager
async def message_world(
    directory: Path,
    *,
    pod: str = "pod-1",
    clock: ManualClock | None = None,
    limits: dict[str, Any] | None = None,
    accept_at: AcceptThere | None = None,
    open_call: Callable[[str], OpenCall] | None = None,
    bus: Bus | None = None,
    objects: Objects | None = None,
) -> AsyncIterator[MessageWorld]:
    """Return a message side whose ledger is in a directory; entering it again is another process over the same."""
    clock = clock or ManualClock()
    sessions, events = FakeSessions(pod), ToldEvents()
    settings = UaSettings(limits=UaLimits(**(limits or {})))
    async with (
        Database(f"sqlite:///{directory / 'ledger.sqlite3'}") as database,
        BreakableLedger(database, clock=clock) as ledger,
    ):
        blobs, parts = BlobStore(database, clock=clock, objects=objects), FileParts(database)
        async with MessagePipeline(
            sessions,
            ledger=ledger,
            blobs=blobs,
            parts=parts,
            events=events,
            settings=settings,
            wall=clock,
            now=clock,
            accept_at=accept_at,
            open_call=open_call,
            bus=bus,
        ) as pipeline:

            async def start(wanted: Start) -> SessionRecord:
                return await world.start(wanted)

            world = MessageWorld(
                pipeline=pipeline,
                sessions=sessions,
                ledger=ledger,
                blobs=blobs,
                parts=parts,
                events=events,
                clock=clock,
                files=pipeline.with_files(start),
            )
            yield world


@dataclass(slots=True)
class FakeStream:
    """A message that comes in pieces."""

    world: MessageWorld
    own: FakeOwned
    message_id: str = "stream"
    content_type: str = "text/plain"
    total: int | None = None
    answer: Answer = field(default_factory=Answer)
    pauses: list[bool] = field(default_factory=list)
    reports: list[int] = field(default_factory=list)
    sent: int = 0
    """Octets of the message so far; to begin with, those that came elsewhere."""

    def begin(self) -> None:
        self._tell(
            StreamBegan(
                session=self.own.chat,
                message_id=self.message_id,
                content_type=self.content_type,
                total=self.total,
                fields=(),
                refuse=self.answer.refuse,
                pause=self.pauses.append,
                report=self.reports.append,
            )
        )

    def piece(self, data: bytes) -> None:
        self._tell(StreamPiece(session=self.own.chat, message_id=self.message_id, offset=self.sent, data=data))
        self.sent += len(data)

    def end(self, *, complete: bool = True, lost: bool = False) -> None:
        self._tell(
            StreamEnded(
                session=self.own.chat,
                message_id=self.message_id,
                total=self.sent,
                complete=complete,
                reason="",
                accept=self.answer.accept,
                refuse=self.answer.refuse,
                lost=lost,
            )
        )

    def _tell(self, event: StreamBegan | StreamPiece | StreamEnded) -> None:
        self.world.pipeline.receive(cast(OwnedSession, self.own), event)
