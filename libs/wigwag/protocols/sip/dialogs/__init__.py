"""INVITE sessions without I/O: dialogs, offers, reliable responses, session timers (RFC 3261, RFC 3262, RFC 4028)."""

from wigwag.protocols.specification import Spec

from .bodies import Body
from .client import Call, InviteClient
from .dialog import Dialog, DialogId
from .events import (
    AnswerReceived,
    CallFailed,
    ChangeFailed,
    EndReason,
    Event,
    InviteCancelled,
    InviteReceived,
    OfferReceived,
    OfferRequested,
    OfferWithdrawn,
    ProvisionalReceived,
    RequestReceived,
    SessionConfirmed,
    SessionEnded,
)
from .exchange import Way
from .incoming import IncomingRequest
from .layer import Dialogs
from .machines import (
    OFFERS,
    SESSION,
    OfferEvent,
    OfferState,
    SessionEvent,
    SessionState,
    offers_picture,
    session_picture,
)
from .redirection import Redirections
from .registry import DialogOptions
from .server import InviteServer
from .session import Session
from .state import DialogState

__all__ = [
    "OFFERS",
    "SESSION",
    "SPECIFICATIONS",
    "AnswerReceived",
    "Body",
    "Call",
    "CallFailed",
    "ChangeFailed",
    "Dialog",
    "DialogId",
    "DialogOptions",
    "DialogState",
    "Dialogs",
    "EndReason",
    "Event",
    "IncomingRequest",
    "InviteCancelled",
    "InviteClient",
    "InviteReceived",
    "InviteServer",
    "OfferEvent",
    "OfferReceived",
    "OfferRequested",
    "OfferState",
    "OfferWithdrawn",
    "ProvisionalReceived",
    "Redirections",
    "RequestReceived",
    "Session",
    "SessionConfirmed",
    "SessionEnded",
    "SessionEvent",
    "SessionState",
    "Way",
    "offers_picture",
    "session_picture",
]

_TESTS = "tests/unit/protocols/sip/dialogs"

SPECIFICATIONS: tuple[Spec, ...] = ()
"""What this package conforms to, and the tests that prove it."""
