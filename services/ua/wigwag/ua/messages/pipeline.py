"""The message side of the user agent: what joins its parts (``MessageSide``)."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import structlog

from wigwag.api.ua.v1 import event_pb2, message_pb2, owner_pb2, ua_pb2
from wigwag.bus import Bus
from wigwag.database.ledger import Change, Ledger, LedgerRow, State, Verdict
from wigwag.errors import ConflictError, OverloadedError, WigwagError
from wigwag.protocols.cpim import CpimMessage
from wigwag.protocols.imdn import Imdn, NotificationType, Status
from wigwag.protocols.iscomposing import IsComposing
from wigwag.protocols.msrp import FailureReport
from wigwag.protocols.sdp import FileTransfer
from wigwag.runtime.clock import monotonic
from wigwag.runtime.events import SESSIONS_OUTBOUND
from wigwag.runtime.tracing import SILENT, Tracing
from wigwag.runtime.ua_messages import INBOUND, MsrpReports, fields_of, reports_of
from wigwag.ua.config import ApplicationSettings, UaSettings
from wigwag.ua.endpoint.model import (
    EndpointEvent,
    Received,
    Reported,
    Settled,
    StreamBegan,
    StreamEnded,
    StreamPiece,
)
from wigwag.ua.ports import Events, Outcome
from wigwag.ua.sessions.ports import FinalState, OwnedSession, Sessions
from wigwag.ua.sessions.record import SessionRecord

from .accepting import Outbound
from .composing import Composing
from .content import RefusedError, check_type, content_of, read, reported_later, traced, wrapping_of
from .delivery import Delivery
from .edits import Edits
from .file_arrivals import FileArrivals
from .file_keeping import FileKeeping
from .file_parts import PartKeeper, Parts
from .file_telling import FileTelling
from .files import Files, StartSession
from .forwarding import AcceptThere, Forwarding
from .handover import GROUP, HandOver, OpenCall
from .inbox import BLOB_SPARE, Arrived, Inbox
from .notifications import Notice, Notifications
from .settling import Settlements
from .spans import Spans
from .staging import BlobInfo, Blobs
from .streams import Streams
from .telling import session_event

TICK: Final = 0.25
_CLOSING: Final = 5.0
"""Seconds for writing outcomes when the pod ends."""

logger = structlog.get_logger("wigwag.ua")


class MessagePipeline:
    """Implements ``MessageSide``; ``async with`` runs it.

    Args:
        sessions: The life of sessions.
        ledger: Open while this runs.
        blobs: Bodies above 64 KiB.
        parts: Where parts of files are written down.
        events: Hears what is no state of a message.
        settings: Of the user agent.
        wall: Seconds since 1970, by the store's clock.
        now: Seconds, monotonic.
        tracing: Begins spans.
        accept_at: Calls ``UaPodService.Accept`` at another pod; OverloadedError: it is not reached.
        open_call: Returns what opens ``UaPodService.Deliver`` at another pod; OverloadedError: it is not reached.
        bus: Brings what waits for the owner of a session; None: nobody else accepts messages.
    """

    def __init__(
        self,
        sessions: Sessions,
        *,
        ledger: Ledger,
        blobs: Blobs,
        parts: Parts,
        events: Events,
        settings: UaSettings,
        wall: Callable[[], float],
        now: Callable[[], float] = monotonic,
        tracing: Tracing | None = None,
        accept_at: AcceptThere | None = None,
        open_call: Callable[[str], OpenCall] | None = None,
        bus: Bus | None = None,
    ) -> None:
        limits = settings.limits
        self.spans = Spans(tracing or Tracing())
        self.edits = Edits(ledger)
        self.notifications = Notifications(sessions, ledger, self.edits, events, wall=wall)
        self.composing = Composing(sessions, events, now=now, wall=wall)
        self.delivery = Delivery(
            sessions,
            ledger,
            self.edits,
            blobs,
            in_flight=limits.in_flight,
            wall=wall,
            spans=self.spans,
            spawn=self._spawn,
        )
        self.inbox = Inbox(sessions, ledger, blobs, self.edits, self.notifications, now=now, wall=wall)
        self.streams = Streams(blobs, self, largest=limits.message_bytes, expires=self._blob_expires, spawn=self._spawn)
        self.handover = HandOver(
            sessions, ledger, self.delivery, open_call=open_call or _unreachable, spawn=self._spawn
        )
        self.outbound = self._outbound(sessions, ledger, blobs, settings, wall)
        self.forwarding = Forwarding(
            sessions, self.outbound.accept, accept_at or _unreachable_accept, spawn=self._spawn
        )
        self.telling: FileTelling | None = None
        self._arrivals: FileArrivals | None = None
        self._ledger = ledger
        self._blobs = blobs
        self._parts = PartKeeper(blobs, parts, largest=limits.file_bytes)
        self._sessions = sessions
        self._events = events
        self._limits = limits
        self._wall = wall
        self._now = now
        self._types: dict[str, tuple[str, _Taken]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ticked = asyncio.Event()
        self._bus = bus
        self._stack = AsyncExitStack()
        self._join()

    def _outbound(
        self, sessions: Sessions, ledger: Ledger, blobs: Blobs, settings: UaSettings, wall: Callable[[], float]
    ) -> Outbound:
        return Outbound(
            sessions,
            ledger,
            blobs,
            self.delivery,
            limits=settings.limits,
            wall=wall,
            spans=self.spans,
            hand_over=self.handover.put,
            bring=self.handover.bring,
        )

    def _join(self) -> None:
        self.settlements = Settlements(self._sessions, self._ledger, self.edits, self.notifications, wall=self._wall)
        self.delivery.on_sent = self.composing.content_sent
        self.delivery.on_rows = self.inbox.resume
        self.delivery.on_homeless = self.handover.put
        self.inbox.on_repeated = self.settlements.told_again

    async def __aenter__(self) -> Self:
        for work in (self.edits.run(), self.inbox.run(), self.handover.run(), self._tick()):
            self._spawn(work)
        self._stack.push_async_callback(self.handover.close)
        if self._bus is not None:
            self._bus.declare(SESSIONS_OUTBOUND)
            consumer = self._bus.consume(GROUP, [SESSIONS_OUTBOUND.name], self.handover.consume, in_flight=256)
            await self._stack.enter_async_context(consumer)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the outcomes that are known, for some seconds; the rest is found in the ledger."""
        await self._stack.aclose()
        await self.edits.flush(_CLOSING)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.delivery.close()

    async def settled(self, seconds: float) -> None:
        """Wait until nothing is on its way, but not longer than that."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.delivery.flying:
                    self._ticked.clear()
                    await self._ticked.wait()

    # What the use cases ask

    async def accept(
        self, record: SessionRecord, application: ApplicationSettings, messages: Sequence[ua_pb2.OutboundMessage]
    ) -> Sequence[Outcome]:
        """Accept messages of one session, in order, at its owner; returns when each is durable or refused.

        Raises:
            OverloadedError: Too much waits, or the owner is not reached.
            StoreError: It is not known who owns the session.
            DatabaseError: They may or may not be there: sending again under the same keys tells.
        """
        return await self.forwarding.accept(record, application, messages)

    def set_composing(self, session: OwnedSession, *, active: bool, content_type: str) -> None:
        """Tell the peer that the application's user types, or has stopped."""
        self.composing.set(session, active=active, content_type=content_type)

    async def mark_displayed(self, row: LedgerRow) -> None:
        """Tell the sender of an inbound message that it was shown, if he asked; once.

        Raises:
            ConflictError: The session is not this pod's.
            DatabaseError: It may or may not be written down.
        """
        fields = fields_of(row.headers)
        own = self._sessions.owned(fields.session_id)
        if own is None:
            raise ConflictError("the session is another pod's, or over")
        verdict = await self._displayed(row.id, row.version)
        if verdict.done:
            message = wrapping_of(row.content_type, fields)
            self.notifications.owe(own, row.id, message, NotificationType.DISPLAY, Status.DISPLAYED)

    async def settle(self, row: LedgerRow, outcome: FinalState) -> LedgerRow:
        """Give a message that came its outcome, and tell its sender if his session is this pod's.

        Raises:
            ConflictError: It has another outcome, or its sender was told by ourselves.
            DatabaseError: It may or may not be written down.
        """
        return await self.settlements.settle(row, outcome)

    async def _displayed(self, row_id: str, version: int) -> Verdict:
        verdict = await self.edits.apply(Change(id=row_id, version=version, state=State.DISPLAYED))
        if not verdict.done and verdict.state in (State.ACCEPTED, State.DELIVERED):
            # It was handed on since it was read.
            return await self.edits.apply(Change(id=row_id, version=verdict.version, state=State.DISPLAYED))
        return verdict

    # What the life of sessions asks

    def receive(self, session: OwnedSession, event: EndpointEvent) -> None:
        """Take what happens on the wire in a session of this pod."""
        if session.record.file and isinstance(event, Reported) and self.telling is not None:
            self.telling.reported(session, event)
        if session.record.file and self._arrivals is not None and not isinstance(event, Settled | Reported):
            if isinstance(event, Received | StreamBegan | StreamPiece | StreamEnded):
                self._arrivals.receive(session, event)
            return
        match event:
            case Settled():
                self.delivery.settled(event)
            case Received():
                self._received(session, event)
            case Reported():
                self._reported(session, event)
            case StreamBegan() | StreamPiece() | StreamEnded():
                self.streams.receive(session, event)
            case _:
                pass

    async def opened(self, session: OwnedSession) -> None:
        """Send what waits: the session was opened, or taken over from a lost pod."""
        self.delivery.opened(session)

    def with_files(self, start: StartSession) -> Files:
        """Return the file side; to be called before anything happens.

        Args:
            start: Starts a session for a file.
        """
        largest = self._limits.file_bytes
        self.telling = FileTelling(self._sessions, delivery=self.delivery, events=self._events, wall=self._wall)
        files = Files(
            self._sessions,
            start,
            ledger=self._ledger,
            keeping=FileKeeping(self._blobs, self._parts, largest=largest, wall=self._wall),
            parts=self._parts,
            delivery=self.delivery,
            telling=self.telling,
            wall=self._wall,
            spawn=self._spawn,
        )
        self._arrivals = FileArrivals(
            self.telling,
            self._ledger,
            self._blobs,
            self._parts,
            self.inbox,
            largest=largest,
            expires=self._blob_expires,
            now=self._now,
            spawn=self._spawn,
        )
        return files

    async def ended(self, session: OwnedSession, reason: str) -> None:
        """Settle what waits: the session is over."""
        self._types.pop(session.record.id, None)
        self.delivery.ended(session, reason)
        if self.telling is not None and self._arrivals is not None:
            if session.record.file_direction == INBOUND:
                await self._arrivals.ended(session, reason)
            elif session.record.file_direction:
                self.telling.ended(session, reason)

    async def leaving(self, session: OwnedSession) -> None:
        """Make durable what came of a file: the session is about to be given back."""
        if session.record.file and self._arrivals is not None:
            await self._arrivals.leaving(session)

    async def resumable(self, session: SessionRecord, transfer: FileTransfer) -> str | None:
        """Find the part of a file that a peer offers to go on with."""
        return await self._parts.resumable(session, transfer)

    # What comes

    def _received(self, own: OwnedSession, event: Received) -> None:
        if not event.body and not event.content_type:
            event.accept()
            return
        types, wrapped_types, _ = self._taken(own)
        try:
            if len(event.body) > self._limits.message_bytes:
                raise RefusedError(413, "longer than messages may be")
            if own.application.content == "as_is":
                check_type(event.content_type, None, types, wrapped_types)
                self._take(own, event, None)
            else:
                self._take(own, event, read(event.content_type, event.body, types, wrapped_types))
        except RefusedError as error:
            self._refused(own, event, error)

    def _take(self, own: OwnedSession, event: Received, found: CpimMessage | Imdn | IsComposing | None) -> None:
        if isinstance(found, IsComposing):
            self.composing.received(own, found)
            event.accept()
            return
        if isinstance(found, Imdn):
            self.inbox.put_notice(Notice(own=own, imdn=found, accept=event.accept, refuse=event.refuse))
            return
        record = own.record
        content = content_of(record.id, record.application, event.message_id, event.content_type, event.body, found)
        if self._taken(own).reports_later:
            content = reported_later(content, _reports_of(event, len(event.body)))
        span = SILENT
        if event.traceparent:
            span = self.spans.receiving(event.traceparent, event.message_id, content)
            content = traced(content, span.traceparent)
        self.composing.content_received(own)
        self.inbox.put(
            Arrived(
                own=own,
                message_id=event.message_id,
                content=content,
                accept=event.accept,
                refuse=event.refuse,
                at=self._now(),
                span=span,
            )
        )

    def _refused(self, own: OwnedSession, event: Received, error: RefusedError) -> None:
        self.inbox.counters["refused"] += 1
        event.refuse(error.status, error.comment)
        row_id = f"{own.record.id}\0{event.message_id}"
        self.notifications.owe(own, row_id, error.message, NotificationType.DELIVERY, Status.FAILED)

    def _taken(self, own: OwnedSession) -> "_Taken":
        """Return the media types that we said we take, and when we report."""
        record = own.record
        known = self._types.get(record.id)
        if known is None or known[0] != record.wish:
            known = self._types[record.id] = (record.wish, _taken_by(record.wish, own.application))
        return known[1]

    def _reported(self, own: OwnedSession, event: Reported) -> None:
        """Tell those that the application wants; else what is no outcome by itself: a part, or no success."""
        wanted = self.delivery.reports(own.record.id, event.message_id)
        if not _is_told(event, wanted):
            return
        report = event_pb2.Report(
            message_id=event.message_id,
            status=event.status,
            reason=event.reason,
            first_octet=event.first_octet,
            last_octet=event.last_octet,
            total=event.total,
        )
        self._events.tell(session_event(own.record, self._wall(), report=report))

    # What comes in pieces (``Taker``)

    def check(self, own: OwnedSession, content_type: str, message: CpimMessage | None) -> None:
        """Look at a large message; RefusedError: it is not taken."""
        types, wrapped_types, _ = self._taken(own)
        check_type(content_type, message, types, wrapped_types)

    def whole(self, own: OwnedSession, began: StreamBegan, ended: StreamEnded, body: bytes) -> None:
        """Take a message that was small after all."""
        event = Received(
            session=began.session,
            message_id=began.message_id,
            content_type=began.content_type,
            body=body,
            fields=began.fields,
            accept=ended.accept,
            refuse=ended.refuse,
            success_report=began.success_report,
            failure_report=began.failure_report,
        )
        self._received(own, event)

    def large(
        self, own: OwnedSession, began: StreamBegan, ended: StreamEnded, blob: BlobInfo, message: CpimMessage | None
    ) -> None:
        """Take a message that is in a blob."""
        record = own.record
        content = content_of(record.id, record.application, began.message_id, began.content_type, b"", message)
        content = replace(content, fields=replace(content.fields, size=blob.size))
        if self._taken(own).reports_later:
            content = reported_later(content, _reports_of(began, ended.total))
        self.composing.content_received(own)
        self.inbox.put(
            Arrived(
                own=own,
                message_id=began.message_id,
                content=content,
                accept=ended.accept,
                refuse=ended.refuse,
                at=self._now(),
                blob=blob.id,
            )
        )

    def _blob_expires(self, own: OwnedSession) -> float:
        return self._wall() + own.application.message_expires + BLOB_SPARE

    # Time

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            try:
                self.delivery.tick()
                self.composing.tick()
                if self.telling is not None:
                    self.telling.tick()
                if self.outbound.uncertain:
                    await self.outbound.find_out()
            except WigwagError as error:
                logger.debug("messages are not looked after", reason=str(error))
            except Exception:
                logger.exception("messages are not looked after")
            self._ticked.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("work on messages failed", reason=repr(error), exc_info=error)


def _is_told(event: Reported, wanted: str) -> bool:
    if not wanted:
        whole = event.first_octet <= 1 and event.total and event.last_octet == event.total
        return event.status != 200 or not (whole or not event.last_octet)
    reports = reports_of(wanted)
    return reports.success if event.status == 200 else reports.failure != message_pb2.FAILURE_REPORTS_NO


def _unreachable(pod: str) -> OpenCall:
    raise OverloadedError(f"it is not known where pod {pod} is reached")


async def _unreachable_accept(pod: str, batch: owner_pb2.AcceptBatch) -> owner_pb2.AcceptResponse:
    raise OverloadedError(f"it is not known where pod {pod} is reached")


class _Taken(NamedTuple):
    """What was agreed on for what comes in a session."""

    types: tuple[str, ...]
    wrapped_types: tuple[str, ...]
    reports_later: bool
    """Whether the application says what became of a message before its sender is told."""


def _taken_by(wish: str, application: ApplicationSettings) -> _Taken:
    try:
        read_ = json.loads(wish) if wish else {}
    except ValueError:
        read_ = {}
    return _Taken(
        tuple(read_.get("accept_types", application.accept_types)),
        tuple(read_.get("accept_wrapped_types", application.accept_wrapped_types)),
        not read_.get("automatic_reports", application.reports == "acceptance"),
    )


def _reports_of(event: Received | StreamBegan, octets: int) -> MsrpReports:
    return MsrpReports(event.success_report, event.failure_report is not FailureReport.NO, octets)
