"""The session descriptions of one session, in whatever messages they come and go (RFC 3264, RFC 6337)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from wigwag.errors import LocalProtocolError
from wigwag.protocols.sip.errors import SipError
from wigwag.protocols.sip.message import Request, Response

from .answers import AnswerInPrack, AnswerInResponse, OwedAnswer
from .bodies import Body, description_of
from .channel import Told
from .events import AnswerReceived, Event, OfferReceived, OfferRequested, OfferWithdrawn
from .machines import OfferState
from .offers import OfferAnswer
from .reliable import RAck, ReliableReceiver, is_reliable

if TYPE_CHECKING:
    from .incoming import Fields, IncomingRequest
    from .session import Session


class Negotiation:
    """Offers and answers of one session.

    Args:
        session: Whose.

    Attributes:
        exchange: Whose turn it is, and what was said.
        awaits_offer: Whether an INVITE of ours had no offer, so that a response to it has one (S29).
    """

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._owed: OwedAnswer | None = None
        self._reliable = ReliableReceiver()
        self.exchange = OfferAnswer()
        self.awaits_offer = False

    @property
    def owes(self) -> bool:
        """Whether the user has been asked for a description, other than that of the INVITE."""
        return self._owed is not None

    @property
    def owes_invite(self) -> bool:
        """Whether a re-INVITE of the peer waits for our description."""
        return isinstance(self._owed, AnswerInResponse) and self._owed.invites

    def begin(self, offer: bytes | None) -> None:
        """Note what an INVITE of ours offers."""
        if offer is None:
            self.awaits_offer = True
        else:
            self.exchange.send_offer(offer)

    def abandon(self) -> None:
        """Hear that a re-INVITE or UPDATE of ours was refused."""
        self.awaits_offer = False
        if self.exchange.state is OfferState.LOCAL_OFFER:
            self.exchange.refused()

    # What the user says

    def answer(self, description: bytes, now: float) -> None:
        """Give what is owed: the answer to an offer, or the offer that a re-INVITE asks for.

        Raises:
            LocalProtocolError: Nothing is owed.
        """
        owed = self._take_owed()
        if self.exchange.state is OfferState.REMOTE_OFFER:
            self.exchange.send_answer(description)
        else:
            self.exchange.send_offer(description)
        owed.give(Body(description), now)

    def refuse(self, status: int, reason: str, fields: "Fields", now: float) -> None:
        """Refuse what was offered; LocalProtocolError if nothing was."""
        owed = self._take_owed()
        if self.exchange.state is OfferState.REMOTE_OFFER:
            self.exchange.refuse()
        owed.refuse(status, reason, fields, now)

    def _take_owed(self) -> OwedAnswer:
        owed, self._owed = self._owed, None
        if owed is None:
            raise LocalProtocolError("no session description is asked for")
        return owed

    # What the peer says

    def owe(self, answer: OwedAnswer) -> None:
        """Note where the answer goes."""
        self._owed = answer

    def response_described(self, response: Response) -> Event | None:
        """Take the description in a response to a request of ours; return what the user is to hear.

        The first one is the answer, whatever follows is ignored (RFC 3261 section 13.2.1).
        """
        try:
            description = description_of(response)
            if description is None:
                return None
            if self.exchange.state is OfferState.LOCAL_OFFER:
                self.exchange.receive_answer(description)
                return AnswerReceived(session=self._session, answer=description)
            if self.awaits_offer and (response.status >= 200 or is_reliable(response)):
                self.exchange.receive_offer(description)
                self.awaits_offer = False
                return OfferReceived(session=self._session, offer=description)
        except SipError:
            # A response can't be refused: what can't be read is not there.
            return None
        return None

    def provisional(self, response: Response, cancel: Callable[[float], None], now: float) -> bool:
        """Take a provisional response to an INVITE of ours; tells whether it is a new one (RFC 3262 section 4)."""
        if not is_reliable(response):
            self._tell(self.response_described(response))
            return True
        try:
            rack = self._reliable.receive(response)
        except SipError:
            return False
        if rack is None:
            return False
        event = self.response_described(response)
        if isinstance(event, OfferReceived):
            self.owe(AnswerInPrack(self._session, rack, cancel))
        else:
            self.send_prack(rack, None, now)
        self._tell(event)
        return True

    def send_prack(self, rack: RAck, body: Body | None, now: float) -> None:
        """Send a PRACK."""
        session = self._session
        session.exchange("PRACK", Told(session.check_gone), (("RAck", str(rack)),), body).start(now)

    def ack_described(self, ack: Request) -> bool:
        """Take the answer in an ACK or PRACK; tells whether ours is not waiting any more for one."""
        if self.exchange.state is not OfferState.LOCAL_OFFER:
            return True
        try:
            description = description_of(ack)
        except SipError:
            description = None
        if description is None:
            return False
        self.exchange.receive_answer(description)
        self._tell(AnswerReceived(session=self._session, answer=description))
        return True

    def offered(self, incoming: "IncomingRequest", offer: bytes) -> None:
        """Take the offer in a re-INVITE, an UPDATE or a PRACK.

        Raises:
            SipError: 491 or 500: another one is open.
        """
        self.exchange.receive_offer(offer)
        self._owe_response(incoming)
        self._tell(OfferReceived(session=self._session, offer=offer))

    def requested(self, incoming: "IncomingRequest") -> None:
        """Take a re-INVITE without an offer.

        Raises:
            SipError: 491 or 500: an offer is open.
        """
        if self.exchange.open:
            raise SipError("Request Pending", status=491)
        self._owe_response(incoming)
        self._tell(OfferRequested(session=self._session))

    def withdraw(self, answer: AnswerInResponse, now: float) -> None:
        """Hear that the re-INVITE in question was cancelled."""
        if self._owed is answer:
            self.refuse(487, "Request Terminated", (), now)
            self._tell(OfferWithdrawn(session=self._session))

    def end(self, now: float) -> None:
        """The session is over: nobody asks the user for a description any more."""
        owed, self._owed = self._owed, None
        if owed is not None:
            owed.abandon(now)

    def _owe_response(self, incoming: "IncomingRequest") -> None:
        answer = AnswerInResponse(self._session, incoming)
        self.owe(answer)
        if incoming.method == "INVITE":
            self._session.registry.invites[incoming.server] = answer

    def _tell(self, event: Event | None) -> None:
        if event is not None:
            self._session.tell(event)
