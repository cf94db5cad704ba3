"""The machines of an INVITE usage as tables: the session, and offers and answers (RFC 3261 section 13, RFC 6337).

Theory of operation. As in ``transactions.machines``: a table says for a state and an event which state follows and
which method acts; it is what runs, and what is drawn. What is not in the table of sessions changes nothing. What is
not in that of offers is against the rules: ours is a LocalProtocolError, the peer's is refused.
"""

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Final


class SessionState(Enum):
    """How far a session is."""

    EARLY = "early"
    """Its INVITE has no final response."""
    ACCEPTED = "accepted"
    """We answered 2xx and wait for the ACK."""
    CLOSING = "closing"
    """We want to hang up, but a UAS has to wait for the ACK (RFC 3261 section 15)."""
    CONFIRMED = "confirmed"
    TERMINATED = "terminated"


class SessionEvent(Enum):
    """What can happen to a session."""

    ANSWERED = "2xx received"
    ACCEPT = "user accepts"
    ACKNOWLEDGED = "ACK received"
    UNACKNOWLEDGED = "64*T1 without ACK"
    REFUSED = "INVITE refused"
    HANG_UP = "user hangs up"
    BYE = "BYE received"
    GONE = "408 or 481 within the dialog"
    EXPIRED = "session timer expired"


class OfferState(Enum):
    """Whose turn it is to describe the session."""

    INITIAL = "initial"
    """Nothing was agreed on yet."""
    LOCAL_OFFER = "local offer"
    """We offered."""
    REMOTE_OFFER = "remote offer"
    """The peer offered."""
    STABLE = "stable"


class OfferEvent(Enum):
    """What is said."""

    SEND_OFFER = "send offer"
    RECEIVE_OFFER = "receive offer"
    SEND_ANSWER = "send answer"
    RECEIVE_ANSWER = "receive answer"
    REFUSE = "refuse offer"
    REFUSED = "offer refused"


S, E, T, P = SessionState, SessionEvent, OfferState, OfferEvent

SESSION: Final[Mapping[tuple[SessionState, SessionEvent], tuple[SessionState, str]]] = {
    (S.EARLY, E.ANSWERED): (S.CONFIRMED, "confirm"),
    (S.EARLY, E.ACCEPT): (S.ACCEPTED, "wait_for_ack"),
    (S.EARLY, E.REFUSED): (S.TERMINATED, "end"),
    (S.EARLY, E.BYE): (S.TERMINATED, "end"),
    (S.ACCEPTED, E.ACKNOWLEDGED): (S.CONFIRMED, "confirm"),
    (S.ACCEPTED, E.UNACKNOWLEDGED): (S.TERMINATED, "send_bye"),
    (S.ACCEPTED, E.HANG_UP): (S.CLOSING, "hold_bye"),
    (S.ACCEPTED, E.BYE): (S.TERMINATED, "end"),
    (S.CLOSING, E.ACKNOWLEDGED): (S.TERMINATED, "send_bye"),
    (S.CLOSING, E.UNACKNOWLEDGED): (S.TERMINATED, "send_bye"),
    (S.CLOSING, E.BYE): (S.TERMINATED, "end"),
    (S.CONFIRMED, E.HANG_UP): (S.TERMINATED, "send_bye"),
    (S.CONFIRMED, E.BYE): (S.TERMINATED, "end"),
    (S.CONFIRMED, E.UNACKNOWLEDGED): (S.TERMINATED, "send_bye"),
    (S.CONFIRMED, E.GONE): (S.TERMINATED, "send_bye"),
    (S.CONFIRMED, E.EXPIRED): (S.TERMINATED, "send_bye"),
}
"""A session from the first response with a tag to BYE."""

OFFERS: Final[Mapping[tuple[OfferState, OfferEvent], OfferState]] = {
    **{(state, P.SEND_OFFER): T.LOCAL_OFFER for state in (T.INITIAL, T.STABLE)},
    **{(state, P.RECEIVE_OFFER): T.REMOTE_OFFER for state in (T.INITIAL, T.STABLE)},
    (T.LOCAL_OFFER, P.RECEIVE_ANSWER): T.STABLE,
    (T.LOCAL_OFFER, P.REFUSED): T.STABLE,
    (T.REMOTE_OFFER, P.SEND_ANSWER): T.STABLE,
    (T.REMOTE_OFFER, P.REFUSE): T.STABLE,
}
"""RFC 3264 section 4: one offer at a time, each answered or refused before the next."""


def session_picture() -> str:
    """Return the session's machine as a Mermaid state diagram: each arrow has its event, then what is done."""
    arrows = [
        _arrow(state.value, following.value, f"{event.value} / {action.replace('_', ' ')}")
        for (state, event), (following, action) in SESSION.items()
    ]
    return "\n".join(["stateDiagram-v2", "    [*] --> Early", *arrows, "    Terminated --> [*]"])


def offers_picture() -> str:
    """Return the machine of offers as a Mermaid state diagram."""
    return "\n".join(["stateDiagram-v2", "    [*] --> Initial", *_offer_arrows()])


def _offer_arrows() -> Iterator[str]:
    for (state, event), following in OFFERS.items():
        yield _arrow(state.value, following.value, event.value)


def _arrow(state: str, following: str, label: str) -> str:
    # Mermaid takes no blanks in names of states.
    return f"    {state.title().replace(' ', '')} --> {following.title().replace(' ', '')}: {label}"
