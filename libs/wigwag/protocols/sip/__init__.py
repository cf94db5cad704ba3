"""SIP without I/O: messages, URIs, framing, transactions, dialogs, digest (RFC 3261 and what extends it)."""

from wigwag.protocols.specification import Spec

from .errors import SipError, UnsupportedSchemeError
from .framing import KEEP_ALIVE, PONG, KeepAlive, Received, StreamFramer
from .message import Message, Request, Response
from .multipart import Part, find_part, parts
from .multipart import build as build_multipart
from .parameters import quote, split_list, unquote
from .parsing import LARGEST_BODY, MAX_FIELDS, MAX_HEAD, parse_datagram, parse_head
from .uri import SipUri, TelUri, Uri, aor_of, parse_uri
from .uri_comparison import ComparisonKey, comparison_key, equivalent
from .validation import validate
from .values import CSeq, NameAddress, Via, parse_name_address, parse_via

__all__ = [
    "KEEP_ALIVE",
    "LARGEST_BODY",
    "MAX_FIELDS",
    "MAX_HEAD",
    "PONG",
    "SPECIFICATIONS",
    "CSeq",
    "ComparisonKey",
    "KeepAlive",
    "Message",
    "NameAddress",
    "Part",
    "Received",
    "Request",
    "Response",
    "SipError",
    "SipUri",
    "StreamFramer",
    "TelUri",
    "UnsupportedSchemeError",
    "Uri",
    "Via",
    "aor_of",
    "build_multipart",
    "comparison_key",
    "equivalent",
    "find_part",
    "parse_datagram",
    "parse_head",
    "parse_name_address",
    "parse_uri",
    "parse_via",
    "parts",
    "quote",
    "split_list",
    "unquote",
    "validate",
]

_TESTS = "tests/conformance/sip"

SPECIFICATIONS = (
    Spec("RFC 2046", "5.1", "Multipart bodies", "tests/unit/protocols/sip/test_multipart.py"),
    Spec(
        "RFC 3261",
        "7",
        "Messages: requests, responses, header fields, folding, compact forms",
        f"{_TESTS}/test_rows.py",
    ),
    Spec("RFC 3261", "8.2.6", "Building responses", "tests/unit/protocols/sip/test_message.py"),
    Spec("RFC 3261", "16.3", "Validation", f"{_TESTS}/test_vectors.py"),
    Spec("RFC 3261", "18.3", "Framing by Content-Length", f"{_TESTS}/test_rows.py"),
    Spec("RFC 3261", "19.1", "SIP and SIPS URIs", f"{_TESTS}/test_uris.py"),
    Spec("RFC 3261", "19.1.4", "URI comparison", f"{_TESTS}/test_uris.py"),
    Spec("RFC 3261", "25", "Grammar", f"{_TESTS}/test_differential.py"),
    Spec("RFC 3966", "3", "tel URIs", f"{_TESTS}/test_uris.py"),
    Spec("RFC 4475", "3", "Torture tests, all 49", f"{_TESTS}/test_vectors.py"),
    Spec("RFC 5118", "4", "Torture tests for IPv6", f"{_TESTS}/test_vectors.py"),
    Spec(
        "RFC 5621", "3.2", "Finding a body among the parts of a multipart", "tests/unit/protocols/sip/test_multipart.py"
    ),
    Spec("RFC 5626", "4.4.1", "CRLF keep-alives", f"{_TESTS}/test_rows.py"),
    Spec("RFC 7118", "5", "Content-Length is optional over WebSocket", f"{_TESTS}/test_rows.py"),
)
"""What the codec conforms to, and the tests that prove it; transactions, dialogs and digest have their own."""
