"""What is measured of the user agent: the rows of the table."""

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Kind(Enum):
    """By which interface the application does what."""

    STREAM = "SendMessages"
    UNARY = "SendMessage"
    REST = "REST"
    SESSIONS = "StartSession, EndSession"

    @property
    def unit(self) -> str:
        """What is counted."""
        return "sessions" if self is Kind.SESSIONS else "messages"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table.

    Args:
        name: How ``--only`` names it.
        kind: What the application does.
        servers: Whether Kafka and PostgreSQL are behind the node; else SQLite in it.
        sessions: Chats at a time.
        window: Messages of a chat that have not arrived, at a time.
        at_least: Of them in a second, which the issue demands; None: nothing is demanded.
    """

    name: str
    kind: Kind
    servers: bool = False
    sessions: int = 20
    window: int = 30
    at_least: float | None = None


SIZE: Final = 100
"""Octets of a message."""

ROWS: Final = (
    Row(name="stream", kind=Kind.STREAM, at_least=3_000),
    Row(name="stream-light", kind=Kind.STREAM, sessions=5, window=2),
    Row(name="unary", kind=Kind.UNARY, window=2),
    Row(name="rest", kind=Kind.REST, window=2),
    Row(name="sessions", kind=Kind.SESSIONS),
    Row(name="kafka-stream", kind=Kind.STREAM, servers=True, at_least=1_500),
    Row(name="kafka-stream-light", kind=Kind.STREAM, servers=True, sessions=5, window=2),
    Row(name="kafka-unary", kind=Kind.UNARY, servers=True, window=2),
    Row(name="kafka-rest", kind=Kind.REST, servers=True, window=2),
    Row(name="kafka-sessions", kind=Kind.SESSIONS, servers=True),
)
