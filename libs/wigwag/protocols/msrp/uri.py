"""MSRP URIs: grammar and comparison (RFC 4975 sections 6, 6.1 and 9)."""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias

from wigwag.errors import RemoteProtocolError

UriKey: TypeAlias = tuple[str, object, int | None, str | None, str]
"""What section 6.1 compares: scheme, host, port, session-id and transport, normalised."""

# MSRP-URI = msrp-scheme "://" authority ["/" session-id] ";" transport *( ";" URI-parameter)   (RFC 4975 section 9)
# authority = [ userinfo "@" ] host [ ":" port ]                                                (RFC 3986 section 3.2)
# session-id = 1*( unreserved / "+" / "=" / "/" )      transport = "tcp" / 1*ALPHANUM
# URI-parameter = token ["=" token]
# A reg-name may hold ";" by RFC 3986, which would make the transport ambiguous: not accepted in a host.
_TOKEN = r"[!#-'*+\-.0-9A-Z^-~]+"  # noqa: S105 (grammar, not a secret)
_URI = re.compile(
    r"(?P<scheme>msrps?)://"
    r"(?:(?P<user>(?:[a-z0-9\-._~!$&'()*+,;=:]|%[0-9a-f]{2})*)@)?"
    r"(?:\[(?P<literal>[0-9a-f:.]+)(?:%(?:25)?(?P<zone>[a-z0-9\-._~]+))?\]"
    r"|(?P<host>(?:[a-z0-9\-._~!$&'()*+,=]|%[0-9a-f]{2})+))"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?:/(?P<session_id>[a-z0-9\-._~+=/]+))?"
    rf";(?P<transport>[a-z0-9]+)(?P<parameters>(?:;{_TOKEN}(?:={_TOKEN})?)*)",
    re.IGNORECASE | re.ASCII,
)
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_LARGEST_PORT = 65535
_LARGEST_CACHED_PATH = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class MsrpUri:
    """An MSRP URI.

    ``==`` compares field by field; the protocol's own comparison is ``matches``.
    """

    scheme: str
    """``"msrp"`` or ``"msrps"``."""
    host: str
    """Host name or address as written, an IPv6 address without its brackets."""
    port: int | None = None
    """0 to 65535, or None when the URI names none."""
    session_id: str | None = None
    """May hold ``/``, ``+`` and ``=``; None in the URI of a host device or relay."""
    transport: str = "tcp"
    """Lower case."""
    user: str | None = None
    parameters: tuple[tuple[str, str | None], ...] = ()
    key: UriKey = field(init=False, repr=False, compare=False)
    """Equal for URIs that are equivalent by section 6.1; hashable."""
    _text: str = field(init=False, repr=False, compare=False, default="")
    """As it is written, once it was: it stands in each request."""

    def __post_init__(self) -> None:
        key = (self.scheme, _comparable_host(self.host), self.port, self.session_id, self.transport.lower())
        object.__setattr__(self, "key", key)

    @classmethod
    def parse(cls, text: str) -> "MsrpUri":
        """Parse one URI.

        Args:
            text: The URI, without surrounding space.

        Returns:
            The URI with scheme and transport in lower case and everything else as written.

        Raises:
            RemoteProtocolError: It breaks the grammar; ``status`` is 400.
        """
        match = _URI.fullmatch(text)
        if match is None:
            raise RemoteProtocolError("malformed MSRP URI", status=400)
        scheme, user, literal, zone, host, port, session_id, transport, parameters = match.groups()
        if literal is not None:
            host = _checked_literal(literal, zone)
        if port is not None and int(port) > _LARGEST_PORT:
            raise RemoteProtocolError("port of an MSRP URI above 65535", status=400)
        return cls(
            scheme=scheme.lower(),
            host=host,
            port=int(port) if port is not None else None,
            session_id=session_id,
            transport=transport.lower(),
            user=user,
            parameters=_split_parameters(parameters),
        )

    def __str__(self) -> str:
        if not self._text:
            object.__setattr__(self, "_text", self._written())
        return self._text

    def _written(self) -> str:
        host = self.host
        if ":" in host:
            address, percent, zone = host.partition("%")
            host = f"[{address}%25{zone}]" if percent else f"[{address}]"
        user = f"{self.user}@" if self.user is not None else ""
        port = f":{self.port}" if self.port is not None else ""
        session = f"/{self.session_id}" if self.session_id is not None else ""
        parameters = "".join(f";{name}" if value is None else f";{name}={value}" for name, value in self.parameters)
        return f"{self.scheme}://{user}{host}{port}{session};{self.transport}{parameters}"

    @property
    def secure(self) -> bool:
        """Whether the connection has to be protected by TLS: scheme ``msrps``."""
        return self.scheme == "msrps"

    def matches(self, other: "MsrpUri") -> bool:
        """Tell whether both URIs are equivalent (RFC 4975 section 6.1)."""
        return self.key == other.key


def _checked_literal(literal: str, zone: str | None) -> str:
    try:
        IPv6Address(literal)
    except ValueError as error:
        raise RemoteProtocolError("malformed IPv6 address in an MSRP URI", status=400) from error
    return literal if zone is None else f"{literal}%{zone}"


def _split_parameters(text: str) -> tuple[tuple[str, str | None], ...]:
    pairs = (parameter.partition("=") for parameter in text.split(";")[1:])
    return tuple((name, value if equals else None) for name, equals, value in pairs)


def _comparable_host(host: str) -> object:
    """Return what section 6.1 rule 2 compares: an address as an address, a name without regard to case.

    The zone of an IPv6 address has no meaning outside the node that wrote it (RFC 6874 section 1) and is left out.
    """
    if ":" in host:
        return IPv6Address(host.partition("%")[0])
    if "%" in host:
        host = _ESCAPE.sub(_unescape, host)
    if host[-1:].isdigit():
        try:
            return IPv4Address(host)
        except ValueError:
            pass
    return host.lower()


def _unescape(escape: re.Match[str]) -> str:
    """Decode a percent-encoded unreserved character; others stay encoded (RFC 3986 section 6.2.2.2)."""
    character = chr(int(escape[1], 16))
    if character.isascii() and (character.isalnum() or character in "-._~"):
        return character
    return escape[0]


def parse_path(raw: bytes) -> tuple[MsrpUri, ...]:
    """Parse the value of a To-Path, From-Path or Use-Path header: URIs separated by single spaces.

    Args:
        raw: The value without surrounding space. Results for values up to 512 octets are remembered, since the
            same paths come with every request of a session.

    Raises:
        RemoteProtocolError: A URI breaks the grammar, or there is none; ``status`` is 400.
    """
    return _parse_path_once(raw) if len(raw) <= _LARGEST_CACHED_PATH else _parse_path(raw)


def _parse_path(raw: bytes) -> tuple[MsrpUri, ...]:
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError as error:
        raise RemoteProtocolError("MSRP URI with characters outside ASCII", status=400) from error
    path = tuple([MsrpUri.parse(part) for part in text.split(" ") if part])
    if not path:
        raise RemoteProtocolError("path without a URI", status=400)
    return path


_parse_path_once = lru_cache(maxsize=1024)(_parse_path)


def format_path(path: tuple[MsrpUri, ...]) -> str:
    """Return the header value that lists the URIs of ``path``."""
    return " ".join([str(uri) for uri in path])
