"""Which messages are looked for, in the ledger and in the archive."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, or_


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFilter:
    """Which messages are looked for."""

    conversation: str = ""
    """Conversation key; empty: any."""
    address: str = ""
    """Canonical address of the sender or the recipient; empty: any."""
    since: float | None = None
    """Accepted at this time or later, in seconds since 1970."""
    before: float | None = None
    """Accepted before this time."""


def conditions(wanted: MessageFilter, columns: Any) -> list[ColumnElement[bool]]:
    """Return what rows with the columns of a message have to fulfil."""
    found: list[ColumnElement[bool]] = []
    if wanted.conversation:
        found.append(columns.conversation == wanted.conversation)
    if wanted.address:
        found.append(or_(columns.sender == wanted.address, columns.recipient == wanted.address))
    if wanted.since is not None:
        found.append(columns.created >= wanted.since)
    if wanted.before is not None:
        found.append(columns.created < wanted.before)
    return found
