"""What a source of credentials knows about a user."""

import re
from dataclasses import dataclass, field
from typing import Final

from .algorithms import Algorithm, ha1

_HEX = re.compile(r"[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class StoredCredentials:
    """A user with a password, or with hashes of it; nothing secret shows in ``repr``."""

    username: str
    domain: str
    """The realm that the hashes were made for."""
    password: str | None = field(default=None, repr=False)
    ha1: str | None = field(default=None, repr=False)
    """MD5 of ``username:domain:password``, 32 hexadecimal digits."""
    ha1_sha256: str | None = field(default=None, repr=False)
    """64 hexadecimal digits."""
    ha1_sha512t256: str | None = field(default=None, repr=False)
    """64 hexadecimal digits."""
    may_relay: bool = True
    """False: a known user who gets 403 (RFC 4976 section 6.3)."""

    def ha1_for(self, algorithm: Algorithm, realm: str, username: str | None = None) -> str | None:
        """Return H(A1) in lower case, or None when what is stored does not yield it.

        Args:
            algorithm: The digest's algorithm.
            realm: The challenge's realm. A password serves any realm, a stored hash only ``domain``, letter for letter.
            username: As the client spelled it, such as ``alice@example.com``: only a password serves another
                spelling than the stored one. None: the stored one.
        """
        username = self.username if username is None else username
        if self.password:
            return ha1(algorithm, username, realm, self.password)
        if (username, realm) != (self.username, self.domain):
            return None
        stored = (getattr(self, _COLUMNS[algorithm]) or "").strip().lower()
        # OpenSIPS's columns hold an empty string where nothing is known.
        usable = len(stored) == algorithm.response_length and _HEX.fullmatch(stored) is not None
        return stored if usable else None


_COLUMNS: Final = {
    Algorithm.MD5: "ha1",
    Algorithm.SHA_256: "ha1_sha256",
    Algorithm.SHA_512_256: "ha1_sha512t256",
}
