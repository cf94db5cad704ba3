"""Octets to messages: start line, header fields, and the body of a datagram (RFC 3261 sections 7, 18.3).

What can't be accepted is still read as far as it can be, so that its sender gets an answer: the error holds the
request with all of its fields.
"""

import re
from typing import Final

from .characters import CONTROL_OCTETS, forbidden_control, has_control
from .errors import SipError
from .message import Request, Response
from .names import KNOWN, METHODS, TCHAR, TOKEN, canonical

MAX_HEAD: Final = 65_536
"""Octets of the start line and all fields."""
MAX_FIELDS: Final = 256
LARGEST_BODY: Final = 1_048_576

# Status-Line = SIP-Version SP Status-Code SP Reason-Phrase; the second SP is often forgotten before an empty phrase.
_STATUS_LINE: Final = re.compile(r"SIP/2\.0 ([1-6][0-9]{2})(?: (.*))?", re.IGNORECASE)
# A request line as far as a request can be recognised in it, to answer it.
_LIKE_A_REQUEST: Final = re.compile(rf"([{TCHAR}]++)[ \t]++(.*[^ \t])[ \t]++(SIP/[0-9.]++)[ \t]*+", re.I)


def parse_head(head: bytes) -> Request | Response:
    """Read a start line and header fields, without the empty line that ends them.

    Raises:
        SipError: They are malformed; ``request`` holds what could be read, if it can be answered.
    """
    if len(head) > MAX_HEAD:
        raise SipError(f"the header is larger than {MAX_HEAD}", status=513, request=_beginning(head))
    text = head.decode("utf-8", "surrogateescape")
    lines = text.split("\r\n")
    breaks = len(lines) - 1
    start_line = lines.pop(0)
    known = KNOWN.get
    names = [known(line.partition(":")[0], "") for line in lines]
    broken = None
    if "" in names or not KNOWN.keys().isdisjoint(lines):
        # Rare: a name that is not known, white space before a colon, no colon, or a fold.
        lines = _joined(lines)
        names, broken = _canonical_names(lines)
    message = _started(start_line, names, lines)
    if isinstance(message, SipError):
        raise message
    if len(head) - len(head.translate(None, CONTROL_OCTETS)) != 2 * breaks:
        broken = _control(start_line, lines) or broken
    if len(names) > MAX_FIELDS:
        broken = SipError(f"more than {MAX_FIELDS} header fields", status=513)
    if broken is not None:
        broken.request = message if isinstance(message, Request) else None
        raise broken
    return message


def _canonical_names(lines: list[str]) -> tuple[list[str], SipError | None]:
    """Return the canonical names, empty where a line is malformed, and what is wrong with the last of those."""
    names, broken = [], None
    for line in lines:
        name, colon, _ = line.partition(":")
        known = canonical(name) if colon else None
        if known is None:
            broken = SipError(f"a header field is malformed: {name[:40]!r}")
        names.append(known or "")
    return names, broken


def _started(line: str, names: list[str], lines: list[str]) -> Request | Response | SipError:
    parts = line.split(" ")
    if len(parts) == 3 and (parts[2] == "SIP/2.0" or parts[2].upper() == "SIP/2.0"):
        method, uri, _ = parts
        if uri and (method in METHODS or TOKEN.fullmatch(method) is not None):
            return Request(method, uri, names, lines, start_line=line)
    match = _STATUS_LINE.fullmatch(line)
    if match is not None:
        return Response(int(match[1]), match[2] or "", names, lines, start_line=line)
    match = _LIKE_A_REQUEST.fullmatch(line)
    if match is None:
        return SipError("the start line is neither a request's nor a response's")
    request = Request(match[1], match[2], names, lines, start_line=line)
    if match[3].upper() != "SIP/2.0":
        return SipError(f"SIP version {match[3][4:14]} is not supported", status=505, request=request)
    return SipError("the request line is malformed", request=request)


def _joined(lines: list[str]) -> list[str]:
    """Join continuation lines to the field that they continue (section 7.3.1)."""
    joined: list[list[str]] = []
    for line in lines:
        if line[:1] in (" ", "\t") and joined:
            joined[-1].append(line)
        else:
            joined.append([line])
    return ["\r\n".join(pieces) for pieces in joined]


def _control(start_line: str, lines: list[str]) -> SipError | None:
    if has_control(start_line):
        return SipError("a control character stands in the start line")
    for line in lines:
        bare = line.replace("\r\n", "")
        if "\r" in bare or "\n" in bare:
            return SipError("a line ends without CRLF")
        if forbidden_control(bare):
            return SipError(f"a control character stands in {line.partition(':')[0][:40]!r}")
    # What is left stands behind backslashes in quoted strings, where the grammar has it.
    return None


def _beginning(head: bytes) -> Request | None:
    """Return the request that a head begins with which is too large, with the fields that fit."""
    fitting = head[:MAX_HEAD].rpartition(b"\r\n")[0]
    try:
        message = parse_head(fitting)
    except SipError as error:
        return error.request
    return message if isinstance(message, Request) else None


def parse_datagram(data: bytes, largest_body: int = LARGEST_BODY) -> Request | Response:
    """Read the message of one datagram or WebSocket message.

    Content-Length may be missing: then the body is the rest; what lies beyond it is discarded (sections 18.3, 20.14,
    RFC 7118 section 5.2).

    Args:
        data: The whole datagram.
        largest_body: Octets of the largest body that is read.

    Raises:
        SipError: It is malformed.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0:
        raise SipError("the header does not end", request=_beginning(data))
    message = parse_head(data[:end])
    body = data[end + 4 :]
    try:
        length = message.content_length
        if length is not None and length != len(body):
            if length > len(body):
                raise SipError("Content-Length is larger than the message")
            body = body[:length]
        if len(body) > largest_body:
            raise SipError(f"the body is larger than {largest_body}", status=413)
    except SipError as error:
        error.request = message if isinstance(message, Request) else None
        raise
    message.body = body
    return message
