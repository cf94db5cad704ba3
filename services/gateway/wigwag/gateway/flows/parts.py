"""A message of a session as it is sent to page-mode devices: the same parts, whoever asks and whenever."""

from typing import Final

from wigwag.database.ledger import LedgerRow
from wigwag.gateway.config import GatewaySettings
from wigwag.gateway.content import to_page
from wigwag.gateway.kinds import RefusedError, read
from wigwag.gateway.splitting import Part, overhead_of, parts_of

_TOO_LARGE: Final = 413


def parts_of_row(row: LedgerRow, *, page: str, session: str, settings: GatewaySettings) -> list[Part]:
    """Return a message as MESSAGEs carry it.

    Args:
        row: ua's row of the message.
        page: Canonical address of the page-mode side.
        session: Likewise, of the session-mode side.
        settings: Of the gateway.

    Raises:
        RefusedError: They can't.
    """
    if row.blob is not None:
        raise RefusedError(_TOO_LARGE, f"more than {settings.limits.message_bytes} octets for a page-mode recipient")
    whole = to_page(read(row.content_type, row.body or b""), page=page, session=session, settings=settings)
    return parts_of(whole, row.id, settings, overhead=overhead_of(page, session, whole))
