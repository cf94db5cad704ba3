"""One chat: a SIP dialog, what both sides agreed on, and the MSRP that carries its messages.

Theory of operation::

    NEW ---INVITE sent---> CALLING ---2xx and answer---> OPEN ---> ENDED
    OFFERED --accept--> ACCEPTING ------ACK------> OPEN
    (any) --refused, cancelled, lost--> ENDED

``ENDED`` is told once, after the outcome of every message.
"""

import asyncio
import json
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final

import structlog

from wigwag.errors import ConflictError, LocalProtocolError, WigwagError
from wigwag.protocols.msrp import Event as MsrpEvent
from wigwag.protocols.sdp import FileTransfer, SdpError
from wigwag.protocols.sip import Response, SipError
from wigwag.protocols.sip.dialogs import (
    DialogState,
    EndReason,
    InviteClient,
    InviteServer,
    Redirections,
    SessionState,
)
from wigwag.protocols.sip.dialogs import Session as Dialog

from .arrivals import Arrivals
from .causes import MEDIA_LOST, cause_of_end, cause_of_refusal
from .descriptions import Descriptions
from .invitations import invite_of
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
    Ringing,
    Settled,
    Settlement,
    Superseded,
)
from .outbox import Outbox
from .states import State, warning

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
    """

    def __init__(self, endpoint: "Endpoint", session_id: str, wish: MediaWish, *, token: int = 0) -> None:
        self.id = session_id
        self.state = State.NEW
        self.dialog: Dialog | None = None
        self.client: InviteClient | None = None
        self.invite: InviteServer | None = None
        self._endpoint = endpoint
        self._sip = endpoint.sip
        self.token = token
        self._descriptions = Descriptions(wish, endpoint.number())
        self._line: MediaLine | None = None
        self._outbox = Outbox(self._settled)
        self._arrivals = Arrivals(self, endpoint.tell)
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._end_cause: Cause | None = None
        """Why we end it, once we do."""
        self._call: OutgoingCall | None = None
        self._call_id = ""
        self._redirections: Redirections | None = None
        self._early: dict[Dialog, bytes] = {}
        """Answers of branches of our INVITE, none of which has won yet."""
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
        return self._line is not None and self._line.is_up

    @property
    def file(self) -> FileTransfer | None:
        """What the peer says of the file that the session is for; None: nothing."""
        agreement = self._descriptions.agreement
        return agreement.remote.file if agreement is not None else None

    @property
    def call_id(self) -> str:
        """Of the dialog."""
        return self.dialog.dialog.id[0] if self.dialog is not None else self._call_id

    @property
    def relayed(self) -> bool:
        """Whether a relay is on the path."""
        return self._line is not None and self._line.relayed

    # What the user does

    def start(self, call: OutgoingCall) -> None:
        """Call; what becomes of it is told."""
        self._call = call
        self._spawn(self._begin(call))

    def ring(self) -> None:
        """Answer 180 to a call that came."""
        if self.state is State.OFFERED and self.invite is not None:
            self.invite.ring(self._sip.now)
            self._sip.wake()

    def accept(self, media: MediaWish) -> None:
        """Take a call that came; ``Opened`` or ``Ended`` follows.

        Raises:
            ConflictError: It waits for no answer.
        """
        if self.state is not State.OFFERED:
            raise ConflictError("the session is not offered")
        self.state = State.ACCEPTING
        self._descriptions.wish = media
        self._spawn(self._accept())

    def reject(self, status: int, reason: str) -> None:
        """Turn a call away; ``Ended`` follows.

        Raises:
            ConflictError: It waits for no answer.
        """
        if self.state is not State.OFFERED or self.invite is None:
            raise ConflictError("the session is not offered")
        self.finish(Cause.DECLINED, status, reason)
        self.invite.reject(self._sip.now, status, reason)
        self._sip.wake()

    def send(self, message: OutgoingMessage) -> None:
        """Send a message, or keep it until there is a connection; ``Settled`` follows.

        Raises:
            ConflictError: The session is over, or the Message-ID is on its way.
        """
        if self.state is State.ENDED:
            raise ConflictError("the session is over")
        self._outbox.add(message, self._line if not self.held else None)

    def report(self, report: OutgoingReport) -> None:
        """Tell the peer what became of a message of his; without an MSRP connection, once there is one again."""
        self._arrivals.reports.add(report, self._line)

    def withdraw(self, message_id: str) -> bool:
        """Send nothing of a message; False when some of it has left."""
        return self._outbox.withdraw(message_id, self._line)

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
        if self.state is not State.OPEN or self.dialog is None or self._line is None:
            return
        try:
            self.dialog.modify(self._descriptions.offer(self._line.path, self._line.way), self._sip.now)
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
        now, self._end_cause = self._sip.now, self._end_cause or cause
        if self.state is State.CALLING and self.client is not None and self.dialog is None:
            self.client.cancel(now)
        elif self.state in (State.OFFERED, State.ACCEPTING) and self.invite is not None and self.dialog is None:
            self._turn_away(603, "Decline", cause, reason)
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
        made = self._descriptions
        if self.state is not State.OPEN or self.dialog is None or made.local is None or made.remote is None:
            raise ConflictError("only an open session can be stored")
        content = {
            "id": self.id,
            "dialog": json.loads(self.dialog.to_state().to_json()),
            "local": bytes(made.local).decode("utf-8", "surrogateescape"),
            "remote": bytes(made.remote).decode("utf-8", "surrogateescape"),
            "offerer": made.is_offerer,
            "way": made.wish.way,
        }
        return json.dumps(content, separators=(",", ":"))

    # Calling

    async def _begin(self, call: OutgoingCall) -> None:
        try:
            line = self._new_line(call.media)
            await line.prepare()
            if self.state is State.ENDED:
                return
            self.state = State.CALLING
            self._timer = asyncio.get_running_loop().call_later(call.timeout, self._unanswered)
            uri = call.request_uri or call.to_uri
            self._redirections = Redirections(uri)
            line.await_answer()
            self._invite(call, uri)
        except (WigwagError, SipError) as error:
            self.finish(Cause.MEDIA_FAILED, 0, str(error))

    def _invite(self, call: OutgoingCall, uri: str) -> None:
        assert self._line is not None
        self._call_id = self._endpoint.sip_token()
        offer = self._descriptions.offer(self._line.path, self._line.way)
        contact, routes = self._sip.contact(self.id), self._sip.routes()
        made = invite_of(call, uri, offer, contact=contact, routes=routes, call_id=self._call_id)
        client = self._endpoint.call(self, made)
        if self.state is State.CALLING:
            self.client = client

    def _unanswered(self) -> None:
        if self.state is State.CALLING and self.dialog is None:
            self.end_because(Cause.TIMEOUT, "nobody answered")

    def provisional(self, response: Response) -> None:
        """Hear that the call makes progress."""
        if self.state is State.CALLING and response.status > 100:
            self._endpoint.tell(Ringing(session=self, status=response.status, reason=response.reason))

    def refused(self, response: Response) -> None:
        """Hear that the call came to nothing."""
        status, cause = response.status, cause_of_refusal(response.status)
        self._early.clear()
        if 300 <= status < 400 and self._end_cause is None and self._redirected(response):
            return
        self.finish(self._end_cause or cause, status, response.reason)

    def _redirected(self, response: Response) -> bool:
        """Call where a 3xx says, if there is anything left to try."""
        if self._redirections is None or self._call is None:
            return False
        self._redirections.take(response)
        uri = self._redirections.next()
        if uri is None:
            return False
        if self.client is not None:
            self._endpoint.forget_call(self.client)
        # The response is still being dealt with.
        asyncio.get_running_loop().call_soon(self._call_again, self._call, uri)
        return True

    def _call_again(self, call: OutgoingCall, uri: str) -> None:
        if self.state is not State.CALLING:
            return
        if self._end_cause is not None:
            self.finish(self._end_cause)
            return
        try:
            self._invite(call, uri)
        except (WigwagError, SipError) as error:
            self.finish(Cause.MEDIA_FAILED, 0, str(error))

    # Answering

    def invited(self, invite: InviteServer) -> None:
        """Take an INVITE."""
        self.state, self.invite, self._call_id = State.OFFERED, invite, invite.request.call_id

    async def _accept(self) -> None:
        invite = self.invite
        assert invite is not None
        try:
            line = self._new_line(self._descriptions.wish)
            offered = self._descriptions.read_offer(invite.offer) if invite.offer is not None else None
            path = await line.prepare(secure=offered.secure if offered is not None else None)
            if self.state is not State.ACCEPTING:
                return
            if invite.offer is None:
                description = self._descriptions.offer(path, line.way)
                line.await_answer()
            else:
                description = self._descriptions.answer(invite.offer, path, line.way)
                assert self._descriptions.agreement is not None
                line.expect(self._descriptions.agreement)
            await self._endpoint.before_answer(self, invite.session.to_state().to_json())
            if self.state is not State.ACCEPTING:
                return
            invite.accept(self._sip.now, description)
            self._sip.wake()
        except SdpError as error:
            self._turn_away(488, "Not Acceptable Here", Cause.NO_COMMON_TYPE, str(error), warning(error))
        except WigwagError as error:
            self._turn_away(503, "Service Unavailable", Cause.MEDIA_FAILED, str(error))

    def _turn_away(
        self, status: int, phrase: str, cause: Cause, reason: str, fields: tuple[tuple[str, str], ...] = ()
    ) -> None:
        """Reject the call, or hang up if it was answered and its ACK is not here."""
        invite = self.invite
        if self.state is State.ENDED or invite is None:
            return
        answered = invite.session.state is not SessionState.EARLY
        self.finish(cause, 0 if answered else status, reason)
        if answered:
            invite.session.hang_up(self._sip.now)
        else:
            invite.reject(self._sip.now, status, phrase, fields)
        self._sip.wake()

    def cancelled(self, status: int) -> None:
        """Hear that the caller has given up."""
        self.finish(Cause.CANCELLED, status, "the caller has given up")

    # The dialog

    def confirmed(self, dialog: Dialog) -> None:
        """Hear that the dialog stands."""
        self.dialog = dialog
        if self._timer is not None:
            self._timer.cancel()
        early = self._early.pop(dialog, None)
        self._early.clear()
        if early is not None:
            self.answered(dialog, early)
        else:
            self._open()

    def answered(self, dialog: Dialog, description: bytes) -> None:
        """Take the peer's answer to our offer; that of an early dialog counts when it is the one that stands."""
        if self.state is State.CALLING and self.dialog is None:
            self._early[dialog] = description
            return
        try:
            self._descriptions.take_answer(description, dialog.negotiation.exchange.local)
        except SdpError as error:
            self._not_agreed(dialog, str(error))
            return
        self._open()
        if self._line is not None and self._descriptions.agreement is not None:
            # RFC 6714 section 4.2: offered again without CEMA.
            self._changing = self._changing or self._descriptions.agreement.cema_failed
        self._change_what_waits()

    def _open(self) -> None:
        agreement = self._descriptions.agreement
        if self.dialog is None or agreement is None or self._line is None:
            return
        opened = self.state is not State.OPEN
        self.state = State.OPEN
        self._line.open(agreement)
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
        now, line = self._sip.now, self._line
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
        assert self._line is not None
        dialog.answer(self._descriptions.offer(self._line.path, self._line.way), self._sip.now)
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
        answering = self.invite is not None and dialog is self.invite.session
        if dialog is self.dialog or (answering and reason is not EndReason.REFUSED):
            self.finish(self._end_cause or cause_of_end(reason), status, reason.value)
        elif not answering:
            self._early.pop(dialog, None)
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
        dialog, client = self.dialog, self.client
        if self.state is State.ENDED:
            return
        if dialog is None and self.invite is not None:
            self._turn_away(503, "Service Unavailable", cause, reason)
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
        assert self._line is not None
        if not self._arrivals.receive(event, self._line):
            self._outbox.receive(event, relayed=self._line.relayed)

    def _send_what_waits(self) -> None:
        if self._line is not None and self._line.is_up and self.state is State.OPEN:
            self._arrivals.reports.send_all(self._line)
            if not self.held:
                self._outbox.send_all(self._line)

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
        if self._timer is not None:
            self._timer.cancel()
        self._outbox.end(reason or cause.value)
        self._arrivals.end(reason or cause.value)
        self._endpoint.forget(self)
        if self._line is not None:
            self._endpoint.spawn(self._line.close())
        self._endpoint.tell(Ended(session=self, cause=cause, status=status, reason=reason[:_LONGEST_REASON]))

    def let_go(self) -> None:
        """Forget the session without a word to the peer: another pod has it."""
        self.state = State.ENDED
        if self._timer is not None:
            self._timer.cancel()
        if self.dialog is not None:
            self._endpoint.sip.forget(self.dialog)
        self._endpoint.forget(self)
        if self._line is not None:
            self._endpoint.spawn(self._line.close())

    # Going on where another was

    def restore(self, content: dict[str, Any]) -> None:
        """Go on with a stored session.

        Raises:
            ValueError: It can't be read.
        """
        try:
            self._descriptions.restore(
                str(content["local"]).encode("utf-8", "surrogateescape"),
                str(content["remote"]).encode("utf-8", "surrogateescape"),
                offerer=bool(content["offerer"]),
            )
            state = DialogState.from_json(json.dumps(content["dialog"]))
        except (KeyError, TypeError, SdpError) as error:
            raise ValueError(f"a stored session is malformed: {error}") from error
        self.state = State.OPEN
        line = self._new_line(self._descriptions.wish)
        assert self._descriptions.agreement is not None
        line.restore(self._descriptions.agreement.local.path)
        self.dialog = self._sip.restore(state)
        line.open(self._descriptions.agreement)

    def _new_line(self, wish: MediaWish) -> MediaLine:
        self._line = MediaLine(
            self.id,
            wish.way,
            self._endpoint.media,
            self,
            accept_types=wish.accept_types,
            max_size=None if wish.streams else wish.max_size,
            token=self.token,
            automatic_reports=wish.automatic_reports,
        )
        return self._line

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._task = self._endpoint.spawn(work)
