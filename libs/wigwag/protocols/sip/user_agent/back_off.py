"""How long to wait before the next attempt (RFC 5626 section 4.5), sans-IO."""

from collections.abc import Callable


class BackOff:
    """Waits that double up to a bound, each drawn from the upper half: many clients don't come back at once.

    Args:
        base: Seconds of the first wait at most.
        longest: Seconds of the longest.
        random: Returns so many unpredictable bytes.
    """

    def __init__(self, base: float, longest: float, random: Callable[[int], bytes]) -> None:
        self._base = base
        self._longest = longest
        self._random = random
        self._failures = 0

    def next_wait(self, at_least: float = 0.0) -> float:
        """Return the seconds to wait after one more failure.

        Args:
            at_least: Seconds that the server asked for (Retry-After).
        """
        upper = min(self._longest, self._base * 2.0 ** min(self._failures, 32))
        self._failures += 1
        return max(at_least, upper * (0.5 + 0.5 * self._random(1)[0] / 256))

    def succeeded(self) -> None:
        """Begin anew: it worked."""
        self._failures = 0
