"""The MESSAGE that a record of ``wigwag.pager.outbound`` asks for, however often it is made (RFC 3428 section 4).

Theory of operation. Call-ID, CSeq, From tag and the branches are computed from the id and the attempt: whoever
makes it again after a kill makes the same MESSAGE, so that the device sees a retransmission, or answers 482.
"""

import hashlib
from dataclasses import dataclass
from email.utils import formatdate
from typing import Final

from google.protobuf.message import DecodeError

from wigwag.api.events.v1.envelope_pb2 import Envelope
from wigwag.api.events.v1.pager_pb2 import PagerRequest
from wigwag.bus import Record, UnprocessableError
from wigwag.database.ledger import MAX_BODY
from wigwag.errors import LocalProtocolError
from wigwag.protocols.sip import Request, SipError, parse_datagram, parse_uri, validate
from wigwag.protocols.sip.names import canonical
from wigwag.runtime.conversations import AddressTooLongError, canonical_address

LONGEST_ID: Final = 100
MOST_ATTEMPTS: Final = 999_999
LIFETIME: Final = 86_400.0
"""Seconds that a message without an expiry is of use."""
_LONGEST_KEY: Final = 512
_OURS: Final = frozenset(
    {
        "via",
        "max-forwards",
        "from",
        "to",
        "call-id",
        "cseq",
        "contact",
        "route",
        "record-route",
        "path",
        "content-length",
        "content-type",
        "p-asserted-identity",
        "p-preferred-identity",
        "authorization",
        "proxy-authorization",
        "proxy-require",
        "require",
        "expires",
    }
)
"""Fields that say how a message is routed or what it is: the edge's to make."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound:
    """A record of the topic, understood."""

    request: PagerRequest
    conversation: str
    published: float
    """Seconds since 1970; part of the MESSAGE, so the same for every copy of the record."""
    expires: float

    @property
    def target(self) -> str:
        """What messages are sent to one after the other: canonical, or as written if it is no address."""
        return _canonical(self.request.to_uri)

    @property
    def sender(self) -> str:
        """Who sends it, likewise."""
        return _canonical(self.request.identity or self.request.from_uri)


def outbound_of(record: Record) -> Outbound:
    """Read a record.

    Raises:
        UnprocessableError: It is none of ours, or has no identity to which a result could be given.
    """
    envelope = Envelope()
    try:
        envelope.ParseFromString(record.value)
    except DecodeError as error:
        raise UnprocessableError("the value is no envelope") from error
    if not envelope.HasField("pager_request"):
        raise UnprocessableError("the envelope holds no pager_request")
    request = envelope.pager_request
    _check_identity(request)
    conversation = request.conversation or record.key
    if not (0 < len(conversation) <= _LONGEST_KEY and conversation.isprintable()):
        raise UnprocessableError("the conversation is empty, too long, or not printable")
    expires = record.time + LIFETIME
    if request.HasField("expires_at"):
        expires = request.expires_at.ToMicroseconds() / 1e6
    return Outbound(request=request, conversation=conversation, published=record.time, expires=expires)


def _check_identity(request: PagerRequest) -> None:
    message_id = request.message_id
    if not (0 < len(message_id) <= LONGEST_ID and message_id.isascii() and message_id.isprintable()):
        raise UnprocessableError("message_id is empty, too long, or not printable ASCII")
    if " " in message_id or "/" in message_id:
        raise UnprocessableError("message_id has a blank or a slash")
    if not 0 < request.attempt <= MOST_ATTEMPTS:
        raise UnprocessableError(f"attempt is not between 1 and {MOST_ATTEMPTS}")


def sip_request(outbound: Outbound, via: str) -> Request:
    """Return the MESSAGE.

    Args:
        outbound: What is asked for.
        via: What its Via begins with; its branch is computed from the message's identity.

    Raises:
        SipError: It can't be made of this.
    """
    asked = outbound.request
    if len(asked.body) > MAX_BODY:
        raise SipError("Message Too Large", status=413)
    for name in ("from_uri", "to_uri", "identity"):
        _check_uri(name, getattr(asked, name))
    fields = [
        ("Via", f"{via};branch=z9hG4bK{_digest('branch', asked.message_id, str(asked.attempt))}"),
        ("Max-Forwards", "71"),
        ("From", f"<{asked.from_uri}>;tag={asked.from_tag or _digest('tag', asked.message_id)[:16]}"),
        ("To", f"<{asked.to_uri}>"),
        ("Call-ID", asked.call_id or _digest("call", asked.message_id)),
        ("CSeq", f"{asked.cseq or asked.attempt} MESSAGE"),
        *_more(outbound),
    ]
    try:
        made = Request.create("MESSAGE", asked.to_uri, fields, asked.body)
    except LocalProtocolError as error:
        raise SipError(str(error), status=400) from error
    return _read_back(made)


def _more(outbound: Outbound) -> list[tuple[str, str]]:
    asked, found = outbound.request, []
    for header in asked.headers:
        if (canonical(header.name) or "via") in _OURS:
            raise SipError(f"header {header.name!r} is not the message's to set")
        found.append((header.name, header.value))
    if asked.HasField("expires_at"):
        seconds = max(0, round(outbound.expires - outbound.published))
        if not any(canonical(name) == "date" for name, _ in found):
            found.append(("Date", formatdate(outbound.published, usegmt=True)))
            found.append(("Expires", str(seconds)))
    if asked.content_type:
        found.append(("Content-Type", asked.content_type))
    return found


def _check_uri(name: str, uri: str) -> None:
    try:
        if uri or name != "identity":
            parse_uri(uri)
    except SipError as error:
        raise SipError(f"{name}: {error.reason}", status=400) from error


def _read_back(made: Request) -> Request:
    """Return the request as a peer reads it: what its parts smuggle in must not get any further than here."""
    read = parse_datagram(bytes(made))
    if not isinstance(read, Request) or read.names != made.names or read.body != made.body:
        raise SipError("a field of the message can't be written as such")
    validate(read)
    return read


def _digest(purpose: str, *parts: str) -> str:
    return hashlib.sha256("\n".join([f"wigwag pager {purpose}", *parts]).encode()).hexdigest()[:32]


def _canonical(uri: str) -> str:
    try:
        return canonical_address(uri)
    except (SipError, AddressTooLongError):
        # It will be refused; until then it needs a name.
        return f"invalid:{hashlib.sha256(uri.encode()).hexdigest()}"
