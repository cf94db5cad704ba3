"""How much work to turn away: a controller that holds the waiting time near a target (after PIE, RFC 8033).

Theory of operation. The delay that messages have waited is measured at intervals. While it is above the target, or
grows, the level rises, else it falls: proportional to the distance from the target and to the trend. The level is the
share of new requests that is not served. Up to two fifths are answered 503, so that their senders don't try again; what
is more is dropped unread, which costs a quarter of it: else the refusals would take the time of those that could be
served. One long interval alone, such as a pause of the whole process, raises nothing.
"""

from typing import Final

HIGHEST: Final = 0.98
"""Some requests are looked at whatever happens, or the end of an overload would not be seen by its senders."""
MOST_REFUSALS: Final = 0.4
"""Share of the requests that were read that is answered 503 at most."""
_DISTANCE_WEIGHT: Final = 0.04
_TREND_WEIGHT: Final = 0.2
_LARGEST_STEP: Final = 0.1
_LONGEST: Final = 4.0
"""Delays count as this many targets at most: how far above all is lost does not matter."""
_DECAY: Final = 0.97
_NOTHING: Final = 0.005


class Overload:
    """Controls one edge.

    Args:
        target: Seconds that a message may wait.

    Attributes:
        level: Share of new requests that is not served, 0 to ``HIGHEST``.
    """

    def __init__(self, target: float) -> None:
        self.level = 0.0
        self._target = target
        self._pressure = 0.0
        self._calm = True
        self._refusing = 0.0
        self._favouring = 0.0
        self._dropping = 0.0

    def update(self, delay: float, fullness: float = 0.0) -> None:
        """Take a measurement; to be called every 50 ms or so.

        Args:
            delay: Seconds that messages wait now.
            fullness: How full the fullest queue of the kernel is, 0 to 1: half full is as bad as the target, and full
                four times: answers are lost then, too.
        """
        pressure = min(max(delay / self._target, 4.0 * fullness * fullness), _LONGEST)
        before, self._pressure = self._pressure, pressure
        was_calm, self._calm = self._calm, pressure <= 1.0
        if was_calm and not self.level:
            return
        step = _DISTANCE_WEIGHT * (pressure - 1.0) + _TREND_WEIGHT * (pressure - before)
        level = self.level + max(-_LARGEST_STEP, min(_LARGEST_STEP, step * _scale(self.level)))
        if pressure == 0.0 or (pressure < 0.5 and before < 0.5):
            level *= _DECAY
        self.level = min(HIGHEST, level) if level > _NOTHING else 0.0

    @property
    def drop_share(self) -> float:
        """Share of new requests that is dropped unread."""
        return max(0.0, 1.0 - (1.0 - self.level) / (1.0 - MOST_REFUSALS))

    def drops(self) -> bool:
        """Tell whether the next new request is dropped unread; the share is exact, no chance is involved."""
        self._dropping += self.drop_share
        if self._dropping < 1.0:
            return False
        self._dropping -= 1.0
        return True

    def refuses(self, *, sifted: bool) -> bool:
        """Tell whether the next new request that was read is answered 503.

        Args:
            sifted: Whether a share has been dropped unread before.
        """
        self._refusing += min(self.level, MOST_REFUSALS) if sifted else self.level
        if self._refusing < 1.0:
            return False
        self._refusing -= 1.0
        return True

    def refuses_favoured(self) -> bool:
        """As ``refuses``, for requests in which work is invested already: most are let in until all else is refused."""
        self._favouring += self.level**3
        if self._favouring < 1.0:
            return False
        self._favouring -= 1.0
        return True


def _scale(level: float) -> float:
    """Return how bold a step is: at low levels small ones matter (RFC 8033 section 4.2)."""
    return 1.0 if level >= 0.1 else 0.5 if level >= 0.01 else 0.25
