"""Writes MESSAGEs into the ledger, as many as may wait: no more for one recipient, or of one conversation.

Theory of operation. How many wait only the ledger knows, and counting them for each message would cost more than
to write it. So of what a look finds free, a part is taken for the messages that come next, without another; the nearer
the limit, the fewer, and at the limit each message is counted. What other pods take meanwhile is not seen: as many as
``_PODS`` of them stay within the limit all the same. Who comes while one looks waits for him: messages are written
in the order in which they came.
"""

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from wigwag.database.ledger import Ledger, NewMessage
from wigwag.errors import ConflictError
from wigwag.protocols.sip import SipError
from wigwag.relay.sip.config import PagerSettings

_LATER: Final = (("Retry-After", "60"),)
_LOOK: Final = 5.0
"""Seconds after which a look says no more."""
_PODS: Final = 8
_REMEMBERED: Final = 10_000


@dataclass(slots=True)
class _Free:
    """What may be taken without another look."""

    messages: int
    octets: int
    until: float


class Keeping:
    """Keeps messages within their limits.

    Args:
        ledger: Where.
        settings: Settings of pager mode.
        now: Seconds of a clock that never goes back.
    """

    def __init__(self, ledger: Ledger, settings: PagerSettings, *, now: Callable[[], float] = time.monotonic) -> None:
        self._ledger = ledger
        self._settings = settings
        self._now = now
        self._free: OrderedDict[str, _Free] = OrderedDict()
        self._messages: Counter[str] = Counter()
        """Messages that are being written, by whose they are: they count too, or a burst would get in as a whole."""
        self._octets: Counter[str] = Counter()
        """Octets of them."""
        self._looking: dict[str, asyncio.Lock] = {}
        """One at a time looks how many wait, by whose they are."""
        self._coming: Counter[str] = Counter()
        """How many look, or wait for who does."""

    async def keep(self, message: NewMessage, *, recipient: str | None = None, conversation: str | None = None) -> None:
        """Return once a message is durable; one that is there already is the same message, come again.

        Args:
            message: The message.
            recipient: Whose messages it is counted among.
            conversation: Else those of which conversation.

        Raises:
            SipError: 480 with Retry-After: too many wait, or too much; 513: it is larger than a row.
            WigwagError: The database does not take it.
        """
        whose, octets = recipient or conversation or "", len(message.body or b"")
        if whose not in self._coming and self._takes_place(whose, octets):
            is_full = False
            self._begin(whose, octets)
        else:
            async with self._turn(whose):
                is_full = not self._takes_place(whose, octets) and await self._is_full(octets, recipient, conversation)
                self._begin(whose, octets)
        try:
            if is_full and await self._ledger.find(message.id) is None:
                raise SipError("Temporarily Unavailable: too many messages wait", status=480, headers=_LATER)
            await self._ledger.accept_one(message)
        except ConflictError as error:
            raise SipError("Message Too Large", status=513) from error
        finally:
            self._written(whose, octets)

    @asynccontextmanager
    async def _turn(self, whose: str) -> AsyncIterator[None]:
        """Wait until nobody who came before looks."""
        self._coming[whose] += 1
        try:
            async with self._looking.setdefault(whose, asyncio.Lock()):
                yield
        finally:
            self._coming[whose] -= 1
            if not self._coming[whose]:
                del self._coming[whose], self._looking[whose]

    async def _is_full(self, octets: int, recipient: str | None, conversation: str | None) -> bool:
        settings, whose = self._settings, recipient or conversation or ""
        room = settings.per_user - self._messages[whose]
        if room <= 0:
            return True
        found = await self._ledger.backlog(recipient=recipient, conversation=conversation, most=room)
        left = settings.per_user_bytes - found.octets - self._octets[whose] - octets
        if found.messages >= room or left < 0:
            return True
        free = _Free((room - found.messages - 1) // _PODS, left // _PODS, self._now() + _LOOK)
        self._remember(whose, free)
        return False

    def _takes_place(self, whose: str, octets: int) -> bool:
        free = self._free.get(whose)
        if free is None or free.messages < 1 or free.octets < octets or free.until < self._now():
            return False
        free.messages -= 1
        free.octets -= octets
        return True

    def _remember(self, whose: str, free: _Free) -> None:
        self._free[whose] = free
        self._free.move_to_end(whose)
        if len(self._free) > _REMEMBERED:
            self._free.popitem(last=False)

    def _begin(self, whose: str, octets: int) -> None:
        self._messages[whose] += 1
        self._octets[whose] += octets

    def _written(self, whose: str, octets: int) -> None:
        self._messages[whose] -= 1
        self._octets[whose] -= octets
        if not self._messages[whose]:
            del self._messages[whose], self._octets[whose]
