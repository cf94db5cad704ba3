"""``WWW-Authenticate``: what a server asks for (RFC 7616 section 3.3, RFC 4976 section 9.1)."""

from dataclasses import dataclass

from wigwag.errors import LocalProtocolError, RemoteProtocolError

from .algorithms import Algorithm
from .parameters import parse_digest, quoted, required


@dataclass(frozen=True, slots=True)
class Challenge:
    """A Digest challenge. ``domain`` and unknown parameters are ignored (RFC 4976 section 9.1)."""

    realm: str
    nonce: str
    algorithm: Algorithm = Algorithm.MD5
    opaque: str | None = None
    """Echoed by the client; the clients python3-msrplib and crocodile fail without one."""
    qop: tuple[str, ...] = ("auth",)
    """Offered qualities of protection, lower case; empty when the server named none (RFC 2069)."""
    stale: bool = False
    """The credentials were right but for the nonce: try again without asking the user."""

    @classmethod
    def parse(cls, value: str) -> "Challenge":
        """Parse a header's value that holds one challenge.

        Raises:
            RemoteProtocolError: Not Digest, malformed, or an algorithm that is not known; ``status`` is 400.
        """
        parameters = parse_digest(value)
        algorithm = Algorithm.named(parameters.get("algorithm", "MD5"))
        if algorithm is None:
            raise RemoteProtocolError("Digest header: unknown algorithm", status=400)
        offered = parameters.get("qop", "").lower().replace(",", " ")
        return cls(
            realm=required(parameters, "realm"),
            nonce=required(parameters, "nonce"),
            algorithm=algorithm,
            opaque=parameters.get("opaque"),
            qop=tuple(offered.split()),
            stale=parameters.get("stale", "").lower() == "true",
        )

    def __str__(self) -> str:
        """Return the header's value.

        Raises:
            LocalProtocolError: A field would break the header.
        """
        if not self.qop:
            raise LocalProtocolError("a challenge without qop")
        parts = [f"realm={quoted(self.realm)}", f"nonce={quoted(self.nonce)}"]
        if self.opaque is not None:
            parts.append(f"opaque={quoted(self.opaque)}")
        # qop-options is quoted, algorithm and stale are not (RFC 7616 section 3.3).
        parts += [f"algorithm={self.algorithm.value}", f"qop={quoted(','.join(self.qop))}"]
        if self.stale:
            parts.append("stale=true")
        return "Digest " + ", ".join(parts)
