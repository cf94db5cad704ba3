"""Time and chance, given to everything that needs them as arguments."""

import secrets
import time
from collections.abc import Callable

MonotonicClock = Callable[[], float]
"""Seconds since some moment; never goes back; for lifetimes and timers."""
WallClock = Callable[[], float]
"""Seconds since 1970-01-01 UTC; may be set back; only for what leaves the process."""
Random = Callable[[int], bytes]
"""So many unpredictable bytes."""

monotonic: MonotonicClock = time.monotonic
wall: WallClock = time.time
random: Random = secrets.token_bytes
