"""What follows from how a call came to nothing, and how long a lost session is tried to be got back."""

import enum
from typing import Final

from wigwag.ua.endpoint.model import Cause, Ended

REFUSED, UNANSWERED = 4, 5
"""Exit statuses, as those of ``wigwag send``."""
GIVE_UP: Final = 120.0
"""Seconds after which a lost session is given up."""
GIVE_UP_CHATS: Final = 30.0
"""Seconds after which single messages are sent, when the peer takes those but no chats any more."""
FIRST_WAIT: Final = 0.5
LONGEST_WAIT: Final = 8.0

_NO_CHAT: Final = frozenset((405, 415, 420, 488, 501, 606))
"""SIP statuses of somebody who takes no INVITE, or no MSRP."""
_AWAY: Final = frozenset((480,))
_PENDING: Final = 491
"""Both call at the same time: the other call is to be answered (RFC 3261 section 14.1 uses it likewise)."""
_UNREACHED: Final = frozenset((Cause.TIMEOUT, Cause.MEDIA_FAILED, Cause.PEER_LOST, Cause.CANCELLED))


class Next(enum.Enum):
    """What to do after a session has ended."""

    LEAVE = "it was ended by one of both"
    CALL_AGAIN = "get it back"
    WAIT = "the peer calls at this moment"
    PAGER = "single messages will do"
    REFUSED = "the peer does not want to"
    UNREACHED = "there is no way to the peer"


def after(event: Ended, *, was_open: bool) -> Next:
    """Return what to do after the end of a session, open or not, that was not ended by us."""
    if was_open:
        # A BYE with a Reason: his connection was lost.
        is_wanted = event.cause in (Cause.ENDED_BY_PEER, Cause.ENDED_HERE) and event.status < 300
        return Next.LEAVE if is_wanted else Next.CALL_AGAIN
    if event.status == _PENDING:
        return Next.WAIT
    if event.status in _NO_CHAT or event.status in _AWAY or event.cause is Cause.NO_COMMON_TYPE:
        return Next.PAGER
    if event.cause in _UNREACHED or (event.status >= 500 and event.status not in (600, 603, 604, 607, 608)):
        return Next.UNREACHED
    return Next.REFUSED


def reason_of(event: Ended) -> str:
    """Return why a call came to nothing, in words."""
    if event.cause is Cause.BUSY:
        return f"is busy ({event.status} {event.reason})"
    if event.status in _AWAY:
        return "is not there"
    if event.status in _NO_CHAT or event.cause is Cause.NO_COMMON_TYPE:
        return f"takes no chats ({event.status} {event.reason})".replace("(0 ", "(")
    if event.cause is Cause.TIMEOUT:
        return "does not answer"
    if event.status:
        return f"did not take the call ({event.status} {event.reason})"
    return f"is not reached: {event.reason or event.cause.value}"
