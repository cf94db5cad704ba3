"""``Authorization``: a client's answer to a challenge (RFC 7616 section 3.4, RFC 4976 section 9.1)."""

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from wigwag.errors import RemoteProtocolError

from .algorithms import Algorithm, response
from .parameters import parse_digest, quoted, required

# nc-value = 8LHEX, upper case occurs too
_NC = re.compile(r"[0-9A-Fa-f]{8}")
_HEX = re.compile(r"[0-9A-Fa-f]+")
# ext-value = charset "'" [ language ] "'" value-chars (RFC 5987), where RFC 7616 section 3.4 allows UTF-8 only
_EXTENDED = re.compile(r"UTF-8'[A-Za-z0-9-]*'((?:%[0-9A-Fa-f]{2}|[A-Za-z0-9!#$&+\-.^_`|~])+)", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


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
    """Eight hexadecimal digits as received: they are hashed as text; empty without qop, as ``cnonce`` is."""
    qop: str
    """``"auth"`` after parsing, unless another was allowed: ``"auth-int"``, or empty when none was named (RFC 2069)."""
    opaque: str | None = None
    uri: str | None = None
    """digest-uri. RFC 4976 has no such parameter, yet some clients send it: see ``digest_uri``."""

    @classmethod
    def parse(cls, value: str, qops: Sequence[str] = ("auth",)) -> "Credentials":
        """Parse a header's value; ``qop`` and ``nc`` may be quoted, as python3-msrplib sends them.

        Args:
            value: Begins with the scheme.
            qops: Qualities of protection that were offered; an empty one allows clients that know of none.

        Raises:
            RemoteProtocolError: Not Digest, malformed, incomplete, an algorithm or quality of protection that was
                never offered, or a response of another length than its algorithm's; ``status`` is 400.
        """
        return cls.from_parameters(parse_digest(value), qops)

    @classmethod
    def from_parameters(cls, parameters: dict[str, str], qops: Sequence[str] = ("auth",)) -> "Credentials":
        """Return the credentials of parameters that ``parse_digest`` has read; arguments and errors as ``parse``."""
        qop = _qop(parameters, qops)
        credentials = cls(
            username=_username(parameters),
            realm=required(parameters, "realm"),
            nonce=required(parameters, "nonce"),
            response=required(parameters, "response").lower(),
            algorithm=_algorithm(parameters.get("algorithm")),
            cnonce=required(parameters, "cnonce") if qop else "",
            nc=required(parameters, "nc") if qop else "",
            qop=qop,
            opaque=parameters.get("opaque"),
            uri=parameters.get("uri"),
        )
        credentials._check()
        return credentials

    def _check(self) -> None:
        if self.qop and _NC.fullmatch(self.nc) is None:
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
        """``nc`` as a number; 0, which no window accepts, without qop."""
        return int(self.nc or "0", 16)

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

    def proves(self, ha1: str, *, method: str, uri: str, body: bytes = b"") -> bool:
        """Tell, in a time that does not depend on the answer, whether the sender knew ``ha1``.

        Args:
            ha1: H(A1) of ``effective_algorithm``, lower case.
            method: ``"AUTH"`` in MSRP.
            uri: As ``digest_uri`` gives it.
            body: The request's, which ``auth-int`` protects too.
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
            body=body,
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
        parts.append(f"response={quoted(self.response)}")
        if self.qop:
            parts.append(f"cnonce={quoted(self.cnonce)}")
        if self.algorithm is not None:
            parts.append(f"algorithm={self.algorithm.value}")
        if self.opaque is not None:
            parts.append(f"opaque={quoted(self.opaque)}")
        if self.qop:
            parts += [f"qop={self.qop}", f"nc={self.nc}"]
        return "Digest " + ", ".join(parts)


def _qop(parameters: dict[str, str], qops: Sequence[str]) -> str:
    qop = parameters.get("qop", "").lower() if "" in qops else required(parameters, "qop").lower()
    if qop not in qops:
        raise RemoteProtocolError("Digest header: qop was not offered", status=400)
    return qop


def _username(parameters: dict[str, str]) -> str:
    """Return the name, which may be written in either of two ways, but not in both (RFC 7616 section 3.4)."""
    if parameters.get("userhash", "").lower() == "true":
        raise RemoteProtocolError("Digest header: userhash was not offered", status=400)
    extended = parameters.get("username*")
    if extended is None:
        return required(parameters, "username")
    match = _EXTENDED.fullmatch(extended)
    try:
        name = unquote(match[1], errors="strict") if match is not None and "username" not in parameters else ""
    except UnicodeDecodeError:
        name = ""
    if not name or _CONTROL.search(name) is not None:
        raise RemoteProtocolError("Digest header: malformed username*", status=400)
    return name


def _algorithm(name: str | None) -> Algorithm | None:
    if name is None:
        return None
    algorithm = Algorithm.named(name)
    if algorithm is None:
        raise RemoteProtocolError("Digest header: unknown algorithm", status=400)
    return algorithm
