"""Message/CPIM made of a MESSAGE, and what a MESSAGE can say of it (RFC 3862 sections 3 and 4)."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Final

from wigwag.errors import LocalProtocolError, RemoteProtocolError
from wigwag.protocols.cpim import CPIM_NAMESPACE, ContentHeader, CpimAddress, CpimHeader, CpimMessage
from wigwag.protocols.cpim.namespaces import qualified
from wigwag.protocols.imdn import is_notification
from wigwag.protocols.sip import SipError, parse_name_address
from wigwag.runtime.conversations import AddressTooLongError, canonical_address

from .kinds import Content

LONGEST_LINE: Final = 255
"""Characters of a Subject, a display name or another text in a header field that is passed."""
_CONTENT_FIELDS: Final = ("content-language", "content-disposition", "content-description")
"""Fields about a body that stand in the SIP message on the one side, in message/cpim on the other."""
_ANONYMOUS: Final = "anonymous.invalid"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_INSTANT_MESSAGING = re.compile(r"(?:im|pres):", re.IGNORECASE)

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageMessage:
    """A SIP MESSAGE on its way to a session."""

    content: Content
    sender: str
    """Canonical address."""
    recipient: str
    """Canonical address."""
    headers: Headers = ()
    """From, To, Date, Subject and Content-* as they came."""
    received_at: datetime
    """With an offset from UTC."""
    call_id: str = ""
    """SIP Call-ID."""

    def get(self, name: str) -> str:
        """Return the value of the first header field of a name in lower case; empty: there is none."""
        return next((value for held, value in self.headers if held.lower() == name), "")


def says_more(message: PageMessage) -> bool:
    """Tell whether message/cpim can say what would get lost without it."""
    return message.content.media_type.startswith("text/") and bool(message.get("subject") or message.get("date"))


def wrapped(message: PageMessage) -> bytes | None:
    """Return a MESSAGE's body in message/cpim; None: it can't be."""
    content = message.content
    subject = one_line(message.get("subject"))
    more = [header for name in _CONTENT_FIELDS if (header := _content_header(name, message.get(name))) is not None]
    if content.is_notification and not message.get("content-disposition"):
        more.append(ContentHeader("Content-Disposition", "notification"))
    try:
        made = CpimMessage.of(
            CpimAddress(uri_of(message.sender), _display_name(message.get("from"))),
            [CpimAddress(uri_of(message.recipient), _display_name(message.get("to")))],
            content.content_type,
            content.body,
            date_time=_moment(message.get("date")) or message.received_at,
            headers=[CpimHeader.of("Subject", subject)] if subject else [],
            content_headers=more,
        )
        return bytes(made)
    except (LocalProtocolError, ValueError):
        return None  # An address or a time that message/cpim can't hold.


def _content_header(name: str, value: str) -> ContentHeader | None:
    header = ContentHeader(name.title(), one_line(value))
    return header if header.value else None


def uri_of(address: str) -> str:
    """Return the URI of a canonical address: that of a telephone number has no scheme."""
    return f"tel:{address}" if is_number(address) else address


def is_number(address: str) -> bool:
    """Tell whether a canonical address is a telephone number; local ones begin with no ``+`` (RFC 3966 section 5)."""
    return ":" not in address.partition(";")[0]


def _display_name(value: str) -> str | None:
    try:
        return one_line(parse_name_address(value).display_name) or None if value else None
    except SipError:
        return None


def _moment(value: str) -> datetime | None:
    """Return the time that a Date says; None: none that can be read."""
    try:
        moment = parsedate_to_datetime(value)
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def one_line(text: str) -> str:
    """Return a text that fits in a header field: one line, bounded, without half characters."""
    clean = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return _CONTROL.sub(" ", clean).strip()[:LONGEST_LINE].rstrip()


def stays_wrapped(message: CpimMessage, page: str, session: str) -> bool:
    """Tell whether message/cpim says something that a MESSAGE can't say without it.

    It does when it is from or for somebody else than the two parties, when it asks for notifications or is one, and
    when it has headers of another namespace or such that have to be understood.
    """
    if any(name.namespace != CPIM_NAMESPACE or name.name == "Require" for name, _, _ in qualified(message.headers)):
        return True
    sender, recipients = message.sender, message.recipients
    others = (sender is not None and not _is(sender.uri, session)) or len(recipients) > 1 or bool(message.copies)
    strangers = any(not _is(recipient.uri, page) for recipient in recipients)
    return others or strangers or is_notification(message)


def _is(uri: str, address: str) -> bool:
    """Tell whether a URI of message/cpim names a party: anonymous ones are whom the session belongs to."""
    try:
        canonical = canonical_address(_INSTANT_MESSAGING.sub("sip:", uri))
    except (SipError, AddressTooLongError):
        return False
    return canonical == address or canonical.rpartition("@")[2] == _ANONYMOUS


def page_headers(message: CpimMessage) -> list[tuple[str, str]]:
    """Return header fields that say what message/cpim said."""
    found = [("Subject", one_line(message.subject or "")), ("Date", _date(message))]
    for name in _CONTENT_FIELDS:
        values = (header.text for header in message.content_headers if header.name.lower() == name)
        found.append((name.title(), one_line(next(values, ""))))
    return [(name, value) for name, value in found if value]


def _date(message: CpimMessage) -> str:
    """Return DateTime as Date has it; empty: it has none, or one that Date can't hold."""
    try:
        moment = message.date_time
        return format_datetime(moment.astimezone(UTC), usegmt=True) if moment is not None else ""
    except (OverflowError, RemoteProtocolError):
        return ""
