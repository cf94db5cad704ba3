"""A SEND on its way through the relay, of any size, in bounded memory (RFC 4976 section 6.4.1).

A chunk of up to 64 KiB leaves as it came. A longer one leaves as sub-chunks of 64 KiB, each a complete SEND of its own
with the exact Byte-Range, so that nothing is ever left open on the next hop: other sessions' frames go between two of
them, and a sender who vanishes leaves only a chunk to be flagged. The next hop's responses to sub-chunks end here.
"""

from collections import deque
from typing import TYPE_CHECKING

from wigwag.protocols.msrp import FailureReport, RequestHead
from wigwag.runtime.names import OCTETS

from .datapath import LARGEST_WHOLE
from .destination import Destination, Holding, Question
from .traced import Traced, begun, end, fields_onward

if TYPE_CHECKING:
    from .hop import Hop
    from .route import Route
    from .sessions import Session


MOST_UNANSWERED = 32
"""Sub-chunks of one chunk that may be on their way at once (2 MiB): what is in the receiver's socket buffer, other
sessions on the same connection have to wait for. It limits one message to 2 MiB per round trip."""


class SendChunk:
    """One SEND request being received from ``hop``.

    Args:
        hop: Where it comes from.
        head: Its head.
        route: Where it goes; None: that is being found out, and the hop waits for it.
    """

    def __init__(self, hop: "Hop", head: RequestHead, route: "Route | None") -> None:
        self._hop = hop
        self._head = head
        self._route: Route | None = None
        self._pieces: deque[bytes] = deque()
        self._unanswered: deque[bytes] = deque()
        self._used = 0  # Octets of the first piece that are taken already.
        self._held = 0
        self._flag: str | None = None
        self._forwarded = self._reported = False
        self._dropped = 0
        self.failed: tuple[int, str] | None = None
        self._span = begun(hop, head)
        self._raw_fields = b""
        byte_range = head.byte_range
        self._start = self._next = byte_range.start if byte_range is not None else 1
        total = byte_range.total if byte_range is not None else None
        self._total = b"*" if total is None else b"%d" % total
        self._largest = hop.relay.settings.limits.message_bytes
        if route is not None:
            self._take_route(route)
        if self._largest and total is not None and total > self._largest:
            self.fail(413, "message too large")

    @property
    def message_id(self) -> str:
        """The Message-ID."""
        return self._head.message_id or ""

    def belongs_to(self, session: "Session", message_id: str) -> bool:
        """Tell whether this is a chunk of the message."""
        return self._route is not None and self._route.session is session and self.message_id == message_id

    def _take_route(self, route: "Route") -> None:
        if self._route is None:
            self._hop.relay.message_continues(route.session, self.message_id)
        self._route = route
        self._raw_fields = fields_onward(self._head, route, self._span)

    def fail(self, status: int, reason: str) -> None:
        """Stop forwarding; the rest of the chunk is drained, and so is the rest of the message."""
        if self.failed is not None:
            return
        self.failed = (status, reason)
        end(self._span, status, reason)
        if self._route is not None:
            self._hop.relay.refuse_message(self._hop, self._route.session, self.message_id, status, reason)
        if self._forwarded or status == 408:
            self._report(self._held)
        else:
            self._dropped += self._held
        self._pieces.clear()
        self._held = self._used = 0

    def body(self, data: bytes, now: float) -> None:
        """Take a piece of the body."""
        if self.failed is not None:
            self._dropped += len(data)
            return
        self._pieces.append(data)
        self._held += len(data)
        if self._largest and self._next + self._held - 1 > self._largest:
            self.fail(413, "message too large")
        elif self._held > LARGEST_WHOLE:
            self._pump(now)

    def ended(self, flag: str, now: float) -> None:
        """Take the end-line; what is left is forwarded by ``go_on``."""
        self._flag = flag

    def go_on(self, now: float) -> bool:
        """Forward what can be; True when the chunk is done with."""
        if not self._pump(now) or self._flag is None:
            return False
        if self.failed is None:
            rest = self._take(self._held)
            self._forward(rest, self._flag, whole=not self._forwarded)
        self._answer()
        return True

    def abandoned(self, now: float) -> None:
        """The sender is gone: end the message's bytes so far with ``+`` and let the next hop know in time."""
        if self._flag is None:
            self._span.end(error="the sender is gone")
        if self.failed is not None:
            return
        if self._route is None:
            return
        if self._held and self._flag is None and self._route.open and self._make_room(now):
            self._forward(self._take(self._held), "+", whole=False)
        if self._forwarded:
            self._hop.relay.abandon_message(self._route, self._head, self._next, self._total, now)

    def refuse(self, status: int, comment: str) -> None:
        """Answer with an error: the connection is about to be closed."""
        end(self._span, status, comment)
        if self._head.failure_report is not FailureReport.NO:
            self._hop.relay.reply(self._hop, self._head, status, comment, self._route)

    def _pump(self, now: float) -> bool:
        """Forward full sub-chunks; False when the destination has no room for more."""
        while self.failed is None:
            if self._flag is None and self._held <= LARGEST_WHOLE and self._route is not None:
                return True
            if not self._make_room(now):
                return self.failed is not None
            if self._held <= LARGEST_WHOLE:
                return True
            self._forward(self._take(LARGEST_WHOLE), "+", whole=False)
        return True

    def _make_room(self, now: float) -> bool:
        route = self._route
        if route is None or not route.open:
            route = self._reroute(now)
        if route is None:
            return False
        if route.drained is not None:
            self.fail(*route.drained)
            return False
        destination = route.destination
        if isinstance(destination, Holding):
            if not destination.takes_more:
                self.fail(*route.exit_session.refusal_while_suspended)
            return destination.takes_more
        room = not destination.full and self._has_credit(destination)
        if not room and not self._hop.closed:
            self._hop.wait_for(destination, now)
        return room

    def _has_credit(self, destination: Destination) -> bool:
        """Tell whether the next hop has answered enough of the sub-chunks; it answers them in order."""
        unanswered = self._unanswered
        while unanswered and unanswered[0] not in destination.transactions:
            unanswered.popleft()
        return len(unanswered) < MOST_UNANSWERED

    def _reroute(self, now: float) -> "Route | None":
        """Work the route out again: its session or destination changed during the chunk, or it was not known yet."""
        found = self._hop.relay.requests.route_or_drop(self._hop, self._head, now)
        if isinstance(found, Question):
            self._hop.wait_for(found, now)
            return None
        if found is None or isinstance(found, tuple):
            self.fail(*(found or (481, "not for this relay")))
            return None
        refused = self._hop.refused.get((found.session, self.message_id)) if self._hop.refused else None
        if refused is not None and self._route is None:
            self.fail(refused[0], refused[1])
            return None
        self._take_route(found)
        return found

    def _report(self, octets: int) -> None:
        """Tell the origin that the next ``octets`` will not arrive."""
        reports = self._head.failure_report is not FailureReport.NO
        if octets and self.failed is not None and reports and self._route is not None:
            start = b"%d" % self._next
            transaction = (self._route, self.message_id.encode(), start, octets, self._total, True, 0)
            self._hop.relay.reports.failure(transaction, *self.failed)
            self._reported = True
        self._next += octets

    def _take(self, octets: int) -> bytes:
        """Take exactly ``octets`` from what is held, without copying what stays."""
        taken: list[bytes] = []
        missing = octets
        while missing:
            piece, used = self._pieces[0], self._used
            part = piece[used : used + missing] if used or len(piece) > missing else piece
            taken.append(part)
            missing -= len(part)
            if used + len(part) == len(piece):
                self._pieces.popleft()
                self._used = 0
            else:
                self._used = used + len(part)
        self._held -= octets
        return taken[0] if len(taken) == 1 else b"".join(taken)

    def _forward(self, body: bytes, flag: str, *, whole: bool) -> None:
        route, head, relay = self._route, self._head, self._hop.relay
        assert route is not None
        destination = route.destination
        transaction_id = relay.next_transaction_id()
        fields = self._raw_fields if whole else self._fields(len(body))
        content = b"\r\n" + body + b"\r\n" if head.has_body else b""
        frame = b"MSRP %b SEND\r\n%b%b%b-------%b%b\r\n" % (
            transaction_id, route.paths, fields, content, transaction_id, flag.encode()
        )  # fmt: skip
        if not destination.outgoing:
            relay.to_flush.append(destination)
        destination.outgoing.append(frame)
        destination.queued += len(frame)
        if head.failure_report is not FailureReport.NO:
            start = b"%d" % self._next
            timed = head.failure_report is FailureReport.YES
            owner: Route | Traced = route
            if self._span.recorded and self._flag is not None and not self._held:
                self._span.set(OCTETS, len(body))
                owner = Traced(route, self._span)
            destination.transactions[transaction_id] = (
                owner, self.message_id.encode(), start, len(body), self._total, timed, destination.queued
            )  # fmt: skip
            if timed and not whole:
                self._unanswered.append(transaction_id)
        self._next += len(body)
        self._forwarded = True
        route.messages += 1
        route.octets += len(body)
        if destination.queued > destination.flush_at:
            destination.flush()

    def _fields(self, octets: int) -> bytes:
        """Return the header fields with the Byte-Range of a sub-chunk that begins at the next octet."""
        byte_range = b"Byte-Range: %d-%d/%b" % (self._next, self._next + octets - 1, self._total)
        lines = self._raw_fields.split(b"\r\n")
        for index, line in enumerate(lines):
            if line[:11].lower() == b"byte-range:":
                lines[index] = byte_range
                break
        else:
            lines.insert(0, byte_range)
        return b"\r\n".join(lines)

    def _answer(self) -> None:
        """Answer the previous hop; what was dropped after a first part went on is reported instead."""
        status = (200, "OK")
        if self.failed is not None:
            if self._forwarded or self._reported:
                self._report(self._dropped)
            else:
                status = self.failed
        report = self._head.failure_report
        if report is FailureReport.NO:
            self._span.end()
        if report is FailureReport.YES or (report is FailureReport.PARTIAL and status[0] != 200):
            self._hop.relay.reply(self._hop, self._head, *status, self._route)


class RefusedChunk:
    """A SEND that was answered at its head: the rest is read and dropped."""

    def body(self, data: bytes, now: float) -> None:
        """Drop a piece of the body."""

    def ended(self, flag: str, now: float) -> None:
        """Nothing is left to do."""

    def go_on(self, now: float) -> bool:
        """Done with, always."""
        return True

    def abandoned(self, now: float) -> None:
        """Nothing was forwarded."""

    def refuse(self, status: int, comment: str) -> None:
        """It has been answered already."""
