"""The two blocks of headers and the content, cut apart within bounds (RFC 3862 section 2)."""

from dataclasses import dataclass
from typing import NamedTuple

from .content import ContentHeader
from .error import CpimError
from .header import CpimHeader

_CONTENT_TYPE = "content-type:"


@dataclass(frozen=True, slots=True)
class CpimLimits:
    """What the headers of a message may take up. Its content is bounded by whatever carries it."""

    largest_head: int = 65_536
    """Octets of both blocks of headers."""
    most_headers: int = 500
    """Lines of both blocks of headers."""


class Sections(NamedTuple):
    """A message cut apart."""

    headers: tuple[CpimHeader, ...]
    content_headers: tuple[ContentHeader, ...]
    body: bytes
    separated: bool
    """Whether a blank line parts the two blocks of headers."""


class _TruncatedError(CpimError):
    """The headers have no end."""


def head_length(data: bytes, limits: CpimLimits | None = None) -> int | None:
    """Return how many octets of a message are headers, for one that comes in pieces.

    ``CpimMessage.parse`` of so many octets is the message without its content, which begins there.

    Args:
        data: The message's beginning.
        limits: What its headers may take up; the usual ones if None.

    Returns:
        None when the headers have not come to their end yet.

    Raises:
        CpimError: They break the grammar or a limit.
    """
    try:
        return len(data) - len(split(data, limits or CpimLimits()).body)
    except _TruncatedError:
        return None


def split(data: bytes, limits: CpimLimits) -> Sections:
    """Cut a message apart.

    Raises:
        CpimError: It breaks the grammar or a limit.
    """
    message_lines, position = _block(data, 0, limits)
    at = next((index for index, line in enumerate(message_lines) if line.lower().startswith(_CONTENT_TYPE)), None)
    if at is not None:
        content_lines, separated = message_lines[at:], False
        message_lines = message_lines[:at]
        first = at + 1
    else:
        first = len(message_lines) + 2
        content_lines, position = _block(data, position, limits)
        separated = True
    if len(message_lines) + len(content_lines) > limits.most_headers:
        raise CpimError("too many headers", status=413)
    headers = tuple(CpimHeader.parse(line, number) for number, line in enumerate(message_lines, 1))
    return Sections(headers, _content_headers(content_lines, first), data[position:], separated)


def _block(data: bytes, start: int, limits: CpimLimits) -> tuple[list[str], int]:
    """Return the lines of the block that begins at ``start``, and where the next one begins."""
    if data.startswith(b"\r\n", start):
        return [], start + 2
    end = data.find(b"\r\n\r\n", start, limits.largest_head)
    if end < 0:
        if len(data) > limits.largest_head:
            raise CpimError("headers too long", status=413)
        raise _TruncatedError("no blank line after the headers")
    try:
        text = data[start:end].decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\r\n", 0, start + error.start) + 1
        raise CpimError("not UTF-8", line=line) from None
    return text.split("\r\n"), end + 4


def _content_headers(lines: list[str], first: int) -> tuple[ContentHeader, ...]:
    headers: list[ContentHeader] = []
    begun, number = "", first
    for index, line in enumerate(lines):
        if line.startswith((" ", "\t")) and begun:
            begun += f"\r\n{line}"
            continue
        if begun:
            headers.append(ContentHeader.parse(begun, number))
        begun, number = line, first + index
    if begun:
        headers.append(ContentHeader.parse(begun, number))
    if sum(header.name.lower() == "content-type" for header in headers) > 1:
        raise CpimError("Content-Type comes twice", line=number)
    return tuple(headers)
