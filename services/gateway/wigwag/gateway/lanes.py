"""Order of the messages of one conversation: who waits goes first.

Theory of operation. The bus hands the records of a conversation to one pod, one after the other. A message that can't
go on yet stays in the ledger, and what comes after it must not overtake it. So a pod knows of each conversation whether
something waits there (it is not *clean*); of one that it has not seen yet it does not know, and looks into the ledger.
A lane is clean only after everything in it went well: any exception leaves it to be looked at.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

_REMEMBERED: Final = 20_000


@dataclass(slots=True, eq=False)
class Lane:
    """One conversation."""

    clean: bool = False
    """Whether nothing waits in it."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    inside: int = 0


class Lanes:
    """All conversations of a pod, by key; what is remembered of them is bounded."""

    def __init__(self) -> None:
        self._lanes: OrderedDict[str, Lane] = OrderedDict()

    @asynccontextmanager
    async def of(self, key: str) -> AsyncIterator[Lane]:
        """Enter a lane, one at a time; what the block leaves in ``clean`` counts only if it raised nothing."""
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane()
            self._forget_some()
        self._lanes.move_to_end(key)
        lane.inside += 1
        try:
            async with lane.lock:
                try:
                    yield lane
                except BaseException:
                    lane.clean = False
                    raise
        finally:
            lane.inside -= 1

    def _forget_some(self) -> None:
        while len(self._lanes) > _REMEMBERED:
            key = next((key for key, lane in self._lanes.items() if not lane.inside), None)
            if key is None:
                return
            del self._lanes[key]
