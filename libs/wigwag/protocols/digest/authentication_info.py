"""``Authentication-Info``: the server's proof that it knows the password too (RFC 7616 section 3.5)."""

import re
from dataclasses import dataclass

from wigwag.errors import RemoteProtocolError

from .parameters import parse_parameters, quoted

# response-digest = <"> *LHEX <">
_DIGEST = re.compile(r"[0-9A-Fa-f]{32}|[0-9A-Fa-f]{64}")


@dataclass(frozen=True, slots=True)
class AuthenticationInfo:
    """What came with a success. Every field is None where it was missing or could not be read."""

    rspauth: str | None
    """32 or 64 hexadecimal digits, lower case."""
    cnonce: str | None
    nc: str | None
    qop: str | None
    nextnonce: str | None = None

    @classmethod
    def parse(cls, value: str) -> "AuthenticationInfo":
        """Parse a header's value. Never raises.

        OpenSIPS misplaces the quotation marks and Kamailio leaves the header out: AUTH must not fail for that, so
        a header that is malformed anywhere says nothing at all.
        """
        try:
            parameters = parse_parameters(value)
        except RemoteProtocolError:
            parameters = {}
        digest = parameters.get("rspauth", "")
        return cls(
            rspauth=digest.lower() if _DIGEST.fullmatch(digest) is not None else None,
            cnonce=parameters.get("cnonce"),
            nc=parameters.get("nc"),
            qop=parameters.get("qop"),
            nextnonce=parameters.get("nextnonce"),
        )

    def __str__(self) -> str:
        """Return the header's value; qop and nc unquoted.

        Raises:
            LocalProtocolError: A field would break the header.
        """
        parts = []
        if self.nextnonce is not None:
            parts.append(f"nextnonce={quoted(self.nextnonce)}")
        if self.qop is not None:
            parts.append(f"qop={self.qop}")
        if self.rspauth is not None:
            parts.append(f"rspauth={quoted(self.rspauth)}")
        if self.cnonce is not None:
            parts.append(f"cnonce={quoted(self.cnonce)}")
        if self.nc is not None:
            parts.append(f"nc={self.nc}")
        return ", ".join(parts)
