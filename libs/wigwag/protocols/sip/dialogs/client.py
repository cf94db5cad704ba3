"""An INVITE of ours and the dialogs that come of it (RFC 3261 section 13.2)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from wigwag.protocols.sip.errors import SipError
from wigwag.protocols.sip.message import Request, Response
from wigwag.protocols.sip.user_agent import Exchange, Way
from wigwag.protocols.sip.values import NameAddress

from .bodies import SDP
from .dialog import Dialog
from .events import CallFailed, EndReason, ProvisionalReceived
from .machines import SessionState
from .session import Session
from .session_timer import SessionInterval

if TYPE_CHECKING:
    from .registry import Registry

MOST_FORKS: Final = 32
"""Dialogs of one INVITE; what comes of further branches is ended, or ignored while early."""
_MOST_ATTEMPTS: Final = 4
"""Session intervals that are tried when each is too small (422)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Whom to call, and how."""

    uri: str
    """Request-URI."""
    from_address: str
    """From without a tag, such as ``Identity.address()`` gives."""
    contact: str
    """URI of our Contact."""
    offer: bytes | None
    """Session description; None: the peer is to offer (S29)."""
    to_address: str = ""
    """To; empty: the Request-URI."""
    routes: tuple[str, ...] = ()
    """Route, such as Service-Route gives."""
    fields: tuple[tuple[str, str], ...] = ()
    """More header fields."""
    reliable: bool = False
    """Whether provisional responses have to be reliable."""
    call_id: str = ""
    """Empty: a new one."""


class InviteClient:
    """A call that goes out.

    Theory of operation. Every To tag of a response is a dialog of its own. The first 2xx wins: its session stands,
    the early others are over. A further 2xx is acknowledged and its session ended at once (S33); one that comes
    although the call was cancelled, too (S34). A 2xx that comes again has its ACK sent again.

    Args:
        registry: What all sessions share.
        call: Whom to call.
        way: By which the requests go.

    Attributes:
        sessions: By the peer's tag, also those that are over.
    """

    def __init__(self, registry: "Registry", call: Call, way: Way) -> None:
        self.call = call
        self.sessions: dict[str, Session] = {}
        self._registry = registry
        self._way = way
        self._cseq = 1
        self._winner: Session | None = None
        self._attempts = 0
        self._timer = SessionInterval(registry.options.session_expires, registry.options.min_se)
        self._exchange = registry.client.exchange(self._invite(), way, self._next_cseq, self)

    def start(self, now: float) -> None:
        """Send the INVITE."""
        self._exchange.start(now)

    def cancel(self, now: float) -> None:
        """Give up; CallFailed follows. Nothing happens once the call was answered."""
        if self._winner is None:
            self._exchange.cancel(now)

    def _invite(self) -> Request:
        call, registry = self.call, self._registry
        made = [("Max-Forwards", "70"), *[("Route", route) for route in call.routes]]
        made += [("From", f"{call.from_address};tag={registry.token()}")]
        made += [("To", call.to_address or str(NameAddress("", call.uri)))]
        made += [("Call-ID", call.call_id or registry.token(16)), ("CSeq", "1 INVITE")]
        made += [("Contact", f"<{call.contact}>"), *registry.capabilities(), *self._timer.request_fields()]
        if call.reliable:
            made.append(("Require", "100rel"))
        made += [("User-Agent", registry.options.software), *call.fields]
        if call.offer is not None:
            made.append(("Content-Type", SDP))
        return Request.create("INVITE", call.uri, made, call.offer or b"")

    def _next_cseq(self) -> int:
        self._cseq += 1
        return self._cseq

    # Responses

    def provisional(self, exchange: Exchange, response: Response, now: float) -> None:
        """Take a 1xx; one with a tag is of an early dialog."""
        session = self._early(exchange, response) if response.status > 100 else None
        if session is not None:
            if session.state is not SessionState.EARLY:
                return
            if not session.negotiation.provisional(response, self._give_up, now):
                return
        self._registry.tell(ProvisionalReceived(client=self, session=session, response=response))

    def answered(self, exchange: Exchange, response: Response, now: float) -> None:
        """Take a final response; a 2xx perhaps again, or from another branch."""
        if response.status < 300:
            self._accepted(exchange, response, now)
        elif self._asks_again(exchange, response):
            self._attempts += 1
            self._discard(EndReason.REFUSED, now)
            exchange.again(self._timer.request_fields(), now)
        else:
            self._discard(EndReason.REFUSED, now)
            self._registry.tell(CallFailed(client=self, response=response))

    def _asks_again(self, exchange: Exchange, refusal: Response) -> bool:
        """Tell whether a longer session interval is worth another attempt (RFC 4028 section 7.3)."""
        wanted = refusal.status == 422 and not exchange.cancelled and self._attempts < _MOST_ATTEMPTS
        return wanted and self._timer.too_small(refusal)

    def _accepted(self, exchange: Exchange, success: Response, now: float) -> None:
        held = self.sessions.get(success.to.tag or "")
        if held is not None and (held is self._winner or held.has_acknowledged(exchange.sent)):
            held.acknowledge_again(exchange.sent)
            return
        unwanted = self._winner is not None or exchange.cancelled or exchange.failure is not None
        if held is None and unwanted and len(self.sessions) >= MOST_FORKS:
            return
        try:
            session = held or self._session(exchange, success, quiet=unwanted)
            session.dialog.confirm(success)
        except SipError:
            # No dialog can be made of it, so it can't be ended either: the peer's wait for the ACK will end it.
            self._fail(success, now)
            return
        if unwanted:
            self._decline(session, exchange, success, now)
        else:
            self._winner = session
            self._discard(EndReason.ELSEWHERE, now, but=session)
            session.incoming.succeed(exchange, success, now)

    def _decline(self, session: Session, exchange: Exchange, success: Response, now: float) -> None:
        session.decline(exchange.sent, success, now)
        if self._winner is None:
            self._winner = session
            self._fail(Response.to_request(exchange.sent, 487, "Request Terminated"), now)

    def _fail(self, response: Response, now: float) -> None:
        self._discard(EndReason.REFUSED, now)
        self._registry.tell(CallFailed(client=self, response=response))

    def _give_up(self, now: float) -> None:
        self.cancel(now)

    # Dialogs

    def _early(self, exchange: Exchange, response: Response) -> Session | None:
        """Return the early dialog of a response; None: it makes none."""
        tag = response.to.tag
        if tag is None:
            return None
        held = self.sessions.get(tag)
        if held is not None or len(self.sessions) >= MOST_FORKS or self._winner is not None:
            return held
        try:
            return self._session(exchange, response, quiet=False)
        except SipError:
            return None

    def _session(self, exchange: Exchange, response: Response, *, quiet: bool) -> Session:
        dialog = Dialog.of_response(exchange.sent, response, self.call.contact)
        session = Session(self._registry, dialog, self._way, quiet=quiet)
        session.negotiation.begin(self.call.offer)
        self.sessions[response.to.tag or ""] = session
        return session

    def _discard(self, reason: EndReason, now: float, but: Session | None = None) -> None:
        for session in list(self.sessions.values()):
            if session is not but:
                session.discard(reason, now)
