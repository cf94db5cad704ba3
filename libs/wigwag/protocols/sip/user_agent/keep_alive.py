"""When a flow needs a sign of life, and when it has failed for want of one (RFC 5626 section 4.4), sans-IO."""

from collections.abc import Callable
from typing import Final

STREAM_INTERVAL: Final = 120.0
"""Seconds between keep-alives over connections where the server names no time; RFC 5626 section 4.4.1."""
DATAGRAM_INTERVAL: Final = 29.0
"""Seconds between keep-alives over UDP: below the time for which address translators keep a binding."""
PATIENCE: Final = 10.0
"""Seconds within which a keep-alive is answered."""


class KeepAlive:
    """The keep-alives of one flow.

    A server that has never answered one may not know them: its silence proves nothing, unless it has promised.

    Args:
        interval: Seconds between keep-alives at most; the shortest are four fifths of it.
        now: The time.
        random: Returns so many unpredictable bytes.
    """

    def __init__(self, interval: float, now: float, random: Callable[[int], bytes]) -> None:
        self._interval = interval
        self._random = random
        self._answers = False
        self._sent_at: float | None = None
        self._due = now + self._pause()

    def promised(self, interval: float | None, now: float) -> None:
        """Hear that the server answers keep-alives, and within how many seconds it wants one (``Flow-Timer``)."""
        self._answers = True
        if interval is not None and interval > 0:
            self._interval = interval
            if self._sent_at is None:
                self._due = now + self._pause()

    def heard(self, now: float) -> bool:
        """Hear that something came over the flow; tells whether ``next_timeout`` is another now."""
        if self._sent_at is None:
            return False
        self._answers = True
        # Counted from the last one: the answer may have been noticed late.
        self._due = max(now, self._sent_at + self._pause())
        self._sent_at = None
        return True

    def next_timeout(self) -> float:
        """Return when ``handle_timeout`` has something to do."""
        return self._due

    def handle_timeout(self, now: float) -> bool | None:
        """Return True if a keep-alive is to be sent now, False if nothing is, None if the flow has failed."""
        if now < self._due:
            return False
        if self._sent_at is not None and self._answers:
            return None
        self._sent_at = now
        self._due = now + (PATIENCE if self._answers else self._pause())
        return True

    def _pause(self) -> float:
        return self._interval * (0.8 + 0.2 * self._random(1)[0] / 256)
