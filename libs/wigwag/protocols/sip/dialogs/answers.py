"""What an answer of ours goes in: ACK, PRACK or a response (RFC 3264, RFC 6337 section 2.2)."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from .bodies import Body

if TYPE_CHECKING:
    from wigwag.protocols.sip.user_agent import Exchange

    from .incoming import Fields, IncomingRequest
    from .reliable import RAck
    from .session import Session


class OwedAnswer(Protocol):
    """A message that waits for our session description."""

    def give(self, body: Body, now: float) -> None:
        """Send it."""
        ...

    def refuse(self, status: int, reason: str, fields: "Fields", now: float) -> None:
        """Refuse what was offered."""
        ...

    def abandon(self, now: float) -> None:
        """The session is over: send what has to be sent all the same."""
        ...


class AnswerInAck:
    """The 2xx to an INVITE of ours had an offer (S29): its ACK has the answer; it can only be refused by a BYE."""

    def __init__(self, session: "Session", exchange: "Exchange") -> None:
        self._session = session
        self._exchange = exchange

    def give(self, body: Body, now: float) -> None:
        """Acknowledge."""
        self._session.acknowledge(self._exchange.sent, body)

    def refuse(self, status: int, reason: str, fields: "Fields", now: float) -> None:
        """Acknowledge, and hang up."""
        self._session.acknowledge(self._exchange.sent, None)
        self._session.hang_up(now)

    def abandon(self, now: float) -> None:
        """Acknowledge: a 2xx is acknowledged whatever follows."""
        self._session.acknowledge(self._exchange.sent, None)


class AnswerInPrack:
    """A reliable response had an offer: its PRACK has the answer; it can only be refused by ending the INVITE."""

    def __init__(self, session: "Session", rack: "RAck", cancel: Callable[[float], None]) -> None:
        self._session = session
        self._rack = rack
        self._cancel = cancel

    def give(self, body: Body, now: float) -> None:
        """Send the PRACK."""
        self._session.negotiation.send_prack(self._rack, body, now)

    def refuse(self, status: int, reason: str, fields: "Fields", now: float) -> None:
        """Send the PRACK, and cancel."""
        self._session.negotiation.send_prack(self._rack, None, now)
        self._cancel(now)

    def abandon(self, now: float) -> None:
        """Nobody waits for the PRACK of an INVITE that is over."""


class AnswerInResponse:
    """A re-INVITE, an UPDATE or a PRACK had an offer, or a re-INVITE wants ours: the 2xx has the description."""

    def __init__(self, session: "Session", incoming: "IncomingRequest") -> None:
        self._session = session
        self._incoming = incoming
        self.invites = incoming.method == "INVITE"

    def give(self, body: Body, now: float) -> None:
        """Send 200; that to an INVITE until its ACK is there."""
        incoming, session = self._incoming, self._session
        session.registry.invites.pop(incoming.server, None)
        fields: Fields = ()
        if incoming.method != "PRACK":
            refreshed = session.timer.answer(incoming.request, now)
            fields = (session.contact, *session.registry.capabilities(), *refreshed)
        if incoming.method == "INVITE":
            session.send_success(incoming, fields, body, now)
        else:
            incoming.respond(200, "OK", now, fields, body)

    def refuse(self, status: int, reason: str, fields: "Fields", now: float) -> None:
        """Refuse the request: what was agreed on before holds (RFC 3261 section 14.2)."""
        self._session.registry.invites.pop(self._incoming.server, None)
        self._incoming.respond(status, reason, now, fields)

    def abandon(self, now: float) -> None:
        """Refuse: whatever waits for a response gets one (RFC 3261 section 15.1.2)."""
        self.refuse(487, "Request Terminated", (), now)

    def cancel(self, now: float) -> None:
        """Hear that the re-INVITE was cancelled (RFC 3261 section 9.2)."""
        self._session.negotiation.withdraw(self, now)
