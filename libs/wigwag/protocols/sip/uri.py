"""SIP, SIPS and tel URIs: their parts, and addresses of record (RFC 3261 section 19.1, RFC 3966)."""

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import unquote as _unescape

from .errors import SipError, UnsupportedSchemeError

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*+):")
# userinfo = ( user / telephone-subscriber ) [ ":" password ] "@", then hostport uri-parameters [ headers ]
_SIP: Final = re.compile(
    r"(?:((?:[A-Za-z0-9\-_.!~*'()&=+$,;?/]|%[0-9A-Fa-f]{2})++)"
    r"(?::((?:[A-Za-z0-9\-_.!~*'()&=+$,]|%[0-9A-Fa-f]{2})*+))?@)?"
    r"(\[[0-9A-Fa-f:.]++\]|[A-Za-z0-9\-_.]++)(?::([0-9]{1,5}+))?"
    r"((?:;[!#-:=@-~]*+)*+)(?:\?([!#-;=?-~]*+))?"
)
# telephone-subscriber = global-number / local-number
_TEL: Final = re.compile(r"(\+?[0-9A-Fa-f*#\-.()]++)((?:;[!#-:=@-~]*+)*+)")
_VISUAL: Final = re.compile(r"[\-.()]")
_GLOBAL_NUMBER: Final = re.compile(r"\+[0-9]++")
# hostname = *( domainlabel "." ) toplabel [ "." ], with underscores, which names of services have.
_HOSTNAME: Final = re.compile(
    r"[A-Za-z0-9_](?:[A-Za-z0-9\-_]*[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9\-_]*[A-Za-z0-9_])?)*\.?"
)
_THIRD_COLON: Final = re.compile(r":::(?=[0-9]+\.)")
_DOTTED: Final = re.compile(r"[0-9.]++")
LONGEST: Final = 2048
"""Characters of the longest URI that is read."""
_IN_USER: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.!~*'()&=+$,;?/")


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
    def digits(self) -> str:
        """The number without visual separators, hexadecimal digits in lower case."""
        return _VISUAL.sub("", self.number).lower()

    @property
    def aor(self) -> str:
        """``+`` and digits of a global number; a local number with its context."""
        digits = self.digits
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
    if len(text) > LONGEST:
        raise SipError(f"a URI is longer than {LONGEST}")
    scheme = _SCHEME.match(text)
    if scheme is None:
        raise SipError("a URI has no scheme")
    name, rest = scheme[1].lower(), text[scheme.end() :]
    if name in ("sip", "sips"):
        return _sip_uri(name, rest)
    if name == "tel":
        match = _TEL.fullmatch(rest)
        if match is None or not any(character.isalnum() for character in match[1]):
            raise SipError("a tel URI is malformed")
        return TelUri(match[1], _parameters(match[2]))
    raise UnsupportedSchemeError(f"URI scheme {name[:40]} is not supported", status=416)


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
    """Return a host in lower case, an IPv6 address in its shortest form, so that equal hosts are equal texts."""
    try:
        if host[0] == "[":
            # RFC 5118 section 4.10: an old grammar led to a third colon before an IPv4 address.
            return f"[{ipaddress.IPv6Address(_THIRD_COLON.sub('::', host[1:-1]))}]"
        if _DOTTED.fullmatch(host) is not None:
            return str(ipaddress.IPv4Address(host))
    except ValueError as error:
        raise SipError("a URI's IP address is malformed") from error
    if _HOSTNAME.fullmatch(host) is None:
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
            raise SipError("a URI's parameter is empty or there twice")
        found[name] = value if equals else None
    return tuple(found.items())


@lru_cache(maxsize=4096)
def normal_user(user: str) -> str:
    """Return a user part in which only what must be is escaped, so that users who are the same are equal texts."""
    if "%" not in user:
        return user
    raw = _unescape(user, encoding="latin-1")
    return "".join([c if c in _IN_USER else f"%{ord(c):02X}" for c in raw])


def aor_of(uri: Uri) -> str:
    """Return the canonical address of record by which conversations are told apart.

    ``sip:`` whatever the scheme, host in lower case, user without needless escapes, no password, port or parameters;
    a telephone number, in a tel URI or with ``user=phone``, as ``+`` and digits.
    """
    if isinstance(uri, SipUri) and uri.user and (uri.parameter("user") or "").lower() == "phone":
        number = _VISUAL.sub("", normal_user(uri.user).partition(";")[0])
        return number if _GLOBAL_NUMBER.fullmatch(number) else uri.aor
    return uri.aor
