"""A message of a session as it is sent to page-mode devices: the same parts, whoever asks and whenever."""

from typing import Final

from wigwag.database.ledger import LedgerRow
from wigwag.gateway.config import GatewaySettings
from wigwag.gateway.content import to_page
from wigwag.gateway.conversations.book import Session
from wigwag.gateway.kinds import RefusedError, bare, composing_lifetime, read
from wigwag.gateway.rows import PAGE, Rows
from wigwag.gateway.splitting import Part, overhead_of, parts_of
from wigwag.protocols.cpim import CPIM_TYPE
from wigwag.protocols.iscomposing import IS_COMPOSING_TYPE
from wigwag.runtime.conversations import canonical_address
from wigwag.runtime.pager_events import UNSUPPORTED_TYPE, attempt_id

_TOO_LARGE: Final = 413
_UNAVAILABLE: Final = 480
_LOOKED_AT: Final = 20
"""Attempts, the last ones."""


class PartsOfRows:
    """Says how messages are sent, by what the ledger knows of earlier attempts.

    Args:
        rows: Of the ledger.
        settings: Of the gateway.
    """

    def __init__(self, rows: Rows, settings: GatewaySettings) -> None:
        self._rows = rows
        self._settings = settings

    async def of(self, row: LedgerRow, session: Session) -> list[Part]:
        """Return a message that came in a session as MESSAGEs carry it.

        Raises:
            RefusedError: They can't.
        """
        return await self.between(row, canonical_address(session.local_uri), canonical_address(session.remote_uri))

    async def between(self, row: LedgerRow, page: str, session: str) -> list[Part]:
        """Return the same for canonical addresses of both sides."""
        cpim = not await self.is_unwrapped(row)
        asked = await self._asked(row, page, session, cpim) if row.owner == PAGE else []
        return asked or parts_of_row(row, page=page, session=session, settings=self._settings, cpim=cpim)

    async def _asked(self, row: LedgerRow, page: str, session: str, cpim: bool) -> list[Part]:
        """Return a large message as the attempt that is under way has it: settings may have changed meanwhile.

        Nothing when it is not large, or the edge has not heard of that attempt.
        """
        cut, whole = (self._by(large, row, page, session, cpim) for large in ("split", "tcp"))
        if len(cut) == 1:
            return []
        ways = {attempt_id(parts[0].message_id, row.attempt): parts for parts in (cut, whole) if parts}
        there = await self._rows.find_many(list(ways))
        return next((parts for first, parts in ways.items() if first in there), [])

    def _by(self, large: str, row: LedgerRow, page: str, session: str, cpim: bool) -> list[Part]:
        settings = self._settings.model_copy(update={"large": large})
        try:
            return parts_of_row(row, page=page, session=session, settings=settings, cpim=cpim)
        except RefusedError:
            return []

    async def count(self, row: LedgerRow) -> int:
        """Return how many parts a message has that was cut; 0: with the settings of today it can't be.

        They may say by now that nothing is cut.
        """
        cpim = not await self.is_unwrapped(row)
        return len(self._by("split", row, row.recipient, row.sender, cpim))

    async def is_unwrapped(self, row: LedgerRow) -> bool:
        """Tell whether a device has answered 415 to a message/cpim in an attempt before the present one."""
        tried = row.attempt if not row.owner else row.attempt - 1
        if bare(row.content_type) != CPIM_TYPE or tried < 1:
            return False
        first = max(1, tried - _LOOKED_AT + 1)
        found = await self._rows.find_many([attempt_id(row.id, number) for number in range(first, tried + 1)])
        return any(attempt.status == UNSUPPORTED_TYPE for attempt in found.values())


def check_is_current(row: LedgerRow, now: float) -> None:
    """Refuse what says that somebody writes when he does no more (RFC 3994 section 3.3).

    Raises:
        RefusedError: It is that.
    """
    if bare(row.content_type) not in (CPIM_TYPE, IS_COMPOSING_TYPE):
        return
    content = read(row.content_type, row.body or b"")
    if content.is_composing and row.created + composing_lifetime(content) < now:
        raise RefusedError(_UNAVAILABLE, "nobody writes any more")


def parts_of_row(
    row: LedgerRow, *, page: str, session: str, settings: GatewaySettings, cpim: bool = True
) -> list[Part]:
    """Return a message as MESSAGEs carry it.

    Args:
        row: ua's row of the message.
        page: Canonical address of the page-mode side.
        session: Likewise, of the session-mode side.
        settings: Of the gateway.
        cpim: Whether the device takes message/cpim, as far as it is known.

    Raises:
        RefusedError: They can't.
    """
    if row.blob is not None:
        raise RefusedError(_TOO_LARGE, f"more than {settings.limits.message_bytes} octets for a page-mode recipient")
    whole = to_page(read(row.content_type, row.body or b""), page=page, session=session, settings=settings, cpim=cpim)
    return parts_of(whole, row.id, settings, overhead=overhead_of(page, session, whole))
