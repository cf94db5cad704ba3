"""``a=fingerprint``: the certificate that the peer will show (RFC 8122)."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from .error import SdpError

# fingerprint-attribute = "fingerprint" ":" hash-func SP fingerprint
# hash-func = "sha-1" / "sha-224" / "sha-256" / "sha-384" / "sha-512" / "md5" / "md2" / token
# fingerprint = 2UHEX *(":" 2UHEX)
_FINGERPRINT = re.compile(
    r"(?P<function>[!#-'*+\-.0-9A-Z^-~]+) +(?P<digest>[0-9A-F]{2}(?::[0-9A-F]{2})*) *", re.IGNORECASE
)
_SIZES: Final = {"md2": 16, "md5": 16, "sha-1": 20, "sha-224": 28, "sha-256": 32, "sha-384": 48, "sha-512": 64}
# Strongest first. MD2 and MD5 must not be used (RFC 8122 section 5).
_PREFERENCE: Final = ("sha-512", "sha-384", "sha-256", "sha-224", "sha-1")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The digest of a certificate."""

    function: str
    """Lower case, such as ``"sha-256"``; may be one that is not known."""
    digest: bytes

    @classmethod
    def parse(cls, value: str) -> "Fingerprint":
        """Parse the attribute's value.

        Raises:
            SdpError: It breaks the grammar, or the digest has not the length that the function gives.
        """
        match = _FINGERPRINT.fullmatch(value)
        if match is None:
            raise SdpError("malformed a=fingerprint")
        fingerprint = cls(match["function"].lower(), bytes.fromhex(match["digest"].replace(":", "")))
        if _SIZES.get(fingerprint.function, len(fingerprint.digest)) != len(fingerprint.digest):
            raise SdpError("a=fingerprint with a digest of the wrong length")
        return fingerprint

    @classmethod
    def of(cls, certificate: bytes) -> "Fingerprint":
        """Return the SHA-256 fingerprint of a certificate in DER."""
        return cls("sha-256", hashlib.sha256(certificate).digest())

    def __str__(self) -> str:
        return f"{self.function} {self.digest.hex(':').upper()}"


def certificate_matches(fingerprints: Iterable[Fingerprint], certificate: bytes) -> bool:
    """Tell whether a certificate in DER is the one announced.

    Of several hash functions only the strongest known one counts; of its fingerprints any may match (RFC 8122
    section 5.1). Without a known function nothing matches.
    """
    given = tuple(fingerprints)
    for function in _PREFERENCE:
        digests = [fingerprint.digest for fingerprint in given if fingerprint.function == function]
        if digests:
            name = function.replace("-", "")
            return hashlib.new(name, certificate, usedforsecurity=False).digest() in digests
    return False
