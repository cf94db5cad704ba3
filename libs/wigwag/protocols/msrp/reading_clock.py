"""Time that stands still while this side does not read, because then silence is no fault of the peer's."""


class ReadingClock:
    """Monotonic seconds in which the peer could be heard.

    Deadlines on the peer are kept in these seconds: a response or the rest of a body may lie unread where the operating
    system keeps it.
    """

    def __init__(self) -> None:
        self._behind = 0.0
        self.stopped_at: float | None = None
        """Monotonic seconds since when the clock stands still; None while it runs."""

    def run(self, now: float, *, reading: bool) -> float:
        """Note whether this side reads from now on; return the time.

        Args:
            now: Monotonic seconds.
            reading: Whether it does.
        """
        if reading and self.stopped_at is not None:
            self._behind += now - self.stopped_at
            self.stopped_at = None
        elif not reading and self.stopped_at is None:
            self.stopped_at = now
        return (now if self.stopped_at is None else self.stopped_at) - self._behind

    def monotonic(self, time: float) -> float:
        """Return the monotonic seconds at which this clock, if it goes on running, shows ``time``."""
        return time + self._behind
