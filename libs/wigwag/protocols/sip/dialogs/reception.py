"""What comes from the peer within a dialog: requests, and 2xx to ours (RFC 3261 sections 12.2.2, 13.2.2.4)."""

from typing import TYPE_CHECKING, Final

from wigwag.protocols.sip.errors import SipError
from wigwag.protocols.sip.message import Request, Response
from wigwag.protocols.sip.user_agent import Exchange

from .answers import AnswerInAck
from .changes import receive_change
from .events import ChangeFailed, EndReason, OfferReceived, RequestReceived
from .machines import OfferState, SessionEvent, SessionState
from .offers import RETRY_AFTER

if TYPE_CHECKING:
    from .incoming import IncomingRequest
    from .session import Session

LARGEST_OPEN: Final = 64
"""Requests within one dialog that may wait for the user's response."""


class Reception:
    """The receiving side of one session.

    Args:
        session: Whose.
    """

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._open: list[IncomingRequest] = []

    def receive(self, incoming: "IncomingRequest", now: float) -> None:
        """Take a request within the dialog that is no ACK."""
        try:
            self._session.dialog.check_order(incoming.request)
            self._session.registry.check_required(incoming.request)
            self._dispatch(incoming, now)
        except SipError as error:
            incoming.refuse(error, now)

    def receive_ack(self, ack: Request, now: float) -> None:
        """Take an ACK; one that is repeated or of another INVITE is ignored (S32)."""
        session = self._session
        if session.acceptance is None or ack.cseq.number != session.acceptance.cseq:
            return
        session.stop_acceptance()
        answered = session.negotiation.ack_described(ack)
        session.happen(SessionEvent.ACKNOWLEDGED, now)
        if not answered:
            session.fail(EndReason.NO_ANSWER, ack, now)

    def _dispatch(self, incoming: "IncomingRequest", now: float) -> None:
        match incoming.method:
            case "BYE":
                incoming.respond(200, "OK", now)
                self._session.happen(SessionEvent.BYE, now, incoming.request)
            case "INVITE" | "UPDATE":
                receive_change(self._session, incoming, now)
            case "PRACK":
                self._receive_prack(incoming, now)
            case _:
                self._pass_on(incoming)

    def _receive_prack(self, incoming: "IncomingRequest", now: float) -> None:
        if self._session.invite is None:
            raise SipError("Call/Transaction Does Not Exist", status=481)
        self._session.invite.receive_prack(incoming, now)

    def _pass_on(self, incoming: "IncomingRequest") -> None:
        if incoming.method not in self._session.registry.options.allow:
            allow = ("Allow", ", ".join(self._session.registry.options.allow))
            raise SipError("Method Not Allowed", status=405, headers=(allow,))
        self._open = [request for request in self._open if not request.answered]
        if len(self._open) >= LARGEST_OPEN:
            raise SipError("too many requests wait", status=500, headers=RETRY_AFTER)
        self._open.append(incoming)
        self._session.tell(RequestReceived(session=self._session, request=incoming))

    def end(self, now: float) -> None:
        """The session is over: whatever waits for a response gets one (section 15.1.2)."""
        for incoming in self._open:
            if not incoming.answered:
                incoming.respond(487, "Request Terminated", now)

    def succeed(self, exchange: Exchange, success: Response, now: float) -> None:
        """Take the 2xx to our INVITE or re-INVITE, and acknowledge it unless it has an offer."""
        session = self._session
        self._refresh_target(success)
        session.timer.answered(success, now)
        event = session.negotiation.response_described(success)
        asks = isinstance(event, OfferReceived)
        if asks:
            session.negotiation.owe(AnswerInAck(session, exchange))
        else:
            session.acknowledge(exchange.sent, None)
        unanswered = session.negotiation.awaits_offer or session.negotiation.exchange.state is OfferState.LOCAL_OFFER
        session.happen(SessionEvent.ANSWERED, now)
        if event is not None and session.state is not SessionState.TERMINATED:
            session.tell(event)
        elif unanswered:
            session.fail(EndReason.NO_ANSWER, success, now)

    def change_accepted(self, exchange: Exchange, success: Response, now: float) -> None:
        """Take the 2xx to a re-INVITE or UPDATE of ours."""
        session = self._session
        if exchange.sent.method == "INVITE":
            self.succeed(exchange, success, now)
            return
        self._refresh_target(success)
        session.timer.answered(success, now)
        event = session.negotiation.response_described(success)
        if event is None and session.negotiation.exchange.state is OfferState.LOCAL_OFFER:
            # Accepted without an answer: nothing was agreed on.
            session.negotiation.abandon()
            event = ChangeFailed(session=session, response=success)
        if event is not None:
            session.tell(event)

    def _refresh_target(self, success: Response) -> None:
        try:
            self._session.dialog.refresh_target(success)
        except SipError:
            # A response can't be refused: requests go where they went before.
            return
