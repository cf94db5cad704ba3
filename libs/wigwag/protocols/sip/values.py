"""Values of header fields: lists, parameters, names with addresses, Via, CSeq (RFC 3261 section 25.1)."""

import re
from dataclasses import dataclass, field
from typing import Final

from .errors import SipError

FOLD: Final = re.compile(r"[ \t]*\r\n[ \t]+")
# quoted-string = SWS DQUOTE *(qdtext / quoted-pair ) DQUOTE
_QUOTED: Final = r'"(?:[^"\\]++|\\.)*+"'
_COMMA: Final = re.compile(rf'((?:[^,"<]++|{_QUOTED}|<[^>]*+>)*+)(?:,|$)', re.DOTALL)
_PARAMETER: Final = re.compile(
    rf"[ \t]*;[ \t]*([A-Za-z0-9\-.!%*_+`'~]+)(?:[ \t]*=[ \t]*({_QUOTED}|[^;\"\s,<>]*))?[ \t]*", re.DOTALL
)
# name-addr = [ display-name ] LAQUOT addr-spec RAQUOT
_NAME_ADDRESS: Final = re.compile(rf'[ \t]*({_QUOTED}|[^<"]*?)[ \t]*<([^<>]*)>[ \t]*((?:;.*)?)', re.DOTALL)
_ADDRESS: Final = re.compile(r'[ \t]*([^\s;<>",]+)[ \t]*((?:;.*)?)', re.DOTALL)
_TOKENS: Final = re.compile(r"[A-Za-z0-9\-.!%*_+`'~ \t]*")
# via-parm = sent-protocol LWS sent-by *( SEMI via-params )
_VIA: Final = re.compile(
    r"[ \t]*SIP[ \t]*/[ \t]*2\.0[ \t]*/[ \t]*([A-Za-z0-9\-.!%*_+`'~]+)[ \t]+"
    r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.\-_]+)[ \t]*(?::[ \t]*([0-9]{1,5}))?[ \t]*((?:;.*)?)",
    re.DOTALL | re.IGNORECASE,
)
_CSEQ: Final = re.compile(r"([0-9]{1,10})[ \t]+([A-Za-z0-9\-.!%*_+`'~]+)")
_NUMBER: Final = re.compile(r"[0-9]{1,20}")


def split_list(value: str) -> list[str]:
    """Return the elements of a comma-separated list; commas in quotes and angle brackets don't separate."""
    if "," not in value:
        value = value.strip(" \t")
        return [value] if value else []
    if '"' not in value and "<" not in value:
        return [part for part in (part.strip(" \t") for part in value.split(",")) if part]
    parts, at = [], 0
    while at < len(value):
        found = _COMMA.match(value, at)
        if found is None or found.end() == at:
            raise SipError("a quoted string or angle bracket is not closed")
        parts.append(found[1].strip(" \t"))
        at = found.end()
    return [part for part in parts if part]


def parse_parameters(text: str) -> dict[str, str | None]:
    """Return ``;name=value`` parameters by lower-case name; None for one without a value; quotes are kept.

    Raises:
        SipError: Not parameters, or one of them twice.
    """
    found: dict[str, str | None] = {}
    if '"' not in text and " " not in text and "\t" not in text:
        for part in text.split(";")[1:]:
            name, equals, value = part.partition("=")
            name = name.lower()
            if not name or name in found:
                raise SipError(f"parameter {name or '(empty)'} is repeated" if name else "a parameter is empty")
            found[name] = value if equals else None
        return found
    at = 0
    while at < len(text):
        match = _PARAMETER.match(text, at)
        if match is None:
            raise SipError("parameters are malformed")
        name = match[1].lower()
        if name in found:
            raise SipError(f"parameter {name} is repeated")
        found[name] = match[2]
        at = match.end()
    return found


def unquote(text: str) -> str:
    """Return the content of a quoted string, or the text itself."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    inner = text[1:-1]
    return re.sub(r"\\(.)", r"\1", inner, flags=re.DOTALL) if "\\" in inner else inner


def quote(text: str) -> str:
    """Return the text as a quoted string.

    Raises:
        ValueError: It holds a line break or another control character, which no quoted string can carry.
    """
    if any((character < " " and character != "\t") or character == "\x7f" for character in text):
        raise ValueError("a control character can't be in a header field")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@dataclass(frozen=True, slots=True)
class NameAddress:
    """A URI with an optional display name and the header's own parameters: To, From, Contact, Route and others."""

    display_name: str
    """Without quotes; empty if there is none."""
    uri: str
    """As written, without angle brackets."""
    parameters: dict[str, str | None] = field(default_factory=dict)

    @property
    def tag(self) -> str | None:
        """The tag parameter of To and From."""
        return self.parameters.get("tag")

    def __str__(self) -> str:
        """As it stands in a header field."""
        name = f"{quote(self.display_name)} " if self.display_name else ""
        return f"{name}<{self.uri}>" + "".join(
            f";{key}" if value is None else f";{key}={value}" for key, value in self.parameters.items()
        )


def parse_name_address(value: str) -> NameAddress:
    """Read ``"Name" <uri>;parameters`` or ``uri;parameters``.

    Raises:
        SipError: It is neither.
    """
    if "<" in value:
        match = _NAME_ADDRESS.fullmatch(value)
        if match is None or not match[2]:
            raise SipError("an address is malformed")
        name = match[1]
        if name and name[0] != '"' and _TOKENS.fullmatch(name) is None:
            raise SipError("a display name needs quotes")
        return NameAddress(unquote(name), match[2], parse_parameters(match[3]) if match[3] else {})
    match = _ADDRESS.fullmatch(value)
    if match is None or ("?" in match[1] and ":" in match[1]):
        # RFC 3261 section 20: a URI with comma, question mark or semicolon must be in angle brackets.
        raise SipError("an address is malformed")
    return NameAddress("", match[1], parse_parameters(match[2]) if match[2] else {})


class Via:
    """One Via value: by which way a request came, and where the response goes (RFC 3261 section 20.42)."""

    __slots__ = ("host", "parameters", "port", "transport")

    def __init__(self, transport: str, host: str, port: int | None, parameters: dict[str, str | None]) -> None:
        self.transport = transport
        """Upper case: UDP, TCP, TLS, WS, WSS."""
        self.host = host
        """sent-by's host, lower case; an IPv6 address in brackets."""
        self.port = port
        self.parameters = parameters

    @property
    def branch(self) -> str:
        """The branch parameter, or empty."""
        return self.parameters.get("branch") or ""

    @property
    def sent_by(self) -> str:
        """Host and port as one text that can be compared; the port is there if it was given."""
        return self.host if self.port is None else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        """As it stands in a header field."""
        return f"SIP/2.0/{self.transport} {self.sent_by}" + "".join(
            f";{key}" if value is None else f";{key}={value}" for key, value in self.parameters.items()
        )


def parse_via(value: str) -> Via:
    """Read one Via value.

    Raises:
        SipError: It is malformed, or of another version.
    """
    match = _VIA.fullmatch(value)
    if match is None:
        raise SipError("Via is malformed")
    port = int(match[3]) if match[3] else None
    if port is not None and not 0 < port < 65536:
        raise SipError("Via has a port that does not exist")
    return Via(match[1].upper(), match[2].lower(), port, parse_parameters(match[4]) if match[4] else {})


@dataclass(frozen=True, slots=True)
class CSeq:
    """Number and method of a request within its dialog (RFC 3261 section 20.16)."""

    number: int
    method: str


def parse_cseq(value: str) -> CSeq:
    """Read a CSeq value.

    Raises:
        SipError: It is malformed, or 2**31 or more (RFC 3261 section 8.1.1.5).
    """
    match = _CSEQ.fullmatch(value)
    if match is None:
        raise SipError("CSeq is malformed")
    number = int(match[1])
    if number >= 1 << 31:
        raise SipError("CSeq is 2**31 or more")
    return CSeq(number, match[2])


def parse_number(name: str, value: str, most: int) -> int:
    """Read a number of digits only.

    Raises:
        SipError: It is none, or larger than ``most``.
    """
    if _NUMBER.fullmatch(value) is None:
        raise SipError(f"{name} is not a number")
    number = int(value)
    if number > most:
        raise SipError(f"{name} is above {most}")
    return number
