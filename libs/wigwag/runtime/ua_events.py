"""What the user agent's rows of the ledger say on the bus: messages that wait for a session's owner, and events."""

from collections.abc import Iterator

from wigwag.api.events.v1.session_pb2 import SessionEvent, SessionOutbound
from wigwag.api.ua.v1 import event_pb2
from wigwag.bus import Message
from wigwag.database.ledger import LedgerEvent, State

from .events import SESSIONS_EVENTS, SESSIONS_OUTBOUND, envelope
from .ua_messages import APPLICATION, INBOUND, OUTBOUND, SESSION, message_of


def ua_records(event: LedgerEvent, pod: str) -> Iterator[tuple[str, Message]]:
    """Yield topic and record that an event of the ledger makes beside the change of state itself.

    A message that its session's owner claimed when he accepted it is on its way already, and so is not put on
    ``SESSIONS_OUTBOUND``: whoever takes the session over finds it in the ledger.
    """
    row = event.row
    session_id = dict(row.headers).get(SESSION, "")
    if row.direction == OUTBOUND and event.state is State.ACCEPTED and row.state is State.ACCEPTED and not row.owner:
        outbound = SessionOutbound(session_id=session_id, ledger_id=row.id)
        value = envelope(outbound, event_id=row.id, at=event.at, pod=pod, version=event.version)
        yield SESSIONS_OUTBOUND.name, Message(value, key=session_id)
    event_id = f"{row.id}:{event.version}"
    told = SessionEvent(event=event_of(event, event_id, session_id))
    value = envelope(told, event_id=event_id, at=event.at, pod=pod, version=event.version)
    yield SESSIONS_EVENTS.name, Message(value, key=session_id)


def event_of(event: LedgerEvent, event_id: str, session_id: str) -> event_pb2.Event:
    """Return what an application is told: a message that came has its body, one that changed does not."""
    row = event.row
    found = event_pb2.Event(
        event_id=event_id, application=dict(row.headers).get(APPLICATION, ""), session_id=session_id
    )
    found.occurred_at.FromMicroseconds(round(event.at * 1e6))
    if row.direction == INBOUND and event.state is State.ACCEPTED:
        found.message_received.CopyFrom(message_of(row, event))
    else:
        found.message_changed.CopyFrom(message_of(row, event, body=False))
    return found
