"""One chat: a SIP dialog, what both sides agreed on, and the MSRP that carries its messages.

Theory of operation::

    NEW ---INVITE sent---> CALLING ---2xx and answer---> OPEN ---> ENDED
    OFFERED --accept--> ACCEPTING ------ACK------> OPEN
    (any) --refused, cancelled, lost--> ENDED

``ENDED`` is told once, after the outcome of every message.
"""

import asyncio
import enum
import json
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final

import structlog

from wigwag.errors import ConflictError, WigwagError
from wigwag.protocols.msrp import Event as MsrpEvent
from wigwag.protocols.sdp import SdpError
from wigwag.protocols.sip import Response
from wigwag.protocols.sip.dialogs import Call, DialogState, EndReason, InviteClient, InviteServer
from wigwag.protocols.sip.dialogs import Session as Dialog
from wigwag.protocols.sip.values import NameAddress

from .arrivals import Arrivals
from .causes import cause_of_end, cause_of_refusal
from .descriptions import Descriptions
from .line import MediaLine
from .model import (
    Cause,
    Changed,
    Ended,
    MediaWish,
    Opened,
    OutgoingCall,
    OutgoingMessage,
    Reported,
    Ringing,
    Settled,
    Settlement,
)
from .outbox import Outbox

if TYPE_CHECKING:
    from .endpoint import Endpoint

_LONGEST_REASON: Final = 200

logger = structlog.get_logger("wigwag.ua")


def warning(error: SdpError) -> tuple[tuple[str, str], ...]:
    """Return the Warning of a response that refuses a session description (RFC 3261 section 20.43)."""
    return (("Warning", error.warning.header("wigwag")),)


class State(enum.Enum):
    """How far a session is."""

    NEW = "new"
    CALLING = "calling"
    OFFERED = "offered"
    ACCEPTING = "accepting"
    OPEN = "open"
    ENDED = "ended"


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
        self._call_id = ""

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
        self._spawn(self._call(call))

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
        self.invite.reject(self._sip.now, status, reason)
        self._sip.wake()
        self.finish(Cause.DECLINED, status, reason)

    def send(self, message: OutgoingMessage) -> None:
        """Send a message, or keep it until there is a connection; ``Settled`` follows.

        Raises:
            ConflictError: The session is over, or the Message-ID is on its way.
        """
        if self.state is State.ENDED:
            raise ConflictError("the session is over")
        self._outbox.add(message, self._line if not self.held else None)

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
        self.dialog.modify(self._descriptions.hold(on=on), self._sip.now)
        self._sip.wake()

    def end(self, reason: str = "") -> None:
        """Hang up, cancel or reject, whichever fits; ``Ended`` follows."""
        self.end_because(Cause.ENDED_HERE, reason)

    def end_because(self, cause: Cause, reason: str = "") -> None:
        """End it for a reason of ours; ``Ended`` follows."""
        now, self._end_cause = self._sip.now, self._end_cause or cause
        if self.state is State.CALLING and self.client is not None:
            self.client.cancel(now)
        elif self.state in (State.OFFERED, State.ACCEPTING) and self.invite is not None and self.dialog is None:
            self.invite.reject(now, 603, "Decline")
            self.finish(cause, 603, reason)
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

    async def _call(self, call: OutgoingCall) -> None:
        self._call_id = self._endpoint.sip_token()
        try:
            line = self._new_line(call.media)
            path = await line.prepare()
            if self.state is State.ENDED:
                return
            offer = self._descriptions.offer(path, listens=line.way.listens)
            self.state = State.CALLING
            self.client = self._endpoint.call(self, self._invite(call, offer))
        except WigwagError as error:
            self.finish(Cause.MEDIA_FAILED, 0, str(error))
            return
        if self.state is State.CALLING:
            self._timer = asyncio.get_running_loop().call_later(call.timeout, self._unanswered)

    def _invite(self, call: OutgoingCall, offer: bytes) -> Call:
        subject = (("Subject", call.subject),) if call.subject else ()
        return Call(
            uri=call.request_uri or call.to_uri,
            from_address=str(NameAddress(call.display_name, call.from_uri)),
            contact=self._sip.contact(self.id),
            offer=offer,
            to_address=str(NameAddress("", call.to_uri)),
            routes=self._sip.routes(),
            fields=(*subject, *call.fields),
            call_id=self._call_id,
        )

    def _unanswered(self) -> None:
        if self.state is State.CALLING and self.client is not None:
            self.client.cancel(self._sip.now)
            self._sip.wake()

    def provisional(self, response: Response) -> None:
        """Hear that the call makes progress."""
        if self.state is State.CALLING and response.status > 100:
            self._endpoint.tell(Ringing(session=self, status=response.status, reason=response.reason))

    def refused(self, response: Response) -> None:
        """Hear that the call came to nothing."""
        status, cause = response.status, cause_of_refusal(response.status)
        if self._end_cause is not None:
            cause = self._end_cause
        elif status == 487:
            cause = Cause.TIMEOUT
        self.finish(cause, status, response.reason)

    # Answering

    def invited(self, invite: InviteServer) -> None:
        """Take an INVITE."""
        self.state, self.invite, self._call_id = State.OFFERED, invite, invite.request.call_id

    async def _accept(self) -> None:
        invite = self.invite
        assert invite is not None
        try:
            line = self._new_line(self._descriptions.wish)
            path = await line.prepare()
            if self.state is not State.ACCEPTING:
                return
            if invite.offer is None:
                description = self._descriptions.offer(path, listens=line.way.listens)
            else:
                description = self._descriptions.answer(invite.offer, path, listens=line.way.listens)
                assert self._descriptions.agreement is not None
                line.expect(self._descriptions.agreement)
            invite.accept(self._sip.now, description)
            self._sip.wake()
        except SdpError as error:
            self._turn_away(488, "Not Acceptable Here", Cause.NO_COMMON_TYPE, str(error), warning(error))
        except WigwagError as error:
            self._turn_away(503, "Service Unavailable", Cause.MEDIA_FAILED, str(error))

    def _turn_away(
        self, status: int, phrase: str, cause: Cause, reason: str, fields: tuple[tuple[str, str], ...] = ()
    ) -> None:
        if self.state is State.ENDED or self.invite is None:
            return
        self.invite.reject(self._sip.now, status, phrase, fields)
        self._sip.wake()
        self.finish(cause, status, reason)

    def cancelled(self, status: int) -> None:
        """Hear that the caller has given up."""
        self.finish(Cause.CANCELLED, status, "the caller has given up")

    # The dialog

    def confirmed(self, dialog: Dialog) -> None:
        """Hear that the dialog stands."""
        self.dialog = dialog
        if self._timer is not None:
            self._timer.cancel()
        self._open()

    def answered(self, description: bytes) -> None:
        """Take the peer's answer to our offer."""
        try:
            self._descriptions.take_answer(description)
        except SdpError as error:
            self._not_agreed(str(error))
            return
        self._open()

    def _open(self) -> None:
        agreement = self._descriptions.agreement
        if self.dialog is None or agreement is None or self._line is None:
            return
        opened = self.state is not State.OPEN
        self.state = State.OPEN
        self._line.open(agreement)
        self._endpoint.tell(Opened(session=self) if opened else Changed(session=self))

    def _not_agreed(self, reason: str) -> None:
        if self.state is State.OPEN or self.dialog is None:
            logger.info("a change was not agreed on", session=self.id, reason=reason)
            return
        dialog = self.dialog
        self.finish(Cause.NO_COMMON_TYPE, 488, reason)
        dialog.hang_up(self._sip.now)
        self._sip.wake()

    def offered(self, offer: bytes) -> None:
        """Take a later offer of the peer."""
        assert self.dialog is not None
        assert self._line is not None
        now = self._sip.now
        try:
            path = self._line.path
            self.dialog.answer(self._descriptions.answer(offer, path, listens=self._line.way.listens), now)
        except SdpError as error:
            self.dialog.refuse(now, 488, "Not Acceptable Here", warning(error))
        else:
            self._open()
            self._send_what_waits()
        self._sip.wake()

    def offer_requested(self) -> None:
        """Answer a re-INVITE without an offer."""
        assert self.dialog is not None
        self.dialog.answer(self._descriptions.offer_again(), self._sip.now)
        self._sip.wake()

    def change_failed(self, response: Response) -> None:
        """Hear that the peer did not agree to a change."""
        logger.info("a change was refused", session=self.id, status=response.status)
        self._endpoint.tell(Changed(session=self))

    def dialog_ended(self, reason: EndReason, status: int) -> None:
        """Hear that the dialog is over."""
        cause = self._end_cause or cause_of_end(reason)
        self.finish(cause, status, reason.value)

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
        if self.state is State.ENDED:
            return
        dialog = self.dialog
        self.finish(Cause.MEDIA_FAILED, 0, reason)
        if dialog is not None:
            dialog.hang_up(self._sip.now)
            self._sip.wake()

    def peer_denies(self, reason: str) -> None:
        """The peer does not know the MSRP session (any more): it can go on only under other URIs (section 7.3.2)."""
        dialog = self.dialog
        self.finish(Cause.PEER_LOST, 0, reason)
        if dialog is not None:
            dialog.hang_up(self._sip.now)
            self._sip.wake()

    def line_moved(self, path: tuple[str, ...]) -> None:
        """Our path has changed."""
        if self.dialog is not None and self.state is State.OPEN and self._line is not None:
            offer = self._descriptions.offer(path, listens=self._line.way.listens)
            self.dialog.modify(offer, self._sip.now)
            self._sip.wake()

    def line_event(self, event: MsrpEvent) -> None:
        """The engine tells something."""
        assert self._line is not None
        if not self._arrivals.receive(event, self._line):
            self._outbox.receive(event, relayed=self._line.relayed)

    def reported(self, message_id: str, status: int, reason: str, octets: tuple[int, int], total: int) -> None:
        """Pass a REPORT on as it came."""
        first, last = octets
        self._endpoint.tell(
            Reported(
                session=self,
                message_id=message_id,
                status=status,
                reason=reason,
                first_octet=first,
                last_octet=last,
                total=total,
            )
        )

    def _send_what_waits(self) -> None:
        if self._line is not None and self._line.is_up and not self.held and self.state is State.OPEN:
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
        )
        return self._line

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._task = self._endpoint.spawn(work)
