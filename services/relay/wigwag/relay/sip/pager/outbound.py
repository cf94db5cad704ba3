"""Pager mode, outbound: ``wigwag.pager.outbound`` is consumed, each attempt gets one result (DESIGN.md section 6).

Theory of operation. An attempt is a row of the ledger, made before anything is sent. Whoever is to send it claims the
row; a record that comes again, to this pod or after a kill to another, finds it: while it is under way here it is
waited for, when it has its outcome nothing is done, else the same MESSAGE is sent again. The outcome is set by compare
and set and published from the row by the ledger's sweep, so that it is told once whatever is killed. A row that nobody
takes up again becomes unconfirmed. The record is committed when the row has its outcome. An attempt whose predecessor
is to be made again fails without being sent, so that both are asked for again, in order.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

from wigwag.bus import Bus, Record
from wigwag.database.ledger import (
    OUTCOME_TIMEOUT,
    Change,
    Claim,
    EndOverdue,
    Ledger,
    NewMessage,
    Refusal,
    Release,
    State,
    Verdict,
)
from wigwag.database.ledger.states import FIRST_VERSION
from wigwag.errors import StoreError, WigwagError
from wigwag.runtime.events import PAGER_OUTBOUND
from wigwag.runtime.names import LEDGER_ID, RELAY_SIP_SEND
from wigwag.runtime.pager_events import BEHIND, OUTBOUND, attempt_id
from wigwag.runtime.traceparent import HEADER
from wigwag.runtime.tracing import Tracing

from .predecessors import Predecessors
from .requests import Outbound, outbound_of
from .sender import Outcome, PagerSender
from .turns import TooManyWaitError, Turns

GROUP: Final = "relay-pager"
"""Group in which all pods consume the topic."""
SERVICE: Final = "relay"
OUTCOMES: Final = ("delivered", "failed", "unconfirmed", "expired", "repeated", "too_late")
"""What is counted: how attempts ended, records whose attempt had ended before, outcomes that came after another."""
_CLAIMS: Final = 3
"""Claims that are tried while others claim at the same moment."""


class PagerOutbound:
    """Sends what stands on the topic.

    Args:
        sender: Sends one message.
        ledger: Where attempts are noted.
        pod: Id of this process.
        wall: Seconds since 1970.

    Attributes:
        counters: Attempts by how they ended.
        tracing: Goes on with the traces of messages.
    """

    def __init__(self, sender: PagerSender, ledger: Ledger, *, pod: str, wall: Callable[[], float]) -> None:
        self._sender = sender
        self._ledger = ledger
        self._pod = pod
        self._wall = wall
        self._turns = Turns()
        self._predecessors = Predecessors(ledger, wall)
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._unwritten: dict[str, tuple[Outcome, int]] = {}
        """Outcomes that the database did not take, and of which claim: sending again would not make them truer."""
        self.counters: Counter[str] = Counter()
        self.tracing = Tracing()

    @asynccontextmanager
    async def consuming(self, bus: Bus, in_flight: int) -> AsyncIterator[None]:
        """Consume the topic for the length of the block."""
        bus.declare(PAGER_OUTBOUND)
        async with bus.consume(GROUP, [PAGER_OUTBOUND.name], self.handle, in_flight=in_flight):
            yield
        for task in list(self._under_way.values()):
            task.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def handle(self, record: Record) -> None:
        """Return when the attempt that a record asks for has its outcome in the ledger.

        Raises:
            UnprocessableError: It asks for nothing that could have one.
            StoreError, DatabaseError, OverloadedError: It is to be handled again.
        """
        outbound = outbound_of(record)
        row = attempt_id(outbound.request.message_id, outbound.request.attempt)
        task = self._under_way.get(row)
        if task is None:
            attempt = self._traced if outbound.request.traceparent else self._attempt
            task = self._under_way[row] = asyncio.create_task(attempt(row, outbound))
            task.add_done_callback(lambda _: self._under_way.pop(row, None))
        # A consumer that gives the record up takes nothing back that is on the wire.
        await asyncio.shield(task)

    async def _traced(self, row: str, outbound: Outbound) -> None:
        with self.tracing.begin(RELAY_SIP_SEND, outbound.request.traceparent, {LEDGER_ID: row}):
            await self._attempt(row, outbound)

    async def _attempt(self, row: str, outbound: Outbound) -> None:
        accepted = await self._ledger.accept_one(_row(row, outbound))
        if accepted.state is not State.ACCEPTED:
            self.counters["repeated"] += 1
            return
        if await self._predecessors.hold_up(row, outbound):
            await self._end(row, outbound, Outcome(State.FAILED, 480, BEHIND, sent=False))
            return
        try:
            async with self._turns.of(outbound.target):
                await self._send(row, outbound)
        except TooManyWaitError as error:
            await self._end(row, outbound, Outcome(State.FAILED, 503, str(error), sent=False))

    async def _send(self, row: str, outbound: Outbound) -> None:
        """Claim the row and send, once it is the message's turn: the time for its outcome runs from the claim."""
        known = await self._known(row)
        if known is not None:
            await self._end(row, outbound, *known)
            return
        token, claim = await self._claim(row)
        if claim.refusal is Refusal.LATE:
            await self._ledger.apply_one(EndOverdue(id=row))
            self.counters[State.EXPIRED.value] += 1
        if not claim.done:
            return
        try:
            outcome = await self._sender.send(outbound)
            outcome = await self._with_doubts(row, outcome, claim)
        except StoreError:
            # Nothing was sent: the next try begins without a doubt that this one has had an effect.
            await self._ledger.apply_one(Release(id=row, token=token, attempt=claim.attempt))
            raise
        await self._end(row, outbound, outcome, claim.attempt)

    async def _known(self, row: str) -> tuple[Outcome, int] | None:
        """Return what became of it when the database did not take that; None: others may have sent it since."""
        known = self._unwritten.get(row)
        if known is None:
            return None
        found = await self._ledger.find(row)
        if found is not None and found.attempt == known[1]:
            return known
        del self._unwritten[row]
        return None

    async def _with_doubts(self, row: str, outcome: Outcome, claim: Verdict) -> Outcome:
        """A refusal is no proof that nothing has arrived when a pod was killed while it sent the same before.

        Raises:
            StoreError: Nobody was reached now, and there is time to try again.
        """
        if outcome.state is not State.FAILED or claim.attempt == 1:
            return outcome
        found = await self._ledger.find(row)
        if found is None or found.doubts < 2:
            return outcome
        if not outcome.sent and self._wall() < found.created + OUTCOME_TIMEOUT:
            raise StoreError("it may have been sent before, and nobody is reached now")
        return replace(outcome, state=State.UNCONFIRMED)

    async def _claim(self, row: str) -> tuple[int, Verdict]:
        """Claim the row, also from a pod whose clock is ahead of ours; return the token too."""
        token = int(self._wall() * 1_000)
        for _ in range(_CLAIMS):
            verdict = await self._ledger.apply_one(Claim(id=row, owner=self._pod, token=token))
            if verdict.refusal is not Refusal.FENCED:
                return token, verdict
            found = await self._ledger.find(row)
            token = max(token, found.token if found is not None else 0) + 1
        raise StoreError("others claim the same attempt")

    async def _end(self, row: str, outbound: Outbound, outcome: Outcome, claimed: int = 0) -> None:
        """Write an outcome down; ``claimed``: number of the claim under which it was sent, 0: it was not."""
        change = Change(id=row, version=FIRST_VERSION, state=outcome.state, status=outcome.status, reason=outcome.words)
        try:
            verdict = await self._ledger.apply_one(change)
        except WigwagError:
            if claimed:
                self._unwritten[row] = outcome, claimed
            raise
        self._unwritten.pop(row, None)
        if verdict.done:
            self._predecessors.ended(row, outbound, outcome)
        self.counters[outcome.state.value if verdict.done else "too_late"] += 1


def _row(row: str, outbound: Outbound) -> NewMessage:
    return NewMessage(
        id=row,
        conversation=outbound.conversation,
        service=SERVICE,
        direction=OUTBOUND,
        sender=outbound.sender,
        recipient=outbound.target,
        expires=outbound.expires,
        content_type=outbound.request.content_type if _is_storable(outbound.request.content_type) else "",
        headers=((HEADER, outbound.request.traceparent),) if outbound.request.traceparent else (),
        publish=False,
    )


def _is_storable(text: str) -> bool:
    return len(text) <= 255 and text.isprintable() and text.strip() == text
