"""What the process as such uses: event loop, processor, memory, descriptors; what autoscaling looks at."""

import asyncio
import os
import resource
import time
from collections.abc import Iterable
from pathlib import Path

from .clock import MonotonicClock, monotonic
from .instruments import Reading
from .names import (
    NODE_CPU_TIME,
    NODE_DESCRIPTOR_LIMIT,
    NODE_DESCRIPTORS,
    NODE_LOOP_LAG_MAX,
    NODE_LOOP_LAG_MEAN,
    NODE_MEMORY,
    NODE_UPTIME,
)

LAG_INTERVAL = 0.25
"""Seconds between two looks at the event loop's delay."""
LAG_WINDOW = 10.0
"""Seconds after which the older half of what is known is forgotten."""

_STATM = Path("/proc/self/statm")
_DESCRIPTORS = Path("/proc/self/fd")


class LagWindow:
    """Longest and mean delay over the last 10 to 20 seconds; readers don't disturb each other.

    Args:
        now: When it begins, monotonic seconds.
        length: Seconds of half a window.
    """

    def __init__(self, now: float, length: float = LAG_WINDOW) -> None:
        self._length = length
        self._turn = now + length
        self._older = self._newer = (0.0, 0.0, 0)

    def add(self, lag: float, now: float) -> None:
        """Take one delay, in seconds."""
        if now >= self._turn:
            late = now >= self._turn + self._length
            self._older, self._newer = ((0.0, 0.0, 0) if late else self._newer), (0.0, 0.0, 0)
            self._turn = now + self._length
        longest, total, count = self._newer
        self._newer = (max(longest, lag), total + lag, count + 1)

    @property
    def longest(self) -> float:
        """The longest delay, in seconds."""
        return max(self._older[0], self._newer[0])

    @property
    def mean(self) -> float:
        """The mean delay, in seconds; 0 before the first."""
        count = self._older[2] + self._newer[2]
        return (self._older[1] + self._newer[1]) / count if count else 0.0


class ProcessReadings:
    """Measures the event loop's delay by a timer that should ring at a known time, and reads the rest when asked.

    Args:
        now: Monotonic clock.
    """

    def __init__(self, now: MonotonicClock = monotonic) -> None:
        self._now = now
        self._started = now()
        self._lag = LagWindow(self._started)
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Measure from now on."""
        self._set_timer()

    def stop(self) -> None:
        """Measure no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _set_timer(self) -> None:
        due = self._now() + LAG_INTERVAL
        self._timer = asyncio.get_running_loop().call_later(LAG_INTERVAL, self._rang, due)

    def _rang(self, due: float) -> None:
        now = self._now()
        self._lag.add(max(0.0, now - due), now)
        self._set_timer()

    def readings(self) -> Iterable[Reading]:
        """Yield the metrics; those that the system doesn't tell are left out."""
        yield NODE_LOOP_LAG_MAX.read(self._lag.longest)
        yield NODE_LOOP_LAG_MEAN.read(self._lag.mean)
        yield NODE_CPU_TIME.read(time.process_time())
        yield NODE_UPTIME.read(self._now() - self._started)
        yield NODE_DESCRIPTOR_LIMIT.read(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        if _STATM.exists():
            yield NODE_MEMORY.read(int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
            yield NODE_DESCRIPTORS.read(open_descriptors())


def open_descriptors() -> int:
    """Return how many file descriptors are open; without listing them where the system counts (Linux 6.2)."""
    return _DESCRIPTORS.stat().st_size or len(os.listdir(_DESCRIPTORS))
