"""What goes into the ledger and comes out of it."""

import json
import math
from dataclasses import dataclass
from enum import Enum
from typing import Final

import msgspec

from wigwag.errors import ConflictError

from .states import State

MAX_BODY: Final = 65_536
"""Bytes of a body that the row itself holds; a larger one is a blob, written before its row."""
MAX_HEADERS: Final = 16_384
"""Bytes of the headers as they are stored."""
LONGEST: Final = {
    "id": 128,
    "conversation": 512,
    "service": 32,
    "direction": 16,
    "sender": 255,
    "recipient": 255,
    "content_type": 255,
    "blob": 255,
    "owner": 128,
    "reason": 255,
}
"""Characters that the columns hold; a database without strict mode would cut the rest off silently."""

LARGEST_TOKEN: Final = 2**63 - 1

Headers = tuple[tuple[str, str], ...]


class NewMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message that is to be accepted."""

    id: str
    """Identity for ever: a second message with it is the first one again. Printable ASCII without blanks."""
    conversation: str
    """Conversation key (DESIGN.md section 6)."""
    service: str
    """Service that answers for it, such as ``gateway``."""
    direction: str
    """Which way it goes through that service, such as ``outbound``."""
    sender: str
    recipient: str
    """Whom it is waiting for: a canonical AOR or a service."""
    expires: float
    """When it is of no more use, in seconds since 1970: without an end it could stay accepted for ever."""
    content_type: str = ""
    headers: Headers = ()
    body: bytes | None = None
    """At most ``MAX_BODY`` bytes."""
    blob: str | None = None
    """Reference of a body that is stored elsewhere, in place of ``body``."""
    publish: bool = True
    """Whether the acceptance itself is an event; its later states always are."""
    claim: tuple[str, int] | None = None
    """Owner and fencing token of the first attempt to deliver it, which begins with the acceptance; None: it waits for
    a ``Claim``."""


class LedgerRow(msgspec.Struct, frozen=True):
    """A message as the ledger holds it; times are seconds since 1970."""

    position: int
    """Order of acceptance."""
    id: str
    conversation: str
    service: str
    direction: str
    sender: str
    recipient: str
    content_type: str
    headers: Headers
    body: bytes | None
    blob: str | None
    state: State
    version: int
    """1 when accepted; each change of state adds one."""
    attempt: int
    """Claims so far."""
    owner: str
    """Who claimed it last; empty when nobody has."""
    token: int
    """Fencing token of that claim."""
    doubts: int
    """Attempts whose outcome is not known."""
    created: float
    updated: float
    settled: float | None
    """When it left ``accepted``."""
    expires: float
    due: float
    """Accepted: when it expires or counts as unconfirmed. Final: since when."""
    published: int
    """Highest version that was published."""
    event_pending: bool
    """Whether a higher one exists."""
    status: int | None
    """Protocol status of the outcome, such as 200 or 486."""
    reason: str
    """Its words."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits."""

    messages: int
    octets: int
    """Of their bodies; those stored elsewhere are not counted."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a message ended."""

    state: State
    status: int | None
    """Protocol status, such as 200 or 486."""
    reason: str
    """Its words."""


class LedgerEvent(msgspec.Struct, frozen=True):
    """A message got a state. Equal (id, version) is one event, however often it is published."""

    id: str
    version: int
    state: State
    at: float
    """When, in seconds since 1970."""
    row: LedgerRow
    """The message as it is now, which may be a version further."""


class Refusal(Enum):
    """Why the ledger did not do what it was asked to."""

    DUPLICATE = "the message was accepted before"
    UNKNOWN = "no such message"
    VERSION = "the message has another version"
    TRANSITION = "a message in this state does not become that"
    FENCED = "a newer owner has claimed the message"
    LATE = "the message's time has run out"
    EARLY = "the message's time has not run out"


class Verdict(msgspec.Struct, frozen=True):
    """What became of a message that was handed in or of an edit, and how the row stands now."""

    id: str
    refusal: Refusal | None
    """None: done and committed."""
    state: State | None = None
    """None only when there is no such message."""
    version: int = 0
    attempt: int = 0

    @property
    def done(self) -> bool:
        """Whether the row was written as asked."""
        return self.refusal is None


def check(message: NewMessage) -> None:
    """Refuse what the table can't hold, before its neighbours in a batch have to suffer.

    Raises:
        ConflictError: A value is too long, or holds what can't be stored; the text names it.
    """
    for name, longest in LONGEST.items():
        value = getattr(message, name, None)
        if value is not None and len(value) > longest:
            raise ConflictError(f"the {name} is longer than the {longest} characters that the ledger holds")
        if value is not None and not (value.isprintable() and value.strip() == value):
            raise ConflictError(f"the {name} holds characters that the ledger does not")
    if not storable_id(message.id):
        raise ConflictError("the id is not printable ASCII without blanks")
    if not math.isfinite(message.expires):
        raise ConflictError("the message never expires")
    if message.body is not None and message.blob is not None:
        raise ConflictError("the message has both a body and a reference to one")
    if message.claim is not None:
        check_claim(*message.claim)
    if len(message.body or b"") > MAX_BODY:
        raise ConflictError(f"the body is longer than {MAX_BODY} bytes: it has to be a blob")
    if len(headers_text(message.headers)) > MAX_HEADERS:
        raise ConflictError(f"the headers are longer than {MAX_HEADERS} bytes")


def check_claim(owner: str, token: int) -> None:
    """Refuse a claim that the table can't hold.

    Raises:
        ConflictError: The owner or the token is out of its range.
    """
    if not (0 < len(owner) <= LONGEST["owner"] and owner.isprintable()):
        raise ConflictError("the owner is empty, too long, or holds characters that the ledger does not")
    if not 0 <= token <= LARGEST_TOKEN:
        raise ConflictError(f"the token is not between 0 and {LARGEST_TOKEN}")


def storable_id(text: str) -> bool:
    """Tell whether a message with this id can exist at all: some drivers fail on what they can't encode."""
    return 0 < len(text) <= LONGEST["id"] and text.isascii() and text.isprintable() and " " not in text


def size_of(message: NewMessage) -> int:
    """Return about how many bytes the message takes while it waits to be written."""
    return 1_000 + len(message.body or b"") + sum(len(name) + len(value) for name, value in message.headers)


def headers_text(headers: Headers) -> str:
    """Return the headers as they are stored: JSON in ASCII, which every database takes as it is."""
    if not headers:
        return ""
    try:
        text = _encode(headers).decode("ascii")
    except UnicodeError:
        return json.dumps(headers, separators=(",", ":"))
    return text


def headers_from(text: str) -> Headers:
    """Return the headers that were stored."""
    if not text:
        return ()
    try:
        return _decode(text)
    except msgspec.DecodeError:
        # Octets that are no UTF-8 are halves of surrogate pairs here, which are no JSON to everybody.
        return tuple((name, value) for name, value in json.loads(text))


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Headers).decode
