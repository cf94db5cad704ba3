"""An INVITE of a peer, from its arrival to its final response (RFC 3261 section 13.3, RFC 3262 section 3)."""

from typing import TYPE_CHECKING, Final

from wigwag.errors import LocalProtocolError
from wigwag.protocols.sip.errors import SipError
from wigwag.protocols.sip.message import Request, Response
from wigwag.protocols.sip.user_agent import Way

from .alarms import Alarm
from .bodies import SDP, Body, description_of
from .dialog import Dialog
from .events import InviteCancelled, InviteReceived
from .incoming import Fields, IncomingRequest
from .machines import OfferState, SessionEvent
from .reliable import RAck, ReliableSender, supports
from .session import Session

if TYPE_CHECKING:
    from .registry import Registry

REMINDER_INTERVAL: Final = 60.0
"""Seconds between provisional responses while the user has said nothing else."""


class InviteServer:
    """A call that has come in.

    Theory of operation. Its session is there from the start, early. What is to be sent after a reliable response
    waits for that one's PRACK, a 2xx too (RFC 3262 section 3): the user need not know.

    Args:
        registry: What all sessions share.
        incoming: The INVITE.
        way: By which our requests go.
        contact: URI of our Contact; ``session.dialog.local_target`` may be set anew before the first response.

    Attributes:
        offer: The peer's session description; None: we are to offer.
        request: The INVITE.
        session: The session that it makes.

    Raises:
        SipError: It can't make a dialog, its body is malformed, or its session timer is too short.
    """

    def __init__(self, registry: "Registry", incoming: IncomingRequest, way: Way, contact: str) -> None:
        self.request: Request = incoming.request
        self.offer = _offer_of(self.request)
        dialog = Dialog.of_request(self.request, incoming.to_tag, contact)
        expires = self.request.number("expires")
        self._registry = registry
        self._incoming = incoming
        self._accepts: bytes | None = None
        self._accept_fields: Fields | None = None
        self._expiry: Alarm | None = None
        self._reminder: Alarm | None = None
        self._expires = expires
        self._reliable = ReliableSender(
            incoming.server,
            registry.alarms,
            registry.options.timers.t1,
            registry.number(1 << 30),
            self._no_prack,
        )
        self.session = Session(registry, dialog, way)

    def begin(self, now: float) -> None:
        """Tell the user of the call."""
        session, registry = self.session, self._registry
        try:
            session.timer.check(self.request)
        except SipError:
            registry.sessions.pop(session.dialog.id, None)
            raise
        session.invite = self
        registry.invites[self._incoming.server] = self
        if self.offer is not None:
            session.negotiation.exchange.receive_offer(self.offer)
        if self._expires is not None:
            self._expiry = registry.alarms.set(now + self._expires, lambda now: self._give_up(487, now))
        session.tell(InviteReceived(invite=self, offer=self.offer))

    @property
    def described(self) -> bool:
        """Whether a reliable response has had our description, so that ``accept`` takes none."""
        exchange = self.session.negotiation.exchange
        return exchange.state is OfferState.LOCAL_OFFER or exchange.settled

    # What the user does

    def ring(
        self,
        now: float,
        status: int = 180,
        reason: str = "Ringing",
        *,
        description: bytes | None = None,
        reliable: bool = False,
        fields: Fields = (),
    ) -> None:
        """Send a provisional response, 101 to 199; nothing happens after a final one.

        Args:
            now: The time.
            status: Of the response.
            reason: Phrase.
            description: Our answer. Sent reliably it is final; otherwise the same has to follow in ``accept``. If the
                INVITE had no offer: our offer, only reliably.
            reliable: Whether it is sent until its PRACK comes; always if the peer demands it.
            fields: More header fields.

        Raises:
            LocalProtocolError: The description is out of turn, or the peer knows no reliable responses.
        """
        if self._incoming.answered or self._accept_fields is not None:
            return
        demanded = supports(self.request, "require", "100rel")
        reliable = (reliable or demanded) and status > 100
        if reliable and not demanded and not supports(self.request, "supported", "100rel"):
            raise LocalProtocolError("the peer does not support reliable provisional responses")
        if description is not None:
            self._describe(description, reliable=reliable)
        body = None if description is None else Body(description)
        made = (self.session.contact, *self._registry.capabilities(), *fields)
        response = self._incoming.response(status, reason, made if status > 100 else (), body)
        if reliable:
            self._reliable.send(response, now)
        else:
            self._send_provisional(response, now)

    def accept(self, now: float, description: bytes | None = None, fields: Fields = ()) -> None:
        """Accept the call with our answer, or with our offer if the INVITE had none (S29).

        Args:
            now: The time.
            description: None: it was sent in a provisional response.
            fields: More header fields.

        Raises:
            LocalProtocolError: The description is missing or out of turn, or the call has its final response.
        """
        if self._incoming.answered or self._accept_fields is not None:
            raise LocalProtocolError("the call has its final response")
        self._check_description(description)
        self._accepts, self._accept_fields = description or self._accepts, fields
        if self._reliable.idle:
            self._accept(now)

    def reject(self, now: float, status: int = 486, reason: str = "Busy Here", fields: Fields = ()) -> None:
        """Refuse the call, 300 to 699; LocalProtocolError if it has its final response."""
        if self._incoming.answered:
            raise LocalProtocolError("the call has its final response")
        self._refuse(status, reason, fields, now)

    # What happens

    def receive_prack(self, incoming: IncomingRequest, now: float) -> None:
        """Take a PRACK.

        Raises:
            SipError: 481: it is of no response that waits for one; 400: it is malformed.
        """
        rack = RAck.parse(incoming.request.get("rack"))
        description = description_of(incoming.request)
        if not self._reliable.acknowledge(rack, now):
            raise SipError("Call/Transaction Does Not Exist", status=481)
        negotiation = self.session.negotiation
        if description is not None and negotiation.exchange.state is not OfferState.LOCAL_OFFER:
            negotiation.offered(incoming, description)
        else:
            incoming.respond(200, "OK", now)
            negotiation.ack_described(incoming.request)
        if self._accept_fields is not None and self._reliable.idle and not self._incoming.answered:
            self._accept(now)

    def cancel(self, now: float) -> None:
        """Take a CANCEL (S34)."""
        self._give_up(487, now)

    def end(self, now: float) -> None:
        """Hear that the session is over: the peer sent a BYE instead of a CANCEL."""
        if not self._incoming.answered:
            self._refuse(487, "Request Terminated", (), now)

    # How

    def _send_provisional(self, response: Response, now: float) -> None:
        """Send a response that may be lost, again every minute: proxies cancel what is silent (section 13.3.1.1)."""
        if self._reminder is not None:
            self._reminder.cancel()
        self._reminder = self._registry.alarms.set(
            now + REMINDER_INTERVAL, lambda now: self._send_provisional(response, now)
        )
        self._incoming.server.respond(response, now)

    def _describe(self, description: bytes, *, reliable: bool) -> None:
        exchange = self.session.negotiation.exchange
        if exchange.state is OfferState.REMOTE_OFFER:
            if reliable:
                exchange.send_answer(description)
                self._accepts = None
            else:
                self._accepts = description
        elif reliable:
            exchange.send_offer(description)
        else:
            raise LocalProtocolError("an offer goes in reliable responses only")

    def _check_description(self, description: bytes | None) -> None:
        if self.session.negotiation.owes:
            raise LocalProtocolError("another offer of the peer has to be answered first")
        if description is not None and self.described:
            raise LocalProtocolError("the session was described before")
        if description is None and not self.described and self._accepts is None:
            raise LocalProtocolError("a call is accepted with a session description")

    def _accept(self, now: float) -> None:
        session, description, exchange = self.session, self._accepts, self.session.negotiation.exchange
        if description is not None and exchange.state is OfferState.REMOTE_OFFER:
            exchange.send_answer(description)
        elif description is not None:
            exchange.send_offer(description)
        timer = session.timer.answer(self.request, now)
        fields = (session.contact, *self._registry.capabilities(), *timer, *(self._accept_fields or ()))
        self._close()
        session.happen(SessionEvent.ACCEPT, now)
        session.send_success(self._incoming, fields, None if description is None else Body(description), now)

    def _no_prack(self, now: float) -> None:
        # Section 3: the INVITE should be rejected with a 5xx.
        self._give_up(504, now)

    def _give_up(self, status: int, now: float) -> None:
        if self._incoming.answered:
            return
        self._refuse(status, "Request Terminated" if status == 487 else "No PRACK", (), now)
        self.session.tell(InviteCancelled(invite=self, status=status))

    def _refuse(self, status: int, reason: str, fields: Fields, now: float) -> None:
        self._close()
        self._incoming.respond(status, reason, now, fields)
        self.session.happen(SessionEvent.REFUSED, now)

    def _close(self) -> None:
        """Leave the indices: there is, or will be in a moment, a final response."""
        self._registry.invites.pop(self._incoming.server, None)
        self._reliable.stop()
        self.session.invite = None
        for alarm in (self._expiry, self._reminder):
            if alarm is not None:
                alarm.cancel()


def _offer_of(invite: Request) -> bytes | None:
    offer = description_of(invite)
    optional = "handling=optional" in (invite.get("content-disposition") or "").lower().replace(" ", "")
    if offer is None and invite.body and not optional:
        raise SipError("Unsupported Media Type", status=415, headers=(("Accept", SDP),))
    return offer
