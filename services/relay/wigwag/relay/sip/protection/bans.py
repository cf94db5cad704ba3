"""Addresses that are shut out for a while."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from wigwag.errors import NotFoundError
from wigwag.transport.addresses import network_of

MOST_BANS: Final = 65_536
"""The oldest one is lifted when there are more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BanView:
    """One address that is shut out."""

    address: str
    """IPv4 address, or the first one of an IPv6 /64."""
    reason: str
    since: float
    """Wall clock, seconds."""
    until: float
    """Wall clock, seconds."""


@dataclass(frozen=True, slots=True)
class _Ban:
    until: float
    view: BanView


class Bans:
    """The bans of this pod.

    Args:
        now: Seconds, monotonic; bans are measured by it.
        wall: Seconds since 1970; bans are shown by it.
    """

    def __init__(self, now: Callable[[], float], wall: Callable[[], float]) -> None:
        self._now = now
        self._wall = wall
        self._bans: dict[str, _Ban] = {}
        self.imposed = 0
        """Bans there ever were."""

    def __len__(self) -> int:
        self.expire()
        return len(self._bans)

    def impose(self, network: str, reason: str, seconds: float) -> None:
        """Shut a network out from now on for so many seconds."""
        while len(self._bans) >= MOST_BANS:
            del self._bans[next(iter(self._bans))]
        self._bans.pop(network, None)
        wall = self._wall()
        view = BanView(address=network, reason=reason, since=wall, until=wall + seconds)
        self._bans[network] = _Ban(self._now() + seconds, view)
        self.imposed += 1

    def holds(self, network: str) -> bool:
        """Tell whether a network is shut out."""
        ban = self._bans.get(network)
        if ban is None:
            return False
        if ban.until <= self._now():
            del self._bans[network]
            return False
        return True

    def lift(self, address: str) -> None:
        """Let an address in again.

        Raises:
            NotFoundError: It is not shut out.
        """
        if not self.holds(network_of(address)):
            raise NotFoundError(f"{address} is not banned")
        del self._bans[network_of(address)]

    def expire(self) -> None:
        """Forget the bans that are over."""
        now = self._now()
        for network in [network for network, ban in self._bans.items() if ban.until <= now]:
            del self._bans[network]

    def views(self) -> list[BanView]:
        """Return those that hold, the oldest first."""
        self.expire()
        return [ban.view for ban in self._bans.values()]
