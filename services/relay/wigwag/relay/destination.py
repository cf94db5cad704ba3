"""Where forwarded frames go: a connected hop, one being connected, or what holds chunks for a suspended session."""

from collections import deque
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .route import Route
    from .transactions import Transaction

_NO_TIME = -1.0

FLUSH_EARLY = 65_536
"""Bytes of SENDs appended to one destination until they are written without waiting for the read to be worked off."""
LARGEST_OPEN = 4096
"""SENDs that one next hop may leave without a response until those who send to it have to wait."""


class Waiting(Protocol):
    """A source that waits for room."""

    def go_on(self, now: float) -> None:
        """There is room again, or the destination is gone."""


class Destination:
    """The part of a hop that forwarding writes to.

    Attributes:
        outgoing: Frames not yet passed to the connection, one MSRP message each.
        queued: Bytes of SENDs ever appended: the position in the stream up to which a transaction has left.
        transactions: SENDs without a response yet, by our transaction identifier, in the order they were appended.
        flush_at: Once ``queued`` is beyond, the frames are passed on at once, so that ``full`` is noticed in time.
        full: Takes no more for now: sources stop reading and line up in ``waiting``.
        holds: Whether it only keeps what it is given.
        routes: Routes that lead here.
    """

    __slots__ = (
        "departures",
        "flush_at",
        "full",
        "full_since",
        "outgoing",
        "queued",
        "routes",
        "transactions",
        "waiting",
    )

    holds = False
    closed = False

    def __init__(self) -> None:
        self.outgoing: list[bytes] = []
        self.queued = 0
        self.flush_at = 1 << 62
        self.transactions: dict[bytes, Transaction] = {}
        self.full = False
        self.full_since = 0.0
        self.routes: set[Route] = set()
        self.waiting: deque[Waiting] | None = None
        self.departures: deque[tuple[int, float]] | None = None

    @property
    def takes_reports(self) -> bool:
        """Whether a REPORT appended here may reach somebody."""
        return not self.closed

    def reply(self, frame: bytes) -> None:
        """Send a response or report, ahead of what waits for room."""
        self.outgoing.append(frame)

    def flush(self) -> None:
        """Pass what is to be written to the connection, where there is one."""

    def left(self, now: float, unsent: int) -> None:
        """Note that all but ``unsent`` bytes have left by ``now``: from there the transaction timers run."""
        gone = self.queued - unsent
        if self.departures is None:
            self.departures = deque()
        if not self.departures or self.departures[-1][0] < gone:
            self.departures.append((gone, now))

    def overdue(self, now: float, timeout: float) -> "list[Transaction]":
        """Take out the transactions whose last byte left ``timeout`` or more seconds ago (RFC 4976 section 6.4.1)."""
        overdue: list[Transaction] = []
        for transaction_id, transaction in list(self.transactions.items()):
            departed = self._departed(transaction[6])
            if departed == _NO_TIME or now - departed < timeout:
                break
            overdue.append(self.transactions.pop(transaction_id))
        return overdue

    def _departed(self, end: int) -> float:
        departures = self.departures
        while departures and departures[0][0] < end:
            departures.popleft()
        return departures[0][1] if departures else _NO_TIME

    def line_up(self, source: Waiting) -> None:
        """Let ``source`` go on when there is room again, after those that wait already."""
        if self.waiting is None:
            self.waiting = deque()
        if source not in self.waiting:
            self.waiting.append(source)

    def release(self, now: float) -> None:
        """Let waiting hops go on, each until this destination is full again: sessions are served in turn."""
        waiting = self.waiting
        for _ in range(len(waiting or ())):
            if self.full or not waiting:
                break
            waiting.popleft().go_on(now)
        if not self.waiting:
            self.waiting = None


class Connecting(Destination):
    """A next hop that is being connected: full until it is there."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__()
        self.full = True


class Question(Connecting):
    """An answer that is awaited: which way requests go. Whoever waits works his route out again when it is there."""

    __slots__ = ()


class Holding(Destination):
    """Keeps what is sent to a suspended session, up to 64 KiB, until it is resumed or given up.

    Always ``full``, so that the fast path leaves its chunks to those who ask ``takes_more``.

    Attributes:
        given_up: Nothing more is held.
        returned: Bytes that had been sent already and are to be sent again; they take no room from the others.
    """

    __slots__ = ("given_up", "returned")

    LARGEST = 65_536
    holds = True

    def __init__(self) -> None:
        super().__init__()
        self.full = True
        self.given_up = False
        self.returned = 0

    @property
    def takes_reports(self) -> bool:
        """Whether there is room, and hope."""
        return self.takes_more

    def reply(self, frame: bytes) -> None:
        """Keep a report for the client's return."""
        super().reply(frame)
        self.queued += len(frame)

    @property
    def takes_more(self) -> bool:
        """Whether a further chunk is held rather than refused."""
        return not self.given_up and self.queued - self.returned < self.LARGEST

    def put(self, frame: bytes, transaction: "Transaction | None") -> None:
        """Keep a SEND, behind what is there, with its transaction if it has one."""
        self.outgoing.append(frame)
        self.queued += len(frame)
        if transaction is not None:
            self.transactions[frame[5:21]] = (*transaction[:6], self.queued)

    def put_first(self, back: "Holding") -> None:
        """Take all that another holds, before everything else."""
        shift = back.queued
        self.outgoing[:0] = back.outgoing
        for transaction_id, transaction in self.transactions.items():
            back.transactions[transaction_id] = (*transaction[:6], transaction[6] + shift)
        self.transactions = back.transactions
        self.queued += shift
        self.returned += back.returned
        back.outgoing, back.transactions, back.queued, back.returned = [], {}, 0, 0

    def hand_over(self, destination: Destination) -> None:
        """Append all that was held, in order, to where the client is reached now."""
        shift = destination.queued
        destination.outgoing.extend(self.outgoing)
        destination.queued += self.queued
        for transaction_id, transaction in self.transactions.items():
            destination.transactions[transaction_id] = (*transaction[:6], transaction[6] + shift)
        self.outgoing, self.transactions, self.queued, self.returned = [], {}, 0, 0

    def give_up(self) -> "list[Transaction]":
        """Drop what was held; returns the transactions whose senders have to be told."""
        self.given_up = True
        dropped = list(self.transactions.values())
        self.outgoing, self.transactions, self.queued, self.returned = [], {}, 0, 0
        return dropped
