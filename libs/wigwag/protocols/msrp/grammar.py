"""MSRP requests and responses: values of header fields, parsed heads, and their way back to bytes.

The grammar is that of RFC 4975 section 9 and RFC 4976 section 7. What is tolerated beyond it: any amount of blanks
around a header's value, and a Message-ID of up to 128 visible characters, since identifiers of 36 are in use.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Final

from wigwag.errors import LocalProtocolError, RemoteProtocolError

from .uri import MsrpUri, format_path

Path = tuple[MsrpUri, ...]

COMMENTS: Final = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    408: "Request Timeout",
    413: "Message Too Large",
    415: "Unsupported Media Type",
    423: "Interval Out of Bounds",
    424: "Malformed Nickname",
    425: "Nickname Reserved or In Use",
    428: "Private Messages Not Supported",
    481: "Session Does Not Exist",
    501: "Method Not Implemented",
    506: "Session Bound to Another Connection",
}
"""The comment that goes with a status code (RFC 4975 section 10, RFC 4976, RFC 7701); the text is free by the RFC."""

FLAGS: Final = ("$", "+", "#")
"""continuation-flag: the message ends here, goes on in another chunk, was aborted."""

# ident = ALPHANUM  3*31ident-char        ident-char = ALPHANUM / "." / "-" / "+" / "%" / "="
IDENT: Final = r"[A-Za-z0-9][A-Za-z0-9.\-+%=]{3,31}"
_IDENT = re.compile(IDENT)
_MESSAGE_ID = re.compile(r"[!-~]{1,128}")
# other-method = 1*UPALPHA
_METHOD = re.compile(r"[A-Z]{1,32}")
# Byte-Range = "Byte-Range:" SP range-start "-" range-end "/" total; 18 digits are more than any message has octets.
_BYTE_RANGE = re.compile(r"([0-9]{1,18})-([0-9]{1,18}|\*)/([0-9]{1,18}|\*)", re.ASCII)
# Status = "Status:" SP namespace SP status-code [SP comment]
_STATUS = re.compile(r"([0-9]{3}) ([0-9]{3})(?: (.*))?", re.ASCII)
# hname = ALPHA *token        hval = utf8text = *(HTAB / %x20-7E / UTF8-NONASCII)
_NAME = re.compile(r"[A-Za-z][!#-'*+\-.0-9A-Z^-~]*")
_VALUE = re.compile(r"[\t -~\u0080-\ud7ff\ue000-\U0010ffff]*")


class FailureReport(Enum):
    """Which failures the sender of a SEND wants to hear about (RFC 4975 section 7.1.4); absent means YES."""

    YES = "yes"
    PARTIAL = "partial"
    NO = "no"


_FAILURE_REPORTS: Final = {choice.value: choice for choice in FailureReport}


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Which octets of a message a chunk or report is about; the first octet is 1 (RFC 4975 section 7.1.1)."""

    start: int
    """range-start, at least 1."""
    end: int | None
    """range-end, None for ``*``; ``start - 1`` in a range without octets."""
    total: int | None
    """Octets of the whole message, None for ``*``."""

    @classmethod
    def parse(cls, text: str) -> "ByteRange":
        """Parse a header's value.

        Raises:
            RemoteProtocolError: It breaks the grammar or contradicts itself; ``status`` is 400.
        """
        return _parse_byte_range(text)

    @classmethod
    def _parse(cls, text: str) -> "ByteRange":
        match = _BYTE_RANGE.fullmatch(text)
        if match is None:
            raise RemoteProtocolError("malformed Byte-Range", status=400)
        start, end, total = match.groups()
        parsed = cls(int(start), None if end == "*" else int(end), None if total == "*" else int(total))
        if not parsed._consistent():
            raise RemoteProtocolError("contradictory Byte-Range", status=400)
        return parsed

    def _consistent(self) -> bool:
        start, end, total = self.start, self.end, self.total
        if start < 1 or (end is not None and end < start - 1):
            return False
        if total is None:
            return True
        # "1-0/0" is the range of a message without octets.
        return (start <= total or start == 1) and (end is None or end <= total)

    def __str__(self) -> str:
        end = "*" if self.end is None else self.end
        total = "*" if self.total is None else self.total
        return f"{self.start}-{end}/{total}"


@dataclass(frozen=True, slots=True)
class Status:
    """The outcome that a REPORT tells (RFC 4975 section 7.1.3)."""

    code: int
    """100 to 999; an MSRP status code when ``namespace`` is 0."""
    comment: str | None = None
    namespace: int = 0

    @classmethod
    def parse(cls, text: str) -> "Status":
        """Parse a header's value.

        Raises:
            RemoteProtocolError: It breaks the grammar; ``status`` is 400.
        """
        return _parse_status(text)

    @classmethod
    def _parse(cls, text: str) -> "Status":
        match = _STATUS.fullmatch(text)
        if match is None:
            raise RemoteProtocolError("malformed Status", status=400)
        namespace, code, comment = match.groups()
        return cls(int(code), comment, int(namespace))

    def __str__(self) -> str:
        comment = "" if self.comment is None else f" {self.comment}"
        return f"{self.namespace:03} {self.code:03}{comment}"


# Messages of equal size, and successes, look alike.
_parse_byte_range = lru_cache(maxsize=1024)(ByteRange._parse)
_parse_status = lru_cache(maxsize=128)(Status._parse)


@dataclass(slots=True)
class RequestHead:
    """Start line and header section of a request. Not changed after it was parsed."""

    transaction_id: str
    method: str
    """Upper case: ``SEND``, ``REPORT``, ``AUTH`` or another one."""
    to_path: Path
    from_path: Path
    raw_to_path: bytes
    """The header's value exactly as received, without surrounding blanks."""
    raw_from_path: bytes
    fields: tuple[tuple[str, str], ...]
    """Every header after From-Path in order: name as received, value without surrounding blanks."""
    raw_fields: bytes
    """The lines of those headers exactly as received, each with its CRLF, without the blank line."""
    has_body: bool
    """Whether a blank line follows, and after it the body, which may be empty."""
    message_id: str | None = None
    success_report: bool = False
    failure_report: FailureReport = FailureReport.YES
    byte_range: ByteRange | None = None
    status: Status | None = None
    content_type: str | None = None

    def get(self, name: str) -> str | None:
        """Return the value of the first header called ``name`` after From-Path, in any case of letters."""
        return first_value(self.fields, name)

    def get_all(self, name: str) -> list[str]:
        """Return the values of all headers called ``name`` after From-Path, in order."""
        return _all(self.fields, name)


@dataclass(slots=True)
class ResponseHead:
    """Start line and header section of a response. Not changed after it was parsed."""

    transaction_id: str
    status_code: int
    comment: str | None
    to_path: Path
    from_path: Path
    raw_to_path: bytes
    raw_from_path: bytes
    fields: tuple[tuple[str, str], ...]
    raw_fields: bytes

    def get(self, name: str) -> str | None:
        """Return the value of the first header called ``name`` after From-Path, in any case of letters."""
        return first_value(self.fields, name)

    def get_all(self, name: str) -> list[str]:
        """Return the values of all headers called ``name`` after From-Path, in order."""
        return _all(self.fields, name)


def first_value(fields: tuple[tuple[str, str], ...], name: str) -> str | None:
    """Return the value of the first header called ``name``, in any case of letters."""
    wanted = name.lower()
    return next((value for field_name, value in fields if field_name.lower() == wanted), None)


def _all(fields: tuple[tuple[str, str], ...], name: str) -> list[str]:
    wanted = name.lower()
    return [value for field_name, value in fields if field_name.lower() == wanted]


@dataclass(slots=True)
class KnownFields:
    """What the headers that the engine itself reads say; the defaults stand for absent headers."""

    message_id: str | None = None
    success_report: bool = False
    failure_report: FailureReport = FailureReport.YES
    byte_range: ByteRange | None = None
    status: Status | None = None
    content_type: str | None = None
    seen: set[str] = field(default_factory=set)
    """Names, in lower case, of the headers that may occur only once and did."""


def _read_message_id(known: KnownFields, value: str) -> None:
    if _MESSAGE_ID.fullmatch(value) is None:
        raise RemoteProtocolError("malformed Message-ID", status=400)
    known.message_id = value


def _read_success_report(known: KnownFields, value: str) -> None:
    choice = value.lower()
    if choice not in ("yes", "no"):
        raise RemoteProtocolError("malformed Success-Report", status=400)
    known.success_report = choice == "yes"


def _read_failure_report(known: KnownFields, value: str) -> None:
    choice = _FAILURE_REPORTS.get(value.lower())
    if choice is None:
        raise RemoteProtocolError("malformed Failure-Report", status=400)
    known.failure_report = choice


def _read_byte_range(known: KnownFields, value: str) -> None:
    known.byte_range = ByteRange.parse(value)


def _read_status(known: KnownFields, value: str) -> None:
    known.status = Status.parse(value)


def _read_content_type(known: KnownFields, value: str) -> None:
    if not value:
        raise RemoteProtocolError("empty Content-Type", status=400)
    known.content_type = value


def _read_elsewhere(_known: KnownFields, _value: str) -> None:
    """Take note of a header that may occur only once and whose value others read."""


def _read_misplaced(_known: KnownFields, _value: str) -> None:
    # headers = To-Path CRLF From-Path CRLF 1*( header CRLF ): neither may come again (RFC 4975 section 9).
    raise RemoteProtocolError("To-Path or From-Path out of place", status=400)


_READERS: Final[dict[str, Callable[[KnownFields, str], None]]] = {
    "to-path": _read_misplaced,
    "from-path": _read_misplaced,
    "message-id": _read_message_id,
    "success-report": _read_success_report,
    "failure-report": _read_failure_report,
    "byte-range": _read_byte_range,
    "status": _read_status,
    "content-type": _read_content_type,
    "authorization": _read_elsewhere,
    "authentication-info": _read_elsewhere,
    "use-path": _read_elsewhere,
    "expires": _read_elsewhere,
    "min-expires": _read_elsewhere,
    "max-expires": _read_elsewhere,
}


def read_field(known: KnownFields, name: str, value: str) -> bool:
    """Take one header into ``known``.

    Returns:
        Whether it is one of MSRP's own; others are extension headers.

    Raises:
        RemoteProtocolError: The value is malformed, or the header occurs twice (last never wins); ``status`` is 400.
    """
    lower = name.lower()
    reader = _READERS.get(lower)
    if reader is None:
        return False
    if lower in known.seen:
        raise RemoteProtocolError(f"more than one {name}", status=400)
    known.seen.add(lower)
    reader(known, value)
    return True


def is_ident(text: str) -> bool:
    """Tell whether ``text`` may be a transaction identifier or a Message-ID of ours (RFC 4975 section 9, ident)."""
    return _IDENT.fullmatch(text) is not None


def is_text(text: str) -> bool:
    """Tell whether ``text`` may be a comment or a header's value (RFC 4975 section 9, utf8text)."""
    return _VALUE.fullmatch(text) is not None


def request(
    transaction_id: str,
    method: str,
    to_path: Path,
    from_path: Path,
    fields: Iterable[tuple[str, str]] = (),
    *,
    content_type: str | None = None,
) -> bytes:
    """Return the head of a request.

    With a ``content_type`` it ends in Content-Type and the blank line: the body, CRLF and ``end_line`` come next.
    Without one it has no body and ``end_line`` comes next.

    Raises:
        LocalProtocolError: An argument would break the grammar.
    """
    if _IDENT.fullmatch(transaction_id) is None or _METHOD.fullmatch(method) is None:
        raise LocalProtocolError(f"not a request line: {transaction_id!r} {method!r}")
    lines = [f"MSRP {transaction_id} {method}"]
    if content_type is not None:
        fields = (*fields, ("Content-Type", content_type))
    return _head(lines, to_path, from_path, fields, b"\r\n" if content_type is not None else b"")


def response(
    transaction_id: str,
    status_code: int,
    comment: str | None,
    to_path: Path,
    from_path: Path,
    fields: Iterable[tuple[str, str]] = (),
) -> bytes:
    """Return a whole response.

    Args:
        transaction_id: That of the request.
        status_code: 100 to 999.
        comment: Text for people; None takes the usual one of the code.
        to_path: Where it goes; see ``answer`` for what that is.
        from_path: One URI: who answers.
        fields: Further headers.

    Raises:
        LocalProtocolError: An argument would break the grammar.
    """
    if comment is None:
        comment = COMMENTS.get(status_code)
    if (
        _IDENT.fullmatch(transaction_id) is None
        or not 100 <= status_code <= 999
        or (comment is not None and _VALUE.fullmatch(comment) is None)
    ):
        raise LocalProtocolError(f"not a response line: {transaction_id!r} {status_code!r} {comment!r}")
    lines = [f"MSRP {transaction_id} {status_code}" + (f" {comment}" if comment is not None else "")]
    return _head(lines, to_path, from_path, fields, end_line(transaction_id, "$"))


def answer(
    head: RequestHead, status_code: int, comment: str | None = None, fields: Iterable[tuple[str, str]] = ()
) -> bytes:
    """Return the response to ``head`` by the URI that its To-Path begins with.

    A response to SEND goes to the previous hop only, any other goes all the way back (RFC 4975 section 7.2).
    """
    to_path = head.from_path[:1] if head.method == "SEND" else head.from_path
    return response(head.transaction_id, status_code, comment, to_path, head.to_path[:1], fields)


def report(
    transaction_id: str,
    to_path: Path,
    from_path: Path,
    message_id: str,
    byte_range: ByteRange | None,
    status: Status,
) -> bytes:
    """Return a whole REPORT without a body (RFC 4975 sections 7.1.2 to 7.1.4).

    Args:
        transaction_id: Fresh and unpredictable, although no response will come.
        to_path: The whole From-Path of the SEND reported on.
        from_path: One URI: who reports.
        message_id: That of the SEND.
        byte_range: The octets reported on.
        status: What became of them; without a comment it gets the usual one of the code.

    Raises:
        LocalProtocolError: An argument would break the grammar.
    """
    if status.comment is None and status.namespace == 0:
        status = Status(status.code, COMMENTS.get(status.code))
    fields = [("Message-ID", message_id), ("Status", str(status))]
    if byte_range is not None:
        fields.insert(1, ("Byte-Range", str(byte_range)))
    return request(transaction_id, "REPORT", to_path, from_path, fields) + end_line(transaction_id, "$")


def end_line(transaction_id: str, flag: str) -> bytes:
    """Return the line that ends a request or response; after a body a CRLF has to go before it."""
    return f"-------{transaction_id}{flag}\r\n".encode("ascii")


def _head(lines: list[str], to_path: Path, from_path: Path, fields: Iterable[tuple[str, str]], tail: bytes) -> bytes:
    if not to_path or not from_path:
        raise LocalProtocolError("a path without a URI")
    lines.append(f"To-Path: {format_path(to_path)}")
    lines.append(f"From-Path: {format_path(from_path)}")
    for name, value in fields:
        if _NAME.fullmatch(name) is None or _VALUE.fullmatch(value) is None:
            raise LocalProtocolError(f"not a header: {name!r}: {value!r}")
        lines.append(f"{name}: {value}")
    lines.append("")
    return "\r\n".join(lines).encode() + tail
