"""Timers of transactions (RFC 3261 table 4, RFC 6026), each constant duration a queue.

Theory of operation. A timer of a constant duration fires in the order in which it was started, so all running ones
of that kind are a queue whose head is due first: to start one is to append. To stop one is nothing at all: the
transaction is in a state that has no row for it, and it is dropped when it reaches the head. A queue holds the
transactions themselves; the moment is kept in the transaction (``since`` its state's timer was started, ``sent`` its
last transmission), so that a waiting transaction costs eight bytes here.
"""

from collections import deque
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from .machines import Event, State, running


@dataclass(frozen=True, slots=True, kw_only=True)
class SipTimers:
    """Durations in seconds (RFC 3261 table 4); Timer C belongs to the proxy core.

    Raises:
        ValueError: A duration is not above zero, or T2 is below T1.
    """

    t1: float = 0.5
    """Estimate of a round trip; first interval of retransmission."""
    t2: float = 4.0
    """Longest interval between retransmissions of all but INVITE requests."""
    t4: float = 5.0
    """The longest that a message stays in the network."""
    timer_d: float = 32.0
    """How long an INVITE client absorbs retransmitted refusals over UDP; at least 32 s where T1 is 0.5 s."""
    trying: float = 0.2
    """After this time an INVITE is answered with 100 if the user has said nothing (section 17.2.1)."""

    def __post_init__(self) -> None:
        if min(self.t1, self.t4, self.timer_d, self.trying) <= 0 or self.t2 < self.t1:
            raise ValueError("durations of SIP timers are above zero, and T2 is not below T1")

    @property
    def timer_b(self) -> float:
        """INVITE without any response."""
        return 64 * self.t1

    @property
    def timer_f(self) -> float:
        """Other request without a final response."""
        return 64 * self.t1

    @property
    def timer_h(self) -> float:
        """Refusal of an INVITE without an ACK."""
        return 64 * self.t1

    @property
    def timer_i(self) -> float:
        """How long retransmitted ACKs are absorbed over UDP."""
        return self.t4

    @property
    def timer_j(self) -> float:
        """How long retransmitted requests are answered again over UDP."""
        return 64 * self.t1

    @property
    def timer_k(self) -> float:
        """How long retransmitted responses are absorbed over UDP."""
        return self.t4

    @property
    def timer_l(self) -> float:
        """How long retransmitted INVITEs are absorbed after a 2xx, over any transport."""
        return 64 * self.t1

    @property
    def timer_m(self) -> float:
        """How long further 2xx of an INVITE are taken, over any transport."""
        return 64 * self.t1


class Timed(Protocol):
    """A transaction as its timers see it."""

    state: State
    since: float

    def fire(self, event: Event, now: float) -> None:
        """A timer is due, and it is still running."""


class Repeated(Timed, Protocol):
    """A transaction that sends again until it is answered."""

    sent: float


T = TypeVar("T", bound=Timed)


class Queue(Generic[T]):
    """Transactions that wait for one timer, counted from ``since``.

    Args:
        event: The timer.
        duration: Seconds, above 0.
    """

    __slots__ = ("_running", "duration", "event", "waiting")

    def __init__(self, event: Event, duration: float) -> None:
        self.event = event
        self.duration = duration
        self.waiting: deque[T] = deque()
        self._running = running(event)

    def next_timeout(self) -> float | None:
        """Return when the first of them is due; forget those at the head whose timer has stopped."""
        waiting, live = self.waiting, self._running
        while waiting:
            first = waiting[0]
            if live[first.state]:
                return self._started(first) + self.duration
            waiting.popleft()
        return None

    def expire(self, now: float) -> None:
        """Fire all that are due."""
        waiting, live, event, duration = self.waiting, self._running, self.event, self.duration
        while waiting:
            first = waiting[0]
            if not live[first.state]:
                waiting.popleft()
            elif self._started(first) + duration <= now:
                waiting.popleft().fire(event, now)
            else:
                return

    def hasten(self, most: int, now: float) -> None:
        """Fire the first ones before they are due, so many at most."""
        waiting, live = self.waiting, self._running
        while waiting and most:
            first = waiting.popleft()
            if live[first.state]:
                first.fire(self.event, now)
                most -= 1

    def _started(self, transaction: T) -> float:
        return transaction.since


class BackOffQueue(Queue[Repeated]):
    """Transactions that wait for one interval between retransmissions, counted from ``sent``."""

    __slots__ = ("following",)

    def __init__(self, event: Event, duration: float) -> None:
        super().__init__(event, duration)
        self.following = self
        """The next interval."""

    def _started(self, transaction: Repeated) -> float:
        return transaction.sent


def back_off(event: Event, first: float, longest: float) -> list[BackOffQueue]:
    """Return the queues of intervals that double from ``first`` until they are ``longest``, which stays."""
    chain = [BackOffQueue(event, first)]
    while chain[-1].duration < longest:
        following = BackOffQueue(event, min(2 * chain[-1].duration, longest))
        chain[-1].following = following
        chain.append(following)
    return chain


class Queues:
    """All timers of a transaction layer."""

    def __init__(self, timers: SipTimers) -> None:
        self.timer_b = Queue[Timed](Event.TIMER_B, timers.timer_b)
        self.timer_d = Queue[Timed](Event.TIMER_D, timers.timer_d)
        self.timer_f = Queue[Timed](Event.TIMER_F, timers.timer_f)
        self.timer_h = Queue[Timed](Event.TIMER_H, timers.timer_h)
        self.timer_i = Queue[Timed](Event.TIMER_I, timers.timer_i)
        self.timer_j = Queue[Timed](Event.TIMER_J, timers.timer_j)
        self.timer_k = Queue[Timed](Event.TIMER_K, timers.timer_k)
        self.timer_l = Queue[Timed](Event.TIMER_L, timers.timer_l)
        self.timer_m = Queue[Timed](Event.TIMER_M, timers.timer_m)
        self.trying = Queue[Timed](Event.TIMER_TRYING, timers.trying)
        self.unanswered = Queue[Timed](Event.TIMER_UNANSWERED, 64 * timers.t1)
        self.cancelled = Queue[Timed](Event.TIMER_CANCELLED, 64 * timers.t1)
        # What ends goes first: after a long pause nothing is sent for a transaction whose time is over anyway.
        ends = tuple(vars(self).values())
        intervals_a = back_off(Event.TIMER_A, timers.t1, timers.timer_b)
        intervals_e = back_off(Event.TIMER_E, timers.t1, timers.t2)
        intervals_g = back_off(Event.TIMER_G, timers.t1, timers.t2)
        self.timer_a = intervals_a[0]
        self.timer_e = intervals_e[0]
        self.timer_e_slow = intervals_e[-1]
        self.timer_g = intervals_g[0]
        self._all: tuple[Queue[Any], ...] = (*ends, *intervals_a, *intervals_e, *intervals_g)

    def next_timeout(self) -> float | None:
        """Return when the next timer is due."""
        due = [at for queue in self._all if queue.waiting and (at := queue.next_timeout()) is not None]
        return min(due) if due else None

    def expire(self, now: float) -> None:
        """Fire all timers that are due."""
        for queue in self._all:
            if queue.waiting:
                queue.expire(now)
