"""A session as it is stored: all that an application may ask, and all that another pod needs to go on with it."""

from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import msgspec
from google.protobuf.timestamp_pb2 import Timestamp

from wigwag.api.ua.v1 import session_pb2

STATES = {
    "starting": session_pb2.SESSION_STATE_STARTING,
    "offered": session_pb2.SESSION_STATE_OFFERED,
    "open": session_pb2.SESSION_STATE_OPEN,
    "ended": session_pb2.SESSION_STATE_ENDED,
}
_DIRECTIONS = {
    "outbound": session_pb2.SESSION_DIRECTION_OUTBOUND,
    "inbound": session_pb2.SESSION_DIRECTION_INBOUND,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """Times are seconds since 1970."""

    id: str
    application: str
    direction: str
    """``outbound`` or ``inbound``, seen from the application."""
    state: str
    """``starting``, ``offered``, ``open`` or ``ended``."""
    local_uri: str
    remote_uri: str
    created: float
    display_name: str = ""
    subject: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    accept_types: tuple[str, ...] = ()
    accept_wrapped_types: tuple[str, ...] = ()
    max_size: int = 0
    held: bool = False
    call_id: str = ""
    opened: float = 0.0
    ended: float = 0.0
    answer_by: float = 0.0
    last_activity: float = 0.0
    cause: str = ""
    """Name in ``endpoint.model.Cause``; empty: not ended."""
    sip_status: int = 0
    sip_reason: str = ""
    file: str = ""
    """Id of the file transfer that the session is for; empty: a chat."""
    file_direction: str = ""
    """Which way the file goes, as ``direction``; empty: a chat."""
    file_state: str = ""
    """How the transfer ended: ``completed``, ``failed`` or ``declined``; empty: it has not, or a chat."""
    file_octets: int = 0
    """Octets of the file, from its first on, that the receiver has for sure."""
    resumes: str = ""
    """Session whose part of the file is gone on with; empty: none."""
    wish: str = ""
    """What we want of MSRP (JSON): types, way."""
    stored: str = ""
    """``ChatSession.to_state``; empty unless open."""
    answering: str = ""
    """Dialog that our 200 makes (JSON), from before that leaves until the session is open."""

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read what ``to_bytes`` wrote; fields that this version does not know are left out.

        Raises:
            ValueError: It is not that.
        """
        try:
            read: dict[str, Any] = msgspec.json.decode(content)
            known = {each.name: read[each.name] for each in fields(cls) if each.name in read}
            for name in ("accept_types", "accept_wrapped_types"):
                known[name] = tuple(known.get(name, ()))
            return cls(**known)
        except (msgspec.MsgspecError, TypeError, AttributeError) as error:
            raise ValueError(f"a stored session is malformed: {error}") from error

    def to_bytes(self) -> bytes:
        """Return it as it is stored."""
        return msgspec.json.encode(self)

    def changed(self, **changes: Any) -> Self:
        """Return it with changes."""
        return replace(self, **changes)

    def message(self, pod: str = "") -> session_pb2.Session:
        """Return it as applications see it."""
        return session_pb2.Session(
            session_id=self.id,
            application=self.application,
            direction=_DIRECTIONS[self.direction],
            state=STATES[self.state],
            local_uri=self.local_uri,
            remote_uri=self.remote_uri,
            remote_display_name=self.display_name,
            accept_types=self.accept_types,
            accept_wrapped_types=self.accept_wrapped_types,
            max_size=self.max_size,
            created_at=timestamp(self.created),
            opened_at=timestamp(self.opened),
            ended_at=timestamp(self.ended),
            answer_by=timestamp(self.answer_by),
            end_cause=f"END_CAUSE_{self.cause.upper() or 'UNSPECIFIED'}",
            sip_status=self.sip_status,
            sip_reason=self.sip_reason,
            held=self.held,
            pod=pod,
            call_id=self.call_id,
            labels=self.labels,
            subject=self.subject,
        )


def timestamp(seconds: float) -> Timestamp | None:
    """Return a time; None for 0."""
    if not seconds:
        return None
    made = Timestamp()
    made.FromMicroseconds(round(seconds * 1e6))
    return made
