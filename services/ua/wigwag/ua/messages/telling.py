"""Events of a session that are no states of a message."""

import secrets
from typing import Any

from wigwag.api.ua.v1 import event_pb2
from wigwag.ua.sessions.record import SessionRecord, timestamp


def session_event(record: SessionRecord, at: float, **what: Any) -> event_pb2.Event:
    """Return an event.

    Args:
        record: The session.
        at: When, seconds since 1970.
        what: The field of ``Event`` that says what happened, by its name.
    """
    return event_pb2.Event(
        event_id=secrets.token_hex(12),
        occurred_at=timestamp(at),
        application=record.application,
        session_id=record.id,
        **what,
    )


def change_event(record: SessionRecord, pod: str, at: float) -> event_pb2.Event:
    """Return the event of a session's new state; that of the end is known by its id, whoever tells it again.

    Args:
        record: The session.
        pod: Who tells it.
        at: When, seconds since 1970.
    """
    event = session_event(record, at, session_changed=record.message(pod))
    if record.state == "ended":
        event.event_id = f"{record.id}:ended"
    return event
