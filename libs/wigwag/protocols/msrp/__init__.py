"""Message Session Relay Protocol (RFC 4975 and the client's side of RFC 4976), sans-IO.

``FrameParser`` and the functions of ``grammar`` are what a relay builds on; ``Connection`` is an endpoint's engine.
"""

from wigwag.protocols.specification import Spec

from .authentication import Authenticated, AuthenticationFailed, RelayAuthentication
from .body_part import BodyPart
from .connection import Connection
from .connection_limits import ConnectionLimits
from .events import (
    ConnectionGivenUp,
    DataReceived,
    DeliveryFailed,
    DeliverySucceeded,
    DeliveryUnconfirmed,
    Event,
    MessageAborted,
    MessageAccepted,
    MessageCompleted,
    MessageReceived,
    MessageSent,
    MessageStarted,
    ReportReceived,
    RequestRefused,
    SessionFailed,
    TransactionTimedOut,
)
from .framing import BodyReceived, EndLineScanner, FrameEnded, FrameEvent, FrameParser, HeadReceived, MalformedReceived
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
from .octet_ranges import OctetRanges
from .reassembly import ReassemblyLimits
from .sending import BodySource
from .session import Session, SessionState, SessionTable
from .uri import MsrpUri, format_path, parse_path

__all__ = [
    "COMMENTS",
    "SPECIFICATIONS",
    "Authenticated",
    "AuthenticationFailed",
    "BodyPart",
    "BodyReceived",
    "BodySource",
    "ByteRange",
    "Connection",
    "ConnectionGivenUp",
    "ConnectionLimits",
    "DataReceived",
    "DeliveryFailed",
    "DeliverySucceeded",
    "DeliveryUnconfirmed",
    "EndLineScanner",
    "Event",
    "FailureReport",
    "FrameEnded",
    "FrameEvent",
    "FrameParser",
    "HeadReceived",
    "Limits",
    "MalformedReceived",
    "MessageAborted",
    "MessageAccepted",
    "MessageCompleted",
    "MessageReceived",
    "MessageSent",
    "MessageStarted",
    "MsrpUri",
    "OctetRanges",
    "Path",
    "ReassemblyLimits",
    "RelayAuthentication",
    "ReportReceived",
    "RequestHead",
    "RequestRefused",
    "ResponseHead",
    "Session",
    "SessionFailed",
    "SessionState",
    "SessionTable",
    "Status",
    "TransactionTimedOut",
    "answer",
    "end_line",
    "format_path",
    "parse_path",
    "report",
    "request",
    "response",
]

_TESTS = "tests/conformance/msrp"

SPECIFICATIONS = (
    Spec("RFC 4975", "5.4", "Sessions and connections", f"{_TESTS}/test_sessions.py"),
    Spec("RFC 4975", "5.4", "Sessions that go on over another connection", f"{_TESTS}/test_resumption.py"),
    Spec("RFC 4975", "6.1", "URI comparison", f"{_TESTS}/test_sessions.py"),
    Spec(
        "RFC 4975", "5.4", "The rest of a message begun on a lost connection is refused", f"{_TESTS}/test_resumption.py"
    ),
    Spec("RFC 4975", "7.1", "Requests, chunks, end-lines", f"{_TESTS}/test_framing.py"),
    Spec("RFC 4975", "7.1.1", "Byte-Range, interruptible chunks, 30 s timers", f"{_TESTS}/test_byte_range.py"),
    Spec("RFC 4975", "7.1.2", "REPORT requests, never answered", f"{_TESTS}/test_reports.py"),
    Spec("RFC 4975", "7.1.3", "Success reports", f"{_TESTS}/test_reports.py"),
    Spec("RFC 4975", "7.1.4", "Failure reports", f"{_TESTS}/test_reports.py"),
    Spec("RFC 4975", "7.2", "Responses", f"{_TESTS}/test_reports.py"),
    Spec("RFC 4975", "7.2", "Responses that wait for the application", f"{_TESTS}/test_acceptance.py"),
    Spec("RFC 4975", "7.3", "Requests for sessions that exist here only", f"{_TESTS}/test_sessions.py"),
    Spec("RFC 4975", "7.3.1", "Reassembly", f"{_TESTS}/test_byte_range.py"),
    Spec("RFC 4975", "7.3.2", "Receiving REPORTs, failed sessions", f"{_TESTS}/test_reports.py"),
    Spec(
        "RFC 4975",
        "7.3.2",
        "Deviation: where a relay is on the path a 408 fails its message only (decision 0004)",
        f"{_TESTS}/test_reports.py",
    ),
    Spec("RFC 4975", "9", "Grammar", f"{_TESTS}/test_framing.py"),
    Spec("RFC 4975", "10", "Status codes", f"{_TESTS}/test_reports.py"),
    Spec("RFC 4976", "5.1", "AUTH as a client", "tests/unit/protocols/msrp/test_authentication.py"),
    Spec("RFC 4976", "6.4.1", "Reports summed up over ranges that relays cut", f"{_TESTS}/test_reports.py"),
    Spec("RFC 5547", "8.7", "Ranges of files as messages of their own", f"{_TESTS}/test_files.py"),
)
"""What this package conforms to, and the tests that prove it."""
