"""What the endpoint takes and tells: sessions over SIP and MSRP without stores, ledgers or applications."""

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from wigwag.protocols.msrp import BodySource, FailureReport
from wigwag.protocols.sdp import Direction, FileTransfer

Fields = tuple[tuple[str, str], ...]

DEFAULT_TYPES = ("message/cpim", "text/plain", "text/*", "message/imdn+xml", "application/im-iscomposing+xml")


class Cause(enum.Enum):
    """Why a session is over; names as in ``wigwag.api.ua.v1.EndCause``."""

    ENDED_HERE = "ended_here"
    ENDED_BY_PEER = "ended_by_peer"
    BUSY = "busy"
    DECLINED = "declined"
    NOT_FOUND = "not_found"
    NO_COMMON_TYPE = "no_common_type"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    POD_LOST = "pod_lost"
    IDLE = "idle"
    TOO_LONG = "too_long"
    PEER_LOST = "peer_lost"
    MEDIA_FAILED = "media_failed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaWish:
    """What our side of an MSRP stream wants."""

    accept_types: tuple[str, ...] = DEFAULT_TYPES
    """Lower case: ``type/subtype``, ``type/*`` or ``*``."""
    accept_wrapped_types: tuple[str, ...] = ("*",)
    """Empty: the attribute is left out."""
    max_size: int = 10_485_760
    """Octets of the largest message that we take (``a=max-size``); more is refused with 413."""
    streams: bool = False
    """Whether messages of any size are taken: files."""
    way: str = "relay"
    """Which way of ``MediaSide`` is used: ``relay``, ``direct``, or the name of a foreign relay."""
    file: FileTransfer | None = None
    direction: Direction = Direction.SENDRECV
    """Seen from us; the sender of a file has SENDONLY, its receiver RECVONLY (RFC 5547 section 8)."""
    automatic_reports: bool = True
    """Whether ``accept`` of a message sends its success REPORT; else ``EndpointSession.report`` does, later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingCall:
    """Whom to call."""

    session_id: str
    """Also the user part of our Contact and the session part of our MSRP URI."""
    from_uri: str
    to_uri: str
    display_name: str = ""
    request_uri: str = ""
    """Empty: ``to_uri``."""
    media: MediaWish = field(default_factory=MediaWish)
    subject: str = ""
    timeout: float = 60.0
    """Seconds until the call is given up (CANCEL) unless answered."""
    fields: Fields = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingReport:
    """A REPORT on a message that came (RFC 4975 section 7.1.2)."""

    message_id: str
    """MSRP Message-ID."""
    octets: int
    """Of the whole message, which the REPORT is about."""
    status: int
    comment: str = ""
    """Empty: the usual one of the status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingMessage:
    """A message to be sent in a session."""

    message_id: str
    """MSRP Message-ID, 4 to 32 characters; the same again when it is sent again."""
    content_type: str
    body: bytes | Callable[[], BodySource]
    """The body, or what opens it: anew each time that the message is sent."""
    total: int | None = None
    """Octets of a body that is read from a source; None: not known before its end."""
    success_report: bool = True
    failure_report: FailureReport = FailureReport.YES
    fields: Fields = ()
    traceparent: str = ""
    """Where its trace goes on: told to our own relay only; empty: it is not traced."""


class Settlement(enum.Enum):
    """What is known of a message that was sent."""

    DELIVERED = "delivered"
    """Success REPORTs over all octets, or the endpoint's own 200 when no relay is on the path."""
    FAILED = "failed"
    """Refused, or provably never sent."""
    UNCONFIRMED = "unconfirmed"
    """It may have arrived."""


class EndpointSession(Protocol):
    """A session as the endpoint has it; all methods are called from the event loop's thread and don't block."""

    id: str
    """``OutgoingCall.session_id``, or one that was made up for a call that came."""

    @property
    def accept_types(self) -> tuple[str, ...]:
        """What the peer accepts; empty: not known yet."""

    @property
    def accept_wrapped_types(self) -> tuple[str, ...]:
        """What it accepts within message/cpim only."""

    @property
    def max_size(self) -> int | None:
        """Octets of the largest message that the peer takes; None: it does not say."""

    @property
    def held(self) -> bool:
        """Whether the peer wants nothing for now (a=sendonly, a=inactive)."""

    @property
    def connected(self) -> bool:
        """Whether there is an MSRP connection; what is sent waits for one."""

    @property
    def relayed(self) -> bool:
        """Whether a relay is on the path: its answers tell nothing of what the peer has."""

    @property
    def file(self) -> FileTransfer | None:
        """What the peer says of the file that the session is for, which octets of it are agreed on; None: nothing."""

    @property
    def call_id(self) -> str:
        """Of the dialog."""

    def ring(self) -> None:
        """Answer 180 to a call that came."""

    def accept(self, media: MediaWish) -> None:
        """Take a call that came; ``Opened`` or ``Ended`` follows."""

    def reject(self, status: int, reason: str) -> None:
        """Turn it away; ``Ended`` follows."""

    def send(self, message: OutgoingMessage) -> None:
        """Send a message; ``Settled`` follows. While no MSRP connection stands it waits.

        Raises:
            ConflictError: The session is over, or the Message-ID is on its way.
        """

    def report(self, report: OutgoingReport) -> None:
        """Tell the peer what became of a message of his; without an MSRP connection, once there is one again."""

    def withdraw(self, message_id: str) -> bool:
        """Send nothing of a message; False when some of it has left."""

    def hold(self, *, on: bool) -> None:
        """Stop what the peer sends, or let it come again; ``Changed`` follows when it agreed."""

    def end(self, reason: str = "") -> None:
        """Hang up, cancel or reject, whichever fits; ``Ended`` follows."""

    def to_state(self) -> str:
        """Return what has to be stored to go on elsewhere (JSON); only of an open session."""


# What the endpoint tells


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReceived:
    """Somebody calls: ``session.accept``, ``ring`` or ``reject`` has to follow. 100 was sent."""

    session: EndpointSession
    to_uri: str
    """Request-URI: which of our addresses was called."""
    from_uri: str
    display_name: str
    subject: str
    accept_types: tuple[str, ...]
    """Empty: the INVITE had no offer."""
    file: FileTransfer | None
    pulled: bool = False
    """Whether the caller wants the file, instead of sending it (RFC 5547 section 8.2.2)."""
    fields: Fields
    """Header fields of the INVITE."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ringing:
    """The call makes progress."""

    session: EndpointSession
    status: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """Messages can be sent."""

    session: EndpointSession


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The session is over, whether it was open or not; nothing follows."""

    session: EndpointSession
    cause: Cause
    status: int = 0
    """SIP status; 0: none."""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """What has to be stored, or shown, has changed: CSeq, path, hold, types (``session.to_state``)."""

    session: EndpointSession


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A whole message came; the peer is answered when ``accept`` or ``refuse`` is called."""

    session: EndpointSession
    message_id: str
    content_type: str
    body: bytes
    fields: Fields
    accept: Callable[[], None]
    """Answer 200, and with ``MediaWish.automatic_reports`` the success REPORT if one was asked for."""
    refuse: Callable[[int, str], None]
    """Answer with an MSRP status and comment."""
    success_report: bool = False
    failure_report: FailureReport = FailureReport.YES
    traceparent: str = ""
    """Where its trace goes on, as our own relay says; empty: it is not traced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamBegan:
    """A message comes in pieces, because it is larger than 256 KiB or may be."""

    session: EndpointSession
    message_id: str
    content_type: str
    total: int | None
    fields: Fields
    refuse: Callable[[int, str], None]
    pause: Callable[[bool], None]
    """Stop (True) or go on reading from the peer: back-pressure."""
    success_report: bool = False
    failure_report: FailureReport = FailureReport.YES
    report: Callable[[int], None] = lambda octets: None
    """Tell the peer, if he asked for reports, that so many octets from the first on are in good hands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPiece:
    """A piece of it, from ``offset``."""

    session: EndpointSession
    message_id: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEnded:
    """All of it is there, or the rest will not come."""

    session: EndpointSession
    message_id: str
    total: int
    complete: bool
    reason: str
    accept: Callable[[], None]
    refuse: Callable[[int, str], None]
    lost: bool = False
    """Whether only the connection is gone, over which it came: it may go on over another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Superseded:
    """The relay says that a later owner has the session: it was let go of, without a word to the peer."""

    session: EndpointSession
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What became of a message of ours; once for each time it was sent."""

    session: EndpointSession
    message_id: str
    settlement: Settlement
    status: int = 0
    """MSRP status; 0: none."""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """A REPORT on a message of ours, as it came."""

    session: EndpointSession
    message_id: str
    status: int
    reason: str
    first_octet: int
    last_octet: int
    """0: unknown."""
    total: int


EndpointEvent = (
    CallReceived | Ringing | Opened | Ended | Changed | Received | StreamBegan | StreamPiece | StreamEnded | Settled
    | Reported | Superseded
)  # fmt: skip
