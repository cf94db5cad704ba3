"""Keys by which we recognise what we issued ourselves: nonces and URIs (HMAC-SHA-256, RFC 2104).

Theory of operation. The newest key signs; older ones go on verifying until they are dropped, which should happen no
earlier than the longest lifetime of anything they signed. What is signed begins with its purpose and the key's id, so
that a MAC made for one purpose never passes for another.
"""

import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from wigwag.errors import ConfigurationError

SMALLEST_SECRET: Final = 32
"""Bytes of secret below which a key is refused: the hash's own length (RFC 2104 section 3)."""
SHORTEST_MAC: Final = 8
"""Bytes below which a truncated MAC proves nothing."""
LONGEST_MAC: Final = 32

_ID = re.compile(r"[A-Za-z0-9_-]")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A secret and the name by which a signature refers to it.

    Raises:
        ConfigurationError: The id is not one character of base64url, or the secret is too short.
    """

    id: str
    """One character of the base64url alphabet."""
    secret: bytes = field(repr=False)
    """At least 32 random bytes."""

    def __post_init__(self) -> None:
        if _ID.fullmatch(self.id) is None:
            raise ConfigurationError(f"signing key {self.id!r}: the id has to be one of A-Z a-z 0-9 - _")
        if len(self.secret) < SMALLEST_SECRET:
            raise ConfigurationError(f"signing key {self.id}: the secret needs at least {SMALLEST_SECRET} bytes")

    @classmethod
    def parse(cls, line: str) -> "SigningKey":
        """Parse ``id:hex``, the form in which a key stands in a file.

        Raises:
            ConfigurationError: It is not of this form; the text does not hold the secret.
        """
        key_id, colon, secret = line.strip().partition(":")
        try:
            return cls(key_id, bytes.fromhex(secret if colon else "?"))
        except ValueError:
            raise ConfigurationError("signing key: a line is not id:hexadecimal-digits") from None

    def line(self) -> str:
        """Return what ``parse`` reads. It holds the secret."""
        return f"{self.id}:{self.secret.hex()}"


class SigningKeys:
    """The keys in use, newest first.

    Raises:
        ConfigurationError: There is no key, or two have the same id.
    """

    def __init__(self, keys: Sequence[SigningKey]) -> None:
        self._newest, self._by_id = _checked(keys)
        self._derived: dict[bytes, bytes] = {}

    @property
    def ids(self) -> tuple[str, ...]:
        """The keys' ids, newest first."""
        return tuple(self._by_id)

    def sign(self, purpose: bytes, data: bytes) -> tuple[str, bytes]:
        """Return the newest key's id and its MAC, 32 bytes, over ``data`` for ``purpose`` (at most 255 bytes)."""
        return self._newest.id, _mac(self._newest, purpose, data)

    def derived(self, purpose: bytes) -> bytes:
        """Return 32 secret bytes for ``purpose`` that all who have the newest key make alike: for a faster MAC."""
        known = self._derived.get(purpose)
        if known is None:
            known = self._derived[purpose] = _mac(self._newest, purpose, b"derived")
        return known

    def verify(self, key_id: str, purpose: bytes, data: bytes, mac: bytes) -> bool:
        """Tell in constant time whether ``mac`` is ours; it may be cut to 8 or more of its 32 bytes."""
        key = self._by_id.get(key_id)
        if key is None or not SHORTEST_MAC <= len(mac) <= LONGEST_MAC:
            return False
        return hmac.compare_digest(_mac(key, purpose, data)[: len(mac)], mac)

    def rotate(self, new_key: SigningKey, keep: int = 1) -> None:
        """Sign with ``new_key`` from now on and let the ``keep`` newest of the others go on verifying.

        Raises:
            ConfigurationError: The id is one of those kept; nothing has changed then.
        """
        kept = list(self._by_id.values())[:keep]
        self._newest, self._by_id = _checked([new_key, *kept])
        self._derived.clear()

    def replace(self, keys: Iterable[SigningKey]) -> None:
        """Take over another set, such as a file that was read again.

        Raises:
            ConfigurationError: As the constructor; nothing has changed then.
        """
        self._newest, self._by_id = _checked(list(keys))
        self._derived.clear()


def _checked(keys: Sequence[SigningKey]) -> tuple[SigningKey, dict[str, SigningKey]]:
    by_id = {key.id: key for key in keys}
    if not keys:
        raise ConfigurationError("signing keys: there is none")
    if len(by_id) < len(keys):
        raise ConfigurationError("signing keys: two have the same id")
    return keys[0], by_id


def _mac(key: SigningKey, purpose: bytes, data: bytes) -> bytes:
    return hmac.digest(key.secret, bytes((len(purpose),)) + purpose + key.id.encode("ascii") + data, "sha256")
