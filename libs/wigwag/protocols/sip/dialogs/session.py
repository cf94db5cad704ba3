"""One session: the INVITE usage of a dialog, from its first response to BYE (RFC 3261 sections 12 to 15)."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Self

from wigwag.errors import LocalProtocolError
from wigwag.protocols.sip.message import Request, Response
from wigwag.protocols.sip.user_agent import Way

from .acceptance import Acceptance
from .bodies import Body
from .changes import Change, Method
from .channel import Channel, Done, Fields, Told
from .dialog import Dialog
from .events import EndReason, Event, SessionConfirmed, SessionEnded
from .machines import SESSION, SessionEvent, SessionState
from .negotiation import Negotiation
from .reception import Reception
from .session_timer import SessionTimer
from .state import DialogState

if TYPE_CHECKING:
    from .incoming import IncomingRequest
    from .registry import Registry
    from .server import InviteServer

_OWN: Final = frozenset(("INVITE", "ACK", "CANCEL", "BYE", "PRACK", "UPDATE"))
_REASONS: Final = {
    SessionEvent.REFUSED: EndReason.REFUSED,
    SessionEvent.BYE: EndReason.BYE,
    SessionEvent.HANG_UP: EndReason.HUNG_UP,
    SessionEvent.ACKNOWLEDGED: EndReason.HUNG_UP,
    SessionEvent.UNACKNOWLEDGED: EndReason.NO_ACK,
    SessionEvent.GONE: EndReason.GONE,
    SessionEvent.EXPIRED: EndReason.EXPIRED,
}


class Session(Channel):
    """A session with one peer.

    Theory of operation. ``machines.SESSION`` is the machine. What describes the session is the business of
    ``negotiation``, re-INVITE and UPDATE that of ``change``, its lifetime that of ``timer``. A session that is over
    is forgotten at once; ACKs that still have to be repeated are by whoever sent the INVITE.

    Args:
        registry: What all sessions share.
        dialog: The dialog.
        way: By which requests go.
        quiet: Whether the user is told nothing: it never wanted this session.

    Attributes:
        state: How far it is.
        invite: The INVITE of the peer that made it, until it is answered.
        acceptance: The 2xx of ours whose ACK has not come.
        incoming: What comes from the peer.
    """

    def __init__(self, registry: "Registry", dialog: Dialog, way: Way, *, quiet: bool = False) -> None:
        super().__init__(registry, dialog, way)
        options = registry.options
        self.state = SessionState.EARLY
        self.quiet = quiet
        self.invite: InviteServer | None = None
        self.negotiation = Negotiation(self)
        self.change = Change(self)
        self.timer = SessionTimer(
            registry.alarms,
            wanted=options.session_expires,
            min_se=options.min_se,
            refresh=self._refresh,
            expire=lambda now: self.happen(SessionEvent.EXPIRED, now),
        )
        self.acceptance: Acceptance | None = None
        self.incoming = Reception(self)
        self._farewell: Fields = ()
        registry.sessions[dialog.id] = self

    @classmethod
    def restored(cls, registry: "Registry", state: DialogState, way: Way, now: float) -> Self:
        """Go on with a session that another held; whoever refreshes it does so at once."""
        made = cls(registry, Dialog.restored(state), way)
        made.state = SessionState.CONFIRMED
        made.negotiation.exchange.restore(state.description.encode("utf-8", "surrogateescape") or None)
        if state.session_expires:
            made.timer.start(state.session_expires, refresher=state.refresher, now=now)
        if state.refresher:
            made._refresh(now)
        return made

    def to_state(self) -> DialogState:
        """Return what has to be stored to go on elsewhere."""
        local = self.negotiation.exchange.local or b""
        return self.dialog.to_state(
            session_expires=self.timer.interval,
            refresher=self.timer.refresher,
            description=local.decode("utf-8", "surrogateescape"),
        )

    @property
    def answers_invite(self) -> bool:
        """Whether an INVITE of the peer waits for our response, or a 2xx of ours for its ACK."""
        return self.acceptance is not None or self.negotiation.owes_invite

    def tell(self, event: Event) -> None:
        """Tell the user, if it wants this session."""
        if not self.quiet:
            self.registry.tell(event)

    # What the user does

    def request(self, method: str, done: Done, now: float, *, fields: Fields = (), body: Body | None = None) -> None:
        """Send another request within the dialog, such as MESSAGE or INFO; a 408 or 481 ends the session.

        Raises:
            LocalProtocolError: The session is over, or the method is one that the session sends by itself.
        """
        if self.state is SessionState.TERMINATED:
            raise LocalProtocolError("the session is over")
        if method in _OWN:
            raise LocalProtocolError(f"{method} is sent by the session itself")

        def answered(response: Response, now: float) -> None:
            done(response, now)
            self.check_gone(response, now)

        self.exchange(method, Told(answered), fields, body).start(now)

    def modify(self, offer: bytes | None, now: float, *, method: Method = "INVITE") -> None:
        """Change the session (see ``Change.start``); AnswerReceived, OfferReceived or ChangeFailed follows."""
        self.change.start(method, offer, now)

    def answer(self, description: bytes, now: float) -> None:
        """Answer OfferReceived or OfferRequested; LocalProtocolError if there was none."""
        self.negotiation.answer(description, now)

    def refuse(self, now: float, status: int = 488, reason: str = "Not Acceptable Here", fields: Fields = ()) -> None:
        """Refuse OfferReceived or OfferRequested; LocalProtocolError if there was none."""
        self.negotiation.refuse(status, reason, fields, now)

    def hang_up(self, now: float, fields: Fields = ()) -> None:
        """End the session; nothing happens if it is over.

        Args:
            now: The time.
            fields: Of the BYE, such as Reason (RFC 3326).

        Raises:
            LocalProtocolError: It is early: its INVITE is to be cancelled or rejected.
        """
        if self.state is SessionState.EARLY:
            raise LocalProtocolError("an early session is cancelled or rejected, not hung up")
        self._farewell = fields
        self.happen(SessionEvent.HANG_UP, now)

    # What INVITEs do

    def send_success(self, incoming: "IncomingRequest", fields: Fields, body: Body | None, now: float) -> None:
        """Send the 2xx to an INVITE of the peer, until its ACK comes."""
        response = incoming.response(200, "OK", fields, body)
        incoming.answered = True
        registry = self.registry
        self.acceptance = Acceptance(
            incoming.server,
            response,
            registry.alarms,
            registry.options.timers,
            lambda now: self.happen(SessionEvent.UNACKNOWLEDGED, now),
        )
        self.acceptance.start(now)

    def check_gone(self, response: Response, now: float) -> None:
        """End the session if a response says that there is none (section 12.2.1.2)."""
        if response.status in (408, 481):
            self.happen(SessionEvent.GONE, now, response)

    # The machine

    def happen(self, event: SessionEvent, now: float, message: Request | Response | None = None) -> None:
        """Let something happen to it."""
        step = SESSION.get((self.state, event))
        if step is None:
            return
        self.state, action = step
        act: Callable[[SessionEvent, Request | Response | None, float], None] = getattr(self, f"_{action}")
        act(event, message, now)

    def fail(self, reason: EndReason, message: Request | Response, now: float) -> None:
        """Hang up because the peer broke the rules."""
        if self.state is not SessionState.TERMINATED:
            self.state = SessionState.TERMINATED
            self._hang_up(reason, message, now)

    def decline(self, invite: Request, success: Response, now: float) -> None:
        """Take a 2xx that nobody wants: acknowledge it and hang up (section 13.2.2.4)."""
        self.acknowledge(invite, None)
        if self.state is SessionState.TERMINATED:
            self._bye(now)
        else:
            self.fail(EndReason.ELSEWHERE, success, now)

    def discard(self, reason: EndReason, now: float) -> None:
        """Forget an early session whose INVITE was answered elsewhere or refused."""
        if self.state is SessionState.EARLY:
            self.state = SessionState.TERMINATED
            self._finish(reason, None, now)

    def let_go(self, now: float) -> None:
        """Forget the session without a word to the peer or the user: another goes on with it."""
        self.quiet = True
        if self.state is not SessionState.TERMINATED:
            self.state = SessionState.TERMINATED
            self._finish(EndReason.ELSEWHERE, None, now)

    def _confirm(self, event: SessionEvent, message: Request | Response | None, now: float) -> None:
        self.tell(SessionConfirmed(session=self))

    def _wait_for_ack(self, event: SessionEvent, message: Request | Response | None, now: float) -> None:
        """Wait: ``Acceptance`` sends the 2xx again."""

    def _hold_bye(self, event: SessionEvent, message: Request | Response | None, now: float) -> None:
        """Wait for the ACK."""

    def _end(self, event: SessionEvent, message: Request | Response | None, now: float) -> None:
        self._finish(_REASONS[event], message, now)

    def _send_bye(self, event: SessionEvent, message: Request | Response | None, now: float) -> None:
        self._hang_up(_REASONS[event], message, now)

    def _hang_up(self, reason: EndReason, message: Request | Response | None, now: float) -> None:
        self.negotiation.end(now)
        self._bye(now)
        self._finish(reason, message, now)

    def _bye(self, now: float) -> None:
        self.exchange("BYE", Told(lambda response, now: None), self._farewell).start(now)

    def _finish(self, reason: EndReason, message: Request | Response | None, now: float) -> None:
        self.registry.sessions.pop(self.dialog.id, None)
        self.timer.stop()
        self.change.stop(now)
        self.stop_acceptance()
        self.negotiation.end(now)
        self.incoming.end(now)
        if self.invite is not None:
            self.invite.end(now)
        self.tell(SessionEnded(session=self, reason=reason, message=message))

    def stop_acceptance(self) -> None:
        """Send no 2xx any more."""
        if self.acceptance is not None:
            self.acceptance.stop()
            self.acceptance = None

    def _refresh(self, now: float) -> None:
        confirmed = self.state is SessionState.CONFIRMED
        if not confirmed or self.change.busy or self.negotiation.exchange.open or self.answers_invite:
            # Whatever is under way refreshes the session too, if it succeeds.
            self.timer.refresh_failed(now)
        elif self.dialog.update_allowed:
            self.change.start("UPDATE", None, now, refresh=True)
        else:
            self.change.start("INVITE", self.negotiation.exchange.local, now, refresh=True)
