"""Fails at once while a server is known to be away, and lets one try at a time find out whether it is back."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from redis.exceptions import (
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)

from wigwag.errors import StoreError
from wigwag.store import Availability

PAUSE: Final = 0.3
"""Seconds after a failure without another try."""
VENDOR_ERRORS: Final = (RedisError, OSError, TimeoutError, RuntimeError)
"""RuntimeError: what uvloop raises when a connection that was reset is written to (``the handler is closed``)."""

_UNFIT: Final = (
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisConnectionError,
)
# What Redis 6 says about an error within a script has no class of its own.
_UNFIT_CODE: Final = re.compile(
    r"\b(CLUSTERDOWN|LOADING|MASTERDOWN|MISCONF|NOAUTH|NOPERM|NOREPLICAS|OOM|READONLY|UNKILLABLE|BUSY)\b"
)


def is_unfit(error: object) -> bool:
    """Whether a server's answer says that it can't serve now, whatever is asked."""
    return isinstance(error, _UNFIT) or (isinstance(error, ResponseError) and bool(_UNFIT_CODE.search(str(error))))


def describe(error: BaseException) -> str:
    """Return what went wrong, fit for a log line."""
    if isinstance(error, TimeoutError) and not str(error):
        return "no answer in time"
    return str(error) or type(error).__name__


class Health:
    """Which servers are away; tells when the first goes and when the last is back."""

    def __init__(self, on_change: Availability) -> None:
        self._on_change = on_change
        self._away: dict[str, str] = {}
        self._was_available: bool | None = None

    def set_away(self, name: str, reason: str) -> None:
        """A server can't be reached."""
        self._away[name] = reason
        self._tell()

    def set_present(self, name: str) -> None:
        """A server answers, or is not asked any more."""
        self._away.pop(name, None)
        self._tell()

    def _tell(self) -> None:
        is_available = not self._away
        if is_available is not self._was_available:
            self._was_available = is_available
            self._on_change(is_available, "; ".join(f"{name}: {why}" for name, why in self._away.items()))


class Breaker:
    """A guard around the calls to one server.

    Args:
        name: Of the server, for texts.
        clock: Monotonic, seconds.
        health: Told of changes.
        pause: Seconds without a try after a failure.
    """

    def __init__(self, name: str, clock: Callable[[], float], health: Health, *, pause: float = PAUSE) -> None:
        self._name = name
        self._clock = clock
        self._health = health
        self._pause = pause
        self._reason = ""
        self._retry_at = 0.0
        self._is_probing = False
        self._failures = 0
        self._is_retired = False

    @property
    def is_away(self) -> bool:
        """Whether the last call failed."""
        return bool(self._reason)

    def retire(self) -> None:
        """Forget the server: what still fails says nothing about those that are left."""
        self._is_retired = True
        self._health.set_present(self._name)

    @contextmanager
    def attempt(self) -> Iterator[Callable[[], None]]:
        """Guard a call; yields what is to be called after waiting and before the call, for it may be in vain by then.

        Raises:
            StoreError: The server is away, or the call failed.
        """
        is_probe, failures = self._admit(), self._failures

        def check() -> None:
            if self._failures != failures:
                self._refuse()

        try:
            yield check
            self._succeed()
        except VENDOR_ERRORS as error:
            self._fail(describe(error))
            raise StoreError(f"redis {self._name}: {describe(error)}") from error
        finally:
            if is_probe:
                self._is_probing = False

    def _admit(self) -> bool:
        if not self.is_away:
            return False
        if self._is_probing or self._clock() < self._retry_at:
            self._refuse()
        self._is_probing = True
        return True

    def _refuse(self) -> None:
        raise StoreError(f"redis {self._name} is away: {self._reason}")

    def _succeed(self) -> None:
        self._reason = ""
        if not self._is_retired:
            self._health.set_present(self._name)

    def _fail(self, reason: str) -> None:
        self._reason = reason
        self._failures += 1
        self._retry_at = self._clock() + self._pause
        if not self._is_retired:
            self._health.set_away(self._name, reason)
