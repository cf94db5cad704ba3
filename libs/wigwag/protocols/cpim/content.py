"""The encapsulated MIME object: its headers, kept to the octet, and its transfer encodings (RFC 3862 section 2.4)."""

import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass

from wigwag.errors import LocalProtocolError

from .error import CpimError

# field-name = 1*<any CHAR, excluding CTLs, SPACE, and ":">; a value may go on in lines that begin with a blank.
_HEADER = re.compile(r"([!-9;-~]+):( ?)((?:[^\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]|\r\n[ \t])*)")
# content := "Content-Type" ":" type "/" subtype *(";" parameter)
_MEDIA_TYPE = re.compile(r"[!#-'*+\-.0-9A-Z^-~]+/[!#-'*+\-.0-9A-Z^-~]+[ \t]*(?:;|\Z)")


@dataclass(frozen=True, slots=True)
class ContentHeader:
    """One MIME header of the content."""

    name: str
    value: str
    """As it came, folded if it was."""
    blank: str = " "
    """What goes before the value: a blank, or nothing."""

    @classmethod
    def parse(cls, line: str, number: int) -> "ContentHeader":
        """Parse a line, and those it goes on in, without the last CRLF.

        Raises:
            CpimError: It breaks the grammar.
        """
        match = _HEADER.fullmatch(line)
        if match is None:
            raise CpimError("not a MIME header", line=number)
        name, blank, value = match.groups()
        return cls(name, value, blank)

    def __str__(self) -> str:
        """Return the line without its CRLF.

        Raises:
            LocalProtocolError: It would break the grammar.
        """
        line = f"{self.name}:{self.blank}{self.value}"
        match = _HEADER.fullmatch(line)
        if match is None or match.groups() != (self.name, self.blank, self.value):
            raise LocalProtocolError(f"not a MIME header: {self!r}")
        return line

    @property
    def text(self) -> str:
        """The value in one line, without blanks around it."""
        return self.value.replace("\r\n", "").strip(" \t")


def is_content_type(text: str) -> bool:
    """Tell whether a text begins with a media type."""
    return _MEDIA_TYPE.match(text) is not None


def media_type(content_type: str) -> str:
    """Return the type and subtype of a Content-Type in lower case."""
    return content_type.partition(";")[0].strip(" \t").lower()


def first(headers: Sequence[ContentHeader], name: str) -> str | None:
    """Return the value of the first header of this name, in any case of letters."""
    wanted = name.lower()
    return next((header.text for header in headers if header.name.lower() == wanted), None)


def decoded(body: bytes, encoding: str) -> bytes:
    """Return a body without its Content-Transfer-Encoding (RFC 2045 section 6).

    Raises:
        CpimError: The encoding is unknown (415), or the body is not in it (400).
    """
    match encoding.strip(" \t").lower():
        case "7bit" | "8bit" | "binary":
            return body
        case "quoted-printable":
            return binascii.a2b_qp(body)
        case "base64":
            try:
                return binascii.a2b_base64(body)
            except binascii.Error:
                raise CpimError("content that is not in base64") from None
        case _:
            raise CpimError("unknown Content-Transfer-Encoding", status=415)
