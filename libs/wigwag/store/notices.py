"""Notices of changes within the process."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

from . import Change, Gap, Notice, RegistrationChanged

MOST_PENDING: Final = 10_000
"""Notices kept for a listener that is slow; beyond it gets a ``Gap``."""


class Notices:
    """Hands each change to everyone who listens."""

    def __init__(self) -> None:
        self._listeners: set[_Listener] = set()

    def tell(self, change: Change | RegistrationChanged) -> None:
        """Hand over a change; never waits."""
        for listener in self._listeners:
            listener.tell(change)

    async def listen(self) -> AsyncGenerator[Notice, None]:
        """Yield a ``Gap``, then the changes from its moment on."""
        listener = _Listener()
        self._listeners.add(listener)
        try:
            yield Gap()
            while True:
                for notice in await listener.take():
                    yield notice
        finally:
            self._listeners.discard(listener)


class _Listener:
    def __init__(self) -> None:
        self._pending: list[Notice] = []
        self._filled = asyncio.Event()

    def tell(self, change: Change | RegistrationChanged) -> None:
        if len(self._pending) >= MOST_PENDING:
            self._pending = [Gap()]
        self._pending.append(change)
        self._filled.set()

    async def take(self) -> list[Notice]:
        await self._filled.wait()
        self._filled.clear()
        taken, self._pending = self._pending, []
        return taken
