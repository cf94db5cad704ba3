"""Requests that recur: what a device sends again and again, but for what makes each request another one.

Theory of operation. The head of a MESSAGE is cut into what differs each time (branch, From tag, Call-ID, CSeq number,
length of the body) and what lies between. What was learnt of a head is kept by the parts between; it was written by
the long way, of a request with marks in place of what differs, so that nothing is written here by other rules.
"""

import re
from collections.abc import Sequence
from typing import Final

# A line that is no continuation, and is not followed by one.
_LINE: Final = rb"[^\r\n \t][^\r\n]*+\r\n"
USUAL: Final = re.compile(
    rb"(MESSAGE sip:[!-~]++ SIP/2\.0\r\nVia: SIP/2\.0/[A-Z]++ [A-Za-z0-9.:\[\]\-]++;(?:rport;)?+branch=)"
    rb"(z9hG4bK[A-Za-z0-9\-._]{1,73}+)"
    rb"((?:;rport)?+\r\n(?:(?!From:)" + _LINE + rb")*+From: [^\r\n>]*+>;tag=)"
    rb"([A-Za-z0-9\-.!%*_+`'~]{1,80}+)"
    rb"(\r\n(?:(?!Call-ID:)" + _LINE + rb")*+Call-ID: )"
    rb"([!-~]{1,128}+)"
    rb"(\r\n(?:(?!CSeq:)" + _LINE + rb")*+CSeq: )"
    rb"(0|[1-9][0-9]{0,8}+)"
    rb"( MESSAGE\r\n(?:(?!Content-Length:)" + _LINE + rb")*+Content-Length: )"
    rb"(0|[1-9][0-9]{0,4}+)"
    rb"(\r\n(?:" + _LINE + rb")*+\r\n)"
)
"""The usual MESSAGE outside a dialog; its odd groups are what recurs, its even ones what differs."""
LONGEST_BRANCH: Final = 80
BETWEEN: Final = (1, 3, 5, 7, 9, 11)
LENGTH: Final = 10

BRANCH: Final = b"z9hG4bK-mark-of-the-branch-"
TAG: Final = b"-mark-of-the-tag-"
CALL_ID: Final = b"-mark-of-the-call-id-"
NUMBER: Final = b"193847561"
BODY: Final = b"x" * 91_735
"""A body of a length that is found again."""
_LENGTH: Final = b"%d" % len(BODY)


def marked(parts: Sequence[bytes]) -> bytes:
    """Return a request with marks between these parts of its head, and a body."""
    marks = (BRANCH, TAG, CALL_ID, NUMBER, _LENGTH, BODY)
    return b"".join(piece for pair in zip(parts, marks, strict=True) for piece in pair)


def cut_request(data: bytes, branch: str) -> list[bytes] | None:
    """Cut what is sent on at its marks, and at our branch; None: they don't stand there once each, in this order."""
    head = data.removesuffix(BODY)
    return _cut(head, (branch.encode("ascii"), BRANCH, TAG, CALL_ID, NUMBER, _LENGTH))


def cut_name(data: bytes) -> list[bytes] | None:
    """Cut what our branch is made of."""
    return _cut(data, (BRANCH, CALL_ID, NUMBER, TAG))


def _cut(data: bytes, marks: Sequence[bytes]) -> list[bytes] | None:
    parts = []
    for mark in marks:
        if data.count(mark) != 1:
            return None
        before, _, data = data.partition(mark)
        parts.append(before)
    return [*parts, data]
