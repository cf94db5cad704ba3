"""Messages as they go over the wire."""

from functools import partial

from wigwag.protocols.cpim import CPIM_TYPE
from wigwag.ua.endpoint.model import OutgoingMessage
from wigwag.ua.sessions.ports import OwnedSession
from wigwag.ua.sessions.record import SessionRecord

from .flow import Outgoing
from .wrapping import head_of, is_wrapped


def wire_of(record: SessionRecord, message: Outgoing) -> OutgoingMessage:
    """Return a message as the endpoint sends it in a session: wrapped in message/cpim where that was agreed on."""
    content_type, head = message.content_type, b""
    if is_wrapped(record, message.fields, content_type):
        head = head_of(record, message.id, message.fields, content_type, message.accepted)
        content_type = CPIM_TYPE
    staged = message.staged
    traceparent = message.journey.sent(message.size) if message.journey is not None else ""
    if staged is None:
        body = message.body or b""
        return OutgoingMessage(
            message_id=message.id,
            content_type=content_type,
            body=head + body if head else body,
            traceparent=traceparent,
        )
    return OutgoingMessage(
        message_id=message.id,
        content_type=content_type,
        body=partial(staged.open, head),
        total=len(head) + staged.size,
        traceparent=traceparent,
    )


def octets_of(own: OwnedSession, message_id: str) -> tuple[int, int | None]:
    """Return which octets of a body are sent: how many are left out, and up to which; None: to the end.

    Of a file it is what was agreed on; without a=file-range in the answer all (RFC 5547 section 8.7).
    """
    agreed = own.chat.file if message_id == own.record.file else None
    if agreed is None or agreed.range is None:
        return 0, None
    return agreed.range.start - 1, agreed.range.stop
