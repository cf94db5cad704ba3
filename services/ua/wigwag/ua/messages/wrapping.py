"""Messages of applications in message/cpim, with the notifications that they ask for (RFC 3862, RFC 5438)."""

from datetime import UTC, datetime

from wigwag.errors import InvalidRequestError, ProtocolError
from wigwag.protocols.cpim import CPIM_TYPE, CpimAddress, CpimHeader, CpimMessage
from wigwag.protocols.imdn import Disposition, with_request
from wigwag.runtime.ua_messages import SessionFields
from wigwag.ua.sessions.record import SessionRecord

from .checking import takes


def is_wrapped(record: SessionRecord, fields: SessionFields, content_type: str) -> bool:
    """Tell whether a message goes in message/cpim: for what it asks, or because the peer takes its type only so."""
    types = record.accept_types
    if not takes(types, CPIM_TYPE) or content_type.partition(";")[0].strip().lower() == CPIM_TYPE:
        return False
    return bool(fields.cpim or fields.notifications) or not takes(types, content_type)


def head_of(record: SessionRecord, message_id: str, fields: SessionFields, content_type: str, sent: float) -> bytes:
    """Return what goes before the body in message/cpim.

    Args:
        record: The session.
        message_id: Also imdn.Message-ID.
        fields: What the message asks for, and what else its wrapping says.
        content_type: Of what is inside.
        sent: When it was accepted, seconds since 1970.

    Raises:
        ProtocolError: A header breaks the grammar.
    """
    message = CpimMessage.of(
        CpimAddress(record.local_uri),
        [CpimAddress(record.remote_uri)],
        content_type,
        b"",
        date_time=datetime.fromtimestamp(sent, UTC),
        headers=[CpimHeader.of(name, value) for name, value in fields.cpim],
    )
    if fields.notifications:
        message = with_request(message, message_id, [Disposition(name) for name in fields.notifications])
    return message.head()


def check_wrapping(record: SessionRecord, fields: SessionFields, content_type: str) -> None:
    """Refuse headers that would not be understood.

    Raises:
        InvalidRequestError: An NS or another header of theirs breaks the grammar.
    """
    try:
        CpimMessage.parse(head_of(record, "check", fields, content_type, 0.0))
    except ProtocolError as error:
        raise InvalidRequestError(f"cpim_headers: {error}") from error
