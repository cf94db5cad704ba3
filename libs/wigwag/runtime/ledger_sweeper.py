"""Publishes what the ledger has to tell, and ends messages whose time has come.

Theory of operation. The row is written first and says that an event is pending; only after the publisher has taken the
event is the row's mark cleared, and only for the version that was published. A kill in between publishes it again, so
consumers treat equal (id, version) as one. One process at a time sweeps, by a lease in the same database, which keeps
the order of acceptance; where two believe to hold it, each event is published by both. Nothing that goes wrong ends the
sweep: it waits a little longer each time and tries again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from wigwag.database.ledger import Ledger, LedgerEvent
from wigwag.errors import WigwagError

LEASE: Final = "ledger sweep"
MOST_EVENTS: Final = 100
"""Messages whose events are published together."""

_log = logging.getLogger(__name__)


class Publisher(Protocol):
    """Tells others what became of messages; the bus, behind what a service knows of topics and envelopes."""

    async def publish(self, events: Sequence[LedgerEvent]) -> None:
        """Return once all of them are durable with the receiver, in this order.

        An event that can never be published is the publisher's to put elsewhere: raising holds up those behind it.

        Raises:
            WigwagError: At least one may not be; all of them are published again later.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepTimes:
    """When the sweep does what; all in seconds."""

    interval: float = 0.25
    """Between looks for what other processes wrote; what this one writes is seen at once."""
    publish_timeout: float = 30.0
    """For one call of the publisher."""
    longest_pause: float = 5.0
    """Between tries while something is wrong; the first pause is ``interval``."""
    lease: float = 10.0
    """After the death of the process that sweeps, until another one does."""
    keep: float = 7 * 86_400.0
    """For which a final message is kept."""


class LedgerSweeper:
    """Sweeps the ledger until it is cancelled.

    Args:
        ledger: Open while this runs.
        publisher: Where events go.
        holder: This process, unique among those that sweep the same ledger, such as its pod id.
        times: When to do what.
        delete_blobs: Deletes the bodies of purged messages that are stored elsewhere.
    """

    def __init__(
        self,
        ledger: Ledger,
        publisher: Publisher,
        *,
        holder: str,
        times: SweepTimes | None = None,
        delete_blobs: Callable[[Sequence[str]], Awaitable[None]] | None = None,
    ) -> None:
        self._ledger = ledger
        self._publisher = publisher
        self._holder = holder
        self._times = times or SweepTimes()
        self._delete_blobs = delete_blobs
        self.published = 0
        """Events published so far, repeated ones included."""
        self.failures = 0
        """Sweeps that failed so far."""
        self.problem: str | None = None
        """Why the last sweep failed; None when it did not."""

    async def run(self) -> None:
        """Sweep for ever: at once after something was written here, else at intervals."""
        pause = self._times.interval
        while True:
            self._ledger.written.clear()
            if await self._sweep():
                pause = self._times.interval
                await self._wait(pause)
            else:
                await asyncio.sleep(pause)
                pause = min(2 * pause, self._times.longest_pause)

    async def sweep(self) -> bool:
        """End what is overdue, publish all that is pending, purge a little; return whether this process had the lease.

        Raises:
            WigwagError: The database or the publisher failed; nothing is lost.
        """
        if not await self._holds_lease():
            return False
        while await self._ledger.end_overdue():
            pass
        while await self._publish_some():
            if not await self._holds_lease():
                return False
        await self._ledger.purge(keep=self._times.keep, delete_blobs=self._delete_blobs)
        return True

    async def _sweep(self) -> bool:
        """Sweep once; return whether nothing went wrong."""
        try:
            await self.sweep()
        except Exception as error:  # noqa: BLE001 - whatever a publisher raises, the next try may work
            self._failed(error)
            return False
        if self.problem is not None:
            _log.info("the ledger's events are published again")
        self.problem = None
        return True

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        problem = str(error) or type(error).__name__
        if problem != self.problem:
            _log.warning("the ledger is not swept: %s", problem, exc_info=not isinstance(error, WigwagError))
        self.problem = problem

    async def _publish_some(self) -> bool:
        events = await self._ledger.pending_events(limit=MOST_EVENTS)
        if not events:
            return False
        async with asyncio.timeout(self._times.publish_timeout):
            await self._publisher.publish(events)
        self.published += len(events)
        await self._ledger.mark_published(events)
        return True

    async def _holds_lease(self) -> bool:
        return await self._ledger.hold_lease(LEASE, self._holder, seconds=self._times.lease)

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._ledger.written.wait()
        except TimeoutError:
            pass
