"""From the contract's messages to events."""

from collections.abc import Callable
from datetime import UTC
from typing import Any, Final

from wigwag.api.ua.v1 import event_pb2, message_pb2, session_pb2

from .events import (
    Composing,
    DeliveryState,
    Event,
    FileChanged,
    FileState,
    MessageChanged,
    MessageReceived,
    Notified,
    Reported,
    SessionChanged,
    SessionEnded,
    SessionOffered,
    SessionOpened,
    SessionProgress,
)
from .session import Session

SessionOf = Callable[[str], Session]
"""Returns the session of an id."""


def read_event(event: event_pb2.Event, session_of: SessionOf) -> Event | None:
    """Return an event; None for one that a newer user agent tells."""
    what = event.WhichOneof("what")
    reader = _READERS.get(what or "")
    if reader is None:
        return None
    session = session_of(event.session_id)
    happened = {
        "session": session,
        "event_id": event.event_id,
        "occurred_at": event.occurred_at.ToDatetime(tzinfo=UTC),
    }
    return reader(getattr(event, what or ""), session, happened)


def _session_changed(now: session_pb2.Session, session: Session, happened: dict[str, Any]) -> Event:
    before = session.state
    session.update(now)
    match session.state:
        case "offered":
            return SessionOffered(**happened, subject=now.subject)
        case "open" if before != "open":
            return SessionOpened(**happened)
        case "ended":
            cause = session_pb2.EndCause.Name(now.end_cause).removeprefix("END_CAUSE_").lower()
            return SessionEnded(**happened, cause=cause, sip_status=now.sip_status, sip_reason=now.sip_reason)
        case _:
            return SessionChanged(**happened)


def _message_received(came: message_pb2.Message, session: Session, happened: dict[str, Any]) -> Event:
    return MessageReceived(
        **happened,
        message_id=came.message_id,
        content_type=came.content_type,
        body=came.body,
        blob_id=came.blob_id,
        size=came.size,
        wants_display=came.requested.display,
        headers={header.name: header.value for header in came.cpim_headers},
    )


def _message_changed(now: message_pb2.Message, session: Session, happened: dict[str, Any]) -> Event:
    state = delivery_state(now.state)
    return MessageChanged(**happened, message_id=now.message_id, state=state, status=now.status, reason=now.reason)


def delivery_state(state: message_pb2.DeliveryState) -> DeliveryState:
    """Return a state of the contract."""
    return DeliveryState(message_pb2.DeliveryState.Name(state).removeprefix("DELIVERY_STATE_").lower())


def _composing(now: event_pb2.Composing, session: Session, happened: dict[str, Any]) -> Event:
    return Composing(**happened, active=now.active, content_type=now.content_type)


def _progress(now: event_pb2.Progress, session: Session, happened: dict[str, Any]) -> Event:
    return SessionProgress(**happened, sip_status=now.sip_status, sip_reason=now.sip_reason)


def _file_changed(now: message_pb2.File, session: Session, happened: dict[str, Any]) -> Event:
    return FileChanged(
        **happened,
        name=now.name,
        content_type=now.content_type,
        size=now.size,
        state=FileState(message_pb2.FileState.Name(now.state).removeprefix("FILE_STATE_").lower()),
        transferred=now.transferred,
        blob_id=now.blob_id,
        sha256=now.sha256,
        reason=now.reason,
    )


def _notification(now: event_pb2.Notification, session: Session, happened: dict[str, Any]) -> Event:
    return Notified(**happened, message_id=now.message_id, kind=now.kind, status=now.status)


def _report(now: event_pb2.Report, session: Session, happened: dict[str, Any]) -> Event:
    return Reported(
        **happened,
        message_id=now.message_id,
        status=now.status,
        reason=now.reason,
        first_octet=now.first_octet,
        last_octet=now.last_octet,
        total=now.total,
    )


_READERS: Final[dict[str, Callable[[Any, Session, dict[str, Any]], Event]]] = {
    "session_changed": _session_changed,
    "message_received": _message_received,
    "message_changed": _message_changed,
    "composing": _composing,
    "progress": _progress,
    "file_changed": _file_changed,
    "notification": _notification,
    "report": _report,
}
