"""Message Session Relay Protocol (RFC 4975, RFC 4976), sans-IO."""

from .framing import BodyReceived, FrameEnded, FrameEvent, FrameParser, HeadReceived, MalformedReceived
from .grammar import (
    COMMENTS,
    ByteRange,
    FailureReport,
    Path,
    RequestHead,
    ResponseHead,
    Status,
    answer,
    end_line,
    report,
    request,
    response,
)
from .head import Limits
from .uri import MsrpUri, format_path, parse_path

__all__ = [
    "COMMENTS",
    "BodyReceived",
    "ByteRange",
    "FailureReport",
    "FrameEnded",
    "FrameEvent",
    "FrameParser",
    "HeadReceived",
    "Limits",
    "MalformedReceived",
    "MsrpUri",
    "Path",
    "RequestHead",
    "ResponseHead",
    "Status",
    "answer",
    "end_line",
    "format_path",
    "parse_path",
    "report",
    "request",
    "response",
]
