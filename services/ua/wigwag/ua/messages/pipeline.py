"""The message side of the user agent: what joins its parts (``MessageSide``)."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final, Self

import structlog

from wigwag.api.ua.v1 import owner_pb2, ua_pb2
from wigwag.bus import Bus
from wigwag.database.ledger import Change, Ledger, LedgerRow, State, Verdict
from wigwag.errors import ConflictError, OverloadedError, WigwagError
from wigwag.protocols.imdn import NotificationType, Status
from wigwag.protocols.sdp import FileTransfer
from wigwag.runtime.clock import monotonic
from wigwag.runtime.events import SESSIONS_OUTBOUND
from wigwag.runtime.tracing import Tracing
from wigwag.runtime.ua_messages import INBOUND, fields_of
from wigwag.ua.background import Background
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
from .backlog import Backlog
from .composing import Composing
from .content import wrapping_of
from .delivery import Delivery
from .edits import Edits
from .file_arrivals import FileArrivals
from .file_keeping import FileKeeping
from .file_parts import PartKeeper, Parts
from .file_telling import FileTelling
from .files import Files, StartSession
from .forwarding import AcceptThere, Forwarding
from .handover import GROUP, HandOver, OpenCall
from .inbox import BLOB_SPARE, Inbox
from .notifications import Notifications
from .peer_reports import PeerReports
from .settling import Settlements
from .spans import Spans
from .staging import Blobs
from .streams import Streams
from .taking import Taking

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
        self._background = Background(_failed)
        spawn = self._background.spawn
        self.spans = Spans(tracing or Tracing())
        self.edits = Edits(ledger)
        self._backlog = Backlog(ledger)
        self.notifications = Notifications(sessions, ledger, self.edits, events, wall=wall)
        self.composing = Composing(sessions, events, now=now, wall=wall)
        self.delivery = Delivery(
            sessions,
            self._backlog,
            self.edits,
            blobs,
            in_flight=limits.in_flight,
            wall=wall,
            spans=self.spans,
            spawn=spawn,
        )
        self.inbox = Inbox(sessions, ledger, blobs, self.edits, self.notifications, now=now, wall=wall)
        self.taking = Taking(
            self.inbox, self.composing, self.notifications, self.spans, largest=limits.message_bytes, now=now
        )
        self.peer_reports = PeerReports(self.delivery, events, wall)
        self.streams = Streams(
            blobs, self.taking, largest=limits.message_bytes, expires=self._blob_expires, spawn=spawn
        )
        self.handover = HandOver(sessions, ledger, self.delivery, open_call=open_call or _unreachable, spawn=spawn)
        self.outbound = self._outbound(sessions, ledger, blobs, settings, wall)
        self.forwarding = Forwarding(sessions, self.outbound.accept, accept_at or _unreachable_accept, spawn=spawn)
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
        self.settlements = Settlements(
            self._sessions, self._ledger, self._backlog, self.edits, self.notifications, wall=self._wall
        )
        self.delivery.on_sent = self.composing.content_sent
        self.delivery.on_rows = self.inbox.resume
        self.delivery.on_homeless = self.handover.put
        self.inbox.on_repeated = self.settlements.told_again

    async def __aenter__(self) -> Self:
        for work in (self.edits.run(), self.inbox.run(), self.handover.run(), self._tick()):
            self._background.spawn(work)
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
        await self._background.close()
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
                self.taking.received(session, event)
            case Reported():
                self.peer_reports.tell(session, event)
            case StreamBegan() | StreamPiece() | StreamEnded():
                self.streams.receive(session, event)
            case _:
                pass

    async def opened(self, session: OwnedSession) -> None:
        """Send what waits in a session that was opened."""
        self.delivery.opened(session)

    async def taken_over(self, session: OwnedSession) -> None:
        """Send what waits in a session of a lost pod, and tell what became of messages just before."""
        self.delivery.opened(session)
        self._background.spawn(self.settlements.resume(session))

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
            spawn=self._background.spawn,
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
            spawn=self._background.spawn,
        )
        return files

    async def ended(self, session: OwnedSession, reason: str) -> None:
        """Settle what waits: the session is over."""
        self.taking.forget(session.record.id)
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
                    await self.outbound.uncertain.find_out()
            except WigwagError as error:
                logger.debug("messages are not looked after", reason=str(error))
            except Exception:
                logger.exception("messages are not looked after")
            self._ticked.set()


def _failed(error: BaseException) -> None:
    logger.error("work on messages failed", reason=repr(error), exc_info=error)


def _unreachable(pod: str) -> OpenCall:
    raise OverloadedError(f"it is not known where pod {pod} is reached")


async def _unreachable_accept(pod: str, batch: owner_pb2.AcceptBatch) -> owner_pb2.AcceptResponse:
    raise OverloadedError(f"it is not known where pod {pod} is reached")
