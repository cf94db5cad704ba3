"""``Authorization``: a client's answer to a challenge (RFC 7616 section 3.4, RFC 4976 section 9.1)."""

import hmac
import re
from dataclasses import dataclass

from wigwag.errors import RemoteProtocolError

from .algorithms import Algorithm, response
from .parameters import parse_digest, quoted, required

# nc-value = 8LHEX, upper case occurs too
_NC = re.compile(r"[0-9A-Fa-f]{8}")
_HEX = re.compile(r"[0-9A-Fa-f]+")


@dataclass(frozen=True, slots=True)
class Credentials:
    """Digest credentials."""

    username: str
    realm: str
    nonce: str
    response: str
    """32 hexadecimal digits for MD5, 64 for the others, lower case."""
    algorithm: Algorithm | None
    """None when the client named none, which means MD5."""
    cnonce: str
    nc: str
    """Eight hexadecimal digits as received: they are hashed as text."""
    qop: str
    """Always ``"auth"`` after parsing."""
    opaque: str | None = None
    uri: str | None = None
    """digest-uri. RFC 4976 has no such parameter, yet some clients send it: see ``digest_uri``."""

    @classmethod
    def parse(cls, value: str) -> "Credentials":
        """Parse a header's value; ``qop`` and ``nc`` may be quoted, as python3-msrplib sends them.

        Raises:
            RemoteProtocolError: Not Digest, malformed, incomplete, an algorithm or quality of protection that was
                never offered, or a response of another length than its algorithm's; ``status`` is 400.
        """
        parameters = parse_digest(value)
        credentials = cls(
            username=required(parameters, "username"),
            realm=required(parameters, "realm"),
            nonce=required(parameters, "nonce"),
            response=required(parameters, "response").lower(),
            algorithm=_algorithm(parameters.get("algorithm")),
            cnonce=required(parameters, "cnonce"),
            nc=required(parameters, "nc"),
            qop=required(parameters, "qop").lower(),
            opaque=parameters.get("opaque"),
            uri=parameters.get("uri"),
        )
        credentials._check()
        return credentials

    def _check(self) -> None:
        if self.qop != "auth":
            raise RemoteProtocolError("Digest header: qop is not auth", status=400)
        if _NC.fullmatch(self.nc) is None:
            raise RemoteProtocolError("Digest header: malformed nc", status=400)
        length = self.effective_algorithm.response_length
        if len(self.response) != length or _HEX.fullmatch(self.response) is None:
            raise RemoteProtocolError("Digest header: malformed response", status=400)

    @property
    def effective_algorithm(self) -> Algorithm:
        """The algorithm, MD5 when none was named (RFC 7616 section 3.4)."""
        return Algorithm.MD5 if self.algorithm is None else self.algorithm

    @property
    def nonce_count(self) -> int:
        """``nc`` as a number."""
        return int(self.nc, 16)

    def digest_uri(self, rightmost: str) -> str:
        """Return the URI that the response was computed with.

        Args:
            rightmost: The rightmost URI of the To-Path, as received.

        Raises:
            RemoteProtocolError: ``uri`` is there and another one (RFC 4976 section 9.1); ``status`` is 400.
        """
        if self.uri is not None and self.uri != rightmost:
            raise RemoteProtocolError("Digest header: uri is not the rightmost To-Path URI", status=400)
        return rightmost

    def proves(self, ha1: str, *, method: str, uri: str) -> bool:
        """Tell, in a time that does not depend on the answer, whether the sender knew ``ha1``.

        Args:
            ha1: H(A1) of ``effective_algorithm``, lower case.
            method: ``"AUTH"`` in MSRP.
            uri: As ``digest_uri`` gives it.
        """
        expected = response(
            self.effective_algorithm,
            ha1,
            nonce=self.nonce,
            nc=self.nc,
            cnonce=self.cnonce,
            qop=self.qop,
            method=method,
            uri=uri,
        )
        return hmac.compare_digest(expected, self.response)

    def __str__(self) -> str:
        """Return the header's value; qop and nc unquoted (RFC 7616 section 3.4).

        Raises:
            LocalProtocolError: A field would break the header.
        """
        parts = [f"username={quoted(self.username)}", f"realm={quoted(self.realm)}", f"nonce={quoted(self.nonce)}"]
        if self.uri is not None:
            parts.append(f"uri={quoted(self.uri)}")
        parts += [f"response={quoted(self.response)}", f"cnonce={quoted(self.cnonce)}"]
        if self.algorithm is not None:
            parts.append(f"algorithm={self.algorithm.value}")
        if self.opaque is not None:
            parts.append(f"opaque={quoted(self.opaque)}")
        return "Digest " + ", ".join([*parts, f"qop={self.qop}", f"nc={self.nc}"])


def _algorithm(name: str | None) -> Algorithm | None:
    if name is None:
        return None
    algorithm = Algorithm.named(name)
    if algorithm is None:
        raise RemoteProtocolError("Digest header: unknown algorithm", status=400)
    return algorithm
