"""Changes of status as events on the bus."""

import asyncio
from collections import deque
from typing import Protocol

import structlog

from wigwag.errors import WigwagError

from .status import StatusChanged, StatusTree

MOST_PENDING = 1_000
FLUSH = 2.0
"""Seconds that the last changes of a process may take."""
RETRY = 1.0
"""Seconds until a bus that took nothing is tried again."""

logger = structlog.get_logger(__name__)


class StatusPublisher(Protocol):
    """Puts a change on the bus."""

    async def publish(self, change: StatusChanged) -> None:
        """Return when the bus has it; WigwagError when it takes nothing now."""


class StatusEvents:
    """Publishes each change of status, in order, also those that happened while the bus was away.

    A change may be published twice when the bus took it and its answer was lost.

    Args:
        tree: Whose changes.
        publisher: Takes them.
        retry: Seconds between two attempts.

    Attributes:
        dropped: Changes that had to be given up because too many were pending; the oldest go first.
    """

    def __init__(self, tree: StatusTree, publisher: StatusPublisher, *, retry: float = RETRY) -> None:
        self.dropped = 0
        self._publisher = publisher
        self._retry = retry
        self._pending: deque[StatusChanged] = deque()
        self._woken = asyncio.Event()
        tree.observe(self._on_change)

    def _on_change(self, change: StatusChanged) -> None:
        if len(self._pending) >= MOST_PENDING:
            self._pending.popleft()
            self.dropped += 1
        self._pending.append(change)
        self._woken.set()

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            while self._pending:
                await self._publish(self._pending[0])
            self._woken.clear()
            await self._woken.wait()

    async def flush(self, seconds: float = FLUSH) -> None:
        """Publish what is pending, when ``run`` has ended; give up after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                while self._pending:
                    await self._publish(self._pending[0])
        except TimeoutError:
            logger.warning("changes of status are lost: the bus does not take them", lost=len(self._pending))

    async def _publish(self, change: StatusChanged) -> None:
        try:
            await self._publisher.publish(change)
        except WigwagError as error:
            logger.debug("a change of status could not be published", reason=str(error))
            await asyncio.sleep(self._retry)
            return
        # While it was under way the oldest may have been dropped.
        if self._pending and self._pending[0] is change:
            self._pending.popleft()
