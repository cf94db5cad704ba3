"""What is measured of the gateway: the rows of the table."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table.

    Args:
        name: How ``--only`` names it.
        servers: Whether Kafka and PostgreSQL are behind the node; else SQLite in it.
        senders: Page-mode users, each in a conversation of his own with the one session-mode user.
        window: MESSAGEs of a sender that have not arrived, at a time.
        at_least: Messages for each second of CPU that the issue demands; None: nothing is demanded.
    """

    name: str
    servers: bool = False
    senders: int = 20
    window: int = 20
    at_least: float | None = None


SIZE: Final = 100
"""Octets of a message."""

ROWS: Final = (
    Row(name="messages", at_least=1_500),
    Row(name="messages-light", senders=5, window=2),
    Row(name="kafka-messages", servers=True, at_least=800),
    Row(name="kafka-messages-light", servers=True, senders=5, window=2),
)
