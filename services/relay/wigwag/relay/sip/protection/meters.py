"""Rates of many sources in bounded memory: allowances that are reckoned only when they have run out."""

from collections.abc import Callable
from typing import Final, Generic, TypeVar

BURST_SECONDS: Final = 2.0
"""Seconds' worth of its rate that a source may use at once."""
UNLIMITED: Final = float("inf")
T = TypeVar("T")


class Meter:
    """What one source may still do; whoever takes from ``left`` looks at the clock only when it falls below zero.

    Args:
        rate: Units per second; 0: no limit.
        now: Seconds, monotonic.
    """

    __slots__ = ("left", "rate", "updated")

    def __init__(self, rate: float, now: float) -> None:
        self.rate = rate
        self.left = rate * BURST_SECONDS if rate else UNLIMITED
        self.updated = now

    def take(self, now: float, amount: float = 1.0) -> bool:
        """Take ``amount`` if that is allowed; nothing is taken else."""
        if self.left < amount:
            self.refill(now)
            if self.left < amount:
                return False
        self.left -= amount
        return True

    def refill(self, now: float) -> None:
        """Add what has become allowed since the last time; a burst's worth is the most."""
        most = self.rate * BURST_SECONDS or UNLIMITED
        self.left = min(most, self.left + (now - self.updated) * self.rate) if self.rate else most
        self.updated = now


class Recent(Generic[T]):
    """Remembers the sources that were seen last.

    Theory of operation. Two generations: when the young one is full the old one is forgotten. A source that is seen
    often stays, one that is never seen again goes; no order has to be kept at each look.

    Args:
        make: Makes what is remembered of a new source.
        size: Sources of one generation.
    """

    def __init__(self, make: Callable[[str], T], size: int) -> None:
        self._make = make
        self._size = size
        self._young: dict[str, T] = {}
        self._old: dict[str, T] = {}
        self.generation = 0
        """How often sources were forgotten."""

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, name: str) -> T:
        """Return what is known of a source."""
        known = self._young.get(name)
        return known if known is not None else self._rejuvenate(name)

    def _rejuvenate(self, name: str) -> T:
        known = self._old.pop(name, None)
        if known is None:
            known = self._make(name)
        if len(self._young) >= self._size:
            self._old, self._young = self._young, {}
            self.generation += 1
        self._young[name] = known
        return known
