"""What a sender is told of his message: a notification if he asked for one, in page mode else a sentence (RFC 5438).

Theory of operation. A notice is a MESSAGE of its own, from the recipient's address to the address that the message
came from: never to one that its wrapping names, which may be anybody's. To who writes in a session it goes as what the
page-mode side says there. Its id is made of that of the message's row, so that it is sent once, whoever makes it again
after a kill. There is one at most on delivery and one on storage (section 7.2.1). Nobody is told about a notice, a
notification, a status message or whatever says that nobody wrote it.
"""

import hashlib
import re
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from wigwag.database.ledger import State
from wigwag.errors import WigwagError
from wigwag.protocols.cpim import CPIM_TYPE, CpimMessage
from wigwag.protocols.imdn import NotificationType, Status, message_id_of, notification_for

from .config import GatewaySettings
from .kinds import AUTOMATIC, PLAIN, RefusedError, is_told_about, parameter
from .splitting import boundary
from .statuses import imdn_status, sip_meaning
from .wrapping import Headers, PageMessage, one_line, uri_of

QUOTED: Final = 40
"""Characters of a message that a notice about it repeats."""
LARGEST: Final = 8_192
"""Octets of a notification; above, a sentence takes its place."""
TEXT_TYPE: Final = "text/plain;charset=UTF-8"
_LONGEST_TEXT: Final = 255
_LONGEST_ID: Final = 256
_CHARSETS: Final = frozenset(("", "utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "iso-8859-15", "windows-1252"))
_CALL_ID = re.compile(r"[!#-+\-.0-:<-~]{1,255}")
_BAD_NEWS: Final = (State.FAILED, State.UNCONFIRMED, State.EXPIRED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A MESSAGE of the gateway's own."""

    message_id: str
    from_uri: str
    to_uri: str
    content_type: str
    body: bytes
    headers: Headers


def notice_of(
    message: PageMessage,
    state: State,
    *,
    row_id: str,
    settings: GatewaySettings,
    now: datetime,
    status: int = 0,
    page_uri: str = "",
    is_answered: bool = False,
) -> Notice | None:
    """Return what the sender of a MESSAGE is told of it; None: nothing.

    Args:
        message: The MESSAGE.
        state: Its final state; ``ACCEPTED``: it waits for its recipient.
        row_id: Of its row.
        settings: How senders are told of failures.
        now: With an offset from UTC.
        status: SIP status of the failure; 0: none.
        page_uri: Where MESSAGEs for the sender go; empty: his address.
        is_answered: Whether the recipient got message/cpim: then his device says that it was delivered.
    """
    if not is_told_about(message.content, message.headers):
        return None
    found = _told(message, state, row_id, settings, now, status, is_answered)
    return replace(found, to_uri=page_uri) if found is not None and page_uri else found


def notification_of(
    message: PageMessage, state: State, *, row_id: str, now: datetime, is_answered: bool = False
) -> Notice | None:
    """Return the notification that the sender of a message in a session has asked for; None: he gets none.

    He has his REPORT besides, so that nothing else has to be said.

    Args:
        message: The message, as if it were a MESSAGE.
        state: Its final state; ``ACCEPTED``: it waits for its recipient.
        row_id: Of its row.
        now: With an offset from UTC.
        is_answered: Whether it was delivered as message/cpim: then the recipient's device says so.
    """
    if is_answered or not is_told_about(message.content):
        return None
    if state is State.ACCEPTED:
        return _notification(message, NotificationType.PROCESSING, Status.STORED, row_id, now)
    return _notification(message, NotificationType.DELIVERY, imdn_status(state), row_id, now)


def _told(
    message: PageMessage,
    state: State,
    row_id: str,
    settings: GatewaySettings,
    now: datetime,
    status: int,
    is_answered: bool,
) -> Notice | None:
    if state in _BAD_NEWS:
        return _bad_news(message, state, row_id, settings, now, status)
    if state is State.ACCEPTED:
        return _notification(message, NotificationType.PROCESSING, Status.STORED, row_id, now)
    if is_answered:
        return None
    return _notification(message, NotificationType.DELIVERY, imdn_status(state), row_id, now)


def _bad_news(
    message: PageMessage, state: State, row_id: str, settings: GatewaySettings, now: datetime, status: int
) -> Notice | None:
    if settings.notices == "none":
        return None
    notice = _notification(message, NotificationType.DELIVERY, imdn_status(state), row_id, now)
    if notice is not None or settings.notices == "imdn":
        return notice
    sentence = sentence_of(message, state, status)
    return _made(message, notice_id(row_id, NotificationType.DELIVERY), TEXT_TYPE, sentence.encode())


def notice_id(row_id: str, kind: NotificationType) -> str:
    """Return the id of a notice on a row."""
    return f"{row_id}.{kind.value.partition('-')[0]}"


def _notification(
    message: PageMessage, kind: NotificationType, status: Status, row_id: str, now: datetime
) -> Notice | None:
    asked = message.content.message
    if asked is None or len(message_id_of(asked) or "") > _LONGEST_ID:
        return None
    message_id = notice_id(row_id, kind)
    token = hashlib.blake2s(message_id.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
    try:
        notification = notification_for(_bounded(asked), kind, status, message_id=token, now=now)
    except WigwagError:
        return None  # What it asks can't be read.
    body = bytes(notification) if notification is not None else b""
    return _made(message, message_id, CPIM_TYPE, body) if 0 < len(body) <= LARGEST else None


def _bounded(asked: CpimMessage) -> CpimMessage:
    """Return a wrapping without texts that a notification would repeat at any length."""
    kept = (header for header in asked.headers if header.local_name != "Subject" or len(header.value) <= _LONGEST_TEXT)
    return replace(asked, headers=tuple(kept))


def _made(message: PageMessage, message_id: str, content_type: str, body: bytes) -> Notice:
    headers = [(AUTOMATIC, "auto-replied")]
    if _CALL_ID.fullmatch(message.call_id):
        headers.append(("In-Reply-To", message.call_id))
    return Notice(
        message_id=message_id,
        from_uri=uri_of(message.recipient),
        to_uri=uri_of(message.sender),
        content_type=content_type,
        body=body,
        headers=tuple(headers),
    )


def sentence_of(message: PageMessage, state: State, status: int = 0) -> str:
    """Return what became of a message, for people.

    Args:
        message: It is quoted by its beginning if it is text.
        state: ``FAILED``, ``UNCONFIRMED`` or ``EXPIRED``.
        status: SIP status of the failure; 0: none.
    """
    beginning = _beginning(message)
    what = (
        f"Your message “{beginning}” to {_person(message.recipient)}"
        if beginning
        else (f"Your message to {_person(message.recipient)}")
    )
    match state:
        case State.UNCONFIRMED:
            return f"{what} may not have been delivered: nobody confirmed it."
        case State.EXPIRED:
            return f"{what} was not delivered: the recipient could not be reached in time."
        case _:
            number = f" ({status})" if status else ""
            return f"{what} was not delivered: {sip_meaning(status).words}{number}."


def _beginning(message: PageMessage) -> str:
    """Return the first characters of a text, in one line; empty: it is none, or can't be read."""
    try:
        inner = message.content.inner()
    except RefusedError:
        return ""
    charset = parameter(inner.content_type, "charset").lower()
    if inner.media_type != PLAIN or charset not in _CHARSETS:
        return ""
    text = one_line(inner.body[: 16 * QUOTED].decode(charset or "utf-8", "replace"))
    text = " ".join(text.split())
    return text if len(text) <= QUOTED else f"{text[: boundary(text, 0, QUOTED)].rstrip()}…"


def _person(address: str) -> str:
    """Return an address as people write it."""
    return address.removeprefix("sip:").removeprefix("tel:")


def left_notice(conversation: str, generation: int, *, page: str, session: str, page_uri: str = "") -> Notice:
    """Return what the page-mode side is told, once, when the session-mode side has ended the session.

    Args:
        conversation: Conversation key.
        generation: Of the session that ended.
        page: Canonical address of the page-mode side.
        session: Canonical address of the session-mode side.
        page_uri: Where MESSAGEs for the page-mode side go; empty: ``page``.
    """
    digest = hashlib.blake2s(f"{conversation}#{generation}".encode("utf-8", "surrogateescape"), digest_size=20)
    return Notice(
        message_id=f"gateway-{digest.hexdigest()}.left",
        from_uri=uri_of(session),
        to_uri=page_uri or uri_of(page),
        content_type=TEXT_TYPE,
        body=f"{_person(session)} has left the conversation.".encode("utf-8", "replace"),
        headers=((AUTOMATIC, "auto-generated"),),
    )
