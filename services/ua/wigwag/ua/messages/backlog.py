"""What the ledger has of a session that has no outcome yet."""

import asyncio
from collections.abc import Callable
from typing import Final

from wigwag.database.ledger import Ledger, LedgerRow
from wigwag.errors import WigwagError
from wigwag.runtime.ua_messages import conversation_of

_PAGE: Final = 500
_RETRY: Final = 0.5


async def rows_without_outcome(ledger: Ledger, session_id: str, wanted: Callable[[], bool]) -> list[LedgerRow] | None:
    """Return the rows without an outcome, however long the database is away; None: not wanted any more."""
    rows: list[LedgerRow] = []
    while wanted():
        after = rows[-1].position if rows else 0
        try:
            page = await ledger.undelivered(conversation=conversation_of(session_id), after=after, limit=_PAGE)
        except WigwagError:
            await asyncio.sleep(_RETRY)
            continue
        rows += page
        if len(page) < _PAGE:
            return rows
    return None
