"""What applications say of sessions and of pages, looked at before anything is done."""

import hashlib
import secrets
from typing import Final

from wigwag.api.ua.v1 import ua_pb2
from wigwag.errors import InvalidRequestError

from .sessions.starting import DEFAULT_RINGING, LONGEST_RINGING

_DEFAULT_PAGE: Final = 100

_LARGEST_PAGE: Final = 1_000


def session_id_of(application: str, key: str) -> str:
    """Return the id of a session; under an idempotency key always the same."""
    if not key:
        return secrets.token_hex(16)
    return hashlib.blake2s(f"{application}\0{key}".encode(), digest_size=16).hexdigest()


def checked_ringing(request: ua_pb2.StartSessionRequest) -> float:
    """Return the seconds for which a call may ring; InvalidRequestError: out of bounds."""
    if not request.HasField("timeout"):
        return DEFAULT_RINGING
    seconds = request.timeout.seconds + request.timeout.nanos / 1e9
    if not 0 < seconds <= LONGEST_RINGING:
        raise InvalidRequestError(f"timeout: above 0 and at most {LONGEST_RINGING:g} s")
    return seconds


def page_size(asked: int) -> int:
    """Return how many entries a page has; InvalidRequestError: the wish is negative."""
    if asked < 0:
        raise InvalidRequestError("page_size: negative")
    return min(asked or _DEFAULT_PAGE, _LARGEST_PAGE)


def position_of(token: str) -> int:
    """Return the position behind which a page of messages begins; InvalidRequestError: no token of ours."""
    if not token:
        return 0
    if not token.isascii() or not token.isdigit() or len(token) > 18:
        raise InvalidRequestError("page_token: not one of this list")
    return int(token)
