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

SPECIFICATIONS: tuple[Spec, ...] = ()
