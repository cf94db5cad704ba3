"""What happens to sessions, as events on the bus; nothing waits for it."""

import asyncio

import structlog

from wigwag.api.events.v1 import relay_pb2
from wigwag.bus import Bus, Message
from wigwag.errors import WigwagError
from wigwag.runtime.events import RELAY_SESSIONS, envelope

from .session_journal import JournalEntry, SessionJournal
from .session_messages import change_message

BATCH = 256
"""Events published together."""
FLUSH = 2.0
"""Seconds that the last events of a process may take."""
RETRY = 1.0
"""Seconds until a bus that takes nothing is tried again."""

logger = structlog.get_logger("wigwag.relay")


class SessionEvents:
    """Publishes the journal's entries in order, also those written while the bus was away, as far as the journal goes.

    An event may be published twice when the bus took it and its answer was lost; its id is the same then.

    Args:
        bus: The bus; its topic is declared here.
        journal: What happened.
        pod: This process.

    Attributes:
        lost: How often events had to be skipped, because the bus was away for longer than the journal goes back.
    """

    def __init__(self, bus: Bus, journal: SessionJournal, pod: str) -> None:
        self.lost = 0
        self._bus = bus
        self._journal = journal
        self._pod = pod
        self._position = journal.position
        bus.declare(RELAY_SESSIONS)

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            if not await self._go_on():
                await self._journal.beyond(self._position)

    async def flush(self, seconds: float = FLUSH) -> None:
        """Publish what is left, once ``run`` has ended; give up after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                while await self._go_on():
                    pass
        except TimeoutError:
            logger.warning("the last events of sessions are lost: the bus does not take them")

    async def _go_on(self) -> bool:
        """Publish the next batch, or wait for another try; False when everything is published."""
        entries = self._journal.after(self._position, BATCH)
        if entries is None:
            self.lost += 1
            logger.warning("events of sessions are lost: the bus was away for too long")
            self._position = self._journal.position
        elif entries and await self._publish(entries):
            self._position = entries[-1].sequence
        elif entries:
            await asyncio.sleep(RETRY)
        return bool(entries)

    async def _publish(self, entries: list[JournalEntry]) -> bool:
        try:
            await self._bus.publish_many(RELAY_SESSIONS.name, [self._message(entry) for entry in entries])
        except WigwagError as error:
            logger.debug("events of sessions can't be published", reason=str(error))
            return False
        return True

    def _message(self, entry: JournalEntry) -> Message:
        payload = relay_pb2.RelaySessionEvent(change=change_message(entry, self._pod))
        event_id = f"{self._pod}:{entry.sequence}"
        return Message(envelope(payload, event_id=event_id, at=entry.time, pod=self._pod), key=entry.view.id)
