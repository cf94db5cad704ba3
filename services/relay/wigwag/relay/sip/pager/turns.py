"""One message at a time to the same address (RFC 3428 section 8)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from wigwag.errors import ServiceError

MOST_WAITING: Final = 8
"""Messages that wait for the same address; more would hold up those for other addresses."""


class TooManyWaitError(ServiceError):
    """No more messages may wait for this address."""


class Turns:
    """Lets in one after the other by name, in the order in which they came."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._inside: dict[str, int] = {}

    @asynccontextmanager
    async def of(self, name: str) -> AsyncIterator[None]:
        """Wait until it is one's turn; it is over at the end of the block.

        Raises:
            TooManyWaitError: As many as may wait for it already.
        """
        inside = self._inside.get(name, 0)
        if inside > MOST_WAITING:
            raise TooManyWaitError(f"{MOST_WAITING} messages wait for the same address already")
        self._inside[name] = inside + 1
        lock = self._locks.setdefault(name, asyncio.Lock())
        try:
            async with lock:
                yield
        finally:
            self._inside[name] -= 1
            if not self._inside[name]:
                del self._inside[name], self._locks[name]
