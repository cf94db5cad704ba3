"""The ledger of accepted messages: outbox, idempotency memory and final state in one table (DESIGN.md section 6).

Theory of operation. Two queues, one for new messages and one for edits, are each written batch by batch; a future is
resolved after COMMIT and says what the database holds. So nothing is answered as accepted that a kill could take back,
and a message that is handed in again finds itself. What goes wrong with the database is an error for those who wait,
never for those who come later: the next batch tries again. When a COMMIT's answer is lost, its callers get an error
although the rows may be there; handing in again, with the same ids and versions, tells.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final, Self

from wigwag.database.engine import Database
from wigwag.database.filters import MessageFilter
from wigwag.errors import ConflictError, WigwagError

from . import forgetting, reads, upkeep
from .batches import Batches, Limits
from .edits import Edit, EndOverdue, check_edit
from .messages import (
    Backlog,
    LedgerEvent,
    LedgerRow,
    NewMessage,
    Outcome,
    Refusal,
    Verdict,
    check,
    size_of,
    storable_id,
)
from .writes import Writer

OUTCOME_TIMEOUT: Final = 60.0
"""Seconds after which a message whose delivery was tried, and that has no outcome, is unconfirmed."""
_EDIT_SIZE: Final = 500
"""Bytes that an edit is counted as."""


class Ledger:
    """The message ledger; ``async with`` starts its writers.

    Args:
        database: Open while the ledger is; not SQLite in memory, whose one connection can't be shared.
        clock: Seconds since 1970.
        outcome_timeout: Seconds after a claim until its outcome counts as unknown.
        limits: What may wait to be written; the same for new messages and for edits.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], float],
        outcome_timeout: float = OUTCOME_TIMEOUT,
        limits: Limits | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._writer = Writer(database, clock, outcome_timeout)
        limits = limits or Limits()
        self._messages: Batches[NewMessage, Verdict] = Batches(self._accept, limits)
        self._edits: Batches[Edit, Verdict] = Batches(self._apply, limits)
        self._stack = AsyncExitStack()
        self.written = asyncio.Event()
        """Set when something was written that may have to be published; whoever looks clears it."""

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._messages)
        await self._stack.enter_async_context(self._edits)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what waits, then end."""
        await self._stack.aclose()

    def accept(self, messages: Iterable[NewMessage]) -> list[asyncio.Future[Verdict]]:
        """Hand in messages; each future is resolved after its message is committed.

        A message whose id is known changes nothing: ``Refusal.DUPLICATE`` with the state of the first one. A future
        fails with ``ConflictError`` when its message can't be stored (its neighbours can), with ``DatabaseError`` when
        the database is away or full.

        Raises:
            OverloadedError: Too much waits already; none of them was taken.
        """
        messages = list(messages)
        problems = [_problem(message) for message in messages]
        good = [message for message, problem in zip(messages, problems, strict=True) if problem is None]
        taken = iter(self._messages.submit([(message, size_of(message)) for message in good]))
        return [next(taken) if problem is None else _failed(problem) for problem in problems]

    async def accept_one(self, message: NewMessage) -> Verdict:
        """Accept a message, as ``accept`` does; its errors are raised.

        Raises:
            OverloadedError: Too much waits already.
            ConflictError: It can't be stored.
            DatabaseError: It may or may not be there: handing it in again tells.
        """
        return await self.accept([message])[0]

    def apply(self, edits: Iterable[Edit]) -> list[asyncio.Future[Verdict]]:
        """Hand in edits; each future is resolved with its verdict after COMMIT, or fails with ``DatabaseError``.

        Raises:
            OverloadedError: Too much waits already; none of them was taken.
            ConflictError: A value of one is out of its range; none of them was taken.
        """
        edits = list(edits)
        for edit in edits:
            check_edit(edit)
        return self._edits.submit([(edit, _EDIT_SIZE) for edit in edits])

    async def apply_one(self, edit: Edit) -> Verdict:
        """Do an edit, as ``apply`` does; its errors are raised."""
        return await self.apply([edit])[0]

    async def find(self, message_id: str) -> LedgerRow | None:
        """Return the message with this id, or None.

        Raises:
            DatabaseError: The database cannot be reached or refuses.
        """
        return await reads.find(self._database, message_id)

    async def find_many(self, message_ids: Iterable[str]) -> dict[str, LedgerRow]:
        """Return those messages with these ids that there are, by id.

        Raises:
            DatabaseError: As ``find``.
        """
        return await reads.find_many(self._database, message_ids)

    async def conversation(self, key: str, *, after: int = 0, limit: int = 100) -> list[LedgerRow]:
        """Return messages of a conversation in the order of their acceptance.

        Args:
            key: Conversation key.
            after: Position of the last row of the page before; 0 for the first page.
            limit: Rows of a page, at most ``reads.MAX_PAGE``.

        Raises:
            DatabaseError: As ``find``.
        """
        return await reads.conversation(self._database, key, after, limit)

    async def undelivered(
        self,
        *,
        recipient: str | None = None,
        sender: str | None = None,
        conversation: str | None = None,
        unclaimed: bool = False,
        after: int = 0,
        limit: int = 100,
    ) -> list[LedgerRow]:
        """Return messages without an outcome whose time has not run out, in the order of their acceptance.

        Those that somebody has claimed are among them: who takes over from a dead owner claims them again.

        Args:
            recipient: Only those that wait for him; None: for anybody.
            sender: Only those of him, to be asked for with another of these; None: of anybody.
            conversation: Only those of this conversation; None: of any.
            unclaimed: Only those that nobody is trying.
            after: As ``conversation``.
            limit: As ``conversation``.

        Raises:
            DatabaseError: As ``find``.
        """
        return await reads.undelivered(
            self._database,
            self._clock(),
            recipient=recipient,
            sender=sender,
            conversation=conversation,
            unclaimed=unclaimed,
            after=after,
            limit=limit,
        )

    async def delivered(self, recipient: str, *, before: int | None = None, limit: int = 100) -> list[LedgerRow]:
        """Return messages that were delivered to somebody, and were not displayed yet, the last accepted first.

        Args:
            recipient: To whom.
            before: Position of the last row of the page before; None for the first page.
            limit: As ``conversation``.

        Raises:
            DatabaseError: As ``find``.
        """
        return await reads.delivered(self._database, recipient, before, limit)

    async def recent(
        self,
        service: str,
        direction: str,
        wanted: MessageFilter,
        *,
        settled_since: float,
        after: int = 0,
        limit: int = 100,
    ) -> list[LedgerRow]:
        """Return messages without an outcome, and those that have had it since a moment, in the order of acceptance.

        Args:
            service: Whose.
            direction: Which way.
            wanted: Which of these.
            settled_since: In seconds since 1970.
            after: As ``conversation``.
            limit: As ``conversation``.

        Raises:
            DatabaseError: As ``find``.
        """
        return await reads.recent(
            self._database, service, direction, wanted, settled_since=settled_since, after=after, limit=limit
        )

    async def backlog(self, *, recipient: str | None = None, conversation: str | None = None, most: int) -> Backlog:
        """Return how many messages have no outcome, and how large they are.

        Args:
            recipient: Only those that wait for him; None: for anybody.
            conversation: Only those of this conversation; None: of any.
            most: Messages that are looked at.

        Raises:
            DatabaseError: As ``find``.
        """
        return await reads.backlog(self._database, recipient, conversation, most)

    async def outcomes(self, message_ids: Iterable[str]) -> dict[str, Outcome]:
        """Return how those of these messages ended that have, by id; cheaper than ``find_many``.

        Raises:
            DatabaseError: As ``find``.
        """
        return await reads.outcomes(self._database, message_ids)

    async def is_to_be_swept(self) -> bool:
        """Tell whether there are events to publish or messages whose time has come.

        Raises:
            DatabaseError: As ``find``.
        """
        return await reads.is_to_be_swept(self._database, self._clock())

    async def pending_events(self, *, limit: int = 100) -> list[LedgerEvent]:
        """Return states that were not published, of at most ``limit`` messages, in the order of their acceptance.

        Raises:
            DatabaseError: As ``find``.
        """
        return [event for row in await reads.pending(self._database, limit) for event in reads.events_of(row)]

    async def mark_published(self, events: Iterable[LedgerEvent]) -> None:
        """Note that these were published, and with each all earlier ones of its message.

        Raises:
            DatabaseError: As ``find``; they will be published again.
        """
        await upkeep.mark_published(self._writer, events)

    async def end_overdue(self, *, limit: int = 500) -> int:
        """End messages whose time has come: unconfirmed if an attempt may have delivered them, else expired.

        Returns:
            How many were overdue; as many as ``limit`` means that there may be more.

        Raises:
            DatabaseError: As ``find``.
            OverloadedError: Too many edits wait already.
        """
        ids = await reads.overdue_ids(self._database, self._clock(), limit)
        await asyncio.gather(*self.apply(EndOverdue(id=message_id) for message_id in ids))
        return len(ids)

    async def purge(
        self, *, keep: float, delete_blobs: Callable[[Sequence[str]], Awaitable[None]] | None = None
    ) -> int:
        """Delete some messages that have been final for long; to be called until it returns 0.

        Args:
            keep: Seconds for which a final message is kept. It has to be longer than a message can come again: with
                its row the memory of its id goes.
            delete_blobs: Deletes the bodies that are stored elsewhere; those that are gone already are no error.

        Returns:
            How many went.

        Raises:
            DatabaseError: As ``find``.
        """
        return await upkeep.purge(self._writer, self._clock() - keep, delete_blobs)

    async def forget_bodies(
        self,
        concerns: Callable[[str], bool],
        delete_blobs: Callable[[Sequence[str]], Awaitable[None]] | None = None,
    ) -> tuple[int, int]:
        """Remove bodies of messages that have their outcome; ids, parties and states stay.

        Args:
            concerns: Tells whether an address, as a row has it, is the user's whose bodies go.
            delete_blobs: As ``purge``.

        Returns:
            How many bodies went, and how many messages of his keep theirs because they have no outcome yet.

        Raises:
            DatabaseError: As ``find``; some may be gone.
        """
        return await forgetting.forget_bodies(self._database, self._writer, concerns, delete_blobs)

    async def hold_lease(self, name: str, holder: str, *, seconds: float) -> bool:
        """Take or renew a lease that saves several processes from doing the same work; return whether it is held.

        Raises:
            DatabaseError: As ``find``.
        """
        return await upkeep.hold_lease(self._writer, name, holder, self._clock(), seconds)

    def counters(self) -> dict[str, int]:
        """Return plain numbers for metrics."""
        return {
            "accepted_waiting": self._messages.waiting,
            "accepted_written": self._messages.written,
            "accepted_batches": self._messages.batches,
            "edits_waiting": self._edits.waiting,
            "edits_written": self._edits.written,
            "edits_batches": self._edits.batches,
        }

    async def _accept(self, messages: Sequence[NewMessage]) -> Sequence[Verdict | WigwagError]:
        results = await self._writer.accept(messages)
        self.written.set()
        return results

    async def _apply(self, edits: Sequence[Edit]) -> Sequence[Verdict]:
        # An id that no message can have would be refused by some drivers, and the whole batch with it.
        known = [edit for edit in edits if storable_id(edit.id)]
        verdicts = iter(await self._writer.apply(known))
        self.written.set()
        return [next(verdicts) if storable_id(edit.id) else Verdict(edit.id, Refusal.UNKNOWN) for edit in edits]


def _problem(message: NewMessage) -> WigwagError | None:
    try:
        check(message)
    except ConflictError as error:
        return error
    return None


def _failed(problem: WigwagError) -> "asyncio.Future[Verdict]":
    future: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
    future.set_exception(problem)
    future.exception()  # a caller who looks at the others only is no reason for a warning
    return future
