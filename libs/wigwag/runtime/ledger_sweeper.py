"""Publishes what the ledger has to tell, and ends messages whose time has come.

Theory of operation. The row is written first and says that an event is pending; only after the publisher has taken the
event is the row's mark cleared, and only for the version that was published. A kill in between publishes it again, so
consumers treat equal (id, version) as one. One process at a time sweeps, by a lease in the same database, which keeps
the order of acceptance; where two believe to hold it, each event is published by both. Nothing that goes wrong ends the
sweep: it waits a little longer each time and tries again.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from wigwag.database.ledger import Ledger, LedgerEvent
from wigwag.errors import WigwagError

LEASE: Final = "ledger sweep"
MOST_EVENTS: Final = 250
"""Messages whose events are published together."""

_logger = structlog.get_logger(__name__)


class Publisher(Protocol):
    """Tells others what became of messages; the bus, behind what a service knows of topics and envelopes."""

    async def publish(self, events: Sequence[LedgerEvent]) -> None:
        """Return once all of them are durable with the receiver, in this order.

        An event that can never be published is the publisher's to put elsewhere: raising holds up those behind it.

        Raises:
            WigwagError: At least one may not be; all of them are published again later.
        """


class Blobs(Protocol):
    """Bodies that are stored elsewhere."""

    async def delete(self, blob_ids: Sequence[str]) -> None:
        """Delete these; those that are gone already are no error."""

    async def sweep(self) -> int:
        """Delete some of those whose time has come; return how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepTimes:
    """When the sweep does what; all in seconds."""

    interval: float = 0.25
    """Between looks for what other processes wrote, and for what is overdue; what this one writes is seen at once."""
    gather: float = 0.01
    """Between two publications while messages keep coming: each costs several transactions, however few it tells. As
    long as the last one took, if that was longer, up to ``longest_gather``."""
    longest_gather: float = 0.05
    publish_timeout: float = 30.0
    """For one call of the publisher."""
    longest_pause: float = 5.0
    """Between tries while something is wrong; the first pause is ``interval``."""
    lease: float = 10.0
    """After the death of the process that sweeps, until another one does."""
    keep: float = 7 * 86_400.0
    """For which a final message is kept."""
    purge_interval: float = 60.0
    """Between looks for messages that were kept long enough."""


class LedgerSweeper:
    """Sweeps the ledger until it is cancelled.

    Args:
        ledger: Open while this runs.
        publisher: Where events go.
        holder: This process, unique among those that sweep the same ledger, such as its pod id.
        times: When to do what.
        blobs: The bodies that rows refer to: those of purged messages go, and those that nobody needs.
    """

    def __init__(
        self,
        ledger: Ledger,
        publisher: Publisher,
        *,
        holder: str,
        times: SweepTimes | None = None,
        blobs: Blobs | None = None,
    ) -> None:
        self._ledger = ledger
        self._publisher = publisher
        self._holder = holder
        self._times = times or SweepTimes()
        self._blobs = blobs
        self._next_purge = 0.0
        self._next_overdue = 0.0
        self._held_until = 0.0
        """Until when the lease need not be asked for again."""
        self._is_behind = False
        self.published = 0
        """Events published so far, repeated ones included."""
        self.failures = 0
        """Sweeps that failed so far."""
        self.problem: str | None = None
        """Why the last sweep failed; None when it did not."""

    async def run(self) -> None:
        """Sweep for ever: at once after something was written here, else at intervals."""
        pause, time = self._times.interval, asyncio.get_running_loop().time
        while True:
            self._ledger.written.clear()
            begun = time()
            try:
                swept = await self.sweep(ends=begun >= self._next_overdue)
                purged = await self._purge()
            except Exception as error:  # noqa: BLE001 - whatever a publisher raises, the next try may work
                self._failed(error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, self._times.longest_pause)
                continue
            self._went_well()
            pause = self._times.interval
            if not (swept or purged):
                await self._wait(pause)
            elif not self._is_behind:
                times = self._times
                await asyncio.sleep(min(max(times.gather, time() - begun), times.longest_gather))

    async def sweep(self, *, ends: bool = True) -> bool:
        """End some messages that are overdue and publish some events that are pending, if this process has the lease.

        Args:
            ends: Whether messages that are overdue are looked for.

        Returns:
            Whether something was done, so that there may be more.

        Raises:
            WigwagError: The database or the publisher failed; nothing is lost.
            TimeoutError: The publisher took too long; nothing is lost.
        """
        if not await self._hold_lease():
            return False
        ended = ends and await self._end_overdue()
        published = await self._publish()
        self._is_behind = ended or published == MOST_EVENTS
        return ended or published > 0

    async def _hold_lease(self) -> bool:
        now = asyncio.get_running_loop().time()
        if now < self._held_until:
            return True
        # Reading is cheap, and an idle ledger writes nothing.
        if not await self._ledger.is_to_be_swept():
            return False
        if not await self._ledger.hold_lease(LEASE, self._holder, seconds=self._times.lease):
            return False
        self._held_until = now + self._times.lease / 4
        return True

    async def _end_overdue(self) -> bool:
        ended = await self._ledger.end_overdue()
        # There may be more of them.
        self._next_overdue = asyncio.get_running_loop().time() + (0.0 if ended else self._times.interval)
        return bool(ended)

    async def _publish(self) -> int:
        """Return of how many messages events were published."""
        events = await self._ledger.pending_events(limit=MOST_EVENTS)
        if events:
            async with asyncio.timeout(self._times.publish_timeout):
                await self._publisher.publish(events)
            self.published += len(events)
            await self._ledger.mark_published(events)
        return len({event.id for event in events})

    async def _purge(self) -> bool:
        now = asyncio.get_running_loop().time()
        if now < self._next_purge:
            return False
        # Set before it is tried: a blob store that is away must not slow down what is published.
        self._next_purge = now + self._times.purge_interval
        delete_blobs = self._blobs.delete if self._blobs is not None else None
        more = bool(await self._ledger.purge(keep=self._times.keep, delete_blobs=delete_blobs))
        if self._blobs is not None:
            more = bool(await self._blobs.sweep()) or more
        if more:
            self._next_purge = now
        return more

    def _went_well(self) -> None:
        if self.problem is not None:
            _logger.info("ledger swept again")
        self.problem = None

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        self._held_until = 0.0
        problem = str(error) or type(error).__name__  # a TimeoutError has no text
        if problem != self.problem:
            expected = isinstance(error, WigwagError | TimeoutError)
            _logger.warning("ledger not swept", reason=problem, exc_info=None if expected else error)
        self.problem = problem

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ledger.written.wait()
