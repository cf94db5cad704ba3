"""What values of header fields are made of: lists, parameters, quoted strings (RFC 3261 section 25.1).

Every expression here is matched without going back over what it has read (possessive quantifiers, and no two
neighbours that can take the same character), so that time grows with the length of the value and no faster.
"""

import re
from typing import Final

from .errors import SipError
from .names import TCHAR

_LWS: Final = " \t"
# quoted-string = SWS DQUOTE *(qdtext / quoted-pair ) DQUOTE
QUOTED: Final = r'"(?:[^"\\]++|\\.)*+"'
PLAIN_PARAMETERS: Final = rf"(?:;[{TCHAR}]++(?:=[!#-+\--:=?-~]*+)?)*+"
"""Parameters without white space or quotes, as they are nearly always written."""
_PLAIN: Final = re.compile(PLAIN_PARAMETERS)
_COMMA: Final = re.compile(rf'((?:[^,"<]++|{QUOTED}|<[^>]*+>)*+)(?:,|$)', re.DOTALL)
# generic-param = token [ EQUAL gen-value ]
_PARAMETER: Final = re.compile(
    rf"[ \t]*+;[ \t]*+([{TCHAR}]++)[ \t]*+(?:=[ \t]*+({QUOTED}|[!#-+\--:=?-~]*+)[ \t]*+)?+", re.DOTALL
)
_QUOTED_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)
_NOT_QUOTABLE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def field_value(line: str) -> str:
    """Return the value of a header field's line, unfolded (section 7.3.1)."""
    value = line.partition(":")[2].strip(" \t")
    if "\n" in value:
        return " ".join([part.strip(" \t") for part in value.split("\r\n")]).strip(" ")
    return value


def split_list(value: str) -> list[str]:
    """Return the elements of a comma-separated list; commas in quotes and angle brackets don't separate.

    Raises:
        SipError: A quoted string or an angle bracket is not closed.
    """
    if "," not in value:
        value = value.strip(_LWS)
        return [value] if value else []
    if '"' not in value and "<" not in value:
        return [part for part in (part.strip(_LWS) for part in value.split(",")) if part]
    parts, at = [], 0
    while at < len(value):
        found = _COMMA.match(value, at)
        if found is None or found.end() == at:
            raise SipError("a quoted string or angle bracket is not closed")
        parts.append(found[1].strip(_LWS))
        at = found.end()
    return [part for part in parts if part]


def first_element(value: str) -> str:
    """Return the first element of a comma-separated list; empty if there is none."""
    return next(iter(split_list(value)), "") if "," in value else value


def parse_parameters(text: str, where: str = "a header field") -> dict[str, str | None]:
    """Return ``;name=value`` parameters by lower-case name; None for one without a value; quotes are kept.

    Raises:
        SipError: Not parameters, or one of them twice.
    """
    if _PLAIN.fullmatch(text) is not None:
        return plain_parameters(text, where)
    found: dict[str, str | None] = {}
    at = 0
    while at < len(text):
        match = _PARAMETER.match(text, at)
        if match is None:
            raise SipError(f"{where}: parameters are malformed near {text[at : at + 20]!r}")
        name = match[1].lower()
        if name in found:
            raise SipError(f"{where}: parameter {name[:40]} is there twice")
        found[name] = match[2]
        at = match.end()
    return found


def plain_parameters(text: str, where: str) -> dict[str, str | None]:
    """Return the parameters of a text that ``PLAIN_PARAMETERS`` matches.

    Raises:
        SipError: One of them is there twice.
    """
    found: dict[str, str | None] = {}
    parts = text.split(";")
    del parts[0]
    for part in parts:
        name, equals, value = part.partition("=")
        found[name.lower()] = value if equals else None
    if len(found) != len(parts):
        raise SipError(f"{where}: a parameter is there twice")
    return found


def unquote(text: str) -> str:
    """Return the content of a quoted string, or the text itself."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    inner = text[1:-1]
    return _QUOTED_PAIR.sub(r"\1", inner) if "\\" in inner else inner


def quote(text: str) -> str:
    """Return the text as a quoted string.

    Raises:
        ValueError: It holds a line break or another control character, which no quoted string should carry.
    """
    if _NOT_QUOTABLE.search(text) is not None:
        raise ValueError("a control character can't be in a header field")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def printable(text: str) -> str:
    """Return the text with a blank for each control character and for white space at its ends nothing."""
    return _NOT_QUOTABLE.sub(" ", text).strip(_LWS)
