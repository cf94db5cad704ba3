"""What the ledger has of a session that has no outcome yet."""

import asyncio
from collections.abc import Callable
from typing import Final

from wigwag.database.ledger import Ledger, LedgerRow
from wigwag.errors import WigwagError
from wigwag.runtime.ua_messages import conversation_of

_PAGE: Final = 500
_RETRY: Final = 0.5
_READERS: Final = 4
"""Sessions whose rows are read at once: what others wait for must find a connection to the database."""


class Backlog:
    """Reads sessions' rows.

    Args:
        ledger: Where they are.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._readers = asyncio.Semaphore(_READERS)

    async def of(self, session_id: str, wanted: Callable[[], bool]) -> list[LedgerRow] | None:
        """Return the rows without an outcome, however long the database is away; None: not wanted any more."""
        rows: list[LedgerRow] = []
        while wanted():
            after = rows[-1].position if rows else 0
            key = conversation_of(session_id)
            try:
                async with self._readers:
                    page = await self._ledger.undelivered(conversation=key, after=after, limit=_PAGE)
            except WigwagError:
                await asyncio.sleep(_RETRY)
                continue
            rows += page
            if len(page) < _PAGE:
                return rows
        return None
