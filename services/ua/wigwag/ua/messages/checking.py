"""What an application wants to send, looked at before it is accepted."""

import re
import secrets
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from wigwag.api.ua.v1 import message_pb2, ua_pb2
from wigwag.errors import ConflictError, InvalidRequestError
from wigwag.protocols.cpim import CPIM_TYPE
from wigwag.protocols.sdp import MediaTypes
from wigwag.runtime.ua_messages import keyed_id
from wigwag.ua.sessions.record import SessionRecord
from wigwag.ua.texts import checked_text

_TOKEN = r"[!#-'*+\-.0-9A-Z^-~]+"  # noqa: S105 (grammar, not a secret)
_CONTENT_TYPE = re.compile(
    rf'{_TOKEN}/{_TOKEN}(?:[ \t]*;[ \t]*{_TOKEN}=(?:{_TOKEN}|"[^"\\\x00-\x1f\x7f]*"))*', re.ASCII
)
_HEADER_NAME = re.compile(r"[!#-'*+\-.0-9A-Z^-z|~]+", re.ASCII)
_REFERENCE = re.compile(r"[!-~]{1,128}")
_LONGEST_TYPE: Final = 255
_MOST_HEADERS: Final = 32
_LONGEST_HEADER: Final = 1_000
_OWN_HEADERS: Final = frozenset(("from", "to", "datetime"))
"""Of message/cpim: written by us, as is all that begins with ``imdn.``."""


def message_id_of(session_id: str, key: str) -> str:
    """Return the id of a message: by its idempotency key if it has one, else a fresh one.

    It is the Message-ID of MSRP and of IMDN too (4 to 32 characters of RFC 4975 ``ident``).
    """
    if key:
        return keyed_id(session_id, key)
    # Those of one time stand together in the database's index.
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(6)}"


def check(message: ua_pb2.OutboundMessage, record: SessionRecord, largest: int) -> None:
    """Refuse what can't be said, and what the peer would refuse as far as it is known by now.

    Raises:
        InvalidRequestError: A field is malformed, or the peer does not take it; names the field.
        ConflictError: The session is over, or not answered yet.
    """
    if record.state == "ended":
        raise ConflictError("the session is over")
    if record.state == "offered":
        raise ConflictError("the session has not been answered")
    if not is_content_type(message.content_type):
        raise InvalidRequestError("content_type: not a media type such as text/plain;charset=utf-8")
    size = len(message.body)
    if not size:
        raise InvalidRequestError("body: empty")
    if size > largest:
        raise InvalidRequestError(f"body: longer than the {largest} octets that a message may have; send it as a file")
    if message.idempotency_key:
        checked_text("idempotency_key", message.idempotency_key)
    if message.reference and not _REFERENCE.fullmatch(message.reference):
        raise InvalidRequestError("reference: at most 128 characters, printable ASCII without blanks")
    if message.cpim_headers:
        _check_headers(message.cpim_headers)
    if message.HasField("reports") and message.reports.failure not in message_pb2.FailureReports.values():
        raise InvalidRequestError("reports: failure is one of yes, no and partial")
    if message.content_type.partition(";")[0].strip().lower() == CPIM_TYPE:
        _check_is_plain(message)
    problem = unacceptable(record, message.content_type, size, headers=bool(message.cpim_headers))
    if problem is not None:
        raise InvalidRequestError(problem[1])


def unacceptable(record: SessionRecord, content_type: str, size: int, *, headers: bool) -> tuple[int, str] | None:
    """Return why a peer does not take a message, and the MSRP status that he would say it with; None: he may.

    Args:
        record: The session; while it is being set up, what the peer takes is not known.
        content_type: Of the message, or of what is inside of message/cpim.
        size: Octets of that.
        headers: Whether it has headers of message/cpim.
    """
    types = record.accept_types
    if record.max_size and size > record.max_size:
        return 413, f"body: longer than the {record.max_size} octets that the peer takes"
    if not types:
        return None
    takes_cpim = takes(types, CPIM_TYPE)
    if headers and not takes_cpim:
        return 415, "cpim_headers: the peer does not take message/cpim"
    if takes(types, content_type) or (takes_cpim and takes(record.accept_wrapped_types, content_type)):
        return None
    return 415, f"content_type: the peer takes {', '.join(types)}"


@lru_cache(maxsize=4_096)
def takes(types: tuple[str, ...], content_type: str) -> bool:
    """Tell whether one of these media ranges covers a type; parameters do not matter."""
    return bool(types) and MediaTypes(types).accepts(content_type)


@lru_cache(maxsize=1_024)
def is_content_type(text: str) -> bool:
    """Tell whether a text is a media type with its parameters."""
    return len(text) <= _LONGEST_TYPE and _CONTENT_TYPE.fullmatch(text) is not None


def _check_is_plain(message: ua_pb2.OutboundMessage) -> None:
    """Refuse what would have to be put into the wrapping that a message has already."""
    if message.cpim_headers:
        raise InvalidRequestError("cpim_headers: the message is message/cpim already")
    if message.HasField("notifications") and any(value for _, value in message.notifications.ListFields()):
        raise InvalidRequestError("notifications: the message is message/cpim already")


def _check_headers(headers: Sequence[message_pb2.CpimHeader]) -> None:
    if len(headers) > _MOST_HEADERS:
        raise InvalidRequestError(f"cpim_headers: more than {_MOST_HEADERS}")
    for header in headers:
        name = header.name
        ours = name.lower() in _OWN_HEADERS or name.lower().startswith("imdn.")
        if not _HEADER_NAME.fullmatch(name) or ours or len(name) > _LONGEST_TYPE:
            raise InvalidRequestError(f"cpim_headers: {name[:40]!r} is no name of a header that can be set")
        checked_text("cpim_headers", header.value, _LONGEST_HEADER)
