"""Sessions and their changes as the contracts have them (``proto/wigwag/api/relay/v1/session.proto``)."""

from collections.abc import Mapping

from google.protobuf.timestamp_pb2 import Timestamp

from wigwag.api.relay.v1 import session_pb2

from .session_journal import JournalEntry
from .views import SessionChange, SessionView

STATES: Mapping[str, session_pb2.SessionState] = {
    "active": session_pb2.SESSION_STATE_ACTIVE,
    "suspended": session_pb2.SESSION_STATE_SUSPENDED,
    "ended": session_pb2.SESSION_STATE_ENDED,
}
_CHANGES: Mapping[SessionChange, session_pb2.SessionChangeKind] = {
    SessionChange.GRANTED: session_pb2.SESSION_CHANGE_KIND_GRANTED,
    SessionChange.REFRESHED: session_pb2.SESSION_CHANGE_KIND_REFRESHED,
    SessionChange.SUSPENDED: session_pb2.SESSION_CHANGE_KIND_SUSPENDED,
    SessionChange.RESUMED: session_pb2.SESSION_CHANGE_KIND_RESUMED,
    SessionChange.MOVED: session_pb2.SESSION_CHANGE_KIND_MOVED,
    SessionChange.ENDED: session_pb2.SESSION_CHANGE_KIND_ENDED,
}


def session_message(view: SessionView, pod: str) -> session_pb2.Session:
    """Return a session as the contract has it."""
    return session_pb2.Session(
        id=view.id,
        user=view.user,
        realm=view.realm,
        client_uri=view.client_uri,
        state=STATES[view.state],
        listener=view.listener,
        remote=view.remote,
        connection_id=view.connection_id or 0,
        create_time=timestamp(view.created),
        expire_time=timestamp(view.expires),
        messages_in=view.messages_in,
        messages_out=view.messages_out,
        bytes_in=view.bytes_in,
        bytes_out=view.bytes_out,
        reports=view.reports,
        failures=view.failures,
        pod=view.pod or pod,
    )


def change_message(entry: JournalEntry, pod: str) -> session_pb2.SessionChange:
    """Return a change as the contract has it."""
    return session_pb2.SessionChange(
        sequence=entry.sequence,
        kind=_CHANGES[entry.change],
        change_time=timestamp(entry.time),
        session=session_message(entry.view, pod),
        reason=entry.reason,
    )


def timestamp(seconds: float) -> Timestamp:
    """Return a moment, in seconds since the epoch."""
    return Timestamp(seconds=int(seconds), nanos=int(seconds % 1 * 1_000_000_000))
