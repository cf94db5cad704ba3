"""Messages of SIP users as they come: looked at, unwrapped, and handed to the part that each is for."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from wigwag.protocols.cpim import CpimMessage
from wigwag.protocols.imdn import Imdn, NotificationType, Status
from wigwag.protocols.iscomposing import IsComposing
from wigwag.protocols.msrp import FailureReport
from wigwag.runtime.tracing import SILENT
from wigwag.runtime.ua_messages import MsrpReports
from wigwag.ua.config import ApplicationSettings
from wigwag.ua.endpoint.model import Received, StreamBegan, StreamEnded
from wigwag.ua.sessions.ports import OwnedSession

from .composing import Composing
from .content import RefusedError, check_type, content_of, read, reported_later, traced
from .inbox import Arrived, Inbox
from .notifications import Notice, Notifications
from .spans import Spans
from .staging import BlobInfo


class _Agreed(NamedTuple):
    """What was agreed on for what comes in a session."""

    types: tuple[str, ...]
    wrapped_types: tuple[str, ...]
    reports_later: bool
    """Whether the application says what became of a message before its sender is told."""


class Taking:
    """Takes what comes in sessions (``streams.Taker``).

    Args:
        inbox: Makes messages and notifications durable.
        composing: Knows who is typing.
        notifications: Tells those who asked by IMDN.
        spans: Of messages that are traced.
        largest: Octets of a message that comes whole.
        now: Seconds, monotonic.
    """

    def __init__(
        self,
        inbox: Inbox,
        composing: Composing,
        notifications: Notifications,
        spans: Spans,
        *,
        largest: int,
        now: Callable[[], float],
    ) -> None:
        self._inbox = inbox
        self._composing = composing
        self._notifications = notifications
        self._spans = spans
        self._largest = largest
        self._now = now
        self._known: dict[str, tuple[str, _Agreed]] = {}

    def forget(self, session_id: str) -> None:
        """Hear that a session is over."""
        self._known.pop(session_id, None)

    def received(self, own: OwnedSession, event: Received) -> None:
        """Take a message that came whole."""
        if not event.body and not event.content_type:
            event.accept()
            return
        types, wrapped_types, _ = self._agreed(own)
        try:
            if len(event.body) > self._largest:
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
            self._composing.received(own, found)
            event.accept()
            return
        if isinstance(found, Imdn):
            self._inbox.put_notice(Notice(own=own, imdn=found, accept=event.accept, refuse=event.refuse))
            return
        record = own.record
        content = content_of(record.id, record.application, event.message_id, event.content_type, event.body, found)
        if self._agreed(own).reports_later:
            content = reported_later(content, _reports_of(event, len(event.body)))
        span = SILENT
        if event.traceparent:
            span = self._spans.receiving(event.traceparent, event.message_id, content)
            content = traced(content, span.traceparent)
        self._composing.content_received(own)
        self._inbox.put(
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
        self._inbox.counters["refused"] += 1
        event.refuse(error.status, error.comment)
        row_id = f"{own.record.id}\0{event.message_id}"
        self._notifications.owe(own, row_id, error.message, NotificationType.DELIVERY, Status.FAILED)

    def _agreed(self, own: OwnedSession) -> _Agreed:
        """Return the media types that we said we take, and when we report."""
        record = own.record
        known = self._known.get(record.id)
        if known is None or known[0] != record.wish:
            known = self._known[record.id] = (record.wish, _agreed_by(record.wish, own.application))
        return known[1]

    # What comes in pieces

    def check(self, own: OwnedSession, content_type: str, message: CpimMessage | None) -> None:
        """Look at a large message; RefusedError: it is not taken."""
        types, wrapped_types, _ = self._agreed(own)
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
        self.received(own, event)

    def large(
        self, own: OwnedSession, began: StreamBegan, ended: StreamEnded, blob: BlobInfo, message: CpimMessage | None
    ) -> None:
        """Take a message that is in a blob."""
        record = own.record
        content = content_of(record.id, record.application, began.message_id, began.content_type, b"", message)
        content = replace(content, fields=replace(content.fields, size=blob.size))
        if self._agreed(own).reports_later:
            content = reported_later(content, _reports_of(began, ended.total))
        self._composing.content_received(own)
        self._inbox.put(
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


def _agreed_by(wish: str, application: ApplicationSettings) -> _Agreed:
    try:
        found = json.loads(wish) if wish else {}
    except ValueError:
        found = {}
    return _Agreed(
        tuple(found.get("accept_types", application.accept_types)),
        tuple(found.get("accept_wrapped_types", application.accept_wrapped_types)),
        not found.get("automatic_reports", application.reports == "acceptance"),
    )


def _reports_of(event: Received | StreamBegan, octets: int) -> MsrpReports:
    return MsrpReports(event.success_report, event.failure_report is not FailureReport.NO, octets)
