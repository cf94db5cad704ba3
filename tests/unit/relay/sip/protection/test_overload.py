"""Overload control, against a queue that behaves as a UDP socket before one busy process."""

import heapq
from collections import deque

import pytest

from wigwag.relay.sip.config import SipOverloadSettings
from wigwag.relay.sip.protection.overload import HIGHEST, MOST_REFUSALS, Overload

CAPACITY = 10_000.0
SERVE, REFUSE, DROP, REPEATED = 1 / CAPACITY, 16e-6, 3e-6, 8e-6
"""Seconds of CPU; measured, roughly."""
INTERVAL = 0.05
T1, T2 = 0.5, 4.0


class BusyProcess:
    """Serves requests in order, those that it refuses cost less; clients repeat what is not answered.

    Args:
        buffer: Datagrams that wait at most.
    """

    def __init__(self, buffer: int) -> None:
        self.overload = Overload(SipOverloadSettings().target_delay)
        self.now = 0.0
        self.queue: deque[int] = deque()
        self.served: list[float] = []
        self.recovered = 0.0
        self._buffer = buffer
        self._repeats: list[tuple[float, float, int]] = []
        self._answered: set[int] = set()
        self._requests = 0
        self._next = 0.0
        self._look = INTERVAL
        self._taken = 0

    def run(self, load: float, until: float) -> None:
        """Take ``load`` times the capacity until then."""
        while self.now < until:
            self._arrive(load)
            if self.now >= self._look:
                self._measure()
            if self.queue:
                self.now += self._work(self.queue.popleft())
            else:
                self.now = min(self._next, self._look)

    def _arrive(self, load: float) -> None:
        while self._next <= self.now:
            self._requests += 1
            self._offer(self._requests)
            heapq.heappush(self._repeats, (self._next + T1, T1, self._requests))
            self._next += 1 / (load * CAPACITY)
        while self._repeats and self._repeats[0][0] <= self.now:
            at, interval, request = heapq.heappop(self._repeats)
            if request not in self._answered:
                self._offer(request)
                interval = min(2 * interval, T2)
                heapq.heappush(self._repeats, (at + interval, interval, request))

    def _offer(self, request: int) -> None:
        if len(self.queue) < self._buffer:
            self.queue.append(request)

    def _measure(self) -> None:
        delay = len(self.queue) * INTERVAL / self._taken if self._taken else 0.0
        self.overload.update(delay, len(self.queue) / self._buffer)
        self._taken, self._look = 0, self.now + INTERVAL
        if self.overload.level:
            self.recovered = self.now

    def _work(self, request: int) -> float:
        self._taken += 1
        if request in self._answered:
            return REPEATED
        if self.overload.level and self.overload.drops():
            return DROP
        self._answered.add(request)
        if self.overload.level and self.overload.refuses(sifted=True):
            return REFUSE
        self.served.append(self.now)
        return SERVE

    def goodput(self, since: float, until: float) -> float:
        """Share of the capacity that went into served requests."""
        return sum(since <= at < until for at in self.served) / (until - since) / CAPACITY


def test_below_its_capacity_nothing_is_turned_away() -> None:
    process = BusyProcess(buffer=6000)
    process.run(0.95, until=5)
    assert process.recovered == 0.0
    assert process.goodput(1, 5) == pytest.approx(0.95, abs=0.01)


@pytest.mark.parametrize(("buffer", "least"), [(6000, 0.8), (330, 0.78)], ids=["4 MiB", "the kernel's default"])
def test_at_twice_the_capacity_four_fifths_of_it_are_served_and_it_is_over_soon_after(
    buffer: int, least: float
) -> None:
    process = BusyProcess(buffer)
    process.run(2.0, until=7)
    process.run(0.5, until=12)
    assert process.goodput(2, 7) >= least
    assert process.recovered < 7 + 5
    assert process.overload.level == 0.0


def test_ten_times_the_capacity_does_not_stop_it() -> None:
    process = BusyProcess(buffer=6000)
    process.run(10.0, until=3)
    assert process.goodput(1, 3) >= 0.3
    assert len(process.queue) <= 6000


def test_one_pause_of_the_process_turns_nobody_away() -> None:
    overload = Overload(target=0.05)
    overload.update(0.0)
    overload.update(3.0)
    assert overload.level == 0.0
    overload.update(0.0)
    assert overload.level == 0.0


def test_the_level_stays_within_its_bounds_whatever_is_measured() -> None:
    overload = Overload(target=0.05)
    for delay in [1e9] * 100:
        overload.update(delay, 1.0)
    assert overload.level == HIGHEST
    for _ in range(200):
        overload.update(0.0)
    assert overload.level == 0.0


@pytest.mark.parametrize("level", [0.1, 0.5, MOST_REFUSALS, 0.9, HIGHEST])
def test_the_level_is_the_share_that_is_not_served(level: float) -> None:
    overload = Overload(target=0.05)
    overload.level = level
    served = sum(not overload.drops() and not overload.refuses(sifted=True) for _ in range(10_000))
    assert served / 10_000 == pytest.approx(1 - level, abs=0.01)
    assert sum(overload.refuses(sifted=False) for _ in range(10_000)) == pytest.approx(10_000 * level, abs=2)
    assert sum(overload.refuses_favoured() for _ in range(10_000)) <= 10_000 * level
