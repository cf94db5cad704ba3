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
        bus.declare(RELAY_SESSIONS)

    async def run(self) -> None:
        """Publish until cancelled."""
        position = self._journal.position
        while True:
            entries = self._journal.after(position, BATCH)
            if entries is None:
                self.lost += 1
                logger.warning("events of sessions are lost: the bus was away for too long")
                position = self._journal.position
            elif not entries:
                await self._journal.beyond(position)
            elif await self._publish(entries):
                position = entries[-1].sequence
            else:
                await asyncio.sleep(RETRY)

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
