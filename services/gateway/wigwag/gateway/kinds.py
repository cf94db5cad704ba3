"""What a body is, whichever side it came from: told by its type, and by what is inside of message/cpim.

Theory of operation. ``read`` looks once and never fails: what can't be read says so by its ``error``, which is raised
where it matters. A notification, a status message of RFC 3994 and whatever says of itself that nobody wrote it are
passed like the rest, but nobody is told what became of them: two gateways would tell each other for ever.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from wigwag.database.ledger import State
from wigwag.errors import RemoteProtocolError, ServiceError
from wigwag.protocols.cpim import CPIM_TYPE, CpimMessage
from wigwag.protocols.imdn import IMDN_TYPE, Imdn, NotificationType, Status, is_notification
from wigwag.protocols.iscomposing import IS_COMPOSING_TYPE, IsComposing

AUTOMATIC: Final = "Auto-Submitted"
"""Header field by which a message says that nobody wrote it; any value but ``no`` (RFC 3834 section 5)."""
PLAIN: Final = "text/plain"
LONGEST_TYPE: Final = 255
"""Characters of a Content-Type."""

_DEFAULT_REFRESH: Final = 120.0
_LONGEST_REFRESH: Final = 3_600.0
_TOKEN = r"[!#-'*+\-.0-9A-Z^-~]+"  # noqa: S105 (grammar, not a secret)
_CONTENT_TYPE = re.compile(
    rf'{_TOKEN}/{_TOKEN}(?:[ \t]*;[ \t]*{_TOKEN}=(?:{_TOKEN}|"[^"\\\x00-\x1f\x7f]*"))*', re.ASCII
)
_PARAMETER = re.compile(rf'({_TOKEN})=({_TOKEN}|"[^"]*")')
_STATES: Final = {
    (NotificationType.DELIVERY, Status.DELIVERED): State.DELIVERED,
    (NotificationType.DELIVERY, Status.FAILED): State.FAILED,
    (NotificationType.DISPLAY, Status.DISPLAYED): State.DISPLAYED,
}


class RefusedError(ServiceError):
    """A message is not passed.

    Args:
        status: The same in SIP and MSRP: 400, 413 or 415.
        reason: Why, without anything that the peer wrote.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Kind(Enum):
    """What a message is for."""

    CONTENT = "content"
    COMPOSING = "composing"
    """Somebody writes, or has stopped (RFC 3994)."""
    NOTIFICATION = "notification"
    """What became of another message (RFC 5438)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A body and what it is."""

    content_type: str
    """As it came, with its parameters."""
    body: bytes = field(repr=False)
    message: CpimMessage | None = None
    """What message/cpim says; None: it is none, or can't be read."""
    kind: Kind = Kind.CONTENT
    error: RefusedError | None = None
    """Why it can't be passed at all."""

    @property
    def media_type(self) -> str:
        """Type and subtype in lower case."""
        return bare(self.content_type)

    @property
    def is_composing(self) -> bool:
        """Whether it only says that somebody writes: it is passed, never kept."""
        return self.kind is Kind.COMPOSING

    @property
    def is_notification(self) -> bool:
        """Whether it says what became of another message."""
        return self.kind is Kind.NOTIFICATION

    def inner(self) -> "Content":
        """Return what is inside of message/cpim; itself when it is none.

        Raises:
            RefusedError: It can't be read, or not understood without its wrapping.
        """
        if self.error is not None:
            raise self.error
        if self.message is None:
            return self
        if self.message.media_type == CPIM_TYPE:
            raise RefusedError(415, "message/cpim within message/cpim")
        try:
            body = self.message.content
        except RemoteProtocolError as error:
            raise RefusedError(error.status or 400, error.reason) from error
        return read(" ".join(self.message.content_type.split()), body)


def read(content_type: str, body: bytes) -> Content:
    """Return what a body is.

    Args:
        content_type: As it came; empty: text/plain (RFC 2045 section 5.2).
        body: As it came.
    """
    content_type = content_type.strip(" \t") or PLAIN
    if not is_content_type(content_type):
        return _unreadable(PLAIN, body, RefusedError(415, "malformed Content-Type"))
    kind = bare(content_type)
    if kind != CPIM_TYPE:
        return Content(content_type=content_type, body=body, kind=_kind(kind))
    try:
        message = CpimMessage.parse(body)
    except RemoteProtocolError as error:
        return _unreadable(content_type, body, RefusedError(error.status or 400, error.reason))
    inside = Kind.NOTIFICATION if is_notification(message) else _kind(message.media_type)
    return Content(content_type=content_type, body=body, message=message, kind=inside)


def _unreadable(content_type: str, body: bytes, error: RefusedError) -> Content:
    return Content(content_type=content_type, body=body, error=error)


def _kind(media_type: str) -> Kind:
    if media_type == IS_COMPOSING_TYPE:
        return Kind.COMPOSING
    return Kind.NOTIFICATION if media_type == IMDN_TYPE else Kind.CONTENT


def bare(content_type: str) -> str:
    """Return type and subtype of a Content-Type in lower case."""
    return content_type.partition(";")[0].strip(" \t").lower()


def parameter(content_type: str, name: str) -> str:
    """Return the value of a parameter of a Content-Type, without quotes; empty: there is none."""
    found = _PARAMETER.finditer(content_type.partition(";")[2])
    return next((match[2].strip('"') for match in found if match[1].lower() == name), "")


def is_content_type(text: str) -> bool:
    """Tell whether a text is a media type with its parameters."""
    return len(text) <= LONGEST_TYPE and _CONTENT_TYPE.fullmatch(text) is not None


def is_known_type(media_type: str) -> bool:
    """Tell whether a type is one that ``gateway.unknown_types`` does not concern."""
    return media_type.startswith("text/") or media_type in (CPIM_TYPE, IMDN_TYPE, IS_COMPOSING_TYPE)


def is_automatic(headers: Iterable[tuple[str, str]]) -> bool:
    """Tell whether header fields say that nobody wrote the message."""
    found = (value for name, value in headers if name.lower() == AUTOMATIC.lower())
    return any(value.partition(";")[0].strip(" \t").lower() not in ("", "no") for value in found)


def is_told_about(content: Content, headers: Iterable[tuple[str, str]] = ()) -> bool:
    """Tell whether somebody is to be told what became of a message: a person wrote it."""
    return content.kind is Kind.CONTENT and not is_automatic(headers)


def composing_lifetime(content: Content) -> float:
    """Return for how many seconds a status message is of use (RFC 3994 section 3.3).

    The usual time if it can't be read.
    """
    try:
        refresh = IsComposing.parse(content.inner().body).refresh
    except (RefusedError, RemoteProtocolError):
        refresh = None
    return min(float(refresh or _DEFAULT_REFRESH), _LONGEST_REFRESH)


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What a notification says about a message."""

    message_id: str
    """imdn.Message-ID of the message that it is about."""
    state: State | None
    """What that makes of the message; None: nothing that a state tells."""
    recipient: str
    """Who reports it, a URI as written; empty: that is not said."""


def news_of(content: Content) -> News | None:
    """Return what a notification says; None: it is none, or none that can be understood."""
    if not content.is_notification:
        return None
    try:
        imdn = Imdn.parse(content.inner().body)
    except (RefusedError, RemoteProtocolError):
        return None
    state = _STATES.get((imdn.kind, imdn.status)) if imdn.status is not None else None
    return News(message_id=imdn.message_id, state=state, recipient=imdn.recipient_uri or "")
