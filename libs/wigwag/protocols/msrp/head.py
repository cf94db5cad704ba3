"""From the bytes of a start line and its header section to a head, or to the answer that a broken one deserves."""

import re
from dataclasses import dataclass

from wigwag.errors import RemoteProtocolError

from .grammar import IDENT, KnownFields, Path, RequestHead, ResponseHead, read_field, response
from .uri import parse_path

# req-start  = pMSRP SP transact-id SP method CRLF
# resp-start = pMSRP SP transact-id SP status-code [SP comment] CRLF
# headers    = To-Path CRLF From-Path CRLF 1*( header CRLF )          (RFC 4975 section 9; names are case-insensitive)
_START = rb"MSRP (" + IDENT.encode() + rb")"
_HEAD = re.compile(
    _START + rb" (?:([A-Z]{1,32})|([0-9]{3})(?: ([\t -~\x80-\xff]*))?)\r\n"
    rb"(?i:To-Path):([^\r\n]*)\r\n(?i:From-Path):([^\r\n]*)\r\n"
)
_TRANSACTION_ID = re.compile(_START + rb"(?: ([^\r\n]*))?\r\n")
# header = hname ":" SP hval CRLF; blanks around the value are tolerated, before the colon they are not.
_FIELDS = re.compile(rb"(?:[A-Za-z][!#-'*+\-.0-9A-Z^-~]*:[\t -~\x80-\xff]*\r\n)*")
_PATHS = re.compile(rb"^(to|from)-path:([^\r\n]*)\r\n", re.IGNORECASE | re.MULTILINE)
_SILENT = re.compile(rb"^failure-report:[ \t]*no[ \t]*\r\n", re.IGNORECASE | re.MULTILINE)
_BLANKS = b" \t"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a peer may send before the engine gives up on it."""

    max_header_bytes: int = 16_384
    """Octets of start line and headers together."""
    max_headers: int = 64
    """Extension headers in one request or response; MSRP's own occur once each and are not counted."""
    max_uris: int = 60
    """URIs in To-Path or From-Path."""
    max_non_send_body: int = 10_240
    """Octets in the body of a request other than SEND (RFC 4975 section 7.1)."""


class HeadLimitError(RemoteProtocolError):
    """A limit is passed: the connection has to be closed after the answer."""


def transaction_id_of(block: bytes) -> bytes | None:
    """Return the transact-id of a start line, or None when there is no reading it.

    Args:
        block: Bytes that begin with a start line and its CRLF.
    """
    match = _TRANSACTION_ID.match(block)
    return match[1] if match is not None else None


def parse_head(block: bytes, has_body: bool, limits: Limits) -> RequestHead | ResponseHead:
    """Parse a start line and the header section that follows it.

    Args:
        block: Both, every line with its CRLF, without the blank line.
        has_body: Whether a blank line follows.
        limits: How many URIs and headers are accepted.

    Raises:
        HeadLimitError: There are too many headers.
        RemoteProtocolError: Something else is malformed; ``status`` is 400.
    """
    match = _HEAD.match(block)
    if match is None:
        raise RemoteProtocolError(_what_is_wrong_with(block), status=400)
    transaction_id, method, status_code, comment, raw_to_path, raw_from_path = match.groups()
    raw_to_path, raw_from_path = raw_to_path.strip(_BLANKS), raw_from_path.strip(_BLANKS)
    to_path, from_path = _parse_paths(raw_to_path, raw_from_path, limits)
    raw_fields = block[match.end() :]
    fields, known = _parse_fields(raw_fields, limits)
    if method is None:
        if has_body:
            raise RemoteProtocolError("response with a body", status=400)
        return ResponseHead(
            transaction_id.decode(),
            int(status_code),
            _decode(comment) if comment is not None else None,
            to_path,
            from_path,
            raw_to_path,
            raw_from_path,
            fields,
            raw_fields,
        )
    head = RequestHead(
        transaction_id.decode(),
        method.decode(),
        to_path,
        from_path,
        raw_to_path,
        raw_from_path,
        fields,
        raw_fields,
        has_body,
        known.message_id,
        known.success_report,
        known.failure_report,
        known.byte_range,
        known.status,
        known.content_type,
    )
    _check_method_rules(head)
    return head


def _parse_paths(raw_to_path: bytes, raw_from_path: bytes, limits: Limits) -> tuple[Path, Path]:
    to_path, from_path = parse_path(raw_to_path), parse_path(raw_from_path)
    if len(to_path) > limits.max_uris or len(from_path) > limits.max_uris:
        raise RemoteProtocolError("too many URIs in a path", status=400)
    return to_path, from_path


def _parse_fields(raw: bytes, limits: Limits) -> tuple[tuple[tuple[str, str], ...], KnownFields]:
    if _FIELDS.fullmatch(raw) is None:
        raise RemoteProtocolError(_what_is_wrong_in(raw), status=400)
    fields: list[tuple[str, str]] = []
    known = KnownFields()
    extensions = 0
    for line in _decode(raw).split("\r\n")[:-1]:
        name, _, value = line.partition(":")
        value = value.strip(" \t")
        fields.append((name, value))
        if not read_field(known, name, value):
            extensions += 1
    if extensions > limits.max_headers:
        raise HeadLimitError("too many headers", status=400)
    return tuple(fields), known


def _decode(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise RemoteProtocolError("header that is not UTF-8", status=400) from error


def _check_method_rules(head: RequestHead) -> None:
    if head.has_body and head.content_type is None:
        # content-stuff = *(Other-Mime-header CRLF) Content-Type 2CRLF data CRLF
        raise RemoteProtocolError("body or blank line without Content-Type", status=400)
    if head.message_id is None and head.method in ("SEND", "REPORT"):
        raise RemoteProtocolError(f"{head.method} without Message-ID", status=400)
    if head.status is None and head.method == "REPORT":
        raise RemoteProtocolError("REPORT without Status", status=400)


def _what_is_wrong_with(block: bytes) -> str:
    match = _TRANSACTION_ID.match(block)
    kind = (match[2] or b"") if match is not None else b""
    if re.fullmatch(rb"[A-Z]{1,32}|[0-9]{3}(?: .*)?", kind) is None:
        return "start line with neither a method nor a status code"
    return "To-Path and From-Path have to be the first headers"


def _what_is_wrong_in(raw_fields: bytes) -> str:
    for line in raw_fields.split(b"\r\n"):
        if line[:1] in (b" ", b"\t"):
            return "folded header line"
        if _FIELDS.fullmatch(line + b"\r\n") is None:
            break
    return "malformed header line"


def answer_to_malformed(block: bytes, status_code: int, reason: str) -> bytes | None:
    """Return the response to a head that could not be parsed.

    Args:
        block: As for ``parse_head``; a last line without its CRLF is not looked at.
        status_code: The answer.
        reason: Its comment, in words of our own.

    Returns:
        None when there is nobody to answer: the paths can't be read, it was a response, or a request that is never
        answered (a REPORT, or a SEND with Failure-Report no: RFC 4975 sections 7.1.2 and 7.1.4).
    """
    match = _TRANSACTION_ID.match(block)
    if match is None:
        return None
    kind = match[2] or b""
    if kind == b"REPORT" or kind[:1].isdigit() or _SILENT.search(block) is not None:
        return None
    paths: dict[bytes, Path] = {}
    for which, value in _PATHS.findall(block):
        try:
            paths.setdefault(which.lower(), parse_path(value.strip(_BLANKS)))
        except RemoteProtocolError:
            return None
    if len(paths) < 2:
        return None
    to_path, from_path = paths[b"to"], paths[b"from"]
    if kind.upper() == b"SEND":
        from_path = from_path[:1]
    return response(match[1].decode(), status_code, reason, from_path, to_path[:1])
