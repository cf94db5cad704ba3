"""Framing: from a stream of bytes, cut anywhere, to heads, bodies and ends (RFC 4975 sections 7.1 and 9).

Theory of operation. Between frames the parser collects a head until its blank line or, without a body, its end-line.
From then on body octets are passed on as they come; only what may be the beginning of the end-line is held back, 44
octets at most. A malformed head is reported with the answer it deserves, and the rest of its frame is skipped, since
its end-line can still be found. Where it can't, or a limit is passed, the connection has no future and
``RemoteProtocolError`` is raised. Every search goes on where the one before stopped, so that the work is linear however
the bytes are cut.
"""

import re
from dataclasses import dataclass
from typing import Final

from wigwag.errors import RemoteProtocolError

from .grammar import RequestHead, ResponseHead
from .head import HeadLimitError, Limits, answer_to_malformed, parse_head, transaction_id_of
from .progress import Phase

# A header's name begins with a letter, so the first line of hyphens ends the head.
_END_OF_HEAD = re.compile(rb"\r\n(?:\r\n|-------)")
_MARK: Final = b"MSRP "
_TAILS: Final = {b"$\r\n": "$", b"+\r\n": "+", b"#\r\n": "#"}
_TAIL_BEGINNINGS: Final = frozenset(tail[:length] for tail in _TAILS for length in range(3))
_MAX_EMPTY_LINES: Final = 2


@dataclass(frozen=True, slots=True)
class HeadReceived:
    """A request or response begins."""

    head: RequestHead | ResponseHead


@dataclass(frozen=True, slots=True)
class BodyReceived:
    """Octets that are certainly body; a body comes in any number of these, an empty one in none."""

    data: bytes


@dataclass(frozen=True, slots=True)
class FrameEnded:
    """The end-line of the frame whose head came last."""

    flag: str
    """continuation-flag: ``$``, ``+`` or ``#``."""


@dataclass(frozen=True, slots=True)
class MalformedReceived:
    """A frame whose head can't be used; no other event of that frame follows."""

    transaction_id: str
    response: bytes | None
    """The answer, ready to be sent; None when none may or can be given."""
    reason: str
    status: int
    fatal: bool = False
    """A limit is passed: the connection has to be closed after the answer, ``feed`` refuses anything further."""


FrameEvent = HeadReceived | BodyReceived | FrameEnded | MalformedReceived


class EndLineScanner:
    """Finds the end-line of one frame: CRLF, seven hyphens, its transact-id, a flag, CRLF.

    The scanner begins at the blank line, whose CRLF may serve as the one before the end-line: that frame breaks the
    grammar, but waiting for another end-line would be waiting for ever.
    """

    __slots__ = ("_end", "_held", "_not_body", "flag")

    def __init__(self, transaction_id: bytes) -> None:
        self._end = b"\r\n-------" + transaction_id
        self._held = b"\r\n"
        self._not_body = 2
        self.flag: str | None = None
        """The end-line's flag once it was found."""

    def scan(self, data: bytes, position: int) -> tuple[list[bytes], int]:
        """Scan ``data`` from ``position``; return pieces of body and the position after what was consumed."""
        pieces: list[bytes] = []
        if self._held:
            position = self._scan_held(data, position, pieces)
            if self._held or self.flag is not None:
                return pieces, position
        return pieces, self._scan_data(data, position, pieces)

    def _scan_data(self, data: bytes, start: int, pieces: list[bytes]) -> int:
        end = self._end
        found = data.find(end, start)
        while found >= 0:
            after = found + len(end)
            tail = data[after : after + 3]
            if tail in _TAILS:
                self.flag = _TAILS[tail]
                _append(pieces, data[start:found])
                return after + 3
            if tail in _TAIL_BEGINNINGS:
                break
            found = data.find(end, found + 2)
        if found < 0:
            found = self._begun_at(data, start)
        _append(pieces, data[start:found])
        self._held = data[found:]
        return len(data)

    def _begun_at(self, data: bytes, start: int) -> int:
        """Return where the bytes at the end of ``data`` begin that may become an end-line."""
        candidate = data.find(b"\r", max(start, len(data) - len(self._end) + 1))
        while candidate >= 0:
            if self._end.startswith(data[candidate:]):
                return candidate
            candidate = data.find(b"\r", candidate + 1)
        return len(data)

    def _scan_held(self, data: bytes, position: int, pieces: list[bytes]) -> int:
        """Decide what the held bytes are, now that more follow them."""
        held, end = self._held, self._end
        longest = len(end) + 3
        joined = held + data[position : position + longest]
        candidate = 0
        while 0 <= candidate < len(held):
            line = joined[candidate : candidate + longest]
            tail = line[len(end) :]
            if line.startswith(end) and tail in _TAILS:
                self.flag = _TAILS[tail]
                self._release(joined[:candidate], pieces)
                return position + candidate + longest - len(held)
            if end.startswith(line) or (line.startswith(end) and tail in _TAIL_BEGINNINGS):
                self._release(joined[:candidate], pieces)
                self._held = joined[candidate:]
                return position + len(joined) - len(held)
            candidate = joined.find(b"\r", candidate + 1)
        self._release(held, pieces)
        return position

    def _release(self, octets: bytes, pieces: list[bytes]) -> None:
        if octets:
            _append(pieces, octets[self._not_body :])
            self._not_body = 0
        self._held = b""


def _append(pieces: list[bytes], octets: bytes) -> None:
    if octets:
        pieces.append(octets)


class FrameParser:
    """Cuts the stream of one connection into frames.

    Attributes:
        limits: What it accepts.
    """

    __slots__ = (
        "_body_room",
        "_buffer",
        "_empty_lines",
        "_failure",
        "_scanner",
        "_searched",
        "_skipping",
        "limits",
    )

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits if limits is not None else Limits()
        self._buffer: bytearray | None = None
        """An incomplete head, or a CR that may belong to an empty line."""
        self._searched = 0
        """How many octets of the buffer are known not to hold the head's end."""
        self._empty_lines = 0
        self._scanner: EndLineScanner | None = None
        self._skipping = False
        self._body_room: int | None = None
        self._failure: str | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing is buffered and no frame has begun."""
        return self._scanner is None and self._buffer is None

    @property
    def phase(self) -> Phase:
        """Where the stream is."""
        if self._scanner is not None:
            return Phase.BODY
        return Phase.BETWEEN if self._buffer is None else Phase.HEAD

    def feed(self, data: bytes, position: int = 0) -> tuple[list[FrameEvent], int]:
        """Consume bytes up to the end of one frame at most.

        An incomplete rest is kept. The caller goes on with the returned position until it is ``len(data)``.

        Args:
            data: Bytes from the peer.
            position: Where to begin in them.

        Returns:
            What the bytes mean, and the position after what was consumed.

        Raises:
            RemoteProtocolError: The framing is lost or a limit passed: the connection has to be closed. ``status`` is
                None.
        """
        if self._failure is not None:
            raise RemoteProtocolError(self._failure)
        events: list[FrameEvent] = []
        if self._scanner is None:
            position = self._feed_head(data, position, events)
        if self._scanner is not None:
            position = self._feed_body(self._scanner, data, position, events)
        return events, position

    def _feed_head(self, data: bytes, position: int, events: list[FrameEvent]) -> int:
        source: bytes | bytearray = data
        start, shift = position, 0
        if self._buffer is not None:
            # No more than a head can have: the rest of a long read stays where it is.
            shift = position - len(self._buffer)
            self._buffer += data[position : position + self.limits.max_header_bytes + 64]
            source, start = self._buffer, 0
        start = self._skip_empty_lines(source, start)
        match = _END_OF_HEAD.search(source, start + self._searched)
        if match is None:
            self._wait_for_head(source, start, events)
            return len(data)
        head_end = match.start() + 2
        if head_end - start > self.limits.max_header_bytes:
            self._refuse_length(source, start, events)
            return len(data)
        block = bytes(source[start:head_end])
        transaction_id = transaction_id_of(block)
        if transaction_id is None:
            raise self._fail("unintelligible start line")
        if source.endswith(b"\r\n", head_end, head_end + 2):
            self._finish_head(block, transaction_id, True, events)
            return head_end + 2 + shift
        after = self._feed_end_line(source, start, head_end, transaction_id, events)
        if after + shift < position and self._scanner is not None:
            # A line that looked like an end-line came with an earlier read, and does not come again.
            self._scanner.scan(bytes(source[after : position - shift]), 0)
            return position
        return after + shift

    def _feed_end_line(
        self, source: bytes | bytearray, start: int, head_end: int, transaction_id: bytes, events: list[FrameEvent]
    ) -> int:
        """Take the line of hyphens after a head without a body; return the position after what was consumed."""
        after = head_end + 10 + len(transaction_id)
        line = bytes(source[head_end + 7 : after])
        tail = line[len(transaction_id) :]
        if line.startswith(transaction_id) and tail in _TAILS:
            self._finish_head(bytes(source[start:head_end]), transaction_id, False, events)
            if self._scanner is None and not isinstance(events[-1], MalformedReceived):
                events.append(FrameEnded(_TAILS[tail]))
            return after
        if transaction_id.startswith(line) or (line.startswith(transaction_id) and tail in _TAIL_BEGINNINGS):
            self._keep(source, start, head_end - 2)
            return len(source)
        self._malformed(bytes(source[start:head_end]), transaction_id, 400, "line of hyphens that ends nothing", events)
        self._scanner = EndLineScanner(transaction_id)
        return head_end

    def _skip_empty_lines(self, source: bytes | bytearray, start: int) -> int:
        """Skip what some peers send between frames to keep a connection alive; anything but MSRP loses the framing."""
        while source.startswith(b"\r\n", start):
            start += 2
            self._empty_lines += 1
            if self._empty_lines > _MAX_EMPTY_LINES:
                raise self._fail("too many empty lines between frames")
        begin = bytes(source[start : start + 5])
        if not _MARK.startswith(begin) and begin != b"\r":
            raise self._fail("not MSRP")
        return start

    def _wait_for_head(self, source: bytes | bytearray, start: int, events: list[FrameEvent]) -> None:
        """Keep an incomplete head, unless it is clear already that it will never be one."""
        if len(source) - start > self.limits.max_header_bytes:
            self._refuse_length(source, start, events)
            return
        line_end = source.find(b"\n", start, start + 512)
        if line_end >= 0 and transaction_id_of(bytes(source[start : line_end + 1])) is None:
            raise self._fail("unintelligible start line")
        self._keep(source, start, max(start, len(source) - 8))

    def _keep(self, source: bytes | bytearray, start: int, searched: int) -> None:
        """Keep what begins at ``start``; the next search begins at ``searched``."""
        self._searched = searched - start
        if source is self._buffer:
            del self._buffer[:start]
        else:
            self._buffer = bytearray(source[start:])
        if not self._buffer:
            self._buffer = None

    def _finish_head(self, block: bytes, transaction_id: bytes, has_body: bool, events: list[FrameEvent]) -> None:
        self._buffer = None
        self._searched = 0
        self._empty_lines = 0
        self._skipping = False
        try:
            head = parse_head(block, has_body, self.limits)
        except HeadLimitError as error:
            self._malformed(block, transaction_id, 400, error.reason, events, fatal=True)
            return
        except RemoteProtocolError as error:
            self._malformed(block, transaction_id, error.status or 400, error.reason, events)
        else:
            events.append(HeadReceived(head))
            is_send = isinstance(head, RequestHead) and head.method == "SEND"
            self._body_room = None if is_send else self.limits.max_non_send_body
        if has_body:
            self._scanner = EndLineScanner(transaction_id)

    def _malformed(
        self,
        block: bytes,
        transaction_id: bytes,
        status: int,
        reason: str,
        events: list[FrameEvent],
        *,
        fatal: bool = False,
    ) -> None:
        self._buffer = None
        self._searched = 0
        self._empty_lines = 0
        self._skipping = True
        if fatal:
            self._failure = reason
        answer = answer_to_malformed(block, status, reason)
        events.append(MalformedReceived(transaction_id.decode(), answer, reason, status, fatal))

    def _refuse_length(self, source: bytes | bytearray, start: int, events: list[FrameEvent]) -> None:
        block = bytes(source[start : start + self.limits.max_header_bytes])
        transaction_id = transaction_id_of(block)
        if transaction_id is None:
            raise self._fail("unintelligible start line")
        self._malformed(block, transaction_id, 400, "headers too long", events, fatal=True)

    def _fail(self, reason: str) -> RemoteProtocolError:
        self._failure = reason
        self._buffer = None
        return RemoteProtocolError(reason)

    def _feed_body(self, scanner: EndLineScanner, data: bytes, position: int, events: list[FrameEvent]) -> int:
        pieces, position = scanner.scan(data, position)
        if not self._skipping:
            for piece in pieces:
                self._count_body(len(piece))
                events.append(BodyReceived(piece))
        if scanner.flag is not None:
            self._scanner = None
            if not self._skipping:
                events.append(FrameEnded(scanner.flag))
        return position

    def _count_body(self, octets: int) -> None:
        if self._body_room is None:
            return
        self._body_room -= octets
        if self._body_room < 0:
            raise self._fail("body too long for a request that is not SEND")
