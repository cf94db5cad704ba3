"""Writes the archive: a consumer of its own, so that an archive that is away holds up no message.

Theory of operation. Every final state is told on the bus: that of a page-mode user's message on
``wigwag.messages.states``, that of a session-mode user's as an event of his session. The row is read again then, and a
record counts as handled after its row of the archive is durable: at least once, and once more changes nothing. What
comes together is written together.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Final

from wigwag.api.events.v1 import message_pb2 as states
from wigwag.api.ua.v1 import message_pb2 as deliveries
from wigwag.bus import Bus, Record
from wigwag.database import ArchivedMessage, MessageArchive
from wigwag.database.archive import STEP
from wigwag.database.ledger import FINAL, Ledger, LedgerRow
from wigwag.database.ledger.batches import Batches, Limits
from wigwag.errors import WigwagError
from wigwag.protocols.cpim import CPIM_TYPE
from wigwag.runtime.agents import GATEWAY
from wigwag.runtime.events import MESSAGE_STATES, SESSIONS_EVENTS
from wigwag.runtime.message_history import is_of_gateway, message_of_row

from .config import GatewayArchiveSettings
from .flows.reading import envelope_of
from .kinds import read

TOPICS: Final = (MESSAGE_STATES.name, SESSIONS_EVENTS.name)
GROUP: Final = "gateway-archive"
LARGEST: Final = 65_536
"""Octets of a body that is kept."""
IN_FLIGHT: Final = 512
_PACE: Final = 0.1
"""Seconds from one batch to the next: nobody waits for the archive, and a transaction costs as much as many rows."""
_SIZE: Final = 500
"""Bytes that an id which waits is counted as."""
_STEPS: Final = 20
"""So much is deleted at a look, every few seconds: more than can be accepted meanwhile."""
_COMPOSING: Final = "application/im-iscomposing+xml"


class Archiving:
    """Handles final states; ``async with`` runs what writes.

    Args:
        ledger: Has the rows.
        archive: Is written.
        settings: What is kept, and for how long.
        counters: Counts ``written``.
    """

    def __init__(
        self, ledger: Ledger, archive: MessageArchive, settings: GatewayArchiveSettings, counters: Counter[str]
    ) -> None:
        self._ledger = ledger
        self._archive = archive
        self._terms = Terms(settings)
        self._counters = counters
        self.batches: Batches[str, None] = Batches(self._write, Limits(jobs=2_000, pace=_PACE))

    def consuming(self, bus: Bus) -> AbstractAsyncContextManager[None]:
        """Consume until the context ends: in any order, for what is written is what the ledger says by then."""
        return bus.consume(
            GROUP, TOPICS, self.handle, in_flight=IN_FLIGHT, ordered=False, group_handler=self.handle_group
        )

    async def handle(self, record: Record) -> None:
        """Handle a record of one of ``TOPICS``; see ``Bus.consume`` for what its exceptions mean."""
        await self.handle_group([record])

    async def handle_group(self, records: Sequence[Record]) -> None:
        """Handle records of one of ``TOPICS`` that are there together, as ``handle`` does."""
        ids = [message_id for message_id in map(_final_id, records) if message_id]
        if ids:
            await asyncio.gather(*self.batches.submit([(message_id, _SIZE) for message_id in ids]))

    async def forget(self, now: float) -> None:
        """Delete what is kept no more, ``_STEPS`` steps of it at most; to be called every few seconds.

        Raises:
            DatabaseError: The database can't be reached.
        """
        for _ in range(_STEPS):
            if await self._archive.purge(now) < STEP:
                return

    async def _write(self, ids: Sequence[str]) -> Sequence[WigwagError | None]:
        rows = (await self._ledger.find_many(ids)).values()
        entries = [self._entry(row) for row in rows if is_of_gateway(row) and row.state in FINAL and is_kept(row)]
        if entries:
            await self._archive.put(entries)
            self._counters["written"] += len(entries)
        return [None] * len(ids)

    def _entry(self, row: LedgerRow) -> ArchivedMessage:
        message = message_of_row(row)
        retention, bodies = self._terms.of(message.sender, message.recipient)
        body = row.body if bodies and len(row.body or b"") <= LARGEST else None
        return replace(message, body=body, until=row.created + retention)


class Terms:
    """What is kept of a message.

    Args:
        settings: Of the archive.
    """

    def __init__(self, settings: GatewayArchiveSettings) -> None:
        self._default = settings.retention, settings.bodies
        self._domains = {
            each.domain.lower(): (
                settings.retention if each.retention is None else each.retention,
                settings.bodies if each.bodies is None else each.bodies,
            )
            for each in settings.domains
        }

    def of(self, *addresses: str) -> tuple[float, bool]:
        """Return for how many seconds a message between these canonical addresses is kept, and whether its body is."""
        hosts = {address.rpartition("@")[2] for address in addresses}
        found = [self._domains[host] for host in hosts if host in self._domains] or [self._default]
        return min(retention for retention, _ in found), all(bodies for _, bodies in found)


def is_kept(row: LedgerRow) -> bool:
    """Tell whether a message is kept at all: that somebody writes is of the moment."""
    kind = row.content_type.partition(";")[0].strip().lower()
    return kind != _COMPOSING and (kind != CPIM_TYPE or not read(row.content_type, row.body or b"").is_composing)


def _final_id(record: Record) -> str:
    """Return the id of the message that a record says is final; empty: it says nothing of that kind."""
    return _READERS[record.topic](record)


def _of_state(record: Record) -> str:
    change = envelope_of(record).message_state_changed
    return change.ledger_id if change.state > states.MESSAGE_STATE_ACCEPTED else ""


def _of_event(record: Record) -> str:
    event = envelope_of(record).session_event.event
    if event.application != GATEWAY or event.WhichOneof("what") != "message_changed":
        return ""
    message = event.message_changed
    came = message.direction == deliveries.MESSAGE_DIRECTION_INBOUND
    return message.message_id if came and message.state > deliveries.DELIVERY_STATE_ACCEPTED else ""


_READERS: Final[dict[str, Callable[[Record], str]]] = {MESSAGE_STATES.name: _of_state, SESSIONS_EVENTS.name: _of_event}
