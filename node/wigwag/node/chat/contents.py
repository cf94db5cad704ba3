"""What is written into messages of a chat, and read from them: CPIM, notifications, who is writing."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from wigwag.errors import ProtocolError
from wigwag.protocols.cpim import CpimAddress, CpimMessage
from wigwag.protocols.imdn import (
    IMDN_TYPE,
    Disposition,
    Imdn,
    NotificationType,
    Status,
    message_id_of,
    notification_for,
    with_request,
)
from wigwag.protocols.iscomposing import IS_COMPOSING_TYPE, IsComposing

CPIM_TYPE: Final = "message/cpim"
TEXT_TYPE: Final = "text/plain;charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text to be shown."""

    text: str
    message_id: str = ""
    """By which its sender knows it again, whatever session brings it; empty: he gave none."""
    wrapped: CpimMessage | None = None
    """What it came in."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something that a terminal can't show."""

    content_type: str
    octets: int


Content = Text | Imdn | IsComposing | Unreadable


def read_content(content_type: str, body: bytes) -> Content:
    """Return what a message says; never fails, whatever the peer wrote."""
    try:
        return _read(content_type, body)
    except ProtocolError:
        return Unreadable(content_type, len(body))


def _read(content_type: str, body: bytes) -> Content:
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == CPIM_TYPE:
        message = CpimMessage.parse(body)
        inner = _read(message.content_type, message.content) if message.media_type != CPIM_TYPE else None
        if isinstance(inner, Text):
            return Text(text=inner.text, message_id=message_id_of(message) or "", wrapped=message)
        return inner or Unreadable(content_type, len(body))
    if media_type == IMDN_TYPE:
        return Imdn.parse(body)
    if media_type == IS_COMPOSING_TYPE:
        return IsComposing.parse(body)
    if not media_type or media_type.startswith("text/"):
        return Text(text=body.decode(errors="replace"))
    return Unreadable(content_type, len(body))


class Writer:
    """Writes what one person says to another.

    Args:
        own: URI of the one.
        peer: URI of the other.
        clock: Returns the time with its offset from UTC.
        token: Returns a text that nobody can guess, 16 characters or more.
    """

    def __init__(self, own: str, peer: str, clock: Callable[[], datetime], token: Callable[[], str]) -> None:
        self._own, self._peer = CpimAddress(own), CpimAddress(peer)
        self._clock = clock
        self._token = token

    def text(self, text: str, message_id: str) -> bytes:
        """Return a text in message/cpim that asks to be told when it was displayed."""
        body = text.encode()
        message = CpimMessage.of(self._own, [self._peer], TEXT_TYPE, body, date_time=self._clock())
        return bytes(with_request(message, message_id, [Disposition.DISPLAY]))

    def displayed(self, message: CpimMessage) -> bytes | None:
        """Return the notification that a message was displayed; None: its sender does not want it."""
        kind, status = NotificationType.DISPLAY, Status.DISPLAYED
        try:
            made = notification_for(message, kind, status, message_id=self._token(), now=self._clock())
        except ProtocolError:
            return None
        return bytes(made) if made is not None else None
