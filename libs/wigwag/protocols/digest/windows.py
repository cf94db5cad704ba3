"""The memory that stops a nonce from being used twice with the same count (RFC 7616 section 3.4, ``nc``)."""

from typing import Final

from .nonces import issued_at


class NonceWindow:
    """Which counts of one nonce were used: a sliding window of 32.

    Counts may overtake each other within the window; none is accepted twice.
    """

    __slots__ = ("_highest", "_seen")

    WIDTH: Final = 32

    def __init__(self) -> None:
        self._highest = 0
        self._seen = 0
        """Bit ``i`` stands for the count ``_highest - i``."""

    def accept(self, nc: int) -> bool:
        """Take note of a count; False for a replay, one too old to tell, and 0."""
        if nc < 1:
            return False
        ahead = nc - self._highest
        if ahead > 0:
            # A jump of 32 or more leaves nothing of the old window; shifting by it would cost memory.
            self._seen = (self._seen << ahead if ahead < self.WIDTH else 0) & 0xFFFFFFFF | 1
            self._highest = nc
            return True
        if -ahead >= self.WIDTH or self._seen & 1 << -ahead:
            return False
        self._seen |= 1 << -ahead
        return True


class NonceWindows:
    """The windows of many nonces: of those that one process issued to clients without a connection.

    Challenging costs no memory: a window begins with the first credentials that were right. When there are too many,
    the one used first goes; from then on no unknown nonce is taken that was issued before it, so that what has been
    forgotten is not accepted again.

    Args:
        lifetime: Seconds for which nonces are valid.
        largest: Windows to keep; one costs about 250 octets.
    """

    __slots__ = ("_forgotten", "_largest", "_lifetime", "_windows")

    def __init__(self, lifetime: float, largest: int = 100_000) -> None:
        self._lifetime = lifetime
        self._largest = largest
        self._windows: dict[str, tuple[float, NonceWindow]] = {}
        self._forgotten = float("-inf")

    def __len__(self) -> int:
        """Return how many windows are kept."""
        return len(self._windows)

    def accept(self, nonce: str, nc: int, wall: float) -> bool:
        """Take note of a count; False if it was used, or too much was forgotten to tell: the nonce is stale then.

        Args:
            nonce: One that ``NonceIssuer.check`` found valid, with credentials that were right.
            nc: nonce-count.
            wall: Seconds since 1970.
        """
        held = self._windows.get(nonce)
        if held is not None:
            return held[1].accept(nc)
        issued = issued_at(nonce)
        if issued is None or issued <= self._forgotten:
            return False
        self._make_room(wall)
        window = NonceWindow()
        self._windows[nonce] = (issued, window)
        return window.accept(nc)

    def _make_room(self, wall: float) -> None:
        """Drop what has expired, and else the one that was used first if there are too many."""
        while self._windows:
            first = next(iter(self._windows))
            issued = self._windows[first][0]
            if wall - issued <= self._lifetime and len(self._windows) < self._largest:
                return
            # An expired one too: the clock may be set back.
            self._forgotten = max(self._forgotten, issued)
            del self._windows[first]
