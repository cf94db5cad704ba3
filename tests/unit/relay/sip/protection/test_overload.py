"""Overload control of what comes over connections, against one busy process."""

from collections import deque

import pytest

from wigwag.relay.sip.config import SipOverloadSettings
from wigwag.relay.sip.protection.overload import HIGHEST, Overload

CAPACITY = 2_000.0
SERVE, REFUSE = 1 / CAPACITY, 0.3 / CAPACITY
"""Seconds of CPU: to refuse what came over a connection takes nearly a third of serving it."""
INTERVAL = 0.05


class BusyProcess:
    """Serves requests in order; those that it refuses cost less."""

    def __init__(self) -> None:
        self.overload = Overload(SipOverloadSettings().target_delay)
        self.now = 0.0
        self.queue: deque[float] = deque()
        self.served: list[float] = []
        self.waited = 0.0
        self.recovered = 0.0
        self._next = 0.0
        self._look = INTERVAL
        self._taken = 0

    def run(self, load: float, until: float) -> None:
        """Take ``load`` times the capacity until then."""
        while self.now < until:
            while self._next <= self.now:
                self.queue.append(self._next)
                self._next += 1 / (load * CAPACITY)
            if self.now >= self._look:
                self._measure()
            if self.queue:
                self._work(self.queue.popleft())
            else:
                self.now = min(self._next, self._look)

    def _measure(self) -> None:
        self.overload.update(len(self.queue) * INTERVAL / self._taken if self._taken else 0.0)
        self._taken, self._look = 0, self.now + INTERVAL
        if self.overload.level:
            self.recovered = self.now

    def _work(self, since: float) -> None:
        self._taken += 1
        self.waited = self.now - since
        if self.overload.level and self.overload.refuses():
            self.now += REFUSE
            return
        self.now += SERVE
        self.served.append(self.now)

    def goodput(self, since: float, until: float) -> float:
        """Share of the capacity that went into served requests."""
        return sum(since <= at < until for at in self.served) / (until - since) / CAPACITY


def test_below_its_capacity_nothing_is_turned_away() -> None:
    process = BusyProcess()
    process.run(0.95, until=5)
    assert process.recovered == 0.0
    assert process.goodput(1, 5) == pytest.approx(0.95, abs=0.01)


def test_at_twice_the_capacity_the_delay_is_bounded_all_time_is_used_and_it_is_over_soon_after() -> None:
    process = BusyProcess()
    process.run(2.0, until=10)
    assert process.waited < 2 * SipOverloadSettings().target_delay
    # What is served and what is refused of the rest fill the time: s + 0.3 * (2 - s) = 1.
    assert process.goodput(5, 10) == pytest.approx(0.4 / 0.7, abs=0.06)
    process.run(0.5, until=15)
    assert process.recovered < 10 + 5
    assert process.overload.level == 0.0


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
        overload.update(delay)
    assert overload.level == HIGHEST
    for _ in range(200):
        overload.update(0.0)
    assert overload.level == 0.0


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9, HIGHEST])
def test_the_level_is_the_share_that_is_not_served(level: float) -> None:
    overload = Overload(target=0.05)
    overload.level = level
    assert sum(overload.refuses() for _ in range(10_000)) == pytest.approx(10_000 * level, abs=2)
    assert sum(overload.refuses_favoured() for _ in range(10_000)) <= 10_000 * level


def test_connections_bear_no_less_than_datagrams() -> None:
    overload = Overload(target=0.05)
    overload.update(0.0, share=0.4)
    assert overload.level == 0.4
    overload.update(0.0, share=0.0)
    assert overload.level == 0.0
