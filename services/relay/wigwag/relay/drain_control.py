"""A drain as operators ask for it: begun without waiting for its end, taken back, looked at."""

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

from wigwag.errors import ConflictError

from .draining import DrainState, DrainView

logger = structlog.get_logger("wigwag.relay")


class DrainControl(Protocol):
    """Begins, takes back and shows a drain."""

    async def start(self, grace: float | None) -> None:
        """Begin, and return at once; while it drains, or has drained, nothing changes.

        Args:
            grace: Seconds that open work may take; None: what the settings say.
        """

    async def cancel(self) -> None:
        """Serve again; nothing happens while it serves.

        Raises:
            ConflictError: The process is about to end.
        """

    def view(self) -> DrainView:
        """Show how far it is."""

    @property
    def deadline(self) -> float | None:
        """Wall clock seconds at which what is left gets closed; None while it serves."""


class Drained(Protocol):
    """What is drained."""

    async def drain(self, grace: float) -> None:
        """Drain within ``grace`` seconds; cancelling it calls it off."""

    def serve_again(self) -> None:
        """Call a drain off, also one that is done."""

    def drain_view(self) -> DrainView:
        """Show how far it is."""


class OperatorsDrain:
    """Drains one service at an operator's wish (a ``DrainControl``).

    Args:
        service: What is drained.
        default_grace: Grace time in seconds unless the operator says otherwise.
        wall: Wall clock.
    """

    def __init__(self, service: Drained, *, default_grace: float, wall: Callable[[], float]) -> None:
        self._service = service
        self._default_grace = default_grace
        self._wall = wall
        self._deadline: float | None = None
        self._running: asyncio.Task[None] | None = None

    async def start(self, grace: float | None) -> None:
        """Begin unless it has begun."""
        if self._running is not None or self._state is not DrainState.SERVING:
            return
        seconds = self._default_grace if grace is None else grace
        self._deadline = self._wall() + seconds
        self._running = asyncio.create_task(self._service.drain(seconds))
        self._running.add_done_callback(self._ended)
        await asyncio.sleep(0)

    async def cancel(self) -> None:
        """Call off a drain that was begun here."""
        running = self._running
        if running is not None:
            running.cancel()
            await asyncio.wait([running])
        elif self._state is DrainState.DRAINED:
            self._service.serve_again()
        elif self._state is DrainState.DRAINING:
            raise ConflictError("the process is about to end; its drain can't be taken back")
        self._deadline = None

    def close(self) -> None:
        """Leave a drain that is under way to whoever ends the process."""
        if self._running is not None:
            self._running.cancel()

    def view(self) -> DrainView:
        """Show how far it is."""
        return self._service.drain_view()

    @property
    def deadline(self) -> float | None:
        """Wall clock seconds; None while it serves, or when somebody else drains."""
        return self._deadline if self._state is not DrainState.SERVING else None

    @property
    def _state(self) -> DrainState:
        return DrainState(self._service.drain_view().state)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running = None
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("drain failed", exc_info=error)
