"""What happens in sessions, as an application gets it."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .session import Session


class DeliveryState(enum.Enum):
    """Where a message stands; all but the first are final, except that what was delivered may become displayed."""

    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    DISPLAYED = "displayed"
    FAILED = "failed"
    UNCONFIRMED = "unconfirmed"
    """It may have arrived."""
    EXPIRED = "expired"


class FileState(enum.Enum):
    """Where a file transfer stands."""

    OFFERED = "offered"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Happened:
    session: "Session"
    """Where."""
    event_id: str
    """Equal for what is the same event."""
    occurred_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOffered(_Happened):
    """A SIP user calls: ``session.answer`` or ``session.reject`` has to follow."""

    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionProgress(_Happened):
    """A call of ours makes progress, such as 180 Ringing."""

    sip_status: int
    sip_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOpened(_Happened):
    """Messages can be sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionChanged(_Happened):
    """Something else of a session changed: ``session.held``, its types, its pod."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded(_Happened):
    """The session is over."""

    cause: str
    """Such as ``ended_by_peer``, ``busy``, ``not_found``; the names of ``wigwag.api.ua.v1.EndCause``."""
    sip_status: int
    """0: none."""
    sip_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageReceived(_Happened):
    """A message came, and is durable at the user agent."""

    message_id: str
    content_type: str
    body: bytes
    """Empty when ``blob_id`` says where it is."""
    blob_id: str
    """Of a body above 64 KiB, for ``Client.body``."""
    size: int
    """Octets of the body."""
    wants_display: bool
    """Whether its sender asks to be told that it was displayed (``session.displayed``)."""
    headers: Mapping[str, str]
    """Of message/cpim; empty: it did not come in one."""

    @property
    def text(self) -> str:
        """The body of a text; empty for everything else."""
        media_type = self.content_type.partition(";")[0].strip().lower()
        return self.body.decode(errors="replace") if media_type.startswith("text/") else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageChanged(_Happened):
    """A message of ours got another state."""

    message_id: str
    state: DeliveryState
    status: int
    """MSRP status of the outcome; 0: none."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Composing(_Happened):
    """The SIP user is writing, or has stopped."""

    active: bool
    content_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChanged(_Happened):
    """A file transfer, which has a session of its own, was offered, made progress or ended."""

    name: str
    content_type: str
    size: int
    state: FileState
    transferred: int
    """Octets."""
    blob_id: str
    """Where what was received can be read by ``Client.body``; empty: nowhere (yet)."""
    sha256: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notified(_Happened):
    """A notification that changes no state (RFC 5438)."""

    message_id: str
    kind: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported(_Happened):
    """An MSRP report as it came."""

    message_id: str
    status: int
    reason: str
    first_octet: int
    last_octet: int
    total: int


Event = (
    SessionOffered
    | SessionProgress
    | SessionOpened
    | SessionChanged
    | SessionEnded
    | MessageReceived
    | MessageChanged
    | Composing
    | FileChanged
    | Notified
    | Reported
)
