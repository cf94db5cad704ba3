"""Resume tokens: how far a watcher has come in each partition of the log of events.

A token is opaque to who watches, yet no secret: whoever makes one up sees what he may see anyway.
"""

import base64
from collections.abc import Mapping
from typing import Final

import msgspec

from wigwag.errors import InvalidRequestError

_VERSION: Final = 1
_LONGEST: Final = 8_192
_HIGHEST: Final = 2**63 - 1

Offsets = Mapping[int, int]
"""Partition -> offset of its next event."""


def token_of(offsets: Offsets) -> str:
    """Return the token that stands for all events below these offsets."""
    content = msgspec.msgpack.encode((_VERSION, dict(sorted(offsets.items()))))
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def offsets_of(token: str) -> dict[int, int]:
    """Return what a token stands for.

    Raises:
        InvalidRequestError: ``token_of`` did not make it.
    """
    try:
        if len(token) > _LONGEST or not token.isascii():
            raise ValueError("too long, or not ASCII")
        content = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        version, offsets = msgspec.msgpack.decode(content, type=tuple[int, dict[int, int]])
        if version != _VERSION or any(not 0 <= number <= _HIGHEST for pair in offsets.items() for number in pair):
            raise ValueError("another version, or a number out of range")
    except (ValueError, msgspec.MsgspecError) as error:
        raise InvalidRequestError("resume_token: none that was given out here") from error
    return offsets
