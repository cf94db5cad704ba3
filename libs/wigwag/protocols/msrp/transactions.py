"""Requests of ours that wait for a response (RFC 4975 section 7.1.1)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .session import Session

if TYPE_CHECKING:
    from .sending import OutboundMessage

TRANSACTION_TIMEOUT = 30.0
"""Seconds from the last octet of a request to the moment when it has probably failed."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """A SEND without a response yet."""

    transaction_id: str
    session: Session
    message: "OutboundMessage | None"
    """None for a SEND without a body."""
    start: int
    """Number of its first octet."""
    end: int
    """Number of its last octet, ``start - 1`` when it has none."""
    deadline: float
    timed: bool
    """Whether silence means failure: Failure-Report yes. With partial only an error would be answered."""
    flag: str
    """continuation-flag of the request."""


class TransactionTable:
    """The open transactions of one connection, in the order of their deadlines."""

    def __init__(self) -> None:
        self._open: dict[str, Transaction] = {}

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, transaction_id: str) -> bool:
        return transaction_id in self._open

    def add(self, transaction: Transaction) -> None:
        """Open a transaction; deadlines never go back, since each is the same time after its request."""
        self._open[transaction.transaction_id] = transaction

    def close(self, transaction_id: str) -> Transaction | None:
        """Take out the transaction that a response belongs to; None when there is no such, or no longer."""
        return self._open.pop(transaction_id, None)

    def next_timeout(self) -> float | None:
        """Return the earliest deadline."""
        first = next(iter(self._open.values()), None)
        return None if first is None else first.deadline

    def overdue(self, now: float) -> list[Transaction]:
        """Take out the transactions whose deadline has come."""
        overdue = []
        for transaction in self._open.values():
            if transaction.deadline > now:
                break
            overdue.append(transaction)
        for transaction in overdue:
            del self._open[transaction.transaction_id]
        return overdue

    def of_session(self, session: Session) -> list[Transaction]:
        """Take out all transactions of a session."""
        ended = [transaction for transaction in self._open.values() if transaction.session is session]
        for transaction in ended:
            del self._open[transaction.transaction_id]
        return ended
