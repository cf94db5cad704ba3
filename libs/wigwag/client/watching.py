"""Events from a resume token on, read ahead a little; the connection may be lost and is got back."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from wigwag.api.ua.v1 import event_pb2, ua_pb2
from wigwag.errors import OverloadedError, ServiceError
from wigwag.runtime.rpc import Backoff, resumed

_AHEAD: Final = 64
"""Responses that are read before the application wants them."""
_REMEMBERED: Final = 10_000
"""Ids of events by which one that comes again is known."""


class Watching:
    """Reads the events of one application.

    Args:
        open_call: Opens the call at a resume token.
        token: Where to begin; empty: from now on.
        backoff: Between two attempts.

    Attributes:
        token: Stands for what the application has had.
    """

    def __init__(self, open_call: Callable[[str], Any], *, token: str = "", backoff: Backoff | None = None) -> None:
        self.token = token
        self._open_call = open_call
        self._backoff = backoff
        self._ahead: asyncio.Queue[ua_pb2.WatchResponse | ServiceError] = asyncio.Queue(_AHEAD)
        self._waiting: deque[tuple[event_pb2.Event, str]] = deque()
        self._began = asyncio.Event()
        self._known: dict[str, None] = {}
        self._running: asyncio.Task[None] | None = None
        self._failure: ServiceError | None = None

    async def begin(self, timeout: float) -> None:
        """Watch; returns when nothing that happens from now on is missed.

        Raises:
            ServiceError: The user agent refuses, or is not reached in so many seconds (``OverloadedError``).
        """
        self._running = asyncio.create_task(self._read())
        try:
            await asyncio.wait_for(self._began.wait(), timeout)
        except TimeoutError:
            raise OverloadedError(f"the user agent does not answer within {timeout:g} s") from None
        if self._failure is not None:
            raise self._failure

    async def close(self) -> None:
        """Watch no more."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def next(self) -> event_pb2.Event:
        """Return the next event; cancelling it loses none.

        Raises:
            ServiceError: The user agent refuses to tell more.
        """
        while not self._waiting:
            if self._failure is not None and self._ahead.empty():
                raise self._failure
            response = await self._ahead.get()
            if isinstance(response, ServiceError):
                self._failure = response
                continue
            new = [event for event in response.events if not self._is_known(event.event_id)]
            self._waiting.extend((event, "") for event in new[:-1])
            if new:
                self._waiting.append((new[-1], response.resume_token))
            else:
                self.token = response.resume_token or self.token
        event, token = self._waiting.popleft()
        self.token = token or self.token
        return event

    async def _read(self) -> None:
        responses: AsyncIterator[ua_pb2.WatchResponse] = resumed(
            self._open_call, lambda response: response.resume_token, token=self.token, backoff=self._backoff
        )
        try:
            async for response in responses:
                await self._ahead.put(response)
                self._began.set()
        except ServiceError as error:
            if not self._began.is_set():
                self._failure = error
                self._began.set()
            await self._ahead.put(error)

    def _is_known(self, event_id: str) -> bool:
        if event_id in self._known:
            return True
        self._known[event_id] = None
        if len(self._known) > _REMEMBERED:
            del self._known[next(iter(self._known))]
        return False
