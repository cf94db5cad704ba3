"""The short way of a response: most are a 200 to a request with one target, and need not be read to be passed on.

Theory of operation. Nothing is decided here that the long way decides otherwise. What is read is the status, the first
line after it, which has to be our Via alone, the method in CSeq and the length; a response that is anything but usual
(folded, compact, of several Vias in a line, with control characters, provisional, no 2xx) is left to the long way, and
so is one whose request was forked or answered. What goes on is the response without that line, which is what the long
way writes. A property test holds the two together.
"""

import re
from typing import Final

from wigwag.protocols.sip.transactions import NonInviteClientTransaction, NonInviteServerTransaction, Transactions

from .forwarding import Branch

# Status line, our Via alone in the first line, and no continuation of it.
_HEAD: Final = re.compile(
    rb"(SIP/2\.0 2[0-9]{2} [^\r\n]*+\r\n)"
    rb"Via: SIP/2\.0/[A-Z]++ ([A-Za-z0-9.:\[\]\-]++);branch=(z9hG4bK[A-Za-z0-9\-_=]++)"
    rb"(?:;[a-z]++(?:=[A-Za-z0-9.:\[\]\-_]++)?+)*+\r\n(?![ \t])"
)
_CSEQ: Final = re.compile(rb"\r\nCSeq: [0-9]{1,9} ([A-Z]++)\r\n")
_LENGTH: Final = re.compile(rb"\r\nContent-Length: ([0-9]{1,7})\r\n")
_CONTROL: Final = bytes(octet for octet in range(32) if octet not in (9, 10, 13)) + b"\x7f"
_LONGEST: Final = 16_384


def pass_response(transactions: Transactions, data: bytes, now: float) -> bool:
    """Pass a response on if it is one of the usual kind; False: it has to be read.

    Args:
        transactions: The transaction layer.
        data: One whole message, as a datagram brought it.
        now: Seconds, monotonic.
    """
    head = _HEAD.match(data)
    if head is None or len(data) > _LONGEST:
        return False
    client = transactions.clients.get(head[3].decode("ascii"))
    if type(client) is not NonInviteClientTransaction or type(client.user) is not Branch:
        return False
    if not _is_usual(data, client.method) or not client.was_sent_by(head[2].decode("ascii").lower()):
        return False
    forwarding = client.user.forwarding
    if forwarding.decided or len(forwarding.branches) != 1:
        return False
    server = forwarding.server
    if type(server) is not NonInviteServerTransaction or not client.conclude(now):
        return False
    forwarding.succeed_with(server, data[: head.end(1)] + data[head.end() :], now)
    return True


def pass_responses(transactions: Transactions, data: bytes, now: float) -> tuple[bytes, int]:
    """Pass on the usual responses that a read of a stream begins with.

    Args:
        transactions: The transaction layer.
        data: The read; a message begins with it.
        now: Seconds, monotonic.

    Returns:
        What has to be read, and how many were passed on.
    """
    passed = 0
    while data[:9] == b"SIP/2.0 2":
        end = data.find(b"\r\n\r\n") + 4
        length = _LENGTH.search(data, 0, end)
        if end < 4 or length is None:
            break
        end += int(length[1])
        if len(data) < end or not pass_response(transactions, data[:end] if end < len(data) else data, now):
            break
        data = data[end:]
        passed += 1
    return data, passed


def _is_usual(data: bytes, method: str) -> bool:
    """Tell whether length and method are as they have to be, and nothing odd stands in the head."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return False
    top = data[: end + 2]
    lowered = top.lower()
    if lowered.count(b"\ncseq") != 1 or lowered.count(b"\ncontent-length") != 1 or b"\nl" in lowered:
        return False
    cseq, length = _CSEQ.search(top), _LENGTH.search(top)
    if cseq is None or length is None or cseq[1] != method.encode() or int(length[1]) != len(data) - end - 4:
        return False
    breaks = top.count(b"\r\n")
    return top.count(b"\n") == breaks == top.count(b"\r") and len(top.translate(None, _CONTROL)) == len(top)
