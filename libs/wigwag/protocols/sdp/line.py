"""Lines of a session description: split and joined without losing an octet (RFC 8866 section 5)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from wigwag.errors import LocalProtocolError

from .error import SdpError

CRLF: Final = "\r\n"

# byte-string = 1*(%x01-09/%x0B-0C/%x0E-FF)   ;any byte except NUL, CR, or LF       (RFC 8866 section 9)
# Octets that are not UTF-8 are kept as U+DC80 to U+DCFF; any other lone surrogate stands for no octet.
_FORBIDDEN = re.compile("[\x00\r\n\ud800-\udc7f\udd00-\udfff]")
_LINE = re.compile(r"([A-Za-z])=([^\x00\r]*)")


@dataclass(frozen=True, slots=True)
class SdpLimits:
    """What a session description may take up; the longest honest ones have some 10 KiB."""

    max_size: int = 65_536
    """Octets."""
    max_lines: int = 1_000


@dataclass(frozen=True, slots=True)
class Line:
    """One ``<type>=<value>``. Two lines are equal when they say the same, wherever they stand.

    Raises:
        LocalProtocolError: ``type`` is no letter, or ``value`` would break the line.
    """

    type: str
    """One letter."""
    value: str
    """Octets that are not UTF-8 are kept as lone surrogates (PEP 383)."""
    ending: str = field(default=CRLF, compare=False)
    """CRLF or LF, or nothing at the end of the description."""
    number: int = field(default=0, compare=False)
    """From 1, where it was read; 0 for a line that was not read."""

    def __post_init__(self) -> None:
        if len(self.type) != 1 or not (self.type.isascii() and self.type.isalpha()):
            raise LocalProtocolError(f"not a type of an SDP line: {self.type!r}")
        if _FORBIDDEN.search(self.value) is not None:
            raise LocalProtocolError(f"not the value of an SDP line: {self.value!r}")

    def __str__(self) -> str:
        return f"{self.type}={self.value}"


def split(data: bytes, limits: SdpLimits) -> tuple[list[Line], str]:
    """Split a description.

    Returns:
        Its lines, and the blank lines after the last one, which some bodies of a multipart have.

    Raises:
        SdpError: It is too large or empty, or a line is malformed or blank.
    """
    if len(data) > limits.max_size:
        raise SdpError(f"more than {limits.max_size} octets", status=413)
    if data.count(b"\n") > limits.max_lines:
        raise SdpError(f"more than {limits.max_lines} lines", status=413)
    text = data.decode("utf-8", "surrogateescape")
    content = text.rstrip("\r\n")
    if not content:
        raise SdpError("empty")
    ending, trailer = _first_ending(text[len(content) :])
    *rows, last = content.split("\n")
    lines = [
        _line(row.removesuffix("\r"), CRLF if row.endswith("\r") else "\n", number)
        for number, row in enumerate(rows, start=1)
    ]
    lines.append(_line(last, ending, len(rows) + 1))
    return lines, trailer


def join(lines: Sequence[Line], trailer: str = "") -> bytes:
    """Return the octets of a description; the reverse of ``split``."""
    rows = [f"{line}{line.ending or CRLF}" for line in lines[:-1]]
    rows += [f"{line}{line.ending}" for line in lines[-1:]]
    return ("".join(rows) + trailer).encode("utf-8", "surrogateescape")


def _first_ending(endings: str) -> tuple[str, str]:
    """Return the first line's ending and the rest, which has to be whole line endings."""
    first, newline, trailer = endings.partition("\n")
    if first not in ("", "\r") or trailer.replace(CRLF, "").strip("\n") or (first and not newline):
        raise SdpError("CR without LF at the end")
    return first + newline, trailer


def _line(text: str, ending: str, number: int) -> Line:
    match = _LINE.fullmatch(text)
    if match is None:
        raise SdpError(_complaint(text), line=number)
    return Line(match[1], match[2], ending, number)


def _complaint(text: str) -> str:
    if not text:
        return "blank line"
    return "NUL or CR within a line" if "\x00" in text or "\r" in text else "not <type>=<value>"
