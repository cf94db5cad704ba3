"""Session identifiers of the URIs that the relay hands out (RFC 4976 section 6.3).

An identifier is ``key id (1) + 128 random bits (22) + truncated MAC (12)``, all in base64url: it proves that this relay
issued it, so guesses stop before any look-up, and it names nobody.
"""

from base64 import b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Callable

from wigwag.protocols.digest import SigningKeys

_PURPOSE = b"msrp-uri"
_RANDOM_LENGTH = 22
_MAC_BYTES = 9
_LENGTH = 1 + _RANDOM_LENGTH + 12


class UriTokens:
    """Issues and recognises session identifiers."""

    def __init__(self, keys: SigningKeys, random: Callable[[int], bytes]) -> None:
        self._keys = keys
        self._random = random

    def issue(self) -> str:
        """Return a new session identifier."""
        nonce = urlsafe_b64encode(self._random(16)).rstrip(b"=")
        key_id, mac = self._keys.sign(_PURPOSE, nonce)
        return f"{key_id}{nonce.decode()}{urlsafe_b64encode(mac[:_MAC_BYTES]).decode()}"

    def is_genuine(self, session_id: str) -> bool:
        """Tell whether one of our keys issued ``session_id``, whatever became of its session."""
        if len(session_id) != _LENGTH or not session_id.isascii():
            return False
        nonce = session_id[1 : 1 + _RANDOM_LENGTH].encode()
        expected = session_id[1 + _RANDOM_LENGTH :]
        mac = _decoded(expected)
        return mac is not None and self._keys.verify(session_id[0], _PURPOSE, nonce, mac)


def _decoded(text: str) -> bytes | None:
    try:
        return b64decode(text.encode(), altchars=b"-_", validate=True)
    except (Error, ValueError):
        return None
