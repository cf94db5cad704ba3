"""The hashes of HTTP Digest and what is computed with them (RFC 7616 section 3.4, RFC 2617 section 3.2.2)."""

import enum
import hashlib
from typing import Final

from wigwag.errors import ConfigurationError


class Algorithm(enum.Enum):
    """A digest algorithm, by the name that the ``algorithm`` parameter gives it (RFC 7616 section 6.1).

    The ``-sess`` variants are never offered and never accepted: RFC 4976 section 9.1 leaves them out.
    """

    MD5 = "MD5"
    SHA_256 = "SHA-256"
    SHA_512_256 = "SHA-512-256"

    @property
    def response_length(self) -> int:
        """Hexadecimal digits of a response or HA1: 32 or 64."""
        return 32 if self is Algorithm.MD5 else 64

    @property
    def available(self) -> bool:
        """Whether this Python's OpenSSL computes it; SHA-512/256 is missing from some builds."""
        try:
            self.hexdigest("")
        except ConfigurationError:
            return False
        return True

    def hexdigest(self, data: str | bytes) -> str:
        """Return ``H(data)``, in lower case; text is hashed in its UTF-8 form (RFC 7616 section 4).

        Raises:
            ConfigurationError: The OpenSSL below Python does not have this hash.
        """
        octets = data.encode() if isinstance(data, str) else data
        try:
            return hashlib.new(_OPENSSL_NAMES[self], octets, usedforsecurity=False).hexdigest()
        except ValueError as error:
            raise ConfigurationError(f"digest algorithm {self.value}: not in this Python's OpenSSL") from error

    @classmethod
    def named(cls, name: str) -> "Algorithm | None":
        """Return the algorithm called ``name`` in any case of letters, or None for one that is not known."""
        return _BY_NAME.get(name.upper())


_OPENSSL_NAMES: Final = {
    Algorithm.MD5: "md5",
    Algorithm.SHA_256: "sha256",
    Algorithm.SHA_512_256: "sha512_256",
}
_BY_NAME: Final = {algorithm.value: algorithm for algorithm in Algorithm}


def ha1(algorithm: Algorithm, username: str, realm: str, password: str) -> str:
    """Return H(A1), the form in which a password may be stored: good for one realm only (RFC 7616 section 3.4.2)."""
    return algorithm.hexdigest(f"{username}:{realm}:{password}")


def response(
    algorithm: Algorithm,
    ha1: str,
    *,
    nonce: str,
    nc: str,
    cnonce: str,
    qop: str,
    method: str,
    uri: str,
    body: bytes = b"",
) -> str:
    """Return ``request-digest`` (RFC 7616 section 3.4.1).

    Args:
        algorithm: The one that the challenge named.
        ha1: H(A1), lower case.
        nonce: From the challenge.
        nc: ``nonce-count``, eight hexadecimal digits as they go over the wire.
        cnonce: The client's nonce.
        qop: ``"auth"``, ``"auth-int"``, or empty as before there was one: then nc and cnonce don't count (RFC 2069).
        method: ``"AUTH"`` in MSRP, the request's method in SIP.
        uri: digest-uri; in MSRP the rightmost URI of the To-Path (RFC 4976 section 9.1).
        body: The request's; hashed for ``auth-int`` only (RFC 7616 section 3.4.3).
    """
    return _keyed(algorithm, ha1, nonce, nc, cnonce, qop, f"{method}:{uri}", body)


def rspauth(
    algorithm: Algorithm, ha1: str, *, nonce: str, nc: str, cnonce: str, qop: str, uri: str, body: bytes = b""
) -> str:
    """Return ``response-digest``, by which the server proves that it knows HA1 too (RFC 7616 section 3.5).

    The arguments are those of ``response``, but ``body`` is the response's.
    """
    return _keyed(algorithm, ha1, nonce, nc, cnonce, qop, f":{uri}", body)


def _keyed(algorithm: Algorithm, ha1: str, nonce: str, nc: str, cnonce: str, qop: str, a2: str, body: bytes) -> str:
    if qop == "auth-int":
        a2 = f"{a2}:{algorithm.hexdigest(body)}"
    ha2 = algorithm.hexdigest(a2)
    if not qop:
        return algorithm.hexdigest(f"{ha1}:{nonce}:{ha2}")
    return algorithm.hexdigest(f"{ha1}:{nonce}:{nc}:{cnonce}:{qop}:{ha2}")
