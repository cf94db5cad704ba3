"""Events on the bus: their topics, and the envelope that each travels in (``proto/wigwag/api/events/v1``)."""

from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from wigwag.api.events.v1.application_pb2 import ApplicationsChanged
from wigwag.api.events.v1.envelope_pb2 import Envelope
from wigwag.api.events.v1.gateway_pb2 import GatewayConversationChanged, GatewaySetupFailed
from wigwag.api.events.v1.message_pb2 import MessageStateChanged
from wigwag.api.events.v1.pager_pb2 import PagerMessage, PagerRequest, PagerResult
from wigwag.api.events.v1.registration_pb2 import RegistrationEvent
from wigwag.api.events.v1.relay_pb2 import RelaySessionEvent
from wigwag.api.events.v1.session_pb2 import SessionEvent, SessionOutbound
from wigwag.api.events.v1.status_pb2 import StatusChanged
from wigwag.api.ua.v1.event_pb2 import Event
from wigwag.bus import Topic

STATUS: Final = Topic("wigwag.status.changed")
"""Changes of status numbers; key: pod."""
RELAY_SESSIONS: Final = Topic("wigwag.relay.sessions")
"""What happens to relay sessions; key: session."""
REGISTRATIONS: Final = Topic("wigwag.registrations")
"""What happens to SIP bindings; key: address-of-record."""
MESSAGE_STATES: Final = Topic("wigwag.messages.states")
"""States of the ledger's messages; key: conversation."""
PAGER_INBOUND: Final = Topic("wigwag.pager.inbound")
"""SIP MESSAGEs that wait for a service or an absent user; key: conversation."""
PAGER_OUTBOUND: Final = Topic("wigwag.pager.outbound")
"""Messages that the edge is to send as SIP MESSAGE; key: conversation."""
PAGER_RESULTS: Final = Topic("wigwag.pager.results")
"""What became of them; key: conversation."""

SESSIONS_OUTBOUND: Final = Topic("wigwag.sessions.outbound")
"""Messages of applications that wait for their session's owner; key: session."""
SESSIONS_EVENTS: Final = Topic("wigwag.sessions.events")
"""What happens in sessions of applications; key: session."""
APPLICATIONS: Final = Topic("wigwag.applications", partitions=1)
"""That applications were changed; key: none."""

GATEWAY_EVENTS: Final = Topic("wigwag.gateway.events")
"""What the gateway has to tell; key: conversation."""

Payload = (
    StatusChanged
    | RelaySessionEvent
    | MessageStateChanged
    | RegistrationEvent
    | PagerMessage
    | PagerRequest
    | PagerResult
    | SessionEvent
    | SessionOutbound
    | GatewayConversationChanged
    | GatewaySetupFailed
    | ApplicationsChanged
)


def envelope(payload: Payload, *, event_id: str, at: float, pod: str, version: int = 0) -> bytes:
    """Return an event as it stands on the bus.

    Args:
        payload: What happened.
        event_id: Equal in every copy of the event.
        at: When, in seconds since the epoch.
        pod: Where.
        version: Of two events about the same thing the higher one is the later; 0: not counted.
    """
    occurred_at = moment(at)
    field, name = _FIELDS[type(payload)]
    found = Envelope(event_id=event_id, type=name, occurred_at=occurred_at, pod=pod, version=version)
    getattr(found, field).CopyFrom(payload)
    return found.SerializeToString()


def session_envelope(*, event_id: str, at: float, pod: str, version: int) -> tuple[Envelope, Event]:
    """Return an envelope and its empty event of a session, to be filled in place: messages are spared two copies.

    Args:
        event_id: As ``envelope``.
        at: Likewise.
        pod: Likewise.
        version: Likewise.
    """
    found = empty_envelope(SessionEvent, event_id=event_id, at=at, pod=pod, version=version)
    told = found.session_event.event
    told.event_id = event_id
    set_moment(told.occurred_at, at)
    return found, told


def empty_envelope(kind: type[Payload], *, event_id: str, at: float, pod: str, version: int) -> Envelope:
    """Return an envelope whose payload is to be filled in place: what is told of each message is spared the copy.

    Args:
        kind: Of the payload.
        event_id: As ``envelope``.
        at: Likewise.
        pod: Likewise.
        version: Likewise.
    """
    found = Envelope(event_id=event_id, type=_FIELDS[kind][1], pod=pod, version=version)
    set_moment(found.occurred_at, at)
    return found


def set_moment(target: Timestamp, seconds: float) -> None:
    """Set a time in place, as ``moment`` returns it."""
    whole, micros = divmod(round(seconds * 1e6), 1_000_000)
    target.seconds = whole
    target.nanos = micros * 1_000


def moment(seconds: float) -> Timestamp:
    """Return seconds since the epoch as protobuf has them, to the microsecond."""
    whole, micros = divmod(round(seconds * 1e6), 1_000_000)
    return Timestamp(seconds=whole, nanos=micros * 1_000)


_FIELDS: Final[dict[type, tuple[str, str]]] = {
    StatusChanged: ("status_changed", "wigwag.status.changed"),
    RelaySessionEvent: ("relay_session", "wigwag.relay.session_changed"),
    MessageStateChanged: ("message_state_changed", "wigwag.message.state_changed"),
    RegistrationEvent: ("registration", "wigwag.registration.changed"),
    PagerMessage: ("pager_message", "wigwag.pager.message_accepted"),
    PagerRequest: ("pager_request", "wigwag.pager.message_requested"),
    PagerResult: ("pager_result", "wigwag.pager.attempt_ended"),
    SessionEvent: ("session_event", "wigwag.session.event"),
    SessionOutbound: ("session_outbound", "wigwag.session.message_accepted"),
    GatewayConversationChanged: ("gateway_conversation_changed", "wigwag.gateway.conversation_changed"),
    GatewaySetupFailed: ("gateway_setup_failed", "wigwag.gateway.setup_failed"),
    ApplicationsChanged: ("applications_changed", "wigwag.applications.changed"),
}
"""Field of the envelope, and what it says of its type."""
