"""Rates: token buckets, and the slowest pace at which a chunk may arrive."""

from dataclasses import dataclass

BURST_SECONDS = 1.0
"""A bucket holds this much of its rate."""


@dataclass(slots=True)
class TokenBucket:
    """Allows ``rate`` units per second with bursts of one second's worth."""

    rate: float
    level: float
    updated: float

    @classmethod
    def full(cls, rate: float, now: float) -> "TokenBucket":
        """Return a bucket that has not been drawn from."""
        return cls(rate, rate * BURST_SECONDS, now)

    def draw(self, amount: float, now: float) -> float:
        """Draw ``amount`` and return for how many seconds the source has to pause (0: not at all)."""
        self.level = min(self.rate * BURST_SECONDS, self.level + (now - self.updated) * self.rate) - amount
        self.updated = now
        return -self.level / self.rate if self.level < 0 else 0.0


class Rates:
    """Messages and bytes per second of one session or address."""

    __slots__ = ("_messages", "_octets", "charged_messages")

    def __init__(self, messages: int, octets: int, now: float) -> None:
        self._messages = TokenBucket.full(messages, now) if messages else None
        self._octets = TokenBucket.full(octets, now) if octets else None
        self.charged_messages = 0
        """How many of the source's messages were charged already."""

    def charge(self, messages: int, octets: int, now: float) -> float:
        """Charge one read; returns for how many seconds reading has to pause."""
        pause = self._messages.draw(messages, now) if self._messages is not None else 0.0
        return max(pause, self._octets.draw(octets, now) if self._octets is not None else 0.0)


@dataclass(slots=True)
class Progress:
    """Watches that an unfinished frame makes progress (slow-loris, from either end of a chunk)."""

    since: float
    received: int

    def too_slow(self, received: int, now: float, timeout: float, least_rate: float) -> bool:
        """Tell, once per ``timeout`` seconds, whether fewer than ``least_rate`` bytes per second have arrived.

        Args:
            received: Bytes ever received on the connection.
            now: Monotonic seconds.
            timeout: Length of a window, in seconds.
            least_rate: Bytes per second.
        """
        if now - self.since < timeout:
            return False
        slow = received - self.received < max(1.0, least_rate * (now - self.since))
        self.since, self.received = now, received
        return slow
