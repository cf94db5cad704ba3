"""SIP, SIPS and tel URIs: parts, comparison, addresses of record (RFC 3261 section 19, RFC 3966)."""

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import unquote as _unescape

from .errors import SipError

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
# The rule SIP-URI, without its scheme.
_SIP: Final = re.compile(
    r"(?:((?:[A-Za-z0-9\-_.!~*'()&=+$,;?/]|%[0-9A-Fa-f]{2})+)(?::((?:[A-Za-z0-9\-_.!~*'()&=+$,]|%[0-9A-Fa-f]{2})*))?@)?"
    r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-_.]+)(?::([0-9]{1,5}))?"
    r"((?:;[^;?\s<>\"]*)*)(?:\?([^\s<>\"]*))?"
)
_TEL: Final = re.compile(r"(\+?[0-9A-Fa-f*#\-.()]+)((?:;[^;\s<>\"]*)*)")
_VISUAL: Final = re.compile(r"[\-.()]")
_HOSTNAME: Final = re.compile(
    r"[A-Za-z0-9_](?:[A-Za-z0-9\-_]*[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9\-_]*[A-Za-z0-9_])?)*\.?"
)
LONGEST: Final = 2048
"""Characters of the longest URI that is read."""
_NEVER_IGNORED: Final = ("user", "ttl", "method", "maddr", "transport")
"""Parameters that must match when only one URI has them (RFC 3261 section 19.1.4)."""


class UnsupportedSchemeError(SipError):
    """The URI's scheme is none that SIP can be sent to (416)."""


@dataclass(frozen=True, slots=True)
class SipUri:
    """A sip or sips URI."""

    scheme: str
    """``sip`` or ``sips``."""
    user: str
    """As written, escapes kept; empty if there is none."""
    password: str | None
    host: str
    """Lower case; an IPv6 address in brackets."""
    port: int | None
    parameters: tuple[tuple[str, str | None], ...] = ()
    """In order, names in lower case."""
    headers: str = ""
    """What stands behind the question mark, as written."""

    def parameter(self, name: str) -> str | None:
        """Return a parameter's value; empty if it has none; None if it is not there."""
        for key, value in self.parameters:
            if key == name:
                return value or ""
        return None

    @property
    def hostport(self) -> str:
        """Host, and port if it was given."""
        return self.host if self.port is None else f"{self.host}:{self.port}"

    @property
    def aor(self) -> str:
        """Address of record: scheme sip, user without needless escapes, host; nothing else (RFC 3261 section 10.3)."""
        return f"sip:{normal_user(self.user)}@{self.host}" if self.user else f"sip:{self.host}"

    def without(self, *names: str) -> "SipUri":
        """Return the URI without these parameters."""
        kept = tuple(pair for pair in self.parameters if pair[0] not in names)
        return SipUri(self.scheme, self.user, self.password, self.host, self.port, kept, self.headers)

    def __str__(self) -> str:
        """As it stands in a message."""
        user = self.user if self.password is None else f"{self.user}:{self.password}"
        parameters = "".join(f";{key}" if value is None else f";{key}={value}" for key, value in self.parameters)
        headers = f"?{self.headers}" if self.headers else ""
        return f"{self.scheme}:{user}{'@' if user else ''}{self.hostport}{parameters}{headers}"


@dataclass(frozen=True, slots=True)
class TelUri:
    """A tel URI (RFC 3966)."""

    number: str
    """As written."""
    parameters: tuple[tuple[str, str | None], ...] = ()

    @property
    def aor(self) -> str:
        """``+`` and digits of a global number; a local number with its context."""
        digits = _VISUAL.sub("", self.number)
        context = dict(self.parameters).get("phone-context")
        return digits if digits.startswith("+") or not context else f"{digits};phone-context={context.lower()}"

    def __str__(self) -> str:
        """As it stands in a message."""
        return f"tel:{self.number}" + "".join(f";{k}" if v is None else f";{k}={v}" for k, v in self.parameters)


Uri = SipUri | TelUri


@lru_cache(maxsize=4096)
def parse_uri(text: str) -> Uri:
    """Read a URI of a scheme that requests can be sent to.

    Raises:
        UnsupportedSchemeError: Of another scheme.
        SipError: Malformed.
    """
    scheme = _SCHEME.match(text)
    if scheme is None or len(text) > LONGEST:
        raise SipError("a URI is too long" if scheme else "a URI has no scheme")
    name, rest = scheme[1].lower(), text[scheme.end() :]
    if name in ("sip", "sips"):
        return _sip_uri(name, rest)
    if name == "tel":
        match = _TEL.fullmatch(rest)
        if match is None:
            raise SipError("a tel URI is malformed")
        return TelUri(match[1], _parameters(match[2]))
    raise UnsupportedSchemeError(f"URI scheme {name} is not supported", status=416)


def _sip_uri(scheme: str, rest: str) -> SipUri:
    match = _SIP.fullmatch(rest)
    if match is None:
        raise SipError(f"a {scheme} URI is malformed")
    user, password, host, port, parameters, headers = match.groups()
    number = int(port) if port is not None else None
    if number is not None and not 0 < number < 65536:
        raise SipError(f"a {scheme} URI has a port that does not exist")
    return SipUri(scheme, user or "", password, _host(host), number, _parameters(parameters), headers or "")


def _host(host: str) -> str:
    if host[0] == "[":
        try:
            ipaddress.IPv6Address(host[1:-1])
        except ValueError as error:
            raise SipError("a URI's IPv6 address is malformed") from error
    elif _HOSTNAME.fullmatch(host) is None:
        raise SipError("a URI's host is malformed")
    return host.lower()


def _parameters(text: str) -> tuple[tuple[str, str | None], ...]:
    if not text:
        return ()
    found: dict[str, str | None] = {}
    for part in text[1:].split(";"):
        name, equals, value = part.partition("=")
        name = name.lower()
        if not name or name in found:
            raise SipError("a URI's parameter is empty or repeated")
        found[name] = value if equals else None
    return tuple(found.items())


@lru_cache(maxsize=4096)
def normal_user(user: str) -> str:
    """Return a user part in which only what must be is escaped, so that equal users are equal texts."""
    if "%" not in user:
        return user
    raw = _unescape(user, encoding="latin-1")
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_.!~*'()&=+$,;?/") else f"%{ord(c):02X}" for c in raw)


def equivalent(one: Uri, other: Uri) -> bool:
    """Tell whether two URIs are the same (RFC 3261 section 19.1.4, RFC 3966 section 5)."""
    if isinstance(one, TelUri) or isinstance(other, TelUri):
        return isinstance(one, TelUri) and isinstance(other, TelUri) and one.aor == other.aor
    if (one.scheme, normal_user(one.user), one.password, one.host, one.port) != (
        other.scheme,
        normal_user(other.user),
        other.password,
        other.host,
        other.port,
    ):
        return False
    mine, theirs = dict(one.parameters), dict(other.parameters)
    for name in mine.keys() | theirs.keys():
        if name in mine and name in theirs:
            if (mine[name] or "").lower() != (theirs[name] or "").lower():
                return False
        elif name in _NEVER_IGNORED:
            return False
    return sorted(one.headers.split("&")) == sorted(other.headers.split("&"))
