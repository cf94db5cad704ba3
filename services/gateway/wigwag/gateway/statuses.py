"""What the one side's statuses mean to the other, as tables; docs/gateway.md shows them.

MSRP statuses are those of RFC 4975 section 10, and only such: a sender that is told 481 or 506 gives up his session, so
neither is ever said about a message. 408 says that a message may have arrived, or was of no more use.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from wigwag.api.ua.v1.session_pb2 import EndCause
from wigwag.database.ledger import State
from wigwag.protocols.imdn import Status

Setup = Literal["absent", "busy", "declined"]
"""The settings of ``gateway.setup`` that say what becomes of messages whose session could not be set up."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]+")
_LONGEST_COMMENT: Final = 128


@dataclass(frozen=True, slots=True)
class SipMeaning:
    """What SIP statuses of a MESSAGE or an INVITE mean."""

    statuses: Sequence[int]
    msrp: int
    """Status of the failure REPORT to a session-mode sender."""
    words: str
    """What a person is told."""
    setup: Setup = "declined"
    """When an INVITE is answered so."""


SIP: Final = (
    SipMeaning((404, 410, 604), 403, "there is no such user", "absent"),
    SipMeaning((480,), 403, "the recipient can't be reached", "absent"),
    SipMeaning((408,), 408, "nobody answered in time", "absent"),
    SipMeaning((504,), 408, "nobody answered in time"),
    SipMeaning((486, 600), 403, "the recipient is busy", "busy"),
    SipMeaning((503,), 403, "the recipient's server is overloaded", "busy"),
    SipMeaning((401, 403, 407, 433, 494, 603, 607, 608), 403, "it was declined"),
    SipMeaning((405, 501), 501, "the recipient's device can't take it"),
    SipMeaning((406, 415, 488, 606), 415, "the recipient's device can't show it"),
    SipMeaning((413, 513), 413, "it is too large"),
    SipMeaning((400, 414, 416, 420, 421, 493), 400, "it could not be understood"),
)
"""Those that are told apart."""
OTHER_SIP: Final = SipMeaning((), 403, "it was refused")
"""Any other of 300 to 699, and a failure without a status: nothing of it was sent."""
_BY_STATUS: Final = {status: meaning for meaning in SIP for status in meaning.statuses}


@dataclass(frozen=True, slots=True)
class StateMeaning:
    """What the sides are told of a message's final state."""

    state: State
    msrp: int
    """Status of the REPORT; 0: by the SIP status, see ``SIP``."""
    sip: int
    """The answer to a MESSAGE that waits for delivery; 0: by the MSRP status or the end of the session."""
    reason: str
    """With that status."""
    comment: str
    """Of the REPORT, if nothing better is known."""
    imdn: Status
    """What a notification says (RFC 5438 section 7.2.1.1)."""


STATES: Final = (
    StateMeaning(State.DELIVERED, 200, 200, "OK", "OK", Status.DELIVERED),
    StateMeaning(State.DISPLAYED, 200, 200, "OK", "OK", Status.DELIVERED),
    StateMeaning(State.FAILED, 0, 0, "Refused", "Refused", Status.FAILED),
    StateMeaning(State.UNCONFIRMED, 408, 202, "Accepted", "Nobody confirmed it", Status.ERROR),
    StateMeaning(State.EXPIRED, 408, 480, "Message Expired", "Its time ran out", Status.FAILED),
)
_BY_STATE: Final = {meaning.state: meaning for meaning in STATES}


@dataclass(frozen=True, slots=True)
class SipAnswer:
    """A SIP status as a page-mode sender is told it."""

    status: int
    reason: str


MSRP: Final = {
    400: SipAnswer(400, "Bad Request"),
    403: SipAnswer(403, "Forbidden"),
    408: SipAnswer(408, "Request Timeout"),
    413: SipAnswer(413, "Message Too Large"),
    415: SipAnswer(415, "Unsupported Media Type"),
    423: SipAnswer(400, "Bad Request"),
    481: SipAnswer(480, "Temporarily Unavailable"),
    501: SipAnswer(501, "Not Implemented"),
    506: SipAnswer(480, "Temporarily Unavailable"),
}
"""MSRP status of a response or REPORT -> SIP status."""
OTHER_MSRP: Final = SipAnswer(500, "Refused by the Recipient")
NEVER_SENT: Final = SipAnswer(480, "Temporarily Unavailable")
"""A message of which nothing was sent, when the session did not say more."""


@dataclass(frozen=True, slots=True)
class EndMeaning:
    """What the end of a session means to messages that were not sent."""

    cause: EndCause
    status: int
    """SIP status, unless the session ended by one."""
    reason: str
    setup: Setup


ENDS: Final = (
    EndMeaning(EndCause.END_CAUSE_ENDED_HERE, 480, "Session Ended", "absent"),
    EndMeaning(EndCause.END_CAUSE_ENDED_BY_PEER, 480, "Session Ended", "absent"),
    EndMeaning(EndCause.END_CAUSE_BUSY, 486, "Busy Here", "busy"),
    EndMeaning(EndCause.END_CAUSE_DECLINED, 603, "Decline", "declined"),
    EndMeaning(EndCause.END_CAUSE_NOT_FOUND, 480, "Temporarily Unavailable", "absent"),
    EndMeaning(EndCause.END_CAUSE_NO_COMMON_TYPE, 488, "Not Acceptable Here", "declined"),
    EndMeaning(EndCause.END_CAUSE_TIMEOUT, 480, "No Answer", "absent"),
    EndMeaning(EndCause.END_CAUSE_CANCELLED, 480, "Session Cancelled", "absent"),
    EndMeaning(EndCause.END_CAUSE_POD_LOST, 480, "Temporarily Unavailable", "absent"),
    EndMeaning(EndCause.END_CAUSE_IDLE, 480, "Session Ended", "absent"),
    EndMeaning(EndCause.END_CAUSE_TOO_LONG, 480, "Session Ended", "absent"),
    EndMeaning(EndCause.END_CAUSE_PEER_LOST, 480, "Temporarily Unavailable", "absent"),
    EndMeaning(EndCause.END_CAUSE_MEDIA_FAILED, 480, "Temporarily Unavailable", "absent"),
    EndMeaning(EndCause.END_CAUSE_REFUSED, 500, "Session Refused", "declined"),
)
_BY_CAUSE: Final = {meaning.cause: meaning for meaning in ENDS}
_OTHER_END: Final = EndMeaning(EndCause.END_CAUSE_UNSPECIFIED, 480, "Temporarily Unavailable", "absent")
UNTOLD: Final = {401: 403, 407: 403, 487: 480}
"""SIP statuses of an INVITE that would mislead the sender of a MESSAGE -> what he is told."""


@dataclass(frozen=True, slots=True)
class Report:
    """A REPORT to a session-mode sender (RFC 4975 section 7.1.2)."""

    state: State
    status: int
    comment: str


def report_of(state: State, status: int = 0, reason: str = "") -> Report:
    """Return what a session-mode sender is told of a message that was sent as MESSAGE.

    Args:
        state: Final state of the MESSAGE.
        status: Its SIP status; 0: none.
        reason: With it.
    """
    meaning = _BY_STATE[state]
    comment = one_line(f"{status} {reason}".strip() if status else reason or meaning.comment)
    return Report(state, meaning.msrp or sip_meaning(status).msrp, comment or meaning.comment)


def sip_meaning(status: int) -> SipMeaning:
    """Return what a SIP status means."""
    return _BY_STATUS.get(status, OTHER_SIP)


def answer_of(state: State, msrp_status: int = 0, reason: str = "") -> SipAnswer:
    """Return the SIP status of a message that was sent into a session.

    Args:
        state: Its final state there.
        msrp_status: Of the response or REPORT; 0: none.
        reason: With it.
    """
    meaning = _BY_STATE[state]
    if meaning.sip:
        return SipAnswer(meaning.sip, meaning.reason)
    if not msrp_status:
        return SipAnswer(NEVER_SENT.status, one_line(reason) or NEVER_SENT.reason)
    known = MSRP.get(msrp_status, OTHER_MSRP)
    return SipAnswer(known.status, one_line(reason) or known.reason)


def answer_of_end(cause: EndCause, sip_status: int = 0, sip_reason: str = "") -> SipAnswer:
    """Return the SIP status of a message whose session could not be set up, or ended before it.

    Args:
        cause: Of the end.
        sip_status: The session's; 0: none.
        sip_reason: With it.
    """
    meaning = _BY_CAUSE.get(cause, _OTHER_END)
    if 400 <= sip_status < 700:
        told = UNTOLD.get(sip_status, sip_status)
        return SipAnswer(told, (one_line(sip_reason) if told == sip_status else "") or meaning.reason)
    return SipAnswer(meaning.status, meaning.reason)


def setup_of(cause: EndCause, sip_status: int = 0) -> Setup:
    """Return by which setting of ``gateway.setup`` messages are treated whose session could not be set up."""
    if 300 <= sip_status < 700 and sip_status != 487:
        return sip_meaning(sip_status).setup
    return _BY_CAUSE.get(cause, _OTHER_END).setup


def imdn_status(state: State) -> Status:
    """Return what a delivery notification says of a final state."""
    return _BY_STATE[state].imdn


def one_line(text: str) -> str:
    """Return a peer's text as it fits in a status line or a comment."""
    return _CONTROL.sub(" ", text).strip()[:_LONGEST_COMMENT].rstrip()
