"""SIP without I/O: messages, URIs, framing, transactions, dialogs, digest (RFC 3261 and what extends it)."""

from .errors import SipError
from .framing import KEEP_ALIVE, PONG, KeepAlive, StreamFramer
from .message import Message, Request, Response, parse_datagram, parse_head, validate
from .uri import SipUri, TelUri, Uri, equivalent, parse_uri
from .values import CSeq, NameAddress, Via, parse_name_address, parse_via, split_list

__all__ = [
    "KEEP_ALIVE",
    "PONG",
    "CSeq",
    "KeepAlive",
    "Message",
    "NameAddress",
    "Request",
    "Response",
    "SipError",
    "SipUri",
    "StreamFramer",
    "TelUri",
    "Uri",
    "Via",
    "equivalent",
    "parse_datagram",
    "parse_head",
    "parse_name_address",
    "parse_uri",
    "parse_via",
    "split_list",
    "validate",
]
