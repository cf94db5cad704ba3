"""Who types: the application's user, told to the peer, and the peer, told to the application (RFC 3994)."""

import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from wigwag.api.ua.v1 import event_pb2
from wigwag.errors import ConflictError
from wigwag.protocols.cpim import CPIM_TYPE, CpimAddress, CpimMessage
from wigwag.protocols.iscomposing import IS_COMPOSING_TYPE, ComposingReceiver, ComposingSender, IsComposing, State
from wigwag.ua.endpoint.model import OutgoingMessage
from wigwag.ua.ports import Events
from wigwag.ua.sessions.ports import OwnedSession, Sessions
from wigwag.ua.sessions.record import SessionRecord

from .checking import takes
from .telling import session_event

_DEFAULT_TYPE: Final = "text/plain"


@dataclass(slots=True, eq=False)
class _Typing:
    own: OwnedSession
    sender: ComposingSender = field(default_factory=ComposingSender)
    receiver: ComposingReceiver = field(default_factory=ComposingReceiver)
    content_type: str = ""
    """What the peer makes, as he said last."""

    @property
    def is_idle(self) -> bool:
        return self.sender.state is State.IDLE and self.receiver.state is State.IDLE


class Composing:
    """Both machines of every session in which somebody types.

    Args:
        sessions: Sends.
        events: Hears what the peer does.
        now: Seconds, monotonic.
        wall: Seconds since 1970.
    """

    def __init__(
        self, sessions: Sessions, events: Events, *, now: Callable[[], float], wall: Callable[[], float]
    ) -> None:
        self._sessions = sessions
        self._events = events
        self._now = now
        self._wall = wall
        self._typing: dict[str, _Typing] = {}

    def set(self, own: OwnedSession, *, active: bool, content_type: str) -> None:
        """Tell the peer that the application's user types, or has stopped."""
        if not active:
            found = self._typing.get(own.record.id)
            if found is not None:
                self._send(own, found.sender.handle_timeout(math.inf))
            return
        found = self._of(own)
        if found.sender.state is State.IDLE:
            found.sender = ComposingSender(content_type or _DEFAULT_TYPE)
        self._send(own, found.sender.composing(self._now()))

    def content_sent(self, own: OwnedSession) -> None:
        """Note that a message was sent, which says that nobody types any more."""
        found = self._typing.get(own.record.id)
        if found is not None:
            found.sender.content_sent(self._now())

    def received(self, own: OwnedSession, status: IsComposing) -> None:
        """Take a status message of the peer."""
        found = self._of(own)
        found.content_type = status.content_type or ""
        if found.receiver.status_received(status, self._now()):
            self._tell(found)

    def content_received(self, own: OwnedSession) -> None:
        """Note that a message came."""
        found = self._typing.get(own.record.id)
        if found is not None and found.receiver.content_received():
            self._tell(found)

    def tick(self) -> None:
        """Do what time has come for; to be called every second or so."""
        now = self._now()
        for session_id, found in list(self._typing.items()):
            if self._sessions.owned(session_id) is not found.own:
                del self._typing[session_id]
                continue
            self._send(found.own, found.sender.handle_timeout(now))
            if found.receiver.handle_timeout(now):
                self._tell(found)
            if found.is_idle:
                del self._typing[session_id]

    def _of(self, own: OwnedSession) -> _Typing:
        found = self._typing.get(own.record.id)
        if found is None or found.own is not own:
            found = self._typing[own.record.id] = _Typing(own)
        return found

    def _tell(self, found: _Typing) -> None:
        active = found.receiver.state is State.ACTIVE
        composing = event_pb2.Composing(active=active, content_type=found.content_type)
        self._events.tell(session_event(found.own.record, self._wall(), composing=composing))

    def _send(self, own: OwnedSession, status: IsComposing | None) -> None:
        made = _wire(own.record, status) if status is not None else None
        if made is None or own.record.state != "open" or own.chat.held:
            return
        try:
            self._sessions.send(own.record.id, made)
        except ConflictError:
            return


def _wire(record: SessionRecord, status: IsComposing) -> OutgoingMessage | None:
    """Return a status message as the peer takes it; None: he takes none."""
    content_type, body = IS_COMPOSING_TYPE, bytes(status)
    if not takes(record.accept_types, IS_COMPOSING_TYPE):
        if not (takes(record.accept_types, CPIM_TYPE) and takes(record.accept_wrapped_types, IS_COMPOSING_TYPE)):
            return None
        recipients = [CpimAddress(record.remote_uri)]
        wrapped = CpimMessage.of(CpimAddress(record.local_uri), recipients, IS_COMPOSING_TYPE, body)
        content_type, body = CPIM_TYPE, bytes(wrapped)
    return OutgoingMessage(
        message_id=secrets.token_hex(10),
        content_type=content_type,
        body=body,
        success_report=False,
    )
