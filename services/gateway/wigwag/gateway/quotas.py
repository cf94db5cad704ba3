"""How much of a session may wait for a page-mode user who is absent."""

from collections.abc import Sequence

from wigwag.database.ledger import LedgerRow

from .config import GatewayLimits


def within(rows: Sequence[LedgerRow], limits: GatewayLimits) -> int:
    """Return how many of these messages, from the first on, may wait; bodies that are blobs are not counted."""
    octets = 0
    for number, row in enumerate(rows[: limits.waiting]):
        octets += len(row.body or b"")
        if octets > limits.waiting_bytes:
            return number
    return min(len(rows), limits.waiting)
