"""Which characters may stand in the head of a message, read or written (RFC 3261 section 25.1)."""

import re
from typing import Final

from wigwag.errors import LocalProtocolError

from .names import canonical, written
from .parameters import QUOTED

CONTROL_OCTETS: Final = bytes(octet for octet in range(32) if octet != 9) + b"\x7f"
"""Control characters but the tab: none of them stands in a head but in line ends and behind a backslash in quotes."""
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_QUOTED_STRING: Final = re.compile(QUOTED)
# quoted-pair = "\" (%x00-09 / %x0B-0C / %x0E-7F)
_QUOTED_PAIR: Final = re.compile(r"\\[^\r\n]")


def has_control(line: str) -> bool:
    """Tell whether there is any control character but the tab."""
    return _CONTROL.search(line) is not None


def forbidden_control(line: str) -> bool:
    """Tell whether a control character stands in a line where the grammar has none (folds are not counted)."""
    line = line.replace("\r\n", "")
    if _CONTROL.search(line) is None:
        return False
    return _CONTROL.search(_QUOTED_STRING.sub(_without_pairs, line)) is not None


def without_control(line: str) -> str:
    """Return a line with a blank for each control character if one stands where the grammar has none."""
    if line.isprintable() or not forbidden_control(line):
        return line
    return "\r\n".join([_CONTROL.sub(" ", part) for part in line.split("\r\n")])


def written_field(name: str, value: str) -> tuple[str, str]:
    """Return the canonical name and the line of a field that is to be written.

    Raises:
        LocalProtocolError: The name is no token, or the value holds a line break or another control character.
    """
    canon = canonical(name)
    if canon is None:
        raise LocalProtocolError(f"a header field can't be called {name[:40]!r}")
    # isprintable() is the cheap question that settles nearly all.
    if not value.isprintable() and ("\n" in value or "\r" in value or forbidden_control(value)):
        raise LocalProtocolError(f"{written(canon)} would hold a control character")
    return canon, f"{name}: {value}"


def _without_pairs(match: "re.Match[str]") -> str:
    return _QUOTED_PAIR.sub("", match[0])
