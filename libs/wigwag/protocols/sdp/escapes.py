"""Percent-encoding within quotes, as file names (RFC 5547) and labels of data channels (RFC 8864) use it."""

import re

from .error import SdpError

_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_BROKEN = re.compile(r"%(?![0-9A-Fa-f]{2})")


def decoded(text: str) -> str:
    """Return what stands between the quotes, decoded.

    Raises:
        SdpError: A percent sign that begins no escape, or octets that are not UTF-8.
    """
    if _BROKEN.search(text) is not None:
        raise SdpError("percent sign without two hexadecimal digits")
    octets = _ESCAPE.sub(lambda match: bytes.fromhex(match[1].decode()), text.encode("utf-8", "surrogateescape"))
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SdpError("text that is not UTF-8") from error


def encoded(text: str) -> str:
    """Return ``text`` fit to stand between quotes: control characters, quotes, percent signs and slashes encoded.

    RFC 5547 section 6 wants encoded what an operating system could take for a directory.
    """
    return "".join(f"%{ord(character):02X}" if character in _ENCODED else character for character in text)


_ENCODED = frozenset(map(chr, (*range(0x20), 0x7F, *b'"%/\\')))
