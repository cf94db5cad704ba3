"""Moments at which something is to be done, each of which can be called off."""

import heapq
import itertools
from collections.abc import Callable
from typing import Final

_FEW: Final = 64


class Alarm:
    """One moment."""

    __slots__ = ("_alarms", "action", "at")

    def __init__(self, alarms: "Alarms", at: float, action: Callable[[float], None]) -> None:
        self._alarms = alarms
        self.at = at
        self.action: Callable[[float], None] | None = action

    def cancel(self) -> None:
        """Call it off; more than once is once, and after it has rung nothing."""
        if self.action is not None:
            self.action = None
            self._alarms.cancelled()


class Alarms:
    """All moments of a user agent, in order."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Alarm]] = []
        self._number = itertools.count()
        self._cancelled = 0

    def __len__(self) -> int:
        return len(self._heap) - self._cancelled

    def set(self, at: float, action: Callable[[float], None]) -> Alarm:
        """Do something at a moment; it is told the time, which may be later."""
        alarm = Alarm(self, at, action)
        heapq.heappush(self._heap, (at, next(self._number), alarm))
        return alarm

    def cancelled(self) -> None:
        """Note that one was called off; what is mostly called off is swept."""
        self._cancelled += 1
        if self._cancelled > _FEW and 2 * self._cancelled > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].action is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0

    def next_timeout(self) -> float | None:
        """Return when the next one is due."""
        while self._heap:
            at, _, alarm = self._heap[0]
            if alarm.action is not None:
                return at
            heapq.heappop(self._heap)
            self._cancelled -= 1
        return None

    def handle_timeout(self, now: float) -> None:
        """Do what is due."""
        while (at := self.next_timeout()) is not None and at <= now:
            alarm = heapq.heappop(self._heap)[2]
            action, alarm.action = alarm.action, None
            if action is not None:
                action(now)
