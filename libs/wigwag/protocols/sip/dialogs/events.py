"""What the user of dialogs is told."""

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wigwag.protocols.sip.message import Request, Response

    from .client import InviteClient
    from .incoming import IncomingRequest
    from .server import InviteServer
    from .session import Session


class EndReason(Enum):
    """Why a session is over."""

    REFUSED = "its INVITE was refused or cancelled"
    ELSEWHERE = "another branch of the INVITE was answered"
    BYE = "the peer hung up"
    HUNG_UP = "we hung up"
    NO_ACK = "no ACK came"
    NO_ANSWER = "the peer did not answer our offer"
    GONE = "the peer does not know the dialog any more, or does not respond"
    EXPIRED = "nobody refreshed the session"


@dataclass(frozen=True, slots=True, kw_only=True)
class InviteReceived:
    """Somebody calls: to be rung, accepted or rejected."""

    invite: "InviteServer"
    offer: bytes | None
    """Session description; None: we are to offer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InviteCancelled:
    """The caller has given up, the INVITE has expired, or a reliable response got no PRACK; it was refused."""

    invite: "InviteServer"
    status: int
    """Of the refusal: 487 or 504."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisionalReceived:
    """The INVITE makes progress."""

    client: "InviteClient"
    session: "Session | None"
    """The early dialog; None: the response made none."""
    response: "Response"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFailed:
    """An INVITE ended without a session; 3xx too: see ``Redirections``."""

    client: "InviteClient"
    response: "Response"
    """408 and 503 may be our own: see ``Exchange``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionConfirmed:
    """A session stands: a 2xx came, or the ACK of ours."""

    session: "Session"


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferReceived:
    """The peer offers; ``Session.answer`` or ``Session.refuse`` has to follow."""

    session: "Session"
    offer: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferRequested:
    """The peer sent a re-INVITE without an offer; ``Session.answer`` has to give ours."""

    session: "Session"


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferWithdrawn:
    """The peer has cancelled the re-INVITE that is being answered; it was refused."""

    session: "Session"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerReceived:
    """The peer answered our offer."""

    session: "Session"
    answer: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeFailed:
    """A re-INVITE or UPDATE of ours was refused: what was agreed on before holds."""

    session: "Session"
    response: "Response"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestReceived:
    """Another request came within the dialog: MESSAGE, INFO, NOTIFY and the like; to be answered."""

    session: "Session"
    request: "IncomingRequest"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded:
    """A session is over, early or confirmed."""

    session: "Session"
    reason: EndReason
    message: "Request | Response | None" = None
    """What ended it."""


Event = (
    InviteReceived
    | InviteCancelled
    | ProvisionalReceived
    | CallFailed
    | SessionConfirmed
    | OfferReceived
    | OfferRequested
    | OfferWithdrawn
    | AnswerReceived
    | ChangeFailed
    | RequestReceived
    | SessionEnded
)
