"""Order of the messages of one conversation: who waits goes first.

Theory of operation. The bus hands the records of a conversation to one pod, one after the other. A message that can't
go on yet stays in the ledger, and what comes after it must not overtake it. So a pod knows of each conversation whether
something waits there (it is not *clean*); of one that it has not seen yet it does not know, and looks into the ledger.
A lane is clean only after everything in it went well: any exception leaves it to be looked at, and so does whoever
gives a message back, and another pod that has had the partition meanwhile. A record that comes twice does so too; not
the first one of a message that a look has found before and taken along.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from .succession import Succession

_REMEMBERED: Final = 20_000


@dataclass(slots=True, eq=False)
class Lane:
    """One conversation."""

    clean: bool = False
    """Whether nothing waits in it."""
    via: str = ""
    """The session that those of its messages which are under way in one went into; empty: none."""
    assignment: int = 0
    """By which assignment of its partition this is known (``Record.assignment``)."""
    succession: Succession = field(default_factory=Succession)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    inside: int = 0
    taken_along: frozenset[str] = frozenset()
    """Of the messages that come those which went on with others already, and whose own record's first time this is."""
    disturbed: bool = False
    """Whether something was given back while somebody was inside."""


class Lanes:
    """All conversations of a pod, by key; what is remembered of them is bounded."""

    def __init__(self) -> None:
        self._lanes: OrderedDict[str, Lane] = OrderedDict()
        self._seen: OrderedDict[str, bool] = OrderedDict()
        """Messages, and whether only a look has found them: their own record has not come yet."""

    @asynccontextmanager
    async def of(
        self, key: str, message_id: str = "", assignment: int = 0, *, others: Sequence[str] = ()
    ) -> AsyncIterator[Lane]:
        """Enter a lane, one at a time; what the block leaves in ``clean`` counts only if it raised nothing.

        Args:
            key: Of the conversation.
            message_id: The message that comes; when it has come before, the lane is looked at.
            assignment: Of the record's partition.
            others: Messages that come with it.
        """
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane()
            self._forget_some()
        self._lanes.move_to_end(key)
        lane.inside += 1
        try:
            async with lane.lock:
                has_come, lane.taken_along = self._come([message_id, *others] if message_id else [])
                if has_come or lane.assignment != assignment:
                    lane.clean = False
                lane.assignment, lane.disturbed = assignment, False
                try:
                    yield lane
                except BaseException:
                    lane.clean = False
                    raise
                if lane.disturbed:
                    lane.clean = False
        finally:
            lane.inside -= 1

    @property
    def waiting(self) -> int:
        """In how many of those that are remembered something may wait."""
        return sum(not lane.clean for lane in self._lanes.values())

    def succession(self, key: str) -> Succession:
        """Return that of a lane which one is in."""
        return self._lanes[key].succession

    def via(self, key: str) -> str:
        """Return the session that what is under way in a lane which one is in went into; empty: none."""
        return self._lanes[key].via

    def went_into(self, key: str, session_id: str) -> None:
        """Note that whatever is under way in a lane which one is in, and in any session, is in this one."""
        self._lanes[key].via = session_id

    def disturb(self, key: str) -> None:
        """Let a lane be looked at: something in it waits again."""
        lane = self._lanes.get(key)
        if lane is not None:
            lane.clean, lane.disturbed = False, True

    def note(self, message_ids: Iterable[str]) -> None:
        """Note messages that are gone through together: their own records find them taken care of."""
        for message_id in message_ids:
            self._remember(message_id, only_found=self._seen.get(message_id, True))

    def _come(self, message_ids: Iterable[str]) -> tuple[bool, frozenset[str]]:
        """Return whether an own record of these messages has come before, and which were taken along and have not."""
        has_come, taken_along = False, []
        for message_id in message_ids:
            only_found = self._seen.get(message_id)
            self._remember(message_id, only_found=False)
            has_come |= only_found is False
            if only_found:
                taken_along.append(message_id)
        return has_come, frozenset(taken_along)

    def _remember(self, message_id: str, *, only_found: bool) -> None:
        self._seen[message_id] = only_found
        self._seen.move_to_end(message_id)
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)

    def _forget_some(self) -> None:
        while len(self._lanes) > _REMEMBERED:
            key = next((key for key, lane in self._lanes.items() if not lane.inside), None)
            if key is None:
                return
            del self._lanes[key]
