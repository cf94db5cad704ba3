"""Bodies of requests and responses, and the session description among them (RFC 3261 section 13, RFC 5621)."""

from dataclasses import dataclass

from wigwag.protocols.sip.message import Request, Response
from wigwag.protocols.sip.multipart import find_part

SDP = "application/sdp"


@dataclass(frozen=True, slots=True)
class Body:
    """What a message carries."""

    data: bytes
    content_type: str = SDP
    """As it stands in Content-Type, with parameters."""


def description_of(message: Request | Response) -> bytes | None:
    """Return the session description that a message carries, by itself or in a multipart; None: it has none.

    Raises:
        SipError: The multipart is malformed.
    """
    if not message.body:
        return None
    part = find_part(message, SDP)
    return None if part is None else part.body


def with_body(fields: tuple[tuple[str, str], ...], body: Body | None) -> tuple[tuple[str, str], ...]:
    """Return header fields with the body's Content-Type among them."""
    return fields if body is None else (*fields, ("Content-Type", body.content_type))
