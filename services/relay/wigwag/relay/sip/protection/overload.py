"""How much to turn away of what comes over connections: a controller that holds the waiting time near a target (PIE).

Theory of operation, after RFC 8033. The delay that messages have waited is measured at intervals. While it is above
the target, or grows, the level rises, else it falls: proportional to the distance from the target and to the trend. The
level is the share of new requests that is answered 503. One long interval alone, such as a pause of the whole process,
raises nothing.
"""

from typing import Final

HIGHEST: Final = 0.98
"""Some requests are looked at whatever happens, or the end of an overload would not be seen by its senders."""
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
        self._own = 0.0
        self._pressure = 0.0
        self._calm = True
        self._refusing = 0.0
        self._favouring = 0.0

    def update(self, delay: float, share: float = 0.0) -> None:
        """Take a measurement; to be called every 50 ms or so.

        Args:
            delay: Seconds that messages wait now.
            share: Of the datagrams that was turned away of late: connections bear no less.
        """
        self._control(delay)
        self.level = max(self._own, min(share, HIGHEST))

    def _control(self, delay: float) -> None:
        pressure = min(delay / self._target, _LONGEST)
        before, self._pressure = self._pressure, pressure
        was_calm, self._calm = self._calm, pressure <= 1.0
        if was_calm and not self._own:
            return
        step = _DISTANCE_WEIGHT * (pressure - 1.0) + _TREND_WEIGHT * (pressure - before)
        level = self._own + max(-_LARGEST_STEP, min(_LARGEST_STEP, step * _scale(self._own)))
        if pressure == 0.0 or (pressure < 0.5 and before < 0.5):
            level *= _DECAY
        self._own = min(HIGHEST, level) if level > _NOTHING else 0.0

    def refuses(self) -> bool:
        """Tell whether the next new request is answered 503; the share is exact, no chance is involved."""
        self._refusing += self.level
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
