"""The endpoint: calls out and in over one SIP user agent, each with its MSRP (RFC 4975 section 8).

It knows no store, no ledger and no application: those stand around it.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

import structlog

from wigwag.errors import ConflictError
from wigwag.protocols.sdp import SdpError, SessionDescription
from wigwag.protocols.sip import Request
from wigwag.protocols.sip.dialogs import (
    AnswerReceived,
    Call,
    CallFailed,
    ChangeFailed,
    DialogState,
    InviteCancelled,
    InviteClient,
    InviteReceived,
    InviteServer,
    OfferReceived,
    OfferRequested,
    OfferWithdrawn,
    ProvisionalReceived,
    RequestReceived,
    SessionConfirmed,
    SessionEnded,
)
from wigwag.protocols.sip.dialogs import Event as DialogEvent
from wigwag.protocols.sip.dialogs import Session as Dialog

from .calling import Calling
from .causes import status_of_end
from .descriptions import first_stream, warning
from .media import MediaSide
from .model import CallReceived, EndpointEvent, MediaWish, OutgoingCall
from .session import ChatSession
from .sip_side import SipSide

_OWN_FIELDS: Final = frozenset(
    (
        *("via", "from", "to", "call-id", "cseq", "contact", "max-forwards", "content-length", "content-type"),
        *("record-route", "route", "authorization", "proxy-authorization", "allow", "supported"),
    )
)

logger = structlog.get_logger("wigwag.ua")


class Endpoint:
    """All sessions of one user agent.

    ``sip`` is set after construction, because it is told to call ``dialog_event`` here.

    Args:
        media: The ways of MSRP.
        random: Returns so many unpredictable bytes.
        tell: Told what happens; called from the event loop's thread, must not block.

    Attributes:
        sessions: Those that have not ended, by id.
        before_answer: Awaited before the 200 to a call leaves, with the dialog that it makes (JSON): ``hang_up`` ends
            it where nobody has the session any more.
    """

    def __init__(self, media: MediaSide, random: Callable[[int], bytes], tell: Callable[[EndpointEvent], None]) -> None:
        self.sip: SipSide
        self.media = media
        self.tell = tell
        self.sessions: dict[str, ChatSession] = {}
        self.before_answer: Callable[[ChatSession, str], Awaitable[None]] = _nothing
        self._random = random
        self._calls: dict[InviteClient, Calling] = {}
        self._calls_by_id: dict[str, Calling] = {}
        """The same by Call-ID."""
        self._calling: Calling | None = None
        """Whose INVITE is being sent: it may fail before that returns."""
        self._dialogs: dict[Dialog, ChatSession] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    # What the user does

    def start(self, call: OutgoingCall, *, token: int = 0) -> ChatSession:
        """Call somebody; returns at once.

        Args:
            call: Whom, and how.
            token: Fencing token for our relay.

        Raises:
            ConflictError: There is a session of that id.
        """
        session = self._new(call.session_id, call.media, token)
        session.start(call)
        return session

    def restore(self, stored: str, wish: MediaWish, *, token: int = 0) -> ChatSession:
        """Go on with a session that another had (``ChatSession.to_state``).

        Raises:
            ValueError: It can't be read.
            ConflictError: It is here already.
        """
        content = json.loads(stored)
        if not isinstance(content, dict) or not isinstance(content.get("id"), str):
            raise ValueError("a stored session is an object with an id")
        session = self._new(content["id"], wish, token)
        try:
            session.restore(content)
        except BaseException:
            del self.sessions[session.id]
            raise
        assert session.dialog is not None
        self._dialogs[session.dialog] = session
        return session

    def hang_up(self, dialog: str) -> None:
        """Send BYE in a dialog that another had (``before_answer``), without waiting for what comes of it.

        Raises:
            ValueError: It can't be read.
        """
        self.sip.restore(DialogState.from_json(dialog)).hang_up(self.sip.now)
        self.sip.wake()

    async def close(self) -> None:
        """Close what is open, without a word to the peers."""
        for session in list(self.sessions.values()):
            session.let_go()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # For sessions

    def call(self, calling: Calling, call: Call) -> InviteClient:
        """Send an INVITE; what comes of it is told to ``calling``."""
        self._calling = calling
        try:
            client = self.sip.call(call)
        finally:
            self._calling = None
        if calling.session.id in self.sessions:
            self._calls[client] = self._calls_by_id[calling.call_id] = calling
        return client

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something beside."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def forget(self, session: ChatSession) -> None:
        """Let go of a session that has ended."""
        self.sessions.pop(session.id, None)
        if session.calling is not None:
            self.forget_call(session.calling)
        for dialog in session.dialogs:
            self._dialogs.pop(dialog, None)

    def forget_call(self, calling: Calling) -> None:
        """Let go of an INVITE that came to nothing, perhaps because another follows."""
        self._calls_by_id.pop(calling.call_id, None)
        if calling.client is not None:
            self._calls.pop(calling.client, None)

    def number(self) -> int:
        """Return a number for ``o=``."""
        return int.from_bytes(self._random(6), "big")

    def sip_token(self) -> str:
        """Return a Call-ID."""
        return self._random(16).hex()

    def _new(self, session_id: str, wish: MediaWish, token: int) -> ChatSession:
        if session_id in self.sessions:
            raise ConflictError(f"there is a session {session_id} already")
        session = self.sessions[session_id] = ChatSession(self, session_id, wish, token=token)
        return session

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("a session failed", reason=repr(task.exception()))

    # What dialogs tell

    def dialog_event(self, event: DialogEvent) -> None:
        """Take what happens to INVITE sessions."""
        match event:
            case InviteReceived(invite=invite, offer=offer):
                self._invited(invite, offer)
            case InviteCancelled(invite=invite, status=status):
                self._on(invite.session, lambda session: session.cancelled(status))
            case ProvisionalReceived(client=client, response=response):
                self._on_call(client, lambda calling: calling.provisional(response))
            case CallFailed(client=client, response=response):
                self._on_call(client, lambda calling: calling.refused(response))
            case SessionConfirmed(session=dialog):
                self._confirmed(dialog)
            case AnswerReceived(session=dialog, answer=answer):
                self._on(dialog, lambda session: session.answered(dialog, answer))
            case OfferReceived(session=dialog, offer=offer):
                self._on(dialog, lambda session: session.offered(dialog, offer))
            case OfferRequested(session=dialog):
                self._on(dialog, lambda session: session.offer_requested(dialog))
            case ChangeFailed(session=dialog, response=response):
                self._on(dialog, lambda session: session.change_failed(response))
            case SessionEnded(session=dialog, reason=reason, message=message):
                status = status_of_end(message)
                self._on(dialog, lambda session: session.dialog_ended(dialog, reason, status))
            case RequestReceived(request=incoming):
                # INFO without a package that anybody asked for (RFC 6086 section 4.2.2), or OPTIONS.
                incoming.respond(200, "OK", self.sip.now)
            case OfferWithdrawn():
                pass

    def _invited(self, invite: InviteServer, offer: bytes | None) -> None:
        request, session_id = invite.request, self._random(16).hex()
        try:
            stream = first_stream(SessionDescription.parse(offer)) if offer is not None else None
        except SdpError as error:
            status = error.status or 488
            invite.reject(
                self.sip.now, status, "Not Acceptable Here" if status == 488 else "Bad Request", warning(error)
            )
            return
        session = self._new(session_id, MediaWish(), 0)
        session.invited(invite)
        invite.session.dialog.local_target = self.sip.contact(session_id)
        self._dialogs[invite.session] = session
        sender = request.from_
        self.tell(
            CallReceived(
                session=session,
                to_uri=request.uri,
                from_uri=sender.uri,
                display_name=sender.display_name,
                subject=request.get("subject") or "",
                accept_types=stream.accept_types.entries if stream is not None else (),
                file=stream.file if stream is not None else None,
                pulled=stream is not None and not stream.direction.sends,
                fields=_foreign_fields(request),
            )
        )

    def _confirmed(self, dialog: Dialog) -> None:
        session = self._dialogs.get(dialog) or self._caller_of(dialog)
        if session is None:
            dialog.hang_up(self.sip.now)
            return
        self._dialogs[dialog] = session
        session.confirmed(dialog)

    def _caller_of(self, dialog: Dialog) -> ChatSession | None:
        calling = self._calls_by_id.get(dialog.dialog.id[0])
        # The other end of a call to ourselves has the same Call-ID.
        if calling is None or calling.client is None or dialog not in calling.client.sessions.values():
            return None
        return calling.session

    def _on(self, dialog: Dialog, act: Callable[[ChatSession], None]) -> None:
        session = self._dialogs.get(dialog) or self._caller_of(dialog)
        if session is not None:
            act(session)

    def _on_call(self, client: InviteClient, act: Callable[[Calling], None]) -> None:
        calling = self._calls.get(client) or self._calling
        if calling is not None:
            act(calling)


async def _nothing(session: ChatSession, dialog: str) -> None:
    """Nobody else could end it."""


def _foreign_fields(request: Request) -> tuple[tuple[str, str], ...]:
    """Return the header fields that are not of the dialog or the way."""
    names = [name for name in dict.fromkeys(request.names) if name not in _OWN_FIELDS]
    return tuple((name, value) for name in names for value in request.get_all(name))
