"""What the ledger has of a session: that without an outcome, and that which has just had one."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from wigwag.database import MessageFilter
from wigwag.database.ledger import Ledger, LedgerRow
from wigwag.errors import WigwagError
from wigwag.runtime.ua_messages import INBOUND, SERVICE, conversation_of

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
        key = conversation_of(session_id)
        return await self._read(partial(self._ledger.undelivered, conversation=key, limit=_PAGE), wanted)

    async def that_came(self, session_id: str, since: float, wanted: Callable[[], bool]) -> list[LedgerRow] | None:
        """Return the rows of messages that came and have no outcome, or have had it since then; else as ``of``.

        Args:
            session_id: Of the session.
            since: Seconds since 1970, by the store's clock.
            wanted: Whether to go on.
        """
        which = MessageFilter(conversation=conversation_of(session_id))
        page = partial(self._ledger.recent, SERVICE, INBOUND, which, settled_since=since, limit=_PAGE)
        return await self._read(page, wanted)

    async def _read(
        self, read: Callable[..., Awaitable[list[LedgerRow]]], wanted: Callable[[], bool]
    ) -> list[LedgerRow] | None:
        rows: list[LedgerRow] = []
        while wanted():
            try:
                async with self._readers:
                    page = await read(after=rows[-1].position if rows else 0)
            except WigwagError:
                await asyncio.sleep(_RETRY)
                continue
            rows += page
            if len(page) < _PAGE:
                return rows
        return None
