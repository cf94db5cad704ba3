"""The relay's fast path: complete SENDs over known routes, their 200s, and REPORTs, in one pass over a read.

``forward`` is the narrow function behind which a compiled twin may stand. It takes the bytes of one read and the routes
that the reading hop has learned, appends whole frames to the hops they go to, and stops at the first frame that is not
its business: unknown route, another method, an odd header, a frame cut by the end of the read. What it leaves goes
through ``FrameParser`` and ``Hop``, the reference, which a property test holds against it.
"""

import re
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .hop import Hop

# RFC 4975 section 9; only spellings that need no second look. A header that occurs twice leaves a line that no group
# accounts for, which ``forward`` notices by counting lines. Path headers may hold anything: only those are looked up
# that the reference path has accepted before, octet for octet.
_IDENT = rb"[A-Za-z0-9][A-Za-z0-9.\-+%=]{3,31}"
_FRAME = re.compile(
    rb"MSRP (" + _IDENT + rb") (?:"
    rb"200[ -~]*\r\nTo-Path: [ -~]+\r\nFrom-Path: [ -~]+\r\n-------\1\$\r\n"
    rb"|SEND\r\n(To-Path: [^\r]+\r\nFrom-Path: [^\r]+\r\n)"
    rb"((?:Message-ID: (" + _IDENT + rb")\r\n"
    rb"|Byte-Range: ([1-9][0-9]{0,14})-([0-9]{1,15}|\*)/([0-9]{1,15}|\*)\r\n"
    rb"|Success-Report: (yes|no)\r\n"
    rb"|Failure-Report: (yes|no|partial)\r\n)*"
    rb"Content-Type: [!-~][ -~]{0,255}\r\n)\r\n"
    rb"|REPORT\r\n(To-Path: [^\r]+\r\nFrom-Path: [^\r]+\r\n)"
    rb"(Message-ID: " + _IDENT + rb"\r\nByte-Range: ([1-9][0-9]{0,14})-([0-9]{1,15})/([0-9]{1,15})\r\n"
    rb"Status: 000 [1-9][0-9]{2}(?: [!-~][ -~]*)?\r\n)-------\1\$\r\n)"
)
_TAILS = (b"$\r\n", b"+\r\n", b"#\r\n")

LARGEST_WHOLE = 65_536
"""Bytes of body up to which a chunk is forwarded whole; longer ones travel as sub-chunks of this size."""


class Stop(Enum):
    """Why ``forward`` returned."""

    DONE = "everything was consumed"
    CUT = "the last frame is a SEND whose end has not arrived"
    OTHER = "the next frame is for the reference path"
    FULL = "the next frame's destination takes no more for now"


def end_of_body(data: bytes, position: int, end: bytes) -> int:
    """Return where ``end`` (CRLF and the hyphens and identifier of the end-line) begins, or -1.

    ``bytes.find`` for one byte is memchr and some ten times faster than for the whole line; a body full of CRs gets
    the whole-line search instead, so that hostile bytes stay linear.
    """
    for _ in range(16):
        position = data.find(b"\r", position)
        if position < 0 or data.startswith(end, position):
            return position
        position += 1
    return data.find(end, position)


def forward(data: bytes, position: int, source: "Hop") -> tuple[int, Stop]:
    """Forward the frames of ``data`` from ``position`` on.

    Frames are appended to ``outgoing`` of the hops concerned, which are added to ``source.relay.to_flush``.

    Args:
        data: One read, preceded by what an earlier one left.
        position: Where a frame begins.
        source: The hop that read it; its ``routes_from`` are looked up by the exact bytes of both path headers.

    Returns:
        The position of the first frame not consumed, and why.
    """
    match = _FRAME.match
    routes, transactions = source.routes_from, source.transactions
    relay = source.relay
    transaction_ids, to_flush = relay.transaction_ids, relay.to_flush
    size = len(data)
    while position < size:
        frame = match(data, position)
        if frame is None:
            return position, Stop.OTHER
        transaction_id, paths, fields, message_id, start, end, total, success, failure, *report = frame.groups()
        if paths is None:
            if report[0] is not None:
                if not _pass_report(source, *report):
                    return position, Stop.OTHER
                position = frame.end()
                continue
            transaction = transactions.pop(transaction_id, None)
            if transaction is None:
                return position, Stop.OTHER
            answered = transaction[0].answered
            if answered is not None:
                answered(transaction_id)
            position = frame.end()
            continue
        route = routes.get(paths)
        if route is None or not route.open:
            return position, Stop.OTHER
        destination = route.destination
        if destination.full:
            if route.drained is not None or destination.holds:
                return position, Stop.OTHER
            source.blocked_on = destination
            return position, Stop.FULL
        lines = 3 + (success is not None) + (failure is not None)
        if message_id is None or start is None or fields.count(b"\r\n") != lines or source.refused:
            return position, Stop.OTHER
        body = frame.end()
        if data.startswith(b"-------", body):
            return position, Stop.OTHER  # Perhaps an end-line behind an empty body: the reference path's to judge.
        end_line = b"\r\n-------" + transaction_id
        after = data.find(b"\r", body)
        if not data.startswith(end_line, after):
            after = end_of_body(data, body, end_line)
        if after < 0:
            return position, Stop.CUT
        flag = after + len(end_line)
        tail = data[flag : flag + 3]
        if tail not in _TAILS:
            return position, Stop.CUT if len(tail) < 3 else Stop.OTHER
        octets = after - body
        last = octets if start == b"1" else int(start) + octets - 1
        if (
            not 0 < octets <= LARGEST_WHOLE
            or (end != b"*" and int(end) != last)
            or (total != end and total != b"*" and int(total) < last)
            or (route.largest_message and (total == b"*" or int(total) > route.largest_message))
        ):
            return position, Stop.OTHER

        onward_id = transaction_ids.pop() if transaction_ids else relay.next_transaction_id()
        whole = b"".join(
            (
                b"MSRP ",
                onward_id,
                b" SEND\r\n",
                route.paths,
                data[frame.start(3) : after],
                b"\r\n-------",
                onward_id,
                tail,
            )
        )
        outgoing = destination.outgoing
        if not outgoing:
            to_flush.append(destination)
        outgoing.append(whole)
        destination.queued += len(whole)
        if failure != b"no":
            destination.transactions[onward_id] = (
                route, message_id, start, octets, total, failure != b"partial", destination.queued
            )  # fmt: skip
            if failure != b"partial":
                outgoing = source.outgoing
                if not outgoing:
                    to_flush.append(source)
                outgoing.append(b"MSRP " + transaction_id + route.ok + transaction_id + b"$\r\n")
        if destination.queued > destination.flush_at:
            destination.flush()
        route.messages += 1
        route.octets += octets
        position = flag + 3
    return position, Stop.DONE


def _pass_report(source: "Hop", paths: bytes, fields: bytes, start: bytes, end: bytes, total: bytes) -> bool:
    """Pass a REPORT on, ahead of what waits; False: it is the reference path's to judge."""
    relay, route = source.relay, source.routes_from.get(paths)
    if route is None or not route.open or route.drained is not None or not int(start) <= int(end) <= int(total):
        return False
    destination = route.destination
    if destination.full:
        return False
    onward_id = relay.next_transaction_id()
    if not destination.outgoing:
        relay.to_flush.append(destination)
    destination.outgoing.append(b"MSRP %b REPORT\r\n%b%b-------%b$\r\n" % (onward_id, route.paths, fields, onward_id))
    route.session.reports += 1
    relay.counters["reports_forwarded"] += 1
    return True
