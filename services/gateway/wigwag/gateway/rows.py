"""Rows of the ledger as the gateway edits them: claimed for an attempt, given back, settled (DESIGN.md section 6).

Theory of operation. The owner of a claim says how the message is being tried: ``PAGE``, or the id of the ua session
that it was handed to. So whoever handles the same record again after a kill can tell, and does the same once more.
Outcomes need no token: the row that they are copied from has one final state only.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Final

from wigwag.database.ledger import Change, Claim, Ledger, LedgerRow, Refusal, Release, State, Verdict
from wigwag.database.ledger.states import FIRST_VERSION
from wigwag.runtime.agents import GATEWAY
from wigwag.runtime.ua_messages import INBOUND, fields_of
from wigwag.runtime.ua_messages import SERVICE as UA

from .metrics import Counters

PAGE: Final = "page"
"""Owner of a row that is being sent as MESSAGE."""
GRACE: Final = 120.0
"""Seconds beyond its expiry for which a row waits for the outcome of the row that it was handed on as."""
LATEST: Final = 1_000
"""Messages to somebody among which one is sought that he says he has displayed."""
_PAGE_ROWS: Final = 1_000
_LATEST_PAGE: Final = 100


class Rows:
    """Edits of rows.

    Args:
        ledger: Where they are.
        wall: Seconds since 1970.
        counters: Counts outcomes, and attempts without effect.
    """

    def __init__(self, ledger: Ledger, wall: Callable[[], float], counters: Counters | None = None) -> None:
        self._ledger = ledger
        self._wall = wall
        self._counters = counters or Counters()

    async def claim(self, wanted: Iterable[tuple[str, float]], owner: str, token: int) -> dict[str, int]:
        """Begin an attempt with each row.

        Args:
            wanted: Ids and expiries.
            owner: ``PAGE``, or a session.
            token: A later attempt has no lower one.

        Returns:
            Id -> number of the attempt, of those that may be tried: the others have their outcome, or a newer owner.
        """
        claims = [Claim(id=id_, owner=owner, token=token, until=expires + GRACE) for id_, expires in wanted]
        verdicts = await self._claimed(claims)
        fenced = [verdict.id for verdict in verdicts if verdict.refusal is Refusal.FENCED]
        if fenced:
            verdicts += await self._claim_again(fenced, owner)
        return {verdict.id: verdict.attempt for verdict in verdicts if verdict.done}

    async def _claim_again(self, ids: Sequence[str], owner: str) -> list[Verdict]:
        """Claim what nobody is trying, and somebody has tried whose clock is ahead of the store's."""
        rows = (await self._ledger.find_many(ids)).values()
        return await self._claimed(
            Claim(id=row.id, owner=owner, token=row.token, until=row.expires + GRACE, attempts=row.attempt)
            for row in rows
            if not row.owner
        )

    async def _claimed(self, claims: Iterable[Claim]) -> list[Verdict]:
        return [await verdict for verdict in self._ledger.apply(claims)]

    async def claim_for_page(self, row: LedgerRow) -> int | None:
        """Begin an attempt by MESSAGE, or join the one that another pod has begun with the same row meanwhile.

        Two pods may have the same record while partitions move; an attempt of each would be two MESSAGEs.

        Args:
            row: As it was when it was decided that it is to be sent.

        Returns:
            Number of the attempt; None: it has its outcome, or goes another way.
        """
        is_free = row.owner in ("", PAGE)
        # Who has tried it before may have a clock that is ahead of ours.
        token = max(self.next_token, row.token + (not is_free))
        claim = Claim(
            id=row.id, owner=PAGE, token=token, until=row.expires + GRACE, attempts=row.attempt if is_free else None
        )
        verdict = await self._ledger.apply_one(claim)
        if verdict.done:
            return verdict.attempt
        found = await self._ledger.find(row.id)
        return found.attempt if found is not None and found.owner == PAGE and found.state is State.ACCEPTED else None

    async def settle(
        self, row_id: str, state: State, *, status: int = 0, reason: str = "", token: int | None = None
    ) -> bool:
        """Give a row its outcome; returns whether this was it. One that has another already keeps it.

        Args:
            row_id: The row.
            state: The outcome.
            status: SIP status; 0: none.
            reason: With it.
            token: Of the attempt that this is the outcome of: a later one makes it void. None: of whichever.
        """
        change = Change(
            id=row_id, version=FIRST_VERSION, state=state, status=status or None, reason=reason, token=token
        )
        return await self._concluded(change, await self._ledger.apply_one(change))

    async def settle_many(self, outcomes: Iterable[tuple[str, State, int, str]]) -> None:
        """Give rows their outcomes, as ``settle`` does, in one go: id, outcome, SIP status or 0, reason."""
        changes = [
            Change(id=row_id, version=FIRST_VERSION, state=state, status=status or None, reason=reason)
            for row_id, state, status, reason in outcomes
        ]
        verdicts = self._ledger.apply(changes) if changes else []
        for change, verdict in zip(changes, verdicts, strict=True):
            await self._concluded(change, await verdict)

    async def _concluded(self, change: Change, verdict: Verdict) -> bool:
        if not verdict.done and change.state is State.DISPLAYED and verdict.state is State.DELIVERED:
            verdict = await self._ledger.apply_one(Change(id=change.id, version=verdict.version, state=change.state))
        if verdict.done:
            self._counters.messages["page", change.state.value] += 1
        return verdict.done

    async def give_back(self, row: LedgerRow) -> None:
        """End an attempt that had no effect, as the row says it: it waits again, unless a later attempt has begun."""
        if row.owner and row.state is State.ACCEPTED:
            await self._ledger.apply_one(Release(id=row.id, token=row.token, attempt=row.attempt))
            self._counters.retries += 1

    async def find(self, row_id: str) -> LedgerRow | None:
        """Return a row."""
        return await self._ledger.find(row_id)

    async def find_many(self, ids: Sequence[str]) -> dict[str, LedgerRow]:
        """Return those rows that there are, by id."""
        return await self._ledger.find_many(ids)

    async def waiting(self, conversation: str, direction: str) -> list[LedgerRow]:
        """Return the rows of a conversation that have no outcome, tried ones included, in the order of acceptance."""
        found: list[LedgerRow] = []
        after = 0
        while True:
            page = await self._ledger.undelivered(conversation=conversation, after=after, limit=_PAGE_ROWS)
            found += [row for row in page if row.direction == direction]
            if len(page) < _PAGE_ROWS:
                return found
            after = page[-1].position

    async def said(self, sender: str, recipient: str) -> list[LedgerRow]:
        """Return, likewise, what somebody has said to another one in sessions of the gateway.

        Args:
            sender: As rows have him.
            recipient: Likewise.
        """
        found: list[LedgerRow] = []
        after = 0
        while True:
            page = await self._ledger.undelivered(recipient=recipient, sender=sender, after=after, limit=_PAGE_ROWS)
            found += [row for row in page if _is_said(row)]
            if len(page) < _PAGE_ROWS:
                return found
            after = page[-1].position

    async def waiting_for(self, recipient: str) -> list[LedgerRow]:
        """Return rows that wait for somebody, tried ones included, in the order of acceptance; not more than a page."""
        return await self._ledger.undelivered(recipient=recipient, limit=_PAGE_ROWS)

    async def delivered_to(self, recipient: str) -> AsyncIterator[LedgerRow]:
        """Yield what somebody got and has not displayed yet, the last accepted first; ``LATEST`` rows at most."""
        before: int | None = None
        for _ in range(LATEST // _LATEST_PAGE):
            page = await self._ledger.delivered(recipient, before=before, limit=_LATEST_PAGE)
            for row in page:
                yield row
            if len(page) < _LATEST_PAGE:
                return
            before = page[-1].position

    @property
    def now(self) -> float:
        """Seconds since 1970."""
        return self._wall()

    @property
    def next_token(self) -> int:
        """Token of an attempt that no session is behind."""
        return round(self._wall() * 1_000)


def _is_said(row: LedgerRow) -> bool:
    return row.service == UA and row.direction == INBOUND and fields_of(row.headers).application == GATEWAY
