"""What a message of the peer is: looked at and unwrapped before anything is done with it (RFC 3862, 5438, 3994)."""

import hashlib
from dataclasses import dataclass, replace
from typing import Final

from wigwag.errors import RemoteProtocolError
from wigwag.protocols.cpim import CPIM_TYPE, ContentHeader, CpimError, CpimHeader, CpimMessage
from wigwag.protocols.cpim.namespaces import CPIM_NAMESPACE
from wigwag.protocols.imdn import IMDN_NAMESPACE, IMDN_TYPE, Imdn, is_notification, message_id_of, requested
from wigwag.protocols.iscomposing import IS_COMPOSING_TYPE, IsComposing
from wigwag.runtime.ua_messages import MsrpReports, SessionFields

from .checking import is_content_type, takes

_UNDERSTOOD: Final = (CPIM_NAMESPACE, IMDN_NAMESPACE, f"{IMDN_NAMESPACE}:")


class RefusedError(Exception):
    """A message is not taken.

    Args:
        status: MSRP status (RFC 4975 section 10).
        comment: Why.
        message: In its wrapping, if it had one that could be read: its sender may have asked to be told.
    """

    def __init__(self, status: int, comment: str, message: CpimMessage | None = None) -> None:
        super().__init__(comment)
        self.status = status
        self.comment = comment
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A message that is taken."""

    content_type: str
    body: bytes
    fields: SessionFields
    message: CpimMessage | None
    """Its wrapping, whose body is the message's."""


def inbound_id(session_id: str, message_id: str, salt: bytes = b"") -> str:
    """Return the id of a message that came: the same when it comes again after a connection or a pod was lost.

    Args:
        session_id: Of the session.
        message_id: MSRP Message-ID.
        salt: Tells messages apart to which a peer gave the same Message-ID.
    """
    digest = hashlib.blake2s(f"{session_id}\0in\0{message_id}\0".encode("utf-8", "surrogateescape"), digest_size=12)
    digest.update(salt)
    return digest.hexdigest()


def read(
    content_type: str, body: bytes, types: tuple[str, ...], wrapped_types: tuple[str, ...]
) -> "CpimMessage | Imdn | IsComposing | None":
    """Return what came: a message in its wrapping, a notification, a status message; None: a message without wrapping.

    Raises:
        RefusedError: It is malformed, or of a type that is not taken.
    """
    kind = _bare(content_type)
    try:
        if kind == CPIM_TYPE:
            return _unwrapped(CpimMessage.parse(body), wrapped_types, types)
        if kind == IS_COMPOSING_TYPE:
            return IsComposing.parse(body)
        if kind == IMDN_TYPE:
            return Imdn.parse(body)
    except RemoteProtocolError as error:
        raise RefusedError(error.status or 400, error.reason) from error
    check_type(content_type, None, types, wrapped_types)
    return None


def check_type(
    content_type: str, message: CpimMessage | None, types: tuple[str, ...], wrapped_types: tuple[str, ...]
) -> None:
    """Refuse a message of a type that is not taken.

    Args:
        content_type: As it came.
        message: Its wrapping; None: it has none.
        types: What is taken.
        wrapped_types: What is taken in message/cpim only.

    Raises:
        RefusedError: It is not taken.
    """
    if message is None:
        if not is_content_type(content_type) or not takes(types, content_type):
            raise RefusedError(415, "this type is not taken")
        return
    kind = message.content_type
    if not is_content_type(kind) or not (takes(wrapped_types, kind) or takes(types, kind)):
        raise RefusedError(415, "this type is not taken in message/cpim", message)


def _unwrapped(
    message: CpimMessage, wrapped_types: tuple[str, ...], types: tuple[str, ...]
) -> "CpimMessage | Imdn | IsComposing":
    if any(name.namespace not in _UNDERSTOOD for name in message.required):
        raise CpimError("requires what is not understood here")
    kind = message.media_type
    if kind == IMDN_TYPE:
        return Imdn.parse(message.content)
    if kind == IS_COMPOSING_TYPE:
        return IsComposing.parse(message.content)
    if is_notification(message):
        raise CpimError("a notification of an unknown kind", status=415)
    check_type(CPIM_TYPE, message, types, wrapped_types)
    return message


def content_of(
    session_id: str, application: str, message_id: str, content_type: str, body: bytes, message: CpimMessage | None
) -> Content:
    """Return a message as it is kept.

    Raises:
        RefusedError: Its content is not in its Content-Transfer-Encoding.
    """
    if message is None:
        fields = SessionFields(session_id=session_id, application=application, msrp_message_id=message_id)
        return Content(content_type=content_type, body=body, fields=fields, message=None)
    try:
        content = message.content
    except CpimError as error:
        raise RefusedError(error.status or 400, error.reason, message) from error
    return Content(
        content_type=message.content_type,
        body=content,
        fields=fields_for(session_id, application, message_id, message),
        message=message,
    )


def reported_later(content: Content, reports: MsrpReports) -> Content:
    """Return a message whose sender is told by the application what became of it."""
    return replace(content, fields=replace(content.fields, msrp_reports=reports))


def traced(content: Content, traceparent: str) -> Content:
    """Return a message that is traced."""
    return replace(content, fields=replace(content.fields, traceparent=traceparent))


def fields_for(session_id: str, application: str, message_id: str, message: CpimMessage) -> SessionFields:
    """Return what a row keeps of a wrapping."""
    return SessionFields(
        session_id=session_id,
        application=application,
        msrp_message_id=message_id,
        imdn_message_id=message_id_of(message) or "",
        notifications=frozenset(disposition.value for disposition in requested(message)),
        cpim=tuple((header.name, header.value) for header in message.headers),
    )


def wrapping_of(content_type: str, fields: SessionFields) -> CpimMessage | None:
    """Return the wrapping that a row was in, without its body; None: it was in none."""
    if not fields.cpim:
        return None
    headers = tuple(CpimHeader(name, value) for name, value in fields.cpim)
    return CpimMessage(headers=headers, content_headers=(ContentHeader("Content-Type", content_type),), body=b"")


def _bare(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()
