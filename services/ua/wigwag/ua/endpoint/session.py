"""One chat: a SIP dialog, what both sides agreed on, and the MSRP that carries its messages.

Theory of operation::

    NEW ---INVITE sent---> CALLING ---2xx and answer---> OPEN ---> ENDED
    OFFERED --accept--> ACCEPTING ------ACK------> OPEN
    (any) --refused, cancelled, lost--> ENDED

``ENDED`` is told once, after the outcome of every message.
"""

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final

import structlog

from wigwag.errors import ConflictError, LocalProtocolError
from wigwag.protocols.msrp import Event as MsrpEvent
from wigwag.protocols.sdp import FileTransfer, SdpError
from wigwag.protocols.sip import Response
from wigwag.protocols.sip.dialogs import (
    EndReason,
    InviteClient,
    InviteServer,
)
from wigwag.protocols.sip.dialogs import Session as Dialog

from .answering import Answering
from .arrivals import Arrivals
from .calling import Calling
from .causes import MEDIA_LOST, cause_of_end
from .descriptions import Descriptions, warning
from .line import MediaLine
from .model import (
    Cause,
    Changed,
    Ended,
    MediaWish,
    Opened,
    OutgoingCall,
    OutgoingMessage,
    OutgoingReport,
    Settled,
    Settlement,
    Superseded,
)
from .outbox import Outbox
from .states import State
from .stored import restored, stored

if TYPE_CHECKING:
    from .endpoint import Endpoint

_LONGEST_REASON: Final = 200

logger = structlog.get_logger("wigwag.ua")


class ChatSession:
    """A session of an endpoint (``EndpointSession``); a ``LineUser``.

    Args:
        endpoint: What it is made with.
        session_id: Its id.
        wish: What we want of MSRP.
        token: Fencing token for our relay.

    Attributes:
        state: How far it is.
        dialog: The one that stands.
        calling: How we call; None: we do not.
        answering: How we answer; None: nobody called.
        line: Its MSRP.
        end_cause: Why we end it, once we do.
    """

    def __init__(self, endpoint: "Endpoint", session_id: str, wish: MediaWish, *, token: int = 0) -> None:
        self.id = session_id
        self.state = State.NEW
        self.dialog: Dialog | None = None
        self.calling: Calling | None = None
        self.answering: Answering | None = None
        self.line: MediaLine | None = None
        self.end_cause: Cause | None = None
        self._endpoint = endpoint
        self._sip = endpoint.sip
        self.token = token
        self._descriptions = Descriptions(wish, endpoint.number())
        self._outbox = Outbox(self._settled)
        self._arrivals = Arrivals(self, endpoint.tell)
        self._task: asyncio.Task[None] | None = None
        self._changing = False
        """Whether a change of ours waits until another, ours or the peer's, is done with."""

    # What is known

    @property
    def accept_types(self) -> tuple[str, ...]:
        """What the peer accepts; empty: not known yet."""
        agreement = self._descriptions.agreement
        return agreement.remote.accept_types.entries if agreement is not None else ()

    @property
    def accept_wrapped_types(self) -> tuple[str, ...]:
        """What it accepts within message/cpim only."""
        agreement = self._descriptions.agreement
        wrapped = agreement.remote.accept_wrapped_types if agreement is not None else None
        return wrapped.entries if wrapped is not None else ()

    @property
    def max_size(self) -> int | None:
        """Octets of the largest message that the peer takes; None: it does not say."""
        agreement = self._descriptions.agreement
        return agreement.remote.max_size if agreement is not None else None

    @property
    def held(self) -> bool:
        """Whether the peer wants nothing for now."""
        agreement = self._descriptions.agreement
        return agreement is not None and not agreement.direction.sends

    @property
    def connected(self) -> bool:
        """Whether there is an MSRP connection; what is sent waits for one."""
        return self.line is not None and self.line.is_up

    @property
    def file(self) -> FileTransfer | None:
        """What the peer says of the file that the session is for; None: nothing."""
        agreement = self._descriptions.agreement
        return agreement.remote.file if agreement is not None else None

    @property
    def call_id(self) -> str:
        """Of the dialog."""
        if self.dialog is not None:
            return self.dialog.dialog.id[0]
        if self.answering is not None:
            return self.answering.invite.request.call_id
        return self.calling.call_id if self.calling is not None else ""

    @property
    def dialogs(self) -> list[Dialog]:
        """Those that are the session's for sure."""
        offered = [self.answering.invite.session] if self.answering is not None else []
        return [*offered, *([self.dialog] if self.dialog is not None else ())]

    @property
    def relayed(self) -> bool:
        """Whether a relay is on the path."""
        return self.line is not None and self.line.relayed

    # What the user does

    def start(self, call: OutgoingCall) -> None:
        """Call; what becomes of it is told."""
        self.calling = Calling(self, call, self._endpoint, self._descriptions)
        self._spawn(self.calling.begin())

    def ring(self) -> None:
        """Answer 180 to a call that came."""
        if self.state is State.OFFERED and self.answering is not None:
            self.answering.ring()

    def accept(self, media: MediaWish) -> None:
        """Take a call that came; ``Opened`` or ``Ended`` follows.

        Raises:
            ConflictError: It waits for no answer.
        """
        if self.state is not State.OFFERED or self.answering is None:
            raise ConflictError("the session is not offered")
        self.state = State.ACCEPTING
        self._descriptions.wish = media
        self._spawn(self.answering.accept())

    def reject(self, status: int, reason: str) -> None:
        """Turn a call away; ``Ended`` follows.

        Raises:
            ConflictError: It waits for no answer.
        """
        if self.state is not State.OFFERED or self.answering is None:
            raise ConflictError("the session is not offered")
        self.answering.reject(status, reason)

    def send(self, message: OutgoingMessage) -> None:
        """Send a message, or keep it until there is a connection; ``Settled`` follows.

        Raises:
            ConflictError: The session is over, or the Message-ID is on its way.
        """
        if self.state is State.ENDED:
            raise ConflictError("the session is over")
        self._outbox.add(message, self.line if not self.held else None)

    def report(self, report: OutgoingReport) -> None:
        """Tell the peer what became of a message of his; without an MSRP connection, once there is one again."""
        self._arrivals.reports.add(report, self.line)

    def withdraw(self, message_id: str) -> bool:
        """Send nothing of a message; False when some of it has left."""
        return self._outbox.withdraw(message_id, self.line)

    def hold(self, *, on: bool) -> None:
        """Stop what the peer sends, or let it come again.

        Raises:
            ConflictError: The session is not open.
        """
        if self.state is not State.OPEN or self.dialog is None:
            raise ConflictError("the session is not open")
        self._descriptions.holding = on
        self._change()

    def _change(self) -> None:
        """Tell the peer what we want now, at once or when what is under way is done with."""
        if self.state is not State.OPEN or self.dialog is None or self.line is None:
            return
        try:
            self.dialog.modify(self._descriptions.offer(self.line.path, self.line.way), self._sip.now)
            self._changing = False
        except LocalProtocolError:
            self._changing = True
        self._sip.wake()

    def _change_what_waits(self) -> None:
        if self._changing:
            # What was under way is done with only after this event of it.
            asyncio.get_running_loop().call_soon(self._change)

    def end(self, reason: str = "") -> None:
        """Hang up, cancel or reject, whichever fits; ``Ended`` follows."""
        self.end_because(Cause.ENDED_HERE, reason)

    def end_because(self, cause: Cause, reason: str = "") -> None:
        """End it for a reason of ours; ``Ended`` follows."""
        now, self.end_cause = self._sip.now, self.end_cause or cause
        if self.state is State.CALLING and self._client is not None and self.dialog is None:
            self._client.cancel(now)
        elif self.state in (State.OFFERED, State.ACCEPTING) and self.answering is not None and self.dialog is None:
            self.answering.turn_away(603, "Decline", cause, reason)
        elif self.dialog is not None:
            self.dialog.hang_up(now)
        else:
            self.finish(cause, 0, reason)
        self._sip.wake()

    def to_state(self) -> str:
        """Return what has to be stored to go on elsewhere (JSON).

        Raises:
            ConflictError: It is not open.
        """
        if self.state is not State.OPEN or self.dialog is None or self._descriptions.remote is None:
            raise ConflictError("only an open session can be stored")
        return stored(self.id, self.dialog.to_state(), self._descriptions)

    @property
    def _client(self) -> InviteClient | None:
        return self.calling.client if self.calling is not None else None

    # The call

    def invited(self, invite: InviteServer) -> None:
        """Take an INVITE."""
        self.state = State.OFFERED
        self.answering = Answering(self, invite, self._endpoint, self._descriptions)

    def cancelled(self, status: int) -> None:
        """Hear that the caller has given up."""
        self.finish(Cause.CANCELLED, status, "the caller has given up")

    # The dialog

    def confirmed(self, dialog: Dialog) -> None:
        """Hear that the dialog stands."""
        self.dialog = dialog
        early = self.calling.confirmed(dialog) if self.calling is not None else None
        if early is not None:
            self.answered(dialog, early)
        else:
            self._open()

    def answered(self, dialog: Dialog, description: bytes) -> None:
        """Take the peer's answer to our offer; that of an early dialog counts when it is the one that stands."""
        if self.calling is not None and self.state is State.CALLING and self.dialog is None:
            self.calling.early_answer(dialog, description)
            return
        try:
            self._descriptions.take_answer(description, dialog.negotiation.exchange.local)
        except SdpError as error:
            self._not_agreed(dialog, str(error))
            return
        self._open()
        if self.line is not None and self._descriptions.agreement is not None:
            # RFC 6714 section 4.2: offered again without CEMA.
            self._changing = self._changing or self._descriptions.agreement.cema_failed
        self._change_what_waits()

    def _open(self) -> None:
        agreement = self._descriptions.agreement
        if self.dialog is None or agreement is None or self.line is None:
            return
        opened = self.state is not State.OPEN
        self.state = State.OPEN
        self.line.open(agreement)
        self._endpoint.tell(Opened(session=self) if opened else Changed(session=self))
        self._send_what_waits()

    def _not_agreed(self, dialog: Dialog, reason: str) -> None:
        if self.state is State.OPEN:
            logger.info("a change was not agreed on", session=self.id, reason=reason)
            return
        self.finish(Cause.NO_COMMON_TYPE, 488, reason)
        dialog.hang_up(self._sip.now)
        self._sip.wake()

    def offered(self, dialog: Dialog, offer: bytes) -> None:
        """Take a later offer of the peer."""
        now, line = self._sip.now, self.line
        if dialog is not self.dialog or line is None:
            # An early dialog: it may never stand. The peer tries again.
            dialog.refuse(now, 491, "Request Pending")
            return
        try:
            dialog.answer(self._descriptions.answer(offer, line.path, line.way), now)
        except SdpError as error:
            dialog.refuse(now, error.status or 488, "Not Acceptable Here", warning(error))
        else:
            self._open()
            self._change_what_waits()
        self._sip.wake()

    def offer_requested(self, dialog: Dialog) -> None:
        """Answer a re-INVITE without an offer: with all that we want, for this is how a hold may end."""
        assert self.line is not None
        dialog.answer(self._descriptions.offer(self.line.path, self.line.way), self._sip.now)
        self._sip.wake()

    def change_failed(self, response: Response) -> None:
        """Hear that the peer did not agree to a change: what was agreed on holds (RFC 3261 section 14.1)."""
        logger.info("a change was refused", session=self.id, status=response.status)
        self._descriptions.changes_refused()
        if self.state is State.OPEN:
            self._endpoint.tell(Changed(session=self))
            self._change_what_waits()

    def dialog_ended(self, dialog: Dialog, reason: EndReason, status: int) -> None:
        """Hear that a dialog is over; of a branch of our INVITE that did not win, it means nothing."""
        offered = self.answering is not None and dialog is self.answering.invite.session
        if dialog is self.dialog or (offered and reason is not EndReason.REFUSED):
            self.finish(self.end_cause or cause_of_end(reason), status, reason.value)
        elif self.calling is not None:
            self.calling.early_ended(dialog)
        # Of an INVITE that was refused InviteCancelled tells more, or we did it.

    # The line (LineUser)

    def line_up(self) -> None:
        """The session has a connection."""
        self._send_what_waits()

    def line_down(self, reason: str) -> None:
        """The connection is lost, and another is being opened."""
        self._outbox.connection_lost()
        self._arrivals.connection_lost(reason)

    def line_failed(self, reason: str) -> None:
        """There will be no other."""
        self._break_off(Cause.MEDIA_FAILED, reason)

    def line_superseded(self, reason: str) -> None:
        """Another pod has the session: what we say of it, also in SIP, would be wrong."""
        if self.state is not State.ENDED:
            self.let_go()
            self._endpoint.tell(Superseded(session=self, reason=reason[:_LONGEST_REASON]))

    def peer_denies(self, reason: str) -> None:
        """The peer does not know the MSRP session (any more): it can go on only under other URIs (section 7.3.2)."""
        self._break_off(Cause.PEER_LOST, reason)

    def _break_off(self, cause: Cause, reason: str) -> None:
        """End it because of what happened to its MSRP, and tell the peer."""
        dialog, client = self.dialog, self._client
        if self.state is State.ENDED:
            return
        if dialog is None and self.answering is not None:
            self.answering.turn_away(503, "Service Unavailable", cause, reason)
            return
        self.finish(cause, 0, reason)
        if dialog is not None:
            dialog.hang_up(self._sip.now, MEDIA_LOST)
        elif client is not None:
            client.cancel(self._sip.now)
        self._sip.wake()

    def line_moved(self, path: tuple[str, ...]) -> None:
        """Our path has changed."""
        self._change()

    def line_event(self, event: MsrpEvent) -> None:
        """The engine tells something."""
        assert self.line is not None
        if not self._arrivals.receive(event, self.line):
            self._outbox.receive(event, relayed=self.line.relayed)

    def _send_what_waits(self) -> None:
        if self.line is not None and self.line.is_up and self.state is State.OPEN:
            self._arrivals.reports.send_all(self.line)
            if not self.held:
                self._outbox.send_all(self.line)

    def _settled(self, message_id: str, settlement: Settlement, status: int, reason: str) -> None:
        self._endpoint.tell(
            Settled(session=self, message_id=message_id, settlement=settlement, status=status, reason=reason)
        )

    # The end

    def finish(self, cause: Cause, status: int = 0, reason: str = "") -> None:
        """End what is left of the session, and tell; nothing happens the second time."""
        if self.state is State.ENDED:
            return
        self.state = State.ENDED
        if self.calling is not None:
            self.calling.stop()
        self._outbox.end(reason or cause.value)
        self._arrivals.end(reason or cause.value)
        self._endpoint.forget(self)
        if self.line is not None:
            self._endpoint.spawn(self.line.close())
        self._endpoint.tell(Ended(session=self, cause=cause, status=status, reason=reason[:_LONGEST_REASON]))

    def let_go(self) -> None:
        """Forget the session without a word to the peer: another pod has it."""
        self.state = State.ENDED
        if self.calling is not None:
            self.calling.stop()
        if self.dialog is not None:
            self._endpoint.sip.forget(self.dialog)
        self._endpoint.forget(self)
        if self.line is not None:
            self._endpoint.spawn(self.line.close())

    # Going on where another was

    def restore(self, content: dict[str, Any]) -> None:
        """Go on with a stored session.

        Raises:
            ValueError: It can't be read.
        """
        dialog = restored(content, self._descriptions)
        self.state = State.OPEN
        line = self.new_line(self._descriptions.wish)
        assert self._descriptions.agreement is not None
        line.restore(self._descriptions.agreement.local.path)
        self.dialog = self._sip.restore(dialog)
        line.open(self._descriptions.agreement)

    def new_line(self, wish: MediaWish) -> MediaLine:
        """Begin with the session's MSRP.

        Raises:
            WigwagError: There is no such way.
        """
        self.line = MediaLine(
            self.id,
            wish.way,
            self._endpoint.media,
            self,
            accept_types=wish.accept_types,
            max_size=None if wish.streams else wish.max_size,
            token=self.token,
            automatic_reports=wish.automatic_reports,
        )
        return self.line

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._task = self._endpoint.spawn(work)
