"""Changes of a session: re-INVITE and UPDATE, ours and the peer's (RFC 3261 section 14, RFC 3311)."""

from typing import TYPE_CHECKING, Final, Literal

from wigwag.errors import LocalProtocolError
from wigwag.protocols.sip.errors import SipError
from wigwag.protocols.sip.message import Response
from wigwag.protocols.sip.user_agent import Exchange

from .bodies import Body, description_of
from .events import ChangeFailed
from .machines import SessionState
from .offers import RETRY_AFTER

if TYPE_CHECKING:
    from .alarms import Alarm
    from .incoming import IncomingRequest
    from .session import Session

Method = Literal["INVITE", "UPDATE"]
LONGEST_CHANGE: Final = 180.0
"""Seconds after which a re-INVITE without a final response is cancelled: no other change can go before."""
_MOST_ATTEMPTS: Final = 6
"""Of one change, when it meets 491 and 422."""


class Change:
    """The re-INVITE or UPDATE of ours that is under way, one at a time.

    Args:
        session: What it changes.
    """

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._exchange: Exchange | None = None
        self._retry: Alarm | None = None
        self._patience: Alarm | None = None
        self._wanted: tuple[Method, bytes | None] = ("UPDATE", None)
        self._refreshes = False
        self._attempts = 0

    @property
    def busy(self) -> bool:
        """Whether a change is under way, or waits after a 491."""
        return self._exchange is not None or self._retry is not None

    @property
    def inviting(self) -> bool:
        """Whether an INVITE of ours has no final response."""
        return self._exchange is not None and self._exchange.sent.method == "INVITE"

    def start(self, method: Method, offer: bytes | None, now: float, *, refresh: bool = False) -> None:
        """Begin one.

        Args:
            method: An UPDATE may go early too, but not ask for an offer.
            offer: Session description.
            now: The time.
            refresh: It is but for the session timer: the user need not hear that it failed.

        Raises:
            LocalProtocolError: Another one is under way, an offer is open, or the session is not there.
        """
        self._check(method)
        self._wanted, self._refreshes, self._attempts = (method, offer), refresh, 0
        self._send(now)

    def stop(self, now: float) -> None:
        """The session is over: nobody waits for the response any more."""
        for alarm in (self._retry, self._patience):
            if alarm is not None:
                alarm.cancel()
        self._retry = self._patience = None
        self._give_up(now)

    def _give_up(self, now: float) -> None:
        if self._exchange is not None:
            # Of anything but an INVITE nothing is left to cancel: it ends by itself.
            self._exchange.cancel(now)

    def _check(self, method: Method) -> None:
        session = self._session
        if self.busy or session.negotiation.exchange.open or session.answers_invite:
            raise LocalProtocolError("another change of the session is under way")
        fit = session.state is SessionState.CONFIRMED or (method == "UPDATE" and session.state is SessionState.EARLY)
        if not fit:
            raise LocalProtocolError(f"a session that is {session.state.value} can't be changed by {method}")

    def _send(self, now: float) -> None:
        session, (method, offer) = self._session, self._wanted
        self._attempts += 1
        if offer is not None or method == "INVITE":
            session.negotiation.begin(offer)
        fields = (*session.registry.capabilities(), *session.timer.request_fields())
        body = None if offer is None else Body(offer)
        self._exchange = session.exchange(method, self, fields, body)
        self._patience = session.registry.alarms.set(now + LONGEST_CHANGE, self._give_up)
        self._exchange.start(now)

    # Responses

    def provisional(self, exchange: Exchange, response: Response, now: float) -> None:
        """Take a 1xx, which may want a PRACK."""
        if exchange.sent.method == "INVITE" and self._session.state is not SessionState.TERMINATED:
            self._session.negotiation.provisional(response, exchange.cancel, now)

    def answered(self, exchange: Exchange, response: Response, now: float) -> None:
        """Take a final response; a 2xx to an INVITE perhaps once more."""
        session = self._session
        if exchange is self._exchange and self._patience is not None:
            self._patience.cancel()
        if session.state is SessionState.TERMINATED and exchange is self._exchange:
            self._exchange = None
            if response.status < 300 and exchange.sent.method == "INVITE":
                session.acknowledge(exchange.sent, None)
        elif exchange is not self._exchange:
            session.acknowledge_again(exchange.sent)
        elif response.status < 300:
            self._exchange = None
            session.incoming.change_accepted(exchange, response, now)
        else:
            self._refused(exchange, response, now)

    def _refused(self, exchange: Exchange, response: Response, now: float) -> None:
        session = self._session
        may_retry = self._attempts < _MOST_ATTEMPTS and not exchange.cancelled
        if response.status == 422 and may_retry and session.timer.too_small(response):
            self._attempts += 1
            exchange.again(session.timer.request_fields(), now)
            return
        self._exchange = None
        session.negotiation.abandon()
        if response.status == 491 and may_retry:
            self._retry = session.registry.alarms.set(now + self._glare_wait(), self._send_again)
            return
        session.check_gone(response, now)
        self._tell_failure(response, now)

    def _glare_wait(self) -> float:
        """Return the seconds to wait after a 491 (section 14.1): who owns the Call-ID waits longer."""
        registry = self._session.registry
        return 2.1 + registry.number(191) / 100 if self._session.dialog.caller else registry.number(201) / 100

    def _send_again(self, now: float) -> None:
        self._retry = None
        session = self._session
        if session.negotiation.exchange.open or session.answers_invite:
            # The peer was faster: after its change it is our turn.
            self._retry = session.registry.alarms.set(now + self._glare_wait(), self._send_again)
        else:
            self._send(now)

    def _tell_failure(self, response: Response, now: float) -> None:
        session = self._session
        if session.state is SessionState.TERMINATED:
            return
        if self._refreshes and response.status in (405, 501) and self._wanted[0] == "UPDATE":
            # It says that it takes UPDATE, and does not.
            self.start("INVITE", session.negotiation.exchange.local, now, refresh=True)
        elif self._refreshes:
            session.timer.refresh_failed(now)
        else:
            session.tell(ChangeFailed(session=session, response=response))


def receive_change(session: "Session", incoming: "IncomingRequest", now: float) -> None:
    """Take a re-INVITE or UPDATE of the peer.

    Raises:
        SipError: It can't be taken now, or at all; then the peer's target is as it was.
    """
    if incoming.method == "INVITE":
        _check_invite(session)
    session.timer.check(incoming.request)
    offer = description_of(incoming.request)
    before = session.dialog.remote_target
    session.dialog.refresh_target(incoming.request)
    try:
        _take(session, incoming, offer, now)
    except SipError:
        session.dialog.remote_target = before
        raise


def _take(session: "Session", incoming: "IncomingRequest", offer: bytes | None, now: float) -> None:
    if offer is not None:
        session.negotiation.offered(incoming, offer)
    elif incoming.method == "INVITE":
        session.negotiation.requested(incoming)
    else:
        fields = (session.contact, *session.registry.capabilities(), *session.timer.answer(incoming.request, now))
        incoming.respond(200, "OK", now, fields)


def _check_invite(session: "Session") -> None:
    """Refuse an INVITE that crosses one of ours, or comes before the one before is done with (section 14.2)."""
    if session.change.inviting:
        raise SipError("Request Pending", status=491)
    if session.answers_invite or session.state is not SessionState.CONFIRMED:
        raise SipError("an INVITE before is not done with", status=500, headers=RETRY_AFTER)
