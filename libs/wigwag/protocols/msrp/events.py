"""What an endpoint's engine reports to the shell around it."""

from dataclasses import dataclass

from .authentication import Authenticated, AuthenticationFailed
from .grammar import ByteRange, FailureReport, Path, Status, first_value
from .session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageReceived:
    """A message is complete that is small enough to be handed over whole."""

    session: Session
    message_id: str
    content_type: str
    body: bytes
    from_path: Path
    """Where a REPORT on the message has to go: the whole From-Path of its first chunk."""
    success_report: bool
    failure_report: FailureReport
    fields: tuple[tuple[str, str], ...]
    """All headers of the first chunk after From-Path."""

    def get(self, name: str) -> str | None:
        """Return the value of the first of these headers called ``name``, such as Content-Disposition."""
        return first_value(self.fields, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageStarted:
    """A message begins that comes in pieces, because it is or may become too large to be kept whole."""

    session: Session
    message_id: str
    content_type: str
    total: int | None
    """Octets of the message if the sender said."""
    from_path: Path
    success_report: bool
    failure_report: FailureReport
    fields: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str | None:
        """Return the value of the first of these headers called ``name``, such as Content-Disposition."""
        return first_value(self.fields, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataReceived:
    """A piece of a message that was started. Pieces may come in any order; of overlapping ones the later holds."""

    session: Session
    message_id: str
    offset: int
    """Octets of the message before this piece."""
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageCompleted:
    """Every octet of a message that was started has been handed over."""

    session: Session
    message_id: str
    total: int
    """Octets of the message; pieces beyond are to be cut off."""
    from_path: Path
    success_report: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageAborted:
    """The rest of an incoming message will not come; what came of it is void."""

    session: Session
    message_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportReceived:
    """A REPORT on a message of ours."""

    session: Session
    message_id: str
    byte_range: ByteRange | None
    status: Status


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSent:
    """The last octet of a message of ours was handed out to be written."""

    session: Session
    message_id: str
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageAccepted:
    """Every chunk of a message was answered 200 by the next hop: without a relay on the path, that is the peer."""

    session: Session
    message_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySucceeded:
    """Success REPORTs cover every octet of a message."""

    session: Session
    message_id: str
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFailed:
    """A message was refused, or probably did not arrive. Comes once at most and is final."""

    session: Session
    message_id: str
    status: int | None
    """The MSRP status code of the response or REPORT, 408 also when no response came in time; None when it failed on
    this side: the connection was lost, or the body ended before its announced length."""
    comment: str | None
    byte_range: ByteRange | None
    """The octets that the failure is about, if known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryUnconfirmed:
    """Success REPORTs were asked for, and will not come any more; the message may have arrived all the same."""

    session: Session
    message_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionTimedOut:
    """No response came within 30 seconds of the last octet (RFC 4975 section 7.1.1)."""

    transaction_id: str
    session: Session
    message_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFailed:
    """A session can't be used for sending any more; it goes on only over new URIs (RFC 4975 section 7.3.2)."""

    session: Session
    status: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRefused:
    """A request was answered with an error, or would have been if it wanted answers. For the log."""

    transaction_id: str
    status: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionGivenUp:
    """The connection has to be closed once what is pending has been written."""

    reason: str


Event = (
    MessageReceived
    | MessageStarted
    | DataReceived
    | MessageCompleted
    | MessageAborted
    | ReportReceived
    | MessageSent
    | MessageAccepted
    | DeliverySucceeded
    | DeliveryFailed
    | DeliveryUnconfirmed
    | TransactionTimedOut
    | SessionFailed
    | RequestRefused
    | ConnectionGivenUp
    | Authenticated
    | AuthenticationFailed
)
