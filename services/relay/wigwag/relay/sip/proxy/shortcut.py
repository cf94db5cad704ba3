"""The short way of a response: most are a 200 to a request with one target, and need not be read to be passed on.

Theory of operation. Nothing is decided here that the long way decides otherwise. What is read is the status, the first
line after it, which has to be our Via alone, and the length. From, To, Call-ID and CSeq have to be of the usual form,
every other line has to look like a header field. The request is not looked at: after hundreds of others it is out of
the caches, which costs more than reading. A response that is anything but usual (folded, compact, of several Vias in a
line, with control characters, provisional, no 2xx) is left to the long way, and so is one whose request was forked or
answered. What goes on is the response without our Via's line, which is what the long way writes. A property test holds
the two together.
"""

import re
from typing import Final

from wigwag.protocols.sip.transactions import (
    NonInviteClientTransaction,
    NonInviteServerTransaction,
    State,
    Transactions,
)

from .forwarding_branch import Branch
from .passage import Passage

# Status line, our Via alone in the first line, and no continuation of it.
_HEAD: Final = re.compile(
    rb"(SIP/2\.0 2[0-9]{2} [^\r\n]*+\r\n)"
    rb"Via: SIP/2\.0/[A-Z]++ ([A-Za-z0-9.:\[\]\-]++);branch=(z9hG4bK[A-Za-z0-9\-_=]++)"
    rb"(?:;[a-z]++(?:=[A-Za-z0-9.:\[\]\-_]++)?+)*+\r\n(?![ \t])"
)
_LENGTH: Final = re.compile(rb"\r\nContent-Length: ([0-9]{1,7})\r\n")
# Field names of two characters and more, so no compact forms; no folds, and no control characters but tabs.
_FIELDS: Final = re.compile(rb"(?:[!#$%&'*+\-.0-9A-Z^_`a-z|~]{2,}+:[\t -~\x80-\xff]*+\r\n)++")
_ADDRESS: Final = (
    rb"(?:\"[!#-\[\]-~ ]*+\" ?|(?:[A-Za-z0-9\-.!%*_+`'~]++ )*+)<[!#-;=?-~]++>(?:;tag=[A-Za-z0-9\-.!%*_+`'~]++)?+\r\n"
)
_FROM: Final = re.compile(rb"\r\nFrom: " + _ADDRESS)
_TO: Final = re.compile(rb"\r\nTo: " + _ADDRESS)
_CALL_ID: Final = re.compile(rb"\r\nCall-ID: [!-~]++\r\n")
_CSEQ: Final = re.compile(rb"\r\nCSeq: [0-9]{1,9} ([A-Z]++)\r\n")
# What may be there once only, where the long way would drop the response.
_SINGLE: Final = re.compile(
    rb"\n(c(?:ontent-(?:length|disposition|type)|all-id|seq)|from|to|date|event|expires|max-forwards|min-(?:expires|se)"
    rb"|r(?:ack|efer-to|eplaces|seq)|session-expires|sip-(?:etag|if-match)|subscription-state|timestamp):"
)
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
    if type(client) is not NonInviteClientTransaction:
        return False
    if client.state > State.PROCEEDING or not client.was_sent_by(head[2].decode("ascii").lower()):
        return False
    if not _is_usual(data, head.end(), client.method.encode()):
        return False
    user, passed = client.user, data[: head.end(1)] + data[head.end() :]
    if type(user) is Passage:
        if user.is_over(now):
            client.conclude(now)
            user.server.respond_final(passed, now)
            return True
        user = user.unfolded()
    return type(user) is Branch and _pass_by(user, client, passed, now)


def _pass_by(branch: Branch, client: NonInviteClientTransaction, data: bytes, now: float) -> bool:
    """Pass on a response, as it goes back, to a request that was read."""
    forwarding = branch.forwarding
    if forwarding.decided or len(forwarding.branches) != 1:
        return False
    server = forwarding.server
    if type(server) is not NonInviteServerTransaction or not client.conclude(now):
        return False
    if branch.candidate is not None:
        branch.served()
    forwarding.succeed_with(server, data, now)
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


def _is_usual(data: bytes, start: int, method: bytes) -> bool:
    """Tell whether nothing in the head, from the second field on, has to be read."""
    end = data.find(b"\r\n\r\n", start - 2)
    if end < 0 or _FIELDS.fullmatch(data, start, end + 2) is None:
        return False
    top = data[start - 2 : end + 2]
    length = _LENGTH.search(top)
    if length is None or int(length[1]) != len(data) - end - 4:
        return False
    lowered = top.lower()
    if b"\np-" in lowered or b"\nx-wigwag-" in lowered:
        return False  # Not everybody may say so.
    single = _SINGLE.findall(lowered)
    if len(single) != len(set(single)):
        return False
    cseq = _CSEQ.search(top)
    return (
        cseq is not None
        and cseq[1] == method
        and _FROM.search(top) is not None
        and _TO.search(top) is not None
        and _CALL_ID.search(top) is not None
    )
