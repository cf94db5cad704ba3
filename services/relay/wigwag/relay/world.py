"""The relay's clock, chance and background work in a running process."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable

import structlog

from .service import Runtime


class AsyncioRuntime(Runtime):
    """Stands on the running event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Future[None]] = set()
        self._logger = structlog.get_logger("wigwag.relay")

    @property
    def now(self) -> Callable[[], float]:
        """The loop's clock, without a call in between."""
        return self._loop.time

    def wall(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def random(self, octets: int) -> bytes:
        """Bytes that nobody can predict."""
        return secrets.token_bytes(octets)

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        """Call back after ``delay`` seconds."""
        self._loop.call_later(delay, callback)

    async def sleep(self, seconds: float) -> None:
        """Let so much time pass."""
        await asyncio.sleep(seconds)

    def spawn(self, work: Awaitable[None]) -> None:
        """Run ``work`` beside; what it raises is logged."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Future[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._logger.error("background work failed", exc_info=task.exception())

    def log(self, event: str, **fields: object) -> None:
        """Write one line."""
        self._logger.info(event, **fields)

    async def close(self) -> None:
        """Cancel what still runs."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
