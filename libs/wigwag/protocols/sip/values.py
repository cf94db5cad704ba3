"""Values of header fields: addresses with parameters, Via, CSeq, numbers (RFC 3261 sections 20, 25.1)."""

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from .errors import SipError
from .names import METHODS, TCHAR
from .parameters import PLAIN_PARAMETERS, QUOTED, parse_parameters, plain_parameters, printable, quote, unquote

# addr-spec, of any scheme, as far as it has to be known where it ends: visible ASCII without quotes and brackets.
_URI: Final = r"[A-Za-z][A-Za-z0-9+.\-]*+:[!#-;=?-~]++"
_DISPLAY: Final = rf"[{TCHAR} \t]*+"
# name-addr = [ display-name ] LAQUOT addr-spec RAQUOT, with a tag at most, as it is nearly always written.
_PLAIN_ADDRESS: Final = re.compile(rf'(?:"([^"\\]*+)"[ \t]*+|({_DISPLAY}))<({_URI})>(?:;tag=([{TCHAR}]++))?')
_NAMED: Final = re.compile(rf'({QUOTED}|[^<"]*+)[ \t]*+<({_URI})>(.*+)', re.DOTALL)
# addr-spec outside angle brackets: what comes behind a semicolon belongs to the header field (section 20).
_BARE: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*+:[!#-+\--:=@-~]++)[ \t]*+((?:;.*+)?)", re.DOTALL)
_DISPLAY_NAME: Final = re.compile(_DISPLAY)
# via-parm = sent-protocol LWS sent-by *( SEMI via-params )
_SENT_BY: Final = r"(\[[0-9A-Fa-f:.]++\]|[A-Za-z0-9_][A-Za-z0-9.\-_]*+)"
_PLAIN: Final = rf"SIP/2\.0/([{TCHAR}]++) {_SENT_BY}(?::([0-9]{{1,5}}+))?"
# As most write it, and as nearly all do.
_USUAL_VIA: Final = re.compile(rf"{_PLAIN}(?:;branch=([{TCHAR}]++)(;rport)?|;rport;branch=([{TCHAR}]++))")
_PLAIN_VIA: Final = re.compile(rf"{_PLAIN}({PLAIN_PARAMETERS})")
_VIA: Final = re.compile(
    rf"SIP[ \t]*+/[ \t]*+2\.0[ \t]*+/[ \t]*+([{TCHAR}]++)[ \t]++"
    rf"{_SENT_BY}[ \t]*+(?::[ \t]*+([0-9]{{1,5}}+)[ \t]*+)?((?:;.*+)?)",
    re.DOTALL | re.IGNORECASE,
)
# CSeq = "CSeq" HCOLON 1*DIGIT LWS Method
_CSEQ: Final = re.compile(rf"([0-9]++)[ \t]++([{TCHAR}]++)")
_LARGEST_CSEQ: Final = (1 << 31) - 1


@dataclass(slots=True)
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
        """As it stands in a header field; control characters of the name are blanks."""
        name = f"{quote(printable(self.display_name))} " if self.display_name else ""
        return f"{name}<{self.uri}>{write_parameters(self.parameters)}"


def write_parameters(parameters: dict[str, str | None]) -> str:
    """Return parameters as they stand in a header field."""
    return "".join([f";{key}" if value is None else f";{key}={value}" for key, value in parameters.items()])


def parse_name_address(value: str, where: str = "an address") -> NameAddress:
    """Read ``"Name" <uri>;parameters`` or ``uri;parameters``.

    Args:
        value: Value or list element, unfolded.
        where: What it is, for the error's reason.

    Raises:
        SipError: It is neither.
    """
    match = _PLAIN_ADDRESS.fullmatch(value)
    if match is not None:
        quoted, tokens, uri, tag = match.groups()
        return NameAddress(quoted or (tokens and tokens.rstrip()) or "", uri, {} if tag is None else {"tag": tag})
    address = _named(value, where) if "<" in value else _bare(value, where)
    if address.parameters.get("tag", "there") in ("", None):
        raise SipError(f"{where}: the tag is empty")
    return address


def _named(value: str, where: str) -> NameAddress:
    match = _NAMED.fullmatch(value)
    if match is None:
        raise SipError(f"{where} is malformed")
    name, uri, rest = match.groups()
    if name[:1] != '"' and _DISPLAY_NAME.fullmatch(name) is None:
        raise SipError(f"{where}: the display name needs quotes")
    return NameAddress(unquote(name.strip(" \t")), uri, parse_parameters(rest, where) if rest else {})


def _bare(value: str, where: str) -> NameAddress:
    # RFC 3261 section 20: a URI with comma, question mark or semicolon must be in angle brackets.
    match = _BARE.fullmatch(value)
    if match is None:
        raise SipError(f"{where} is malformed")
    return NameAddress("", match[1], parse_parameters(match[2], where) if match[2] else {})


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
        port = "" if self.port is None else f":{self.port}"
        text = f"SIP/2.0/{self.transport} {self.host}{port}"
        for key, value in self.parameters.items():
            text += f";{key}" if value is None else f";{key}={value}"
        return text


def parse_via(value: str) -> Via:
    """Read one Via value.

    Raises:
        SipError: It is malformed, or of another version.
    """
    match = _USUAL_VIA.fullmatch(value)
    parameters: dict[str, str | None]
    if match is not None:
        transport, host, port, branch, rport, last = match.groups()
        if last:
            parameters = {"rport": None, "branch": last}
        else:
            parameters = {"branch": branch, "rport": None} if rport else {"branch": branch}
    else:
        transport, host, port, parameters = _unusual_via(value)
    number = None
    if port:
        number = int(port)
        if not 0 < number < 65536:
            raise SipError("Via has a port that does not exist")
    if host[0] == "[":
        _check_address(host)
    return Via(transport.upper(), host.lower(), number, parameters)


def _unusual_via(value: str) -> tuple[str, str, str | None, dict[str, str | None]]:
    match = _PLAIN_VIA.fullmatch(value)
    if match is not None:
        return match[1], match[2], match[3], plain_parameters(match[4], "Via") if match[4] else {}
    match = _VIA.fullmatch(value)
    if match is None:
        raise SipError("Via is malformed")
    return match[1], match[2], match[3], parse_parameters(match[4], "Via") if match[4] else {}


def _check_address(host: str) -> None:
    try:
        ipaddress.IPv6Address(host[1:-1])
    except ValueError as error:
        raise SipError("Via has a malformed IPv6 address") from error


class CSeq(NamedTuple):
    """Number and method of a request within its dialog (RFC 3261 section 20.16)."""

    number: int
    method: str


def parse_cseq(value: str) -> CSeq:
    """Read a CSeq value.

    Raises:
        SipError: It is malformed, or 2**31 or more (RFC 3261 section 8.1.1.5).
    """
    digits, _, method = value.partition(" ")
    if method not in METHODS:
        match = _CSEQ.fullmatch(value)
        if match is None:
            raise SipError("CSeq is malformed")
        digits, method = match.groups()
    return CSeq(parse_number("CSeq", digits, _LARGEST_CSEQ), method)


def parse_number(name: str, value: str, most: int) -> int:
    """Read a number of digits only, with leading zeros if the peer likes them.

    Raises:
        SipError: It is none, or larger than ``most``.
    """
    if not (value.isdecimal() and value.isascii()):
        raise SipError(f"{name} is not a number")
    # int() takes time that grows with the square of the length, and refuses above 4,300 digits.
    number = int(value) if len(value) <= 20 else int(value.lstrip("0")[:20] or "0")
    if number > most:
        raise SipError(f"{name} is above {most}")
    return number
