"""Values that are forgotten some time after they have expired, a bounded number of them."""

from typing import Generic, TypeVar

from .rules import is_live

T = TypeVar("T")


class Expiring(Generic[T]):
    """Values by name, each with its expiry; no time passes but what the caller says."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[T, float]] = {}

    def get(self, name: str, now: float) -> T | None:
        """Return what is there and has not expired."""
        value, expires_at = self._values.get(name, (None, 0.0))
        if value is not None and not is_live(expires_at, now):
            del self._values[name]
            return None
        return value

    def put(self, name: str, value: T, expires_at: float) -> None:
        """Set a value; its expiry only ever moves on."""
        _, known = self._values.get(name, (None, expires_at))
        self._values[name] = value, max(known, expires_at)

    def remove(self, name: str, value: T) -> None:
        """Forget a value if it is this one."""
        known, _ = self._values.get(name, (None, 0.0))
        if known == value:
            del self._values[name]

    def has_room(self, most: int, now: float) -> bool:
        """Whether there are fewer than ``most`` values that have not expired."""
        return len(self._values) < most or self.sweep(now) < most

    def sweep(self, now: float) -> int:
        """Forget what has expired; return how many are left."""
        self._values = {name: kept for name, kept in self._values.items() if is_live(kept[1], now)}
        return len(self._values)
