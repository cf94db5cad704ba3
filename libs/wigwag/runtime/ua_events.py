"""What the user agent's rows of the ledger say on the bus: messages that wait for a session's owner, and events."""

from collections.abc import Iterator

from wigwag.api.events.v1.session_pb2 import SessionEvent, SessionOutbound
from wigwag.api.ua.v1 import event_pb2
from wigwag.bus import Message
from wigwag.database.ledger import LedgerEvent, State

from .events import SESSIONS_EVENTS, SESSIONS_OUTBOUND, envelope, moment
from .traceparent import as_header
from .ua_messages import INBOUND, OUTBOUND, SessionFields, fields_of, message_of


def ua_records(event: LedgerEvent, pod: str) -> Iterator[tuple[str, Message]]:
    """Yield topic and record that an event of the ledger makes.

    A message that its session's owner claimed when he accepted it is on its way already, and so is not put on
    ``SESSIONS_OUTBOUND``: whoever takes the session over finds it in the ledger.
    """
    row = event.row
    fields = fields_of(row.headers)
    key = fields.session_id
    headers = dict(as_header(fields.traceparent)) if fields.traceparent else {}
    if row.direction == OUTBOUND and event.state is State.ACCEPTED and row.state is State.ACCEPTED and not row.owner:
        outbound = SessionOutbound(session_id=key, ledger_id=row.id)
        value = envelope(outbound, event_id=row.id, at=event.at, pod=pod, version=event.version)
        yield SESSIONS_OUTBOUND.name, Message(value, key=key, headers=headers)
    told = event_of(event, fields)
    value = envelope(SessionEvent(event=told), event_id=told.event_id, at=event.at, pod=pod, version=event.version)
    yield SESSIONS_EVENTS.name, Message(value, key=key, headers=headers)


def event_of(event: LedgerEvent, fields: SessionFields) -> event_pb2.Event:
    """Return what an application is told: a message that came has its body, one that changed does not."""
    row = event.row
    told = event_pb2.Event(
        event_id=f"{row.id}:{event.version}",
        application=fields.application,
        session_id=fields.session_id,
        occurred_at=moment(event.at),
    )
    if row.direction == INBOUND and event.state is State.ACCEPTED:
        told.message_received.CopyFrom(message_of(row, event, fields=fields))
    else:
        told.message_changed.CopyFrom(message_of(row, event, fields=fields, body=False))
    return told
