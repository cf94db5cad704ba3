"""Deadlines on what the peer has begun to send, against those who send it drop by drop."""

from enum import Enum


class Phase(Enum):
    """Where in a frame the stream of incoming bytes is."""

    BETWEEN = "between frames"
    HEAD = "in a head"
    BODY = "in a body"


class ProgressWatch:
    """Wants each head whole within a time, and each body to grow by some octets in every such time.

    Args:
        timeout: Seconds.
        least_octets: How much of a body has to come in that time.
    """

    def __init__(self, timeout: float, least_octets: int) -> None:
        self._timeout = timeout
        self._least_octets = least_octets
        self._watched = (Phase.BETWEEN, 0)
        self._octets = 0
        self.deadline: float | None = None
        """When the peer will have been too slow; None between frames."""

    def observe(self, phase: Phase, frame: int, octets: int, now: float) -> None:
        """Note where the stream is after a read.

        Args:
            phase: Where it is.
            frame: Number of the frame, counted from the connection's beginning.
            octets: How many were read.
            now: Monotonic seconds.
        """
        if phase is Phase.BETWEEN:
            self.deadline = None
        elif self.deadline is None or self._watched != (phase, frame):
            self.deadline = now + self._timeout
            self._octets = 0
        else:
            self._octets += octets
        self._watched = (phase, frame)

    def too_slow(self, now: float) -> bool:
        """Tell whether the deadline has passed without enough progress; a body with enough gets a new deadline."""
        if self.deadline is None or now < self.deadline:
            return False
        if self._watched[0] is Phase.BODY and self._octets >= self._least_octets:
            self.deadline = now + self._timeout
            self._octets = 0
            return False
        return True
