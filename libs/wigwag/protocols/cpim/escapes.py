r"""Characters that a header can't hold as they are, such as ``\n`` and ``\u0007`` (RFC 3862 section 2.3)."""

import re
from typing import Final

from wigwag.errors import LocalProtocolError

_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.?)", re.DOTALL)
# The special sequences MUST be used for these (section 2.3.1); \uxxxx for any other control character.
_SPECIAL: Final = {"\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_TO_ESCAPE = re.compile(r"[\\\x00-\x1f\x7f]")
_UNESCAPED: Final = {"b": "\b", "t": "\t", "n": "\n", "r": "\r"}


def escaped(text: str) -> str:
    """Return a text as a header's value.

    Raises:
        LocalProtocolError: It holds lone surrogates, which UTF-8 does not know.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise LocalProtocolError("not a text: it holds lone surrogates") from None
    return _TO_ESCAPE.sub(lambda found: _SPECIAL.get(found[0]) or f"\\u{ord(found[0]):04x}", text)


def quoted(text: str) -> str:
    """Return a text as a String: between double quotes.

    Raises:
        LocalProtocolError: It holds lone surrogates.
    """
    return '"' + escaped(text).replace('"', '\\"') + '"'


def unescaped(value: str) -> str:
    """Return the text that a header's value stands for.

    A backslash before any other character stands for that character, and at the end for nothing (section 2.3.1). Two
    escapes that are a surrogate pair are one character, since they count in UCS-2; half a pair is U+FFFD.
    """
    if "\\" not in value:
        return value
    text = _ESCAPE.sub(_character, value)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _character(found: re.Match[str]) -> str:
    sequence = found[1]
    if len(sequence) == 5:
        return chr(int(sequence[1:], 16))
    return _UNESCAPED.get(sequence, sequence)
