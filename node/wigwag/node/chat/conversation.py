"""What one person says to another: in a session while there is one, else as single messages.

Theory of operation::

    CALLING --opened--> OPEN --lost--> LOST --called or calling again--> CALLING
    CALLING --no MSRP there, nobody there--> PAGER --the peer calls--> OPEN
    (any) --ended by one of both, refused, no way back--> over

A line keeps its Message-ID through all of that. What has no outcome when a session is lost is sent again in the next;
a receiver that knows the Message-ID does not show it twice.
"""

import asyncio
import enum
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, Final

from wigwag.errors import WigwagError
from wigwag.protocols.imdn import Imdn, Status
from wigwag.protocols.iscomposing import IS_COMPOSING_TYPE, IsComposing
from wigwag.protocols.sdp import MediaTypes
from wigwag.protocols.sip.user_agent import MessageReceived
from wigwag.ua.endpoint.endpoint import Endpoint
from wigwag.ua.endpoint.model import (
    CallReceived,
    Changed,
    Ended,
    EndpointEvent,
    EndpointSession,
    MediaWish,
    Opened,
    OutgoingCall,
    OutgoingMessage,
    Received,
    Ringing,
    Settled,
    Settlement,
    StreamBegan,
)

from .attempts import FIRST_WAIT, GIVE_UP, GIVE_UP_CHATS, LONGEST_WAIT, REFUSED, UNANSWERED, Next, after, reason_of
from .contents import CPIM_TYPE, TEXT_TYPE, Text, Unreadable, Writer, read_content
from .lines import Line, Lines, LineState
from .pager import Pager
from .recent import Recent
from .typing import Typing

MAX_SIZE: Final = 262_144
"""Octets of the largest line that we take: what the endpoint hands over in one piece."""
_OUTCOMES: Final = {
    Settlement.DELIVERED: LineState.DELIVERED,
    Settlement.FAILED: LineState.FAILED,
    Settlement.UNCONFIRMED: LineState.UNCONFIRMED,
}


class Mode(enum.Enum):
    """How what is said gets to the peer."""

    CALLING = "calling"
    OPEN = "in a chat"
    PAGER = "by single messages"
    LOST = "the chat was lost, and is being got back"
    OVER = "over"


class Conversation:
    """Everything between us and one peer.

    Args:
        endpoint: Has the sessions.
        own: Our URI.
        peer: His.
        name: His, as it is shown.
        way: Name of the way of MSRP.
        show: Shows a line of text.
        show_typing: Shows that somebody is writing; an empty text: nobody is.
        spawn: Runs something beside.
        on_over: Told the exit status when the conversation is over.
        token: Returns a text that nobody can guess.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        own: str,
        peer: str,
        name: str,
        *,
        way: str,
        show: Callable[[str], None],
        show_typing: Callable[[str], None],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        on_over: Callable[[int], None],
        token: Callable[[], str],
    ) -> None:
        self.peer = peer
        self.mode = Mode.PAGER
        self.session: EndpointSession | None = None
        self.lines = Lines(show, token)
        self._endpoint = endpoint
        self._own = own
        self._name = name
        self._media = MediaWish(max_size=MAX_SIZE, way=way)
        self._show = show
        self._show_typing = show_typing
        self._on_over = on_over
        self._token = token
        self._loop = asyncio.get_running_loop()
        self._writer = Writer(own, peer, lambda: datetime.now(UTC), token)
        self._pager = Pager(endpoint.sip, peer, self.lines, spawn)
        self._typing = Typing(self._send_status, self._peer_types)
        self._recent = Recent()
        self._owed: dict[str, bytes] = {}
        """Notifications that may not have arrived."""
        self._undecided: dict[str, tuple[LineState, str]] = {}
        """What becomes of lines unless another session takes them."""
        self._lost_at: float | None = None
        self._wait = FIRST_WAIT
        self._timer: asyncio.TimerHandle | None = None

    # Calling and being called

    def call(self) -> None:
        """Call the peer."""
        self.mode = Mode.CALLING
        call = OutgoingCall(session_id=self._token(), from_uri=self._own, to_uri=self.peer, media=self._media)
        self.session = self._endpoint.start(call)

    def take(self, event: CallReceived) -> None:
        """Take a call of the peer, in place of a session that he seems to have lost."""
        before, self.session = self.session, event.session
        if self._timer is not None:
            self._timer.cancel()
        self.mode = Mode.CALLING
        if before is not None:
            before.end()
        event.session.accept(self._media)

    def called(self, event: CallReceived) -> None:
        """Hear that the peer calls while there is a conversation."""
        if self.mode is Mode.CALLING and self._own < self.peer:
            # Both call at once; his program sees that too, and takes ours.
            event.session.reject(491, "Request Pending")
        else:
            self.take(event)

    def end(self) -> None:
        """Leave."""
        self.mode = Mode.OVER
        if self._timer is not None:
            self._timer.cancel()
        self._typing.close()
        if self.session is not None:
            self.session.end()

    # What is said

    def say(self, text: str) -> None:
        """Send a line, now or when there is a way."""
        line = self.lines.add(text)
        self._typing.sent()
        self._pass_on(line)

    def typed(self, text: str) -> None:
        """Note what is being written."""
        if self.mode is Mode.OPEN:
            self._typing.typed(text)

    def _pass_on(self, line: Line) -> None:
        if self.mode is Mode.OPEN:
            self._send(line)
        elif self.mode is Mode.PAGER:
            self._pager.send(line)
        else:
            self._show(f"  #{line.number} {line.state.value}")

    def _send(self, line: Line) -> None:
        session = self.session
        assert session is not None
        types = MediaTypes(session.accept_types)
        content_type, body = TEXT_TYPE, line.text.encode()
        if types.accepts(CPIM_TYPE):
            content_type, body = CPIM_TYPE, self._writer.text(line.text, line.message_id)
        elif not types.accepts(TEXT_TYPE):
            self.lines.mark(line, LineState.FAILED, "the other side takes no text")
            return
        if session.max_size is not None and len(body) > session.max_size:
            self.lines.mark(line, LineState.FAILED, f"longer than the {session.max_size} octets the other side takes")
            return
        session.send(OutgoingMessage(message_id=line.message_id, content_type=content_type, body=body))
        if session.connected and not session.held:
            self.lines.mark(line, LineState.SENT)
        else:
            self._show(f"  #{line.number} {LineState.WAITING.value}")

    def _send_status(self, status: IsComposing) -> None:
        session = self.session
        if (
            self.mode is Mode.OPEN
            and session is not None
            and MediaTypes(session.accept_types).accepts(IS_COMPOSING_TYPE)
        ):
            session.send(
                OutgoingMessage(
                    message_id=self._token(), content_type=IS_COMPOSING_TYPE, body=bytes(status), success_report=False
                )
            )

    # What happens to the session

    def happened(self, event: EndpointEvent) -> None:
        """Take what happens to a session of ours; what comes of one that was replaced does not matter."""
        if event.session is not self.session:
            if isinstance(event, Received):
                self._received(event)
            return
        match event:
            case Ringing(status=180):
                self._show(f"{self._name} is being called")
            case Opened():
                self._opened()
            case Received():
                self._received(event)
            case StreamBegan(refuse=refuse):
                refuse(413, "files are sent in sessions of their own")
            case Settled():
                self._settled(event)
            case Ended():
                self._ended(event)
            case Changed():
                self._show(f"{self._name} has put the chat on hold") if event.session.held else None
            case _:
                pass

    def _opened(self) -> None:
        self.mode = Mode.OPEN
        self._show(f"{self._name} is here" if self._lost_at is None else f"{self._name} is here again")
        self._lost_at, self._wait = None, FIRST_WAIT
        self._undecided.clear()
        on_its_way = self._pager.withdraw()
        for line in self.lines.open():
            if line is not on_its_way:
                line.state = LineState.WAITING
                self._send(line)
        for message_id, body in self._owed.items():
            self._notify(message_id, body)

    def _settled(self, event: Settled) -> None:
        if event.settlement is Settlement.DELIVERED:
            self._owed.pop(event.message_id, None)
        line = self.lines.find(event.message_id)
        if line is None:
            return
        reason = f"{event.status} {event.reason}" if event.status else event.reason
        state = _OUTCOMES[event.settlement]
        if event.status == 0 and state is not LineState.DELIVERED:
            # Perhaps because the session ends: then ``Ended`` follows at once, and another may take the line.
            self._undecided[line.message_id] = (state, reason)
            self._loop.call_soon(self._decide, event.session)
        else:
            self.lines.mark(line, state, "" if state is LineState.DELIVERED else reason)

    def _decide(self, session: EndpointSession) -> None:
        if self.session is session and self.mode is Mode.OPEN:
            self._close_lines(only_undecided=True)

    def _close_lines(self, *, only_undecided: bool = False) -> None:
        for line in self.lines.open():
            if line.message_id not in self._undecided and only_undecided:
                continue
            state, reason = self._undecided.pop(line.message_id, (LineState.FAILED, "not sent"))
            self.lines.mark(line, state, reason)

    def _ended(self, event: Ended) -> None:
        was_open, self.session = self.mode is Mode.OPEN, None
        self._typing.content_received()
        if self.mode is Mode.OVER:
            self._over(0)
            return
        follows = after(event, was_open=was_open)
        if self._lost_at is not None and follows in (Next.UNREACHED, Next.PAGER):
            patience = GIVE_UP if follows is Next.UNREACHED else GIVE_UP_CHATS
            follows = follows if self._loop.time() > self._lost_at + patience else Next.CALL_AGAIN
        match follows:
            case Next.LEAVE:
                self._show(f"{self._name} has left")
                self._over(0)
            case Next.CALL_AGAIN | Next.WAIT:
                self._lost(event, wait=follows is Next.WAIT)
            case Next.PAGER:
                self._use_pager(reason_of(event))
            case Next.REFUSED | Next.UNREACHED:
                self._show(f"{self._name} {reason_of(event)}")
                self._over(REFUSED if follows is Next.REFUSED else UNANSWERED)

    def _use_pager(self, reason: str) -> None:
        self._show(f"{self._name} {reason}; lines are sent as single messages")
        self.mode, self._lost_at, self._wait = Mode.PAGER, None, FIRST_WAIT
        self._undecided.clear()
        for line in self.lines.open():
            self._pager.send(line)

    def _lost(self, event: Ended, *, wait: bool) -> None:
        if self._lost_at is None:
            self._lost_at = self._loop.time()
            if not wait:
                self._show(f"the chat was lost ({event.reason or event.cause.value}); calling {self._name} again")
        self.mode = Mode.LOST
        # Whoever is first in the alphabet is first on the line; the other waits for his call.
        patience = self._wait if self._own < self.peer and not wait else self._wait + 2.0
        self._timer = self._loop.call_later(patience, self.call)
        self._wait = min(self._wait * 2, LONGEST_WAIT)

    def _over(self, status: int) -> None:
        self.mode = Mode.OVER
        self._typing.close()
        self._close_lines()
        self._on_over(status)

    # What the peer says

    def _received(self, event: Received) -> None:
        event.accept()
        known = self._recent.holds(f"{event.session.id} {event.message_id}")
        self._take(event.content_type, event.body, known=known, notify=self._notify_in_session)

    def message_received(self, message: MessageReceived) -> None:
        """Take a single message of the peer."""
        self._take(message.content_type, message.body, known=message.expired, notify=self._notify_by_pager)

    def _take(self, content_type: str, body: bytes, *, known: bool, notify: Callable[[bytes], None]) -> None:
        content = read_content(content_type, body)
        match content:
            case IsComposing():
                self._typing.status_received(content)
            case Imdn(message_id=message_id, status=Status.DISPLAYED):
                line = self.lines.find(message_id)
                if line is not None:
                    self.lines.mark(line, LineState.DISPLAYED)
            case Text():
                self._typing.content_received()
                if known or (content.message_id and self._recent.holds(content.message_id)):
                    return
                for each in content.text.splitlines() or [""]:
                    self._show(f"{self._name}: {each}")
                notification = self._writer.displayed(content.wrapped) if content.wrapped is not None else None
                if notification is not None:
                    notify(notification)
            case Unreadable() if not known:
                self._show(f"{self._name}: [{content.content_type}, {content.octets} octets]")
            case _:
                pass

    def _notify_in_session(self, body: bytes) -> None:
        message_id = self._token()
        self._owed[message_id] = body
        self._notify(message_id, body)

    def _notify(self, message_id: str, body: bytes) -> None:
        if self.mode is Mode.OPEN and self.session is not None:
            try:
                self.session.send(OutgoingMessage(message_id=message_id, content_type=CPIM_TYPE, body=body))
            except WigwagError:
                return

    def _notify_by_pager(self, body: bytes) -> None:
        self._pager.tell(CPIM_TYPE, body)

    def _peer_types(self, active: bool) -> None:
        self._show_typing(f"{self._name} is writing" if active else "")
