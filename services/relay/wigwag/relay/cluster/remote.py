"""Sending to a client or peer at another pod: one stream of a pod link, as a destination like any other.

Theory of operation. Frames that leave are *retained* until the holder says that it has taken them, at most
``CREDIT`` bytes of them; beyond that the stream is full and its sources wait. So when the stream ends it is known which
frames certainly were not passed on: these go on elsewhere, in order. Transactions stay here, with the pod that
answered the sender, until the holder tells their outcome, be it after the stream's end; whatever ends without one is
reported 408. What leads to a ua pod is kept until it is answered, and goes on elsewhere too (``Unanswered``): of such a
stream nothing is told after its end.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from wigwag.protocols.msrp import FrameParser, HeadReceived, ResponseHead
from wigwag.relay.destination import FLUSH_EARLY, LARGEST_OPEN, Destination, Holding
from wigwag.relay.traced import Traced
from wigwag.relay.unanswered import Unanswered

from .frames import (
    RELAYED,
    TIMED,
    TRACED,
    TRANSACTION,
    Answered,
    Closed,
    Failed,
    Response,
    Taken,
    Toward,
    data_head,
    open_stream,
    stop,
)

if TYPE_CHECKING:
    from wigwag.relay.service import Relay
    from wigwag.relay.transactions import Relayed

    from .link import PodLink

CREDIT = 262_144
"""Bytes of one stream that the holder may have without having passed them on."""


class Target(NamedTuple):
    """What a stream leads to."""

    toward: Toward
    session_id: str
    number: int
    """The session's epoch (client), or the number of the connection at the holder (peer)."""
    peer: str = ""


class Remote(Destination):
    """A stream to another pod.

    Args:
        relay: The relay of this pod.
        link: The link to the holder.
        stream: The stream's number on it.
        target: What it leads to.
        ended: Called once, when the holder has closed the stream, or the link is lost, with what was not passed on.

    Attributes:
        closed: Nothing more can be sent here.
        stood: The holder has taken the stream up: its receiver was there.
    """

    __slots__ = (
        "_decided",
        "_ended",
        "_relay",
        "_retiring",
        "_stopping",
        "closed",
        "count",
        "in_flight",
        "link",
        "relayed",
        "retained",
        "stood",
        "stream",
        "target",
        "unanswered",
    )

    def __init__(
        self,
        relay: "Relay",
        link: "PodLink",
        stream: int,
        target: Target,
        ended: "Callable[[Remote, Holding, Closed | None], None]",
    ) -> None:
        super().__init__()
        self.flush_at = FLUSH_EARLY
        self.link = link
        self.stream = stream
        self.target = target
        self.retained: deque[bytes] = deque()
        self.in_flight = 0
        self.count = 0  # Frames taken by the holder.
        self.relayed: dict[bytes, Relayed] | None = None
        self.closed = self.stood = False
        self._relay = relay
        self._ended = ended
        self._stopping = self._retiring = False
        self._decided: asyncio.Event | None = None
        self.unanswered: Unanswered | None = None
        self.full = not link.up
        link.send(open_stream(stream, target.toward, target.number, target.session_id, target.peer))

    def expect_successor(self) -> None:
        """Keep what is sent until it is answered: the receiver is a ua pod, whose session may go on elsewhere."""
        self.unanswered = Unanswered(self._relay.room)

    # Sending

    def reply(self, frame: bytes) -> None:
        """Send a REPORT ahead of what waits for room, as a hop does."""
        if self.closed:
            return
        if not self.outgoing:
            self._relay.to_flush.append(self)
        self.outgoing.append(frame)

    def flush(self) -> None:
        """Pass what is to be written to the link."""
        if self._stopping or self.closed:
            return
        frames, self.outgoing = self.outgoing, []
        self.flush_at = self.queued + FLUSH_EARLY
        for frame in frames:
            self._pass_on(frame)
        self._measure()

    def _pass_on(self, frame: bytes) -> None:
        transaction_id = frame[5:21]
        mark, octets, traceparent = 0, 0, b""
        transaction = self.transactions.get(transaction_id)
        if transaction is not None:
            mark, octets = TRANSACTION | TIMED if transaction[5] else TRANSACTION, transaction[3]
            if isinstance(transaction[0], Traced):
                mark, traceparent = mark | TRACED, transaction[0].span.traceparent.encode()
        elif self.relayed is not None and transaction_id in self.relayed:
            mark = RELAYED
        self.retained.append(frame)
        self.in_flight += len(frame)
        head = data_head(self.stream, mark, transaction_id, octets, len(traceparent) + len(frame))
        self.link.send(head + traceparent, frame)

    def _measure(self) -> None:
        if not self.full and (self.in_flight > CREDIT or len(self.transactions) > LARGEST_OPEN or not self.link.up):
            self.full = True
            self.full_since = self._relay.now()

    def make_room(self, now: float) -> None:
        """Let sources go on if the holder has taken enough and the link takes more."""
        if not self.full or self._stopping or self.closed or not self.link.writable:
            return
        if self.in_flight <= CREDIT // 2 and len(self.transactions) <= LARGEST_OPEN // 2:
            self.full = False
            for route in self.routes:
                route.drained = None
            self.release(now)

    # What the holder says

    def taken(self, frame: Taken, now: float) -> None:
        """So many frames have been passed on; 0: the receiver is there."""
        self.stood = True
        self._decide()
        self._drop_taken(frame.frames)
        self.make_room(now)

    async def stands(self) -> bool:
        """Wait until the holder has taken the stream up, or refused it, or can't be reached (False)."""
        if not self.stood and not self.closed:
            self._decided = self._decided or asyncio.Event()
            await self._decided.wait()
        return not self.closed

    def _decide(self) -> None:
        if self._decided is not None:
            self._decided.set()

    def _drop_taken(self, count: int) -> None:
        while self.count < count and self.retained:
            frame = self.retained.popleft()
            self.in_flight -= len(frame)
            self.count += 1
            if self.unanswered is not None:
                self.unanswered.keep((frame,), self.transactions)

    def answered(self, frame: Answered, now: float) -> None:
        """These have come to an end of which nobody needs to be told."""
        for transaction_id in frame.transaction_ids:
            transaction = self.transactions.pop(transaction_id, None)
            if transaction is not None and isinstance(transaction[0], Traced):
                transaction[0].answered(transaction_id)
        self._let_go_on(now)

    def failed(self, frame: Failed, now: float) -> None:
        """This one has failed."""
        transaction = self.transactions.pop(frame.transaction_id, None)
        if transaction is None:
            return
        if frame.refused:
            self._relay.responses.refused(transaction, frame.status, frame.comment)
        else:
            self._relay.reports.failure(transaction, frame.status, frame.comment)
        self._let_go_on(now)

    def _let_go_on(self, now: float) -> None:
        """Outcomes make room, and let those go on who wait for answers to their sub-chunks."""
        if self.unanswered is not None:
            self.unanswered.release(self.transactions)
        if self.closed and not self.transactions:
            self.link.forget(self)
        if self.full:
            self.make_room(now)
        elif self.waiting:
            self.release(now)
        if self._retiring and not self.transactions:
            self.stop()

    def response(self, frame: Response, now: float) -> None:
        """The response to a relayed request."""
        events, _ = FrameParser(self._relay.parser_limits).feed(frame.frame, 0)
        for event in events:
            if isinstance(event, HeadReceived) and isinstance(event.head, ResponseHead):
                self._relay.responses.handle(self, event.head, now)

    def forget_unanswered(self, now: float) -> None:
        """Forget requests of other methods that got no response in time, as a hop does."""
        if self.relayed:
            timeout = self._relay.settings.transaction_timeout
            self.relayed = {key: value for key, value in self.relayed.items() if now - value.sent_at < timeout} or None

    # The end

    def stop(self) -> None:
        """Send nothing more, and ask how far it got; ``ended`` follows."""
        if not self._stopping and not self.closed:
            self._stopping = self.full = True
            self.link.send(stop(self.stream))

    def retire(self) -> None:
        """Stop as soon as everything sent has its outcome: nobody will send more."""
        self._retiring = True
        if not self.transactions:
            self.stop()

    def end(self, closed: Closed | None, reason: str) -> None:
        """The stream is over; the holder tells the outcome of what it has taken, as long as the link stands.

        Args:
            closed: What the holder said; None: it said nothing, the link is lost.
            reason: For the REPORTs on what may have been passed on or not.
        """
        if self.closed:
            self._give_up(reason)
            return
        self.closed = True
        self._decide()
        if closed is not None:
            self._drop_taken(closed.frames)
        elif self.link.was_up:
            self._drop_taken(self.count + len(self.retained))  # Perhaps.
        left = self._left()
        if closed is None or not self.transactions or self.unanswered is not None:
            self._give_up(reason)
        self._ended(self, left, closed)

    def _give_up(self, reason: str) -> None:
        """Nothing more is told."""
        for transaction in self.transactions.values():
            self._relay.reports.timed_out(transaction, reason)
        self.transactions.clear()
        self.link.forget(self)

    def _left(self) -> Holding:
        """Return what was certainly not passed on, with its transactions, behind what is sent again."""
        left = Holding()
        waiting = {frame[5:21]: self.transactions.pop(frame[5:21], None) for frame in (*self.retained, *self.outgoing)}
        if self.unanswered is not None:
            left = self.unanswered.take_back(self.transactions)
            self.unanswered.clear()
        for frame in (*self.retained, *self.outgoing):
            left.put(frame, waiting[frame[5:21]])
        self.retained.clear()
        self.outgoing = []
        self.in_flight = 0
        return left
