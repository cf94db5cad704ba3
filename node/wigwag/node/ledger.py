"""The ledger of accepted messages, and its sweep, as a process hosts them."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from wigwag.bus import Bus
from wigwag.database import BlobStore, Database
from wigwag.database.ledger import Ledger
from wigwag.runtime.clock import wall
from wigwag.runtime.ledger_events import LedgerEvents
from wigwag.runtime.ledger_sweeper import LedgerSweeper
from wigwag.runtime.names import LEDGER_COUNTERS, LEDGER_WAITING
from wigwag.runtime.telemetry import Reading
from wigwag.runtime.tracing import Tracing

from .node_status import LEDGER, NodeStatus

LOOK = 1.0
"""Seconds between two looks at how the sweep is."""


@asynccontextmanager
async def open_ledger(
    database: Database,
    bus: Bus,
    pod: str,
    status: NodeStatus,
    tracing: Tracing,
    *,
    blobs: BlobStore,
    sweeps: bool,
) -> AsyncIterator[Ledger]:
    """Open the ledger until the context ends.

    Args:
        database: Where its rows are.
        bus: Where its events go.
        pod: Id of this process.
        status: Shows how the sweep is.
        tracing: Begins spans.
        blobs: Where its large bodies are.
        sweeps: Whether events of its rows are sent to the bus: a service of this process writes messages.
    """
    async with Ledger(database, clock=wall) as ledger:
        if not sweeps:
            yield ledger
            return
        sweeper = LedgerSweeper(ledger, LedgerEvents(bus, pod, tracing), holder=pod, blobs=blobs)
        tasks = [asyncio.create_task(sweeper.run()), asyncio.create_task(_show(sweeper, status))]
        try:
            yield ledger
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def ledger_readings(ledger: Ledger) -> Iterable[Reading]:
    """Yield the ledger's metrics."""
    counters = ledger.counters()
    for metric in LEDGER_COUNTERS:
        yield metric.read(counters[f"{metric.name.rpartition('.')[2]}_written"])
    yield LEDGER_WAITING.read(counters["accepted_waiting"] + counters["edits_waiting"])


async def _show(sweeper: LedgerSweeper, status: NodeStatus) -> None:
    tell = status.availability(LEDGER, "swept", ready=True)
    shown: str | None = None
    while True:
        await asyncio.sleep(LOOK)
        if sweeper.problem != shown:
            shown = sweeper.problem
            tell(shown is None, shown or "swept")
