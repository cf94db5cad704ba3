"""What the user agent's rows of the ledger say on the bus: messages that wait for a session's owner, and events."""

from collections.abc import Iterator

from wigwag.api.events.v1.session_pb2 import SessionOutbound
from wigwag.api.ua.v1 import event_pb2
from wigwag.bus import Message
from wigwag.database.ledger import LedgerEvent, State

from .events import SESSIONS_EVENTS, SESSIONS_OUTBOUND, envelope, session_envelope
from .traceparent import as_header
from .ua_messages import INBOUND, OUTBOUND, SessionFields, describe, fields_of


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
    event_id = f"{row.id}:{event.version}"
    told, what = session_envelope(event_id=event_id, at=event.at, pod=pod, version=event.version)
    _describe(what, event, fields)
    yield SESSIONS_EVENTS.name, Message(told.SerializeToString(), key=key, headers=headers)


def _describe(told: event_pb2.Event, event: LedgerEvent, fields: SessionFields) -> None:
    """Say what an application is told: a message that came has its body, one that changed does not."""
    told.application = fields.application
    told.session_id = fields.session_id
    if event.row.direction == INBOUND and event.state is State.ACCEPTED:
        describe(told.message_received, event.row, event.version, event.state, fields)
    else:
        describe(told.message_changed, event.row, event.version, event.state, fields, body=False)
