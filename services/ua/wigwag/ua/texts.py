"""Texts of applications that end up in SIP or MSRP: looked at before anything is done with them."""

import re
from collections.abc import Sequence
from typing import Final

from wigwag.errors import InvalidRequestError
from wigwag.protocols.sip import SipError, SipUri, parse_uri

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MEDIA_RANGE = re.compile(r"\*|[!#-'+\-.0-9A-Z^-~]+/(?:\*|[!#-'+\-.0-9A-Z^-~]+)")
_LONGEST_URI: Final = 512
_MOST_LABELS: Final = 32
_LONGEST_LABEL: Final = 255
LONGEST_TEXT: Final = 255
"""Characters of a subject, a display name or a reason."""


def checked_text(field: str, text: str, longest: int = LONGEST_TEXT) -> str:
    """Return a text without control characters.

    Raises:
        InvalidRequestError: It has some, or is too long; names the field.
    """
    if _CONTROL.search(text):
        raise InvalidRequestError(f"{field}: holds a control character, such as a line break")
    if len(text) > longest:
        raise InvalidRequestError(f"{field}: longer than {longest} characters")
    return text


def checked_uri(field: str, text: str) -> str:
    """Return a SIP or tel URI.

    Raises:
        InvalidRequestError: It is none; names the field.
    """
    checked_text(field, text, _LONGEST_URI)
    if not text:
        raise InvalidRequestError(f"{field}: missing")
    try:
        uri = parse_uri(text)
    except SipError as error:
        raise InvalidRequestError(f"{field}: {error.reason}; a sip, sips or tel URI is needed") from error
    if isinstance(uri, SipUri) and not uri.host:
        raise InvalidRequestError(f"{field}: has no host")
    if isinstance(uri, SipUri) and "?" in text.rpartition("@")[2]:
        # In a Request-URI they are not allowed, elsewhere they would be header fields of the request (RFC 3261 section
        # 19.1.1).
        raise InvalidRequestError(f"{field}: has header fields behind a question mark")
    return text


def checked_types(field: str, types: Sequence[str]) -> tuple[str, ...]:
    """Return media ranges in lower case.

    Raises:
        InvalidRequestError: One is none; names the field.
    """
    for each in types:
        if not _MEDIA_RANGE.fullmatch(each):
            raise InvalidRequestError(f"{field}: {each[:80]!r} is no media type, type/* or *")
    return tuple(each.lower() for each in types)


def checked_labels(field: str, labels: dict[str, str]) -> dict[str, str]:
    """Return labels.

    Raises:
        InvalidRequestError: There are too many, or one is too long; names the field.
    """
    if len(labels) > _MOST_LABELS:
        raise InvalidRequestError(f"{field}: more than {_MOST_LABELS}")
    for name, value in labels.items():
        if _CONTROL.search(name):
            raise InvalidRequestError(
                f"{field}: the name {name[:40]!r} holds a control character, such as a line break"
            )
        checked_text(f"{field}.{name[:40]}", name + value, _LONGEST_LABEL)
    return labels
