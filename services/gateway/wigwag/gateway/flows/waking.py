"""Has what waits tried again: when its recipient registers, when a session opens, after a pause.

Theory of operation. What waits is tried where its order is kept: by the pod that handles the records of its
conversation. So waking is publishing the oldest waiting message of the conversation, or of the session, once more;
whoever handles it sees that its lane is not clean, and goes through all that waits. Publishing for nothing does no
harm. A sweep, by one pod at a time, finds what nobody woke: a registration between the edge's look and the row, a pause
that ended in a pod that is gone.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Final

from wigwag.api.events.v1.pager_pb2 import PagerReason
from wigwag.bus import Bus
from wigwag.database.ledger import Ledger, LedgerEvent, LedgerRow, State
from wigwag.database.ledger.states import FIRST_VERSION
from wigwag.errors import WigwagError
from wigwag.gateway.conversations.book import Book
from wigwag.gateway.conversations.setup import Setup
from wigwag.gateway.destinations import Destinations, Way
from wigwag.gateway.metrics import Counters
from wigwag.protocols.sip import SipError
from wigwag.runtime.agents import GATEWAY
from wigwag.runtime.conversations import AddressTooLongError, canonical_address
from wigwag.runtime.pager_events import INBOUND as PAGER_INBOUND
from wigwag.runtime.pager_events import pager_records
from wigwag.runtime.ua_events import ua_records
from wigwag.runtime.ua_messages import INBOUND as SESSION_INBOUND
from wigwag.runtime.ua_messages import SERVICE as UA
from wigwag.runtime.ua_messages import fields_of

from .reading import AGAIN, BINDING, OTHERWISE, REGISTERED

LEASE: Final = "gateway sweep"
SETTLED: Final = 10.0
"""Seconds since its last change, by whatever clock, after which a row that waits is looked at by the sweep."""
MOST_PAUSES: Final = 10_000
"""Pauses whose end is waited for here; the sweep finds the rest."""
_MARGIN: Final = 0.05
"""Seconds by which two clocks may differ on the end of a pause."""
_PAGE: Final = 500


class Waking:
    """Wakes conversations.

    Args:
        ledger: What waits.
        bus: Where it is published again.
        book: Conversations.
        setup: Knows pauses.
        destinations: Who is there.
        pod: Id of this process.
        spawn: Runs a coroutine beside.
        counters: Counts what is published again.
    """

    def __init__(
        self,
        ledger: Ledger,
        bus: Bus,
        book: Book,
        setup: Setup,
        destinations: Destinations,
        *,
        pod: str,
        spawn: Callable[[Awaitable[None]], "asyncio.Task[None]"],
        counters: Counters | None = None,
    ) -> None:
        self._ledger = ledger
        self._bus = bus
        self._book = book
        self._spawn = spawn
        self._setup = setup
        self._destinations = destinations
        self._pod = pod
        self._counters = counters or Counters()
        self._after = 0
        self._pauses: dict[str, asyncio.TimerHandle] = {}
        """Conversations whose pause this pod has begun."""

    async def registered(self, aor: str, device: str = "") -> None:
        """Wake what waits for a user who has registered.

        Args:
            aor: His canonical address.
            device: Key of the binding; empty: it is not known.
        """
        async for row in self._unclaimed(recipient=aor):
            conversation = await self._book.find(row.conversation)
            if conversation is not None:
                await self._book.try_again(conversation)
            await self.wake(row, REGISTERED, device)

    async def conversation(self, key: str, why: bytes = OTHERWISE) -> None:
        """Wake what waits in a conversation; nothing without a key."""
        if not key:
            return
        rows = [row async for row in self._unclaimed(conversation=key)]
        for row in rows[:1]:
            await self.wake(row, why)

    def after_pause(self, key: str, seconds: float) -> None:
        """Wake what waits in a conversation when so many seconds are over; a second pause replaces the first."""
        before = self._pauses.pop(key, None)
        if before is not None:
            before.cancel()
        if len(self._pauses) < MOST_PAUSES:
            loop = asyncio.get_running_loop()
            self._pauses[key] = loop.call_later(max(seconds, 0.0) + _MARGIN, self._pause_is_over, key)

    def _pause_is_over(self, key: str) -> None:
        del self._pauses[key]
        self._spawn(self._try_conversation(key))

    async def _try_conversation(self, key: str) -> None:
        with suppress(WigwagError):  # Else the sweep finds it.
            await self.conversation(key)

    def forget_pauses(self) -> None:
        """Wait for no pause any more: other pods, or the next start, look at what waits."""
        for timer in self._pauses.values():
            timer.cancel()
        self._pauses.clear()

    async def wake(self, row: LedgerRow, why: bytes = OTHERWISE, device: str = "") -> None:
        """Have a row, and all that waits with it, looked at by whoever handles its conversation."""
        event = LedgerEvent(row.id, FIRST_VERSION, State.ACCEPTED, row.created, row)
        records = ua_records(event, self._pod) if row.service == UA else pager_records(event, self._pod)
        more = {AGAIN: why, BINDING: device.encode("utf-8", "surrogateescape")} if device else {AGAIN: why}
        for topic, message in records:
            await self._bus.publish(topic, message.value, key=message.key, headers={**message.headers, **more})
        self._counters.wakeups += 1

    async def sweep(self, now: float) -> None:
        """Look at some of what waits; to be called every few seconds by the pod that holds the lease."""
        rows = await self._ledger.undelivered(unclaimed=True, after=self._after, limit=_PAGE)
        self._after = rows[-1].position if len(rows) == _PAGE else 0
        for row in _oldest(row for row in rows if _is_waiting(row) and abs(now - row.updated) > SETTLED):
            if await self._is_due(row):
                await self.wake(row)

    async def _is_due(self, row: LedgerRow) -> bool:
        if row.service != UA:
            conversation = await self._book.find(row.conversation)
            if conversation is not None and conversation.failures and conversation.state == "closed":
                return not self._setup.is_resting(conversation)
            if conversation is not None and conversation.state != "closed":
                return True
        destination = await self._destinations.of(_canonical(row.recipient), PagerReason.PAGER_REASON_UNSPECIFIED)
        return destination.way is not Way.WAIT

    async def _unclaimed(
        self, *, recipient: str | None = None, conversation: str | None = None
    ) -> AsyncIterator[LedgerRow]:
        """Yield the oldest row that waits of each conversation."""
        after = 0
        seen: set[str] = set()
        while True:
            page = await self._ledger.undelivered(
                recipient=recipient, conversation=conversation, unclaimed=True, after=after, limit=_PAGE
            )
            for row in page:
                if _is_waiting(row) and row.conversation not in seen:
                    seen.add(row.conversation)
                    yield row
            if len(page) < _PAGE:
                return
            after = page[-1].position


def _is_waiting(row: LedgerRow) -> bool:
    """Tell whether a row is the gateway's, and nobody is trying it."""
    if row.owner:
        return False
    if row.service == UA:
        return row.direction == SESSION_INBOUND and fields_of(row.headers).application == GATEWAY
    return row.service == GATEWAY and row.direction == PAGER_INBOUND


def _canonical(address: str) -> str:
    """Return an address as registrations know it: ua's rows have it as the INVITE said it."""
    try:
        return canonical_address(address)
    except (SipError, AddressTooLongError):
        return address


def _oldest(rows: Iterable[LedgerRow]) -> list[LedgerRow]:
    """Return the first of each way of a conversation: what waits for one side says nothing of the other's."""
    found: dict[tuple[str, str], LedgerRow] = {}
    for row in rows:
        found.setdefault((row.conversation, row.recipient), row)
    return list(found.values())
