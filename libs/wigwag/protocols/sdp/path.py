"""The ``path`` attribute: MSRP URIs as far as a session description needs them (RFC 4975 sections 8.2 and 9).

They stay text; ``wigwag.protocols.msrp`` takes every URI that is accepted here. What is read out of them is what has to
agree with the other lines of the description: protection, host, port.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Final

from .error import SdpError

_LARGEST_PORT: Final = 65_535

# path-list = MSRP-URI *(SP MSRP-URI)                                                            (RFC 4975 section 8.2)
# MSRP-URI = msrp-scheme "://" authority ["/" session-id] ";" transport *( ";" URI-parameter)      (RFC 4975 section 9)
# authority = [ userinfo "@" ] host [ ":" port ]                                                 (RFC 3986 section 3.2)
# session-id = 1*( unreserved / "+" / "=" / "/" )      transport = "tcp" / "ws" / 1*ALPHANUM     (RFC 7977 section 5.2)
# A reg-name may hold ";" by RFC 3986, which would make the transport ambiguous: not accepted in a host.
_TOKEN = r"[!#-'*+\-.0-9A-Z^-~]+"  # noqa: S105 (grammar, not a secret)
_URI = re.compile(
    r"(?P<scheme>msrps?)://"
    r"(?:(?:[a-z0-9\-._~!$&'()*+,;=:]|%[0-9a-f]{2})*@)?"
    r"(?:\[(?P<literal>[0-9a-f:.]+)(?:%(?:25)?[a-z0-9\-._~]+)?\]|(?P<host>(?:[a-z0-9\-._~!$&'()*+,=]|%[0-9a-f]{2})+))"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?:/[a-z0-9\-._~+=/]+)?"
    rf";(?P<transport>[a-z0-9]+)(?:;{_TOKEN}(?:={_TOKEN})?)*",
    re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class PathUri:
    """One URI of a path."""

    text: str
    """As written."""
    secure: bool
    """Scheme ``msrps``: TLS."""
    host: str
    """Name or address as written, an IPv6 address without brackets and zone."""
    port: int
    """0 to 65535."""
    transport: str
    """Lower case; ``"tcp"``, ``"ws"`` (RFC 7977), ``"dc"`` (RFC 8873) or another one."""

    @classmethod
    def parse(cls, text: str) -> "PathUri":
        """Parse one URI of a path.

        Raises:
            SdpError: It breaks the grammar, or names no port (RFC 4975 section 8.2).
        """
        match = _URI.fullmatch(text)
        if match is None:
            raise SdpError("malformed MSRP URI in a=path")
        if match["port"] is None:
            raise SdpError("MSRP URI without a port in a=path")
        if int(match["port"]) > _LARGEST_PORT:
            raise SdpError("MSRP URI with a port above 65535 in a=path")
        host = match["host"] or _checked_literal(match["literal"])
        return cls(text, match["scheme"].lower() == "msrps", host, int(match["port"]), match["transport"].lower())


def parse_path(value: str) -> tuple[PathUri, ...]:
    """Parse the value of ``a=path``: at least one URI, the first hop first, the endpoint's own last.

    Raises:
        SdpError: There is none, or one is not acceptable.
    """
    uris = tuple(PathUri.parse(text) for text in value.split(" ") if text)
    if not uris:
        raise SdpError("a=path without a URI")
    return uris


def _checked_literal(literal: str) -> str:
    try:
        IPv6Address(literal)
    except ValueError as error:
        raise SdpError("malformed IPv6 address in a=path") from error
    return literal
