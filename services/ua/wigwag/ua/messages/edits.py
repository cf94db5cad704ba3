"""What became of messages, on its way into the ledger: in order, in batches, again until the database has it."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from wigwag.database.ledger import Claim, Edit, Ledger, Verdict
from wigwag.errors import WigwagError

BATCH: Final = 500
_GATHER: Final = 0.005
"""Seconds that a batch waits for more: a transaction costs as much as many edits, and nobody waits for outcomes."""
_PAUSE: Final = 0.5
"""Seconds between tries while the database is away."""

logger = structlog.get_logger("wigwag.ua")

Done = Callable[[Verdict], None]


class Edits:
    """A queue of edits; ``run`` works it off.

    Theory of operation. One batch is on its way at a time, and what comes meanwhile is the next one. An edit that was
    not committed, or whose COMMIT nobody knows of, is done again: compare-and-set makes the second time harmless.

    Args:
        ledger: Where they go.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: deque[tuple[Edit, Done | None]] = deque()
        self._filled = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._on_its_way = 0
        self._is_urgent = False
        """Whether a claim waits: its message is not sent before."""
        self.failures = 0
        """Batches that were not committed at once."""

    def __len__(self) -> int:
        """Edits that are not in the ledger yet."""
        return len(self._waiting) + self._on_its_way

    def put(self, edit: Edit, done: Done | None = None) -> None:
        """Do an edit soon; ``done`` is told the ledger's verdict."""
        self._waiting.append((edit, done))
        self._is_urgent |= isinstance(edit, Claim)
        self._filled.set()
        self._idle.clear()

    async def apply(self, edit: Edit) -> Verdict:
        """Do an edit at once, for somebody who waits.

        Raises:
            DatabaseError: It may or may not be done.
        """
        return await self._ledger.apply_one(edit)

    async def run(self) -> None:
        """Work the queue off until cancelled."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._waiting:
                if len(self._waiting) < BATCH and not self._is_urgent:
                    await asyncio.sleep(_GATHER)
                self._is_urgent = False
                if not await self._do_some():
                    await asyncio.sleep(_PAUSE)
            self._idle.set()

    async def flush(self, timeout: float) -> None:
        """Wait until the queue is empty, at most so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._idle.wait()

    async def _do_some(self) -> bool:
        batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        self._on_its_way = len(batch)
        try:
            futures = self._ledger.apply([edit for edit, _ in batch])
            return await self._results(batch, futures)
        except WigwagError as error:
            return self._again(batch, error)
        finally:
            self._on_its_way = 0

    async def _results(
        self, batch: Sequence[tuple[Edit, Done | None]], futures: Sequence["asyncio.Future[Verdict]"]
    ) -> bool:
        failed: list[tuple[Edit, Done | None]] = []
        problem: WigwagError | None = None
        for pair, future in zip(batch, futures, strict=True):
            try:
                verdict = await future
            except WigwagError as error:
                problem = error
                failed.append(pair)
                continue
            if pair[1] is not None:
                _told(pair[1], verdict)
        return problem is None or self._again(failed, problem)

    def _again(self, batch: Sequence[tuple[Edit, Done | None]], error: WigwagError) -> bool:
        self.failures += 1
        logger.info("outcomes of messages are not written yet", reason=str(error), waiting=len(batch))
        self._waiting.extendleft(reversed(batch))
        self._filled.set()
        return False


def _told(done: Done, verdict: Verdict) -> None:
    try:
        done(verdict)
    except Exception:
        logger.exception("a verdict of the ledger was not understood", message=verdict.id)
