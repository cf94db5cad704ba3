"""What SIP and MSRP statuses mean to an application."""

import re
from typing import Final

from wigwag.protocols.sip import Request, Response
from wigwag.protocols.sip.dialogs import EndReason

from .model import Cause, Settlement

_CAUSES: Final = {
    403: Cause.DECLINED,
    404: Cause.NOT_FOUND,
    408: Cause.TIMEOUT,
    410: Cause.NOT_FOUND,
    415: Cause.NO_COMMON_TYPE,
    480: Cause.NOT_FOUND,
    484: Cause.NOT_FOUND,
    486: Cause.BUSY,
    487: Cause.CANCELLED,
    488: Cause.NO_COMMON_TYPE,
    600: Cause.BUSY,
    603: Cause.DECLINED,
    604: Cause.NOT_FOUND,
    606: Cause.NO_COMMON_TYPE,
    607: Cause.DECLINED,
    608: Cause.DECLINED,
}
_ENDINGS: Final = {
    EndReason.BYE: Cause.ENDED_BY_PEER,
    EndReason.HUNG_UP: Cause.ENDED_HERE,
    EndReason.NO_ACK: Cause.PEER_LOST,
    EndReason.NO_ANSWER: Cause.NO_COMMON_TYPE,
    EndReason.GONE: Cause.PEER_LOST,
    EndReason.EXPIRED: Cause.PEER_LOST,
}
_TIMEOUT: Final = 408
"""Of a response or REPORT: nobody further on answered in time, so the message may be there."""

# Reason = "Reason" HCOLON reason-value *( COMMA reason-value )        reason-value = protocol *( SEMI reason-params )
# protocol = "SIP" / "Q.850" / token        protocol-cause = "cause" EQUAL cause        (RFC 3326 section 2)
_SIP_CAUSE = re.compile(r"\s*SIP\s*;(?:[^;,]*;)??\s*cause\s*=\s*([1-6][0-9]{2})(?![0-9])", re.IGNORECASE)
MEDIA_LOST: Final = (("Reason", 'SIP;cause=503;text="MSRP connection lost"'),)
"""Of a BYE that ends what nobody wanted to end: the peer may want to begin anew (RFC 3326)."""


def status_of_end(message: Request | Response | None) -> int:
    """Return the SIP status of the response, or in the Reason of the request, that ended a dialog; 0: none."""
    if isinstance(message, Response):
        return message.status
    values = message.get_all("reason") if message is not None else []
    found = [match for value in values if (match := _SIP_CAUSE.match(value)) is not None]
    return int(found[0][1]) if found else 0


def cause_of_refusal(status: int) -> Cause:
    """Return what a final response to an INVITE means."""
    return _CAUSES.get(status, Cause.REFUSED)


def cause_of_end(reason: EndReason) -> Cause:
    """Return what the end of a dialog means."""
    return _ENDINGS.get(reason, Cause.REFUSED)


def settlement_of_failure(status: int | None, *, may_have_left: bool) -> Settlement:
    """Return what a failure says about where a message is.

    Args:
        status: MSRP status of the response or REPORT; None: it failed on this side.
        may_have_left: Whether some of it was written to a connection.
    """
    if status is None or status == _TIMEOUT:
        return Settlement.UNCONFIRMED if may_have_left else Settlement.FAILED
    return Settlement.FAILED
