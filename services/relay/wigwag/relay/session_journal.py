"""The latest changes of sessions, numbered, for those who watch: each reads at his own pace.

A watcher who was away, or who is slower than sessions change, finds that what he would read next is gone. He then
begins anew with all sessions. So nobody who watches costs memory, however slow he is.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from wigwag.errors import InvalidRequestError

from .views import SessionChange, SessionView

CAPACITY = 4_096


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One change."""

    sequence: int
    time: float
    """Wall clock, seconds since the epoch."""
    change: SessionChange
    view: SessionView
    reason: str


class SessionJournal:
    """Keeps the latest changes (a ``SessionObserver``).

    Args:
        instance: Name of this run of the relay: the numbers of another run mean nothing here.
        wall: Wall clock.
        capacity: How many changes are kept.
    """

    def __init__(self, instance: str, wall: Callable[[], float], *, capacity: int = CAPACITY) -> None:
        self._instance = instance
        self._wall = wall
        self._entries: deque[JournalEntry] = deque(maxlen=capacity)
        self._position = 0
        self._more = asyncio.Event()

    @property
    def position(self) -> int:
        """Number of the latest change."""
        return self._position

    def session_changed(self, view: SessionView, change: SessionChange, reason: str) -> None:
        """Write a change down."""
        self._position += 1
        self._entries.append(JournalEntry(self._position, self._wall(), change, view, reason))
        self._more.set()
        self._more = asyncio.Event()

    def after(self, position: int, limit: int) -> list[JournalEntry] | None:
        """Return at most ``limit`` changes after ``position``; None when some of them are not known any more."""
        missing = self._position - position
        if not 0 <= missing <= len(self._entries):
            return None
        begin = len(self._entries) - missing
        return list(islice(self._entries, begin, begin + limit))

    async def beyond(self, position: int) -> None:
        """Wait until there are changes after ``position``."""
        while self._position <= position:
            await self._more.wait()

    def token(self, position: int) -> str:
        """Return the resume token of a position."""
        return f"{self._instance}.{position}"

    def position_of(self, token: str) -> int | None:
        """Return the position of a resume token; None when it is not one of this run.

        Raises:
            InvalidRequestError: It is no resume token.
        """
        instance, _, number = token.rpartition(".")
        if not (instance and number.isascii() and number.isdigit()):
            raise InvalidRequestError("resume_token is none that WatchSessions returned")
        return int(number) if instance == self._instance else None
