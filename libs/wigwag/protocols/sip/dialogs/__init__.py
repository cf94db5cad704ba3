"""INVITE sessions without I/O: dialogs, offers, reliable responses, session timers (RFC 3261, RFC 3262, RFC 4028)."""

from wigwag.protocols.sip.user_agent import Way
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

SPECIFICATIONS = (
    Spec("RFC 3261", "8.1.3.4", "3xx: in the order of q, no loops, a cap", f"{_TESTS}/test_redirection.py"),
    Spec("RFC 3261", "8.2.2", "Inspection of INVITE: merged, Require, content", f"{_TESTS}/test_calls.py"),
    Spec("RFC 3261", "9", "CANCEL: held, crossing a 2xx, unknown", f"{_TESTS}/test_calls.py"),
    Spec("RFC 3261", "12.1", "Dialogs are made, at both ends; forks", f"{_TESTS}/test_dialog.py"),
    Spec("RFC 3261", "12.2", "Requests within dialogs: routes, targets, CSeq", f"{_TESTS}/test_dialog.py"),
    Spec("RFC 3261", "13.2.2.4", "Every 2xx is acknowledged, one is kept", f"{_TESTS}/test_calls.py"),
    Spec("RFC 3261", "13.3.1.4", "2xx is sent until its ACK comes, or BYE", f"{_TESTS}/test_calls.py"),
    Spec("RFC 3261", "14", "re-INVITE; 491 and the wait by role", f"{_TESTS}/test_changes.py"),
    Spec("RFC 3261", "15", "BYE; pending requests are answered 487", f"{_TESTS}/test_calls.py"),
    Spec("RFC 3261", "22.1", "Challenges to INVITE and within dialogs; ACK", f"{_TESTS}/test_calls.py"),
    Spec("RFC 3262", "3", "Reliable provisional responses of a UAS", f"{_TESTS}/test_reliable.py"),
    Spec("RFC 3262", "4", "PRACK of a UAC, in order", f"{_TESTS}/test_reliable.py"),
    Spec("RFC 3264", "4", "One offer at a time", f"{_TESTS}/test_machines.py"),
    Spec("RFC 3311", "5", "UPDATE, early and later; 491, 500", f"{_TESTS}/test_changes.py"),
    Spec("RFC 4028", "7", "Session timers of a UAC; 422", f"{_TESTS}/test_session_timer.py"),
    Spec("RFC 4028", "9", "Session timers of a UAS: roles", f"{_TESTS}/test_session_timer.py"),
    Spec("RFC 4028", "10", "Refresh at half, BYE before the end", f"{_TESTS}/test_session_timer.py"),
    Spec("RFC 6337", "2", "Offers in INVITE, 1xx, PRACK, 2xx, ACK, UPDATE", f"{_TESTS}/test_pairs.py"),
)
"""What this package conforms to, and the tests that prove it."""
