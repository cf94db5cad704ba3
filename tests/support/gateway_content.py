"""Messages of both sides of the gateway, for tests of what becomes of them."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from wigwag.gateway.config import GatewaySettings
from wigwag.gateway.content import Accepts
from wigwag.gateway.kinds import RefusedError, read
from wigwag.gateway.wrapping import PageMessage

T = TypeVar("T")

ALICE, BOB = "sip:alice@example.com", "sip:bob@example.com"
"""The page-mode side and the session-mode side."""
NOW = datetime(2026, 11, 26, 12, 0, 0, tzinfo=UTC)

PLAIN_ONLY = Accepts(("text/plain",))
CPIM_ONLY = Accepts(("message/cpim",), ("*",))
BOTH = Accepts(("message/cpim", "text/plain", "message/imdn+xml", "application/im-iscomposing+xml"))
UNKNOWN = Accepts()

IMDN_REQUEST = (
    b"From: Alice <im:alice@example.com>\r\n"
    b"To: Bob <im:bob@example.com>\r\n"
    b"NS: imdn <urn:ietf:params:imdn>\r\n"
    b"imdn.Message-ID: 34jk324j\r\n"
    b"DateTime: 2006-04-04T12:16:49-05:00\r\n"
    b"imdn.Disposition-Notification: positive-delivery, negative-delivery\r\n"
    b"Content-type: text/plain\r\n"
    b"Content-length: 12\r\n"
    b"\r\n"
    b"Hello World\n"
)
"""The example of RFC 5438 section 7.1.1.3."""

COMPOSING = b"""<?xml version="1.0" encoding="UTF-8"?>
<isComposing xmlns="urn:ietf:params:xml:ns:im-iscomposing">
  <state>active</state>
  <contenttype>text/plain</contenttype>
  <refresh>90</refresh>
</isComposing>
"""
"""The example of RFC 3994 section 4, with its refresh."""


def settings(**fields: Any) -> GatewaySettings:
    """Return settings of which some are not the usual ones."""
    return GatewaySettings.model_validate(fields)


def page_message(
    body: bytes = b"Hello", content_type: str = "text/plain", *, call_id: str = "", **headers: str
) -> PageMessage:
    """Return a MESSAGE of Alice to Bob; headers by name with ``_`` for ``-``."""
    fields = {"From": f'"Alice A." <{ALICE}>;tag=1', "To": f"<{BOB}>"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    return PageMessage(
        content=read(content_type, body),
        sender=ALICE,
        recipient=BOB,
        headers=tuple(fields.items()),
        received_at=NOW,
        call_id=call_id,
    )


def cpim(
    body: bytes = b"Hello",
    content_type: str = "text/plain",
    *,
    sender: str = BOB,
    recipient: str = ALICE,
    head: str = "",
) -> bytes:
    """Return a body in message/cpim, of Bob to Alice."""
    first = f"From: <{sender}>\r\nTo: <{recipient}>\r\n{head}\r\nContent-Type: {content_type}\r\n\r\n"
    return first.encode() + body


def notification(message_id: str = "34jk324j", kind: str = "delivery", status: str = "delivered") -> bytes:
    """Return the XML of a notification."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?><imdn xmlns="urn:ietf:params:xml:ns:imdn">'
        f"<message-id>{message_id}</message-id><datetime>2006-04-04T12:16:49-05:00</datetime>"
        "<recipient-uri>im:bob@example.com</recipient-uri>"
        "<original-recipient-uri>im:bob@example.com</original-recipient-uri>"
        f"<{kind}-notification><status><{status}/></status></{kind}-notification></imdn>"
    ).encode()


def status_or(call: Callable[[], T]) -> T | int:
    """Return what a call returns, or the status with which it refuses."""
    try:
        return call()
    except RefusedError as error:
        return error.status
