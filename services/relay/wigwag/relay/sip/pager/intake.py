"""What a MESSAGE is in the ledger: id, parties, how long it is of use (RFC 3428 section 7, DESIGN.md section 6)."""

import hashlib
from email.utils import parsedate_to_datetime
from typing import Final

from wigwag.database.ledger import MAX_BODY, NewMessage
from wigwag.protocols.sip import Request, SipError
from wigwag.protocols.sip.names import written
from wigwag.relay.sip.incoming import Incoming
from wigwag.runtime.conversations import AddressTooLongError, canonical_address, conversation_key
from wigwag.runtime.pager_events import ANSWERED_BY, IDENTITY, INBOUND, REASON, REQUEST_URI
from wigwag.runtime.traceparent import HEADER

_KEPT: Final = (
    "from",
    "to",
    "call-id",
    "cseq",
    "date",
    "expires",
    "subject",
    "in-reply-to",
    "mime-version",
    "auto-submitted",
)
_ID_LENGTH: Final = 40


def message_id(incoming: Incoming) -> str:
    """Return the id of a MESSAGE: the same for its retransmissions at any pod, another one for any other MESSAGE.

    Who has proven to be somebody makes ids of his own, so that nobody can take the id of another's message.
    """
    request = incoming.request
    via = request.via
    parts = (
        via.branch,
        via.sent_by,
        request.call_id,
        request.cseq.number,
        request.from_.tag,
        request.uri,
        incoming.identity.aor,
    )
    digest = hashlib.sha256("\n".join(map(str, parts)).encode("utf-8", "surrogateescape"))
    return f"pager-{digest.hexdigest()[:_ID_LENGTH]}"


def expiry(request: Request, now: float, keep: float) -> float:
    """Return when a MESSAGE is of no more use, in seconds since 1970.

    Expires counts from Date, where there is one that is not in the future, else from now (RFC 3428 section 7).

    Raises:
        SipError: Expires is no number.
    """
    seconds = request.number("expires")
    if seconds is None:
        return now + keep
    return min(now + keep, min(_date(request) or now, now) + seconds)


def ledger_message(
    incoming: Incoming,
    service: str,
    *,
    now: float,
    keep: float,
    reason: str,
    answered_by: float | None = None,
    traceparent: str = "",
) -> NewMessage:
    """Return a MESSAGE as the ledger takes it.

    Args:
        incoming: The MESSAGE, its sender identified.
        service: Who is to take it.
        now: Seconds since 1970.
        keep: Seconds that it waits at most.
        reason: Why it is kept, one of ``REASONS``.
        answered_by: Until when its sender waits for the outcome; None: he does not.
        traceparent: Where its trace goes on; empty: it is not traced.

    Raises:
        SipError: 400, 413, 416: it can't be kept as it is. 480: its time has run out.
    """
    request = incoming.request
    if len(request.body) > MAX_BODY:
        raise SipError("Message Too Large", status=413)
    expires = expiry(request, now, keep)
    if expires <= now:
        raise SipError("Message Expired", status=480)
    try:
        sender = incoming.identity.aor or canonical_address(request.from_.uri)
        recipient = canonical_address(incoming.target)
    except AddressTooLongError as error:
        raise SipError(str(error), status=414) from error
    return NewMessage(
        id=message_id(incoming),
        conversation=conversation_key(sender, recipient, service),
        service=service,
        direction=INBOUND,
        sender=sender,
        recipient=recipient,
        expires=expires,
        content_type=request.get("content-type") or "",
        headers=(*_headers(incoming, reason, answered_by), *_trace(traceparent)),
        body=request.body,
    )


def _headers(incoming: Incoming, reason: str, answered_by: float | None) -> tuple[tuple[str, str], ...]:
    request = incoming.request
    found = [(REQUEST_URI, request.uri), (IDENTITY, identity(incoming)), (REASON, reason)]
    if answered_by is not None:
        found.append((ANSWERED_BY, f"{answered_by:.3f}"))
    for name in dict.fromkeys(request.names):
        if name in _KEPT or (name.startswith("content-") and name not in ("content-length", "content-type")):
            found += [(written(name), value) for value in request.get_all(name)]
    return tuple(found)


def _trace(traceparent: str) -> tuple[tuple[str, str], ...]:
    return ((HEADER, traceparent),) if traceparent else ()


def identity(incoming: Incoming) -> str:
    """Return who vouches for the sender: his own proof, else a trusted neighbour's word; empty: nobody."""
    if incoming.identity.aor:
        return incoming.identity.aor
    if not incoming.identity.trusted:
        return ""
    asserted = incoming.request.addresses("p-asserted-identity")
    return asserted[0].uri if asserted else ""


def _date(request: Request) -> float | None:
    value = request.get("date")
    if value is None:
        return None
    try:
        return parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return None  # A clock that can't be read is no reason to lose the message.
