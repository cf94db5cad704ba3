"""Bodies of several parts: read within bounds, written so that no part ends another (RFC 2046 section 5, RFC 5621)."""

import binascii
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from wigwag.errors import LocalProtocolError

from .characters import written_field
from .errors import SipError
from .message import Request, Response
from .names import canonical
from .parameters import field_value, parse_parameters, unquote

MAX_DEPTH: Final = 4
"""Multiparts within multiparts."""
MAX_PARTS: Final = 64
"""Parts of a message, over all depths."""
MAX_PART_HEAD: Final = 8_192
"""Octets of all fields of a part."""

# boundary := 0*69<bchars> bcharsnospace
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")


@dataclass(frozen=True, slots=True)
class Part:
    """A body, or a part of one that is no multipart itself."""

    fields: tuple[tuple[str, str], ...]
    """Canonical names and unfolded values."""
    body: bytes
    """As it came, encoded if Content-Transfer-Encoding says so."""
    within: str = ""
    """Media type of the multipart around it; empty if there is none."""

    def get(self, name: str) -> str | None:
        """Return the value of the first field of this canonical name; None if there is none."""
        return next((value for held, value in self.fields if held == name), None)

    @property
    def content_type(self) -> str:
        """Media type in lower case, without parameters; text/plain if none is given (RFC 2046 section 5.1)."""
        return _media_type(self.get("content-type") or "text/plain")

    @property
    def content(self) -> bytes:
        """The body without its transfer encoding.

        Raises:
            SipError: The encoding is unknown (415), or the body is not in it (400).
        """
        encoding = (self.get("content-transfer-encoding") or "binary").strip().lower()
        try:
            match encoding:
                case "binary" | "8bit" | "7bit":
                    return self.body
                case "base64":
                    return binascii.a2b_base64(self.body)
                case "quoted-printable":
                    return binascii.a2b_qp(self.body)
        except binascii.Error as error:
            raise SipError(f"a part of the body is not {encoding}") from error
        raise SipError("the transfer encoding of a part of the body is unknown", status=415)


def parts(message: Request | Response) -> list[Part]:
    """Return the parts of a message's body, in order and however deep; the body itself if it is no multipart.

    Raises:
        SipError: A multipart is malformed (400), or nests deeper or has more parts than is read (413).
    """
    fields = [
        (name, field_value(line))
        for name, line in zip(message.names, message.lines, strict=True)
        if name.startswith("content-") and name != "content-length"
    ]
    if not message.body:
        return []
    return _leaves(Part(tuple(fields), message.body))


def find_part(message: Request | Response, *media_types: str) -> Part | None:
    """Return the part of one of these media types that is to be used; None if there is none.

    Among alternatives that is the last, elsewhere the first (RFC 2046 section 5.1.4).

    Raises:
        SipError: As for ``parts``.
    """
    fitting = [part for part in parts(message) if part.content_type in media_types]
    if not fitting:
        return None
    return fitting[-1] if fitting[0].within == "multipart/alternative" else fitting[0]


def build(
    made: Sequence[tuple[Iterable[tuple[str, str]], bytes]], boundary: str, subtype: str = "mixed"
) -> tuple[str, bytes]:
    """Return Content-Type and body of a multipart.

    Args:
        made: Fields and body of each part.
        boundary: 1 to 60 characters that a boundary can have; changed where it stands in a part.
        subtype: Such as ``mixed``, ``alternative``, ``related``.

    Raises:
        LocalProtocolError: There is no part, the boundary can't be one, or a field holds a control character.
    """
    if not made or len(boundary) > 60 or _BOUNDARY.fullmatch(boundary) is None:
        raise LocalProtocolError("a multipart needs a part and a boundary of 1 to 60 characters")
    written = [_written_part(fields, body) for fields, body in made]
    chosen, number = boundary, 0
    while any(f"--{chosen}".encode() in part for part in written):
        number += 1
        chosen = f"{boundary}{number}"
    line = f"--{chosen}".encode()
    body = b"".join([line + b"\r\n" + part + b"\r\n" for part in written]) + line + b"--\r\n"
    return f'multipart/{subtype};boundary="{chosen}"', body


def _written_part(fields: Iterable[tuple[str, str]], body: bytes) -> bytes:
    lines = [written_field(name, value)[1] + "\r\n" for name, value in fields]
    return "".join(lines).encode("utf-8", "surrogateescape") + b"\r\n" + body


def _media_type(value: str) -> str:
    return value.partition(";")[0].strip().lower()


def _leaves(whole: Part) -> list[Part]:
    """Take multiparts apart until none is left, without recursion."""
    found: list[Part] = []
    open_parts: list[tuple[int, Part]] = [(0, whole)]
    count = 0
    while open_parts:
        depth, part = open_parts.pop()
        media_type = part.content_type
        if not media_type.startswith("multipart/"):
            found.append(part)
            continue
        if depth == MAX_DEPTH:
            raise SipError(f"the body nests deeper than {MAX_DEPTH} multiparts", status=413)
        inner = list(_cut(part, media_type, MAX_PARTS - count))
        count += len(inner)
        open_parts += [(depth + 1, each) for each in reversed(inner)]
    return found


def _cut(whole: Part, media_type: str, most: int) -> Iterator[Part]:
    """Yield the parts between the delimiters of a multipart; preamble and epilogue are nobody's."""
    # delimiter := CRLF "--" boundary; the CRLF belongs to it. The end of the line keeps a longer boundary apart.
    delimiter = re.compile(rb"(?:\A|\r\n)--" + re.escape(_boundary(whole)) + rb"(--)?[ \t]*+(?=\r\n|\Z)")
    start = -1
    for match in delimiter.finditer(whole.body):
        if start >= 0:
            if most == 0:
                raise SipError(f"the body has more than {MAX_PARTS} parts", status=413)
            most -= 1
            yield _part(whole.body[start : match.start()], media_type)
        if match[1]:
            if start < 0:
                raise SipError("a multipart has no part")
            return
        start = match.end()
    raise SipError("a multipart is not closed" if start >= 0 else "the boundary of a multipart is not in it")


def _boundary(whole: Part) -> bytes:
    value = whole.get("content-type") or ""
    _, semicolon, rest = value.partition(";")
    boundary = unquote(parse_parameters(semicolon + rest).get("boundary") or "")
    if _BOUNDARY.fullmatch(boundary) is None:
        raise SipError("a multipart has no boundary that could be one")
    return boundary.encode()


def _part(data: bytes, media_type: str) -> Part:
    """Read what stands behind a delimiter: the line's end, fields, an empty line, the body; all may be lacking."""
    # A delimiter that the next one follows at once has no line end of its own.
    data = data[2:] if data.startswith(b"\r\n") else data
    if data.startswith(b"\r\n"):
        return Part((), data[2:], media_type)
    end = data.find(b"\r\n\r\n", 0, MAX_PART_HEAD + 4)
    head = data if end < 0 else data[:end]
    if len(head) > MAX_PART_HEAD:
        raise SipError(f"the header of a part of the body is larger than {MAX_PART_HEAD}", status=413)
    return Part(_fields(head), b"" if end < 0 else data[end + 4 :], media_type)


def _fields(head: bytes) -> tuple[tuple[str, str], ...]:
    lines: list[str] = []
    for line in head.decode("utf-8", "surrogateescape").split("\r\n") if head else []:
        if line[:1] in (" ", "\t") and lines:
            lines[-1] += "\r\n" + line
        else:
            lines.append(line)
    found = []
    for line in lines:
        name, colon, _ = line.partition(":")
        known = canonical(name) if colon else None
        if known is None:
            raise SipError(f"a header field of a part of the body is malformed: {name[:40]!r}")
        found.append((known, field_value(line)))
    return tuple(found)
