"""Events of sessions on their way to the bus: in order, in batches, within bounds.

States of messages are not among them: those come from the ledger, which loses nothing. What is told here is told once
the bus takes it. While it is away what is only of the moment (who types, progress, parts of messages) is dropped first,
and counted; changes of sessions and files wait.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import structlog

from wigwag.api.events.v1.session_pb2 import SessionEvent
from wigwag.api.ua.v1 import event_pb2
from wigwag.bus import Bus, Message, RecordTooLargeError
from wigwag.runtime.beside import beside
from wigwag.runtime.events import SESSIONS_EVENTS, envelope

BATCH: Final = 250
_OF_THE_MOMENT: Final = frozenset(("composing", "progress", "report"))
_MOST_OF_THE_MOMENT: Final = 1_000
"""Events that wait, above which those of the moment are dropped."""
_MOST: Final = 100_000
_RETRY: Final = 0.5
_CLOSING: Final = 5.0
"""Seconds for publishing what waits when the pod ends."""

Batch = Sequence[tuple[str, Message]]
"""What each event tells, and its record."""

logger = structlog.get_logger("wigwag.ua")


class EventLog:
    """Publishes events (``Events``) while ``publishing`` lasts.

    Args:
        bus: Where they go; the topic is declared here.
        pod: Id of this pod.
    """

    def __init__(self, bus: Bus, pod: str) -> None:
        self.counters = {"published": 0, "dropped": 0}
        self._bus = bus
        self._pod = pod
        self._waiting: deque[tuple[str, Message]] = deque()
        self._filled = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._publishing = 0
        bus.declare(SESSIONS_EVENTS)

    def __len__(self) -> int:
        """Events that are not on the bus yet."""
        return len(self._waiting) + self._publishing

    def tell(self, event: event_pb2.Event) -> None:
        """Publish an event soon, in the order of calls within a session."""
        what = event.WhichOneof("what") or ""
        most = _MOST_OF_THE_MOMENT if what in _OF_THE_MOMENT else _MOST
        if len(self._waiting) >= most:
            self.counters["dropped"] += 1
            if most == _MOST:
                logger.error("an event is dropped: too many wait for the bus", session=event.session_id)
            return
        at = event.occurred_at.seconds + event.occurred_at.nanos / 1e9
        value = envelope(SessionEvent(event=event), event_id=event.event_id, at=at, pod=self._pod)
        self._waiting.append((what, Message(value, key=event.session_id)))
        self._filled.set()
        self._idle.clear()

    @asynccontextmanager
    async def publishing(self) -> AsyncIterator[None]:
        """Publish for the length of the block, and then what waits, for some seconds at most."""
        async with beside(self.run()):
            try:
                yield
            finally:
                await self.flush(_CLOSING)

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._waiting:
                await self._publish_some([self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))])
            self._idle.set()

    async def flush(self, timeout: float) -> None:
        """Wait until nothing waits, at most so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._idle.wait()

    async def _publish_some(self, batch: Batch) -> None:
        self._publishing = len(batch)
        try:
            left = await self._publish(batch)
        finally:
            self._publishing = 0
        if left:
            self._waiting.extendleft(reversed(left))
            await asyncio.sleep(_RETRY)

    async def _publish(self, batch: Batch) -> Batch:
        """Publish events; returns those that are not published yet, in order."""
        try:
            await self._bus.publish_many(SESSIONS_EVENTS.name, [message for _, message in batch])
        except RecordTooLargeError as error:
            return await self._publish_alone(batch, error)
        except Exception as error:  # noqa: BLE001 - clients assert too; nothing may end what tells of sessions
            logger.info("events of sessions are not published yet", reason=repr(error), waiting=len(self._waiting))
            return batch
        self.counters["published"] += len(batch)
        return ()

    async def _publish_alone(self, batch: Batch, error: RecordTooLargeError) -> Batch:
        if len(batch) > 1:
            for number, pair in enumerate(batch):
                if await self._publish([pair]):
                    return batch[number:]
            return ()
        self.counters["dropped"] += 1
        logger.error("an event does not fit the bus", session=batch[0][1].key, reason=str(error))
        return ()
