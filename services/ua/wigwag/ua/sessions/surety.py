"""Until when a pod may be sure that what it owns is its own."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from wigwag.runtime.members import LEASE

_MARGIN: Final = 0.3
"""Seconds by which the clocks of pod and store may drift apart meanwhile."""
_PAUSE: Final = 1.0
"""Seconds between two questions while the store is away."""


class Surety:
    """Knows by the clock that nobody else can have claimed our sessions; asks when it does not.

    Theory of operation. Others claim when a lease has run out, or when they see no sign of life for ``LEASE`` seconds.
    So until then, counted from the beginning of the last renewal and of the last sign of life, nobody has. After a
    longer silence others may have seen us dead, and go on believing it until their next look: for as long each answer
    of the store is good only for what was before it.

    Args:
        lease: Seconds.
        ask: Renews, and lets go of what is another's; False: the store is away.
        now: Seconds, monotonic.
    """

    def __init__(self, lease: float, ask: Callable[[], Awaitable[bool]], *, now: Callable[[], float]) -> None:
        self._lease = lease
        self._ask = ask
        self._now = now
        self._beaten = self._renewed = self._wary_until = self._excused_until = float("-inf")
        self._asking: asyncio.Task[None] | None = None
        self._begun = self._ended = 0
        """How often we have begun, and ended, to ask."""

    def is_sure(self) -> bool:
        """Tell whether nobody can have claimed anything."""
        now = self._now()
        return now < self._renewed + self._lease - _MARGIN and self._wary_until <= now < self._beaten + LEASE - _MARGIN

    def beaten(self, began: float) -> None:
        """Note a sign of life, and when it began."""
        if self._now() >= self._beaten + LEASE - _MARGIN:
            self._wary_until = self._now() + LEASE
        self._beaten = began

    def renewed(self, began: float) -> None:
        """Note that all leases were renewed, and when that began."""
        self._renewed = began

    async def confirm(self) -> None:
        """Return once what was claimed before this call is ours no more; or the store is away, and nobody knows."""
        if self.is_sure():
            return
        needed = self._begun + 1
        while self._ended < needed and not self.is_sure() and self._now() >= self._excused_until:
            if self._asking is None:
                self._begun += 1
                self._asking = asyncio.create_task(self._ask_once(self._begun))
            await asyncio.shield(self._asking)

    async def _ask_once(self, number: int) -> None:
        try:
            if not await self._ask():
                self._excused_until = self._now() + _PAUSE
        finally:
            self._ended = number
            self._asking = None
