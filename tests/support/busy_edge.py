"""An edge with one CPU before a UDP socket, in virtual time: what each thing costs, what kernel and peers do."""

import heapq
from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast

from wigwag.relay.sip.protection.request_queue import Datagram, Fate, RequestQueue

SLOWNESS: Final = 5
"""A slower machine makes a faster test: less happens in a second. What counts datagrams is as much smaller."""
READ, SERVE, PASS, HOLD, REFUSE, DROP, REPEATED = (
    SLOWNESS * cost for cost in (1.5e-6, 52e-6, 13e-6, 1.5e-6, 10e-6, 0.5e-6, 10e-6)
)
"""Seconds of CPU; measured, but for the slowness."""
CAPACITY: Final = 1 / (2 * READ + SERVE + PASS)
INTERVAL: Final = 0.05
T1, T2 = 0.5, 4.0
ROUND_TRIP: Final = 0.001
"""Seconds until a receiver's 200 is here."""
PER_WAKE_UP, READ_AHEAD, SERVED_AT_ONCE = 64 // SLOWNESS, 512 // SLOWNESS, 16 // SLOWNESS


class BusyEdge:
    """Forwards requests and passes their responses on, both of which wait in one queue of the kernel.

    Args:
        queue: Decides what becomes of new requests.
        room: Datagrams that the kernel holds.
        repeating: Whether clients repeat what is not answered.
    """

    def __init__(self, queue: RequestQueue, room: int, *, repeating: bool) -> None:
        self.queue = queue
        self.now = 0.0
        self.calm_since = 0.0
        self.answered: list[tuple[float, float]] = []
        """When, and how long after the request was sent first."""
        self.responses_lost = 0
        self.load = 0.0
        self._room = room
        self._repeating = repeating
        self._kernel: deque[tuple[bool, int]] = deque()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._sent: list[float] = []
        self._taken: set[int] = set()
        self._done: set[int] = set()
        self._serial = 0
        self._taken_lately = 0
        self._at(0.0, self._send)
        self._at(INTERVAL, self._look)

    def run(self, load: float, until: float) -> None:
        """Take ``load`` times the capacity until then."""
        self.load = load
        while self.now < until:
            self._happen()
            if not self._kernel and not self.queue:
                self.now = self._events[0][0]
                continue
            for _ in range(READ_AHEAD if self.queue.is_open else PER_WAKE_UP):
                if self._kernel:
                    self._read(*self._kernel.popleft())
            self._serve_some()

    def goodput(self, since: float, until: float) -> float:
        """Share of the capacity that went into answered requests."""
        return sum(since <= at < until for at, _ in self.answered) / (until - since) / CAPACITY

    # Peers

    def _at(self, when: float, what: Callable[[], None]) -> None:
        self._serial += 1
        heapq.heappush(self._events, (when, self._serial, what))

    def _happen(self) -> None:
        while self._events[0][0] <= self.now:
            heapq.heappop(self._events)[2]()

    def _send(self) -> None:
        number, at = len(self._sent), self._sent[-1] + 1 / (self.load * CAPACITY) if self._sent else 0.0
        self._sent.append(at)
        self._arrive(response=False, number=number)
        self._at(at + 1 / (self.load * CAPACITY), self._send)
        if self._repeating:
            self._at(at + T1, lambda: self._repeat(number, T1, at + T1))

    def _repeat(self, number: int, interval: float, now: float) -> None:
        if number not in self._done:
            self._arrive(response=False, number=number)
            longer = min(2 * interval, T2)
            self._at(now + longer, lambda: self._repeat(number, longer, now + longer))

    def _arrive(self, *, response: bool, number: int) -> None:
        if len(self._kernel) < self._room:
            self._kernel.append((response, number))
        else:
            self.responses_lost += response

    def _forward(self, number: int) -> None:
        """Send on, and again at T1 (timer E); the receiver answers each time."""
        if number not in self._done:
            self._at(self.now + ROUND_TRIP, lambda: self._arrive(response=True, number=number))
            self._at(self.now + T1, lambda: self._forward(number))

    # The process

    def _look(self) -> None:
        delay = len(self._kernel) * INTERVAL / self._taken_lately if self._taken_lately else 0.0
        self.queue.look(delay, len(self._kernel) / self._room, self.now)
        self._taken_lately = 0
        if self.queue.is_open:
            self.calm_since = self.now
        self._at(self.now + INTERVAL, self._look)

    def _read(self, response: bool, number: int) -> None:
        self._taken_lately += 1
        self.now += READ
        if response:
            self.now += PASS
            if number not in self._done:
                self._done.add(number)
                self.answered.append((self.now, self.now - self._sent[number]))
        elif self.queue.is_open:
            self.now += HOLD
            nowhere = cast("Any", None)
            self.queue.put(Datagram(b"%d" % number, ("", 0), nowhere, nowhere, self.now), favoured=False)
        else:
            self._serve(number)

    def _serve_some(self) -> None:
        served, now = 0, self.now
        while served < SERVED_AT_ONCE and (taken := self.queue.take(now)):
            number = int(taken[0].data)
            if taken[1] is Fate.SERVED:
                self._serve(number)
                served += 1
            elif taken[1] is Fate.REFUSED and number not in self._taken:
                self.now += REFUSE
                self._done.add(number)
            else:
                self.now += DROP

    def _serve(self, number: int) -> None:
        if number in self._taken:
            self.now += REPEATED
            return
        self._taken.add(number)
        self.now += SERVE
        self._forward(number)
