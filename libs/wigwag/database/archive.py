"""The archive: messages of the gateway that are over, for longer than the ledger keeps them (DESIGN.md section 3).

Theory of operation. A row is written after its message is final, once or more: the same again changes nothing, a later
version of the message replaces what it says. Each row says itself until when it is kept. Its position is that of the
ledger, so that what both hold is one list in the order of acceptance.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, bindparam, delete, insert, select, update

from wigwag.errors import ConflictError

from .engine import Database
from .filters import MessageFilter, conditions
from .ledger.states import State
from .tables import wigwag_message_archive

MOST_LISTED: Final = 1_000
"""Rows of a page."""
STEP: Final = 500
"""Rows that one transaction deletes or empties."""
_TRIES: Final = 3
_COLUMNS: Final = wigwag_message_archive.c


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedMessage:
    """A message that went through the gateway; times are seconds since 1970."""

    position: int
    """Order of acceptance."""
    id: str
    conversation: str
    """Conversation key."""
    origin: str
    """Who sent it: ``page``, a page-mode user; ``session``, a session-mode user."""
    way: str
    """How it was sent on: by MESSAGE (``page``), in a session (``session``); empty: not at all."""
    sender: str
    recipient: str
    created: float
    settled: float | None
    """When its outcome was known."""
    state: State
    version: int
    status: int | None
    """SIP status of the outcome, of messages of session-mode users the MSRP status."""
    reason: str
    content_type: str
    size: int
    """Octets of its body."""
    body: bytes | None = field(default=None, repr=False)
    """None: it is not kept, or was removed."""
    until: float = 0.0
    """When the archive forgets it."""


class MessageArchive:
    """The archive.

    Args:
        database: Open while methods are called.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, messages: Sequence[ArchivedMessage]) -> None:
        """Write messages, or what is new of them; returns when they are durable.

        Raises:
            DatabaseError: The database cannot be reached or refuses; the same again does no harm.
            ConflictError: Others write the same at this moment, again and again.
        """
        newest = {message.position: message for message in sorted(messages, key=lambda each: each.version)}
        for left in reversed(range(_TRIES)):
            try:
                await self._put(newest)
            except ConflictError:
                # Another process has written some of them between the look and the insert.
                if not left:
                    raise
            else:
                return

    async def _put(self, messages: dict[int, ArchivedMessage]) -> None:
        query = select(_COLUMNS.position, _COLUMNS.version).where(_COLUMNS.position.in_(list(messages)))

        def work(connection: Connection) -> None:
            known = {row.position: row.version for row in connection.execute(query)}
            new = [_values(message) for position, message in messages.items() if position not in known]
            later = [each for position, each in messages.items() if known.get(position, each.version) < each.version]
            if new:
                connection.execute(insert(wigwag_message_archive), new)
            if later:
                connection.execute(_LATER, [_outcome(message) for message in later])

        await self._database.run(work, write=True)

    async def find(self, message_id: str) -> ArchivedMessage | None:
        """Return a message, or None.

        Raises:
            DatabaseError: As ``put``.
        """
        if not message_id.isascii() or not message_id.isprintable():
            return None
        return next(iter(await self._page(_COLUMNS.id == message_id, limit=1)), None)

    async def search(self, wanted: MessageFilter, *, after: int = 0, limit: int = 100) -> list[ArchivedMessage]:
        """Return messages in the order of their acceptance.

        Args:
            wanted: Which.
            after: Position of the last message of the page before.
            limit: At most so many, up to ``MOST_LISTED``.

        Raises:
            DatabaseError: As ``put``.
        """
        return await self._page(*conditions(wanted, _COLUMNS), _COLUMNS.position > after, limit=limit)

    async def purge(self, now: float) -> int:
        """Delete up to ``STEP`` messages whose time has come; return how many went.

        Raises:
            DatabaseError: As ``put``.
        """
        query = select(_COLUMNS.position).where(_COLUMNS.until <= now).order_by(_COLUMNS.until).limit(STEP)
        async with self._database.transaction() as connection:
            old = list((await connection.execute(query)).scalars())
        if old:
            async with self._database.transaction(write=True) as connection:
                await connection.execute(delete(wigwag_message_archive).where(_COLUMNS.position.in_(old)))
        return len(old)

    async def forget_bodies(self, address: str) -> int:
        """Remove the bodies of what a user has sent and received; return how many there were.

        Nothing of what was deleted before in the same database is left in an SQLite file then.

        Args:
            address: His canonical address.

        Raises:
            DatabaseError: As ``put``; some may be gone.
        """
        removed = await self._empty(address)
        await self._database.forget_deleted()
        return removed

    async def _empty(self, address: str) -> int:
        query = select(_COLUMNS.position).where(*conditions(MessageFilter(address=address), _COLUMNS))
        query = query.where(_COLUMNS.body.is_not(None)).limit(STEP)
        removed = 0
        while True:
            async with self._database.transaction(write=True) as connection:
                found = list((await connection.execute(query)).scalars())
                if not found:
                    return removed
                emptied = update(wigwag_message_archive).where(_COLUMNS.position.in_(found)).values(body=None)
                await connection.execute(emptied)
            removed += len(found)

    async def _page(self, *wanted: ColumnElement[bool], limit: int) -> list[ArchivedMessage]:
        query = select(*(_COLUMNS[name] for name in _NAMES)).where(*wanted).order_by(_COLUMNS.position)
        async with self._database.transaction() as connection:
            rows = (await connection.execute(query.limit(max(1, min(limit, MOST_LISTED))))).all()
        return [ArchivedMessage(**{**row._mapping, "state": State(row.state)}) for row in rows]


_NAMES: Final = tuple(ArchivedMessage.__dataclass_fields__)
_OUTCOME: Final = ("state", "version", "status", "reason", "settled")
_LATER: Final = (
    update(wigwag_message_archive)
    .where(_COLUMNS.position == bindparam("row"), _COLUMNS.version < bindparam("newer"))
    .values({name: bindparam(f"new_{name}") for name in _OUTCOME})
)


def _values(message: ArchivedMessage) -> dict[str, Any]:
    # Not by asdict(), which copies all that it finds: this is done for every message.
    values = {name: getattr(message, name) for name in _NAMES}
    values["state"] = message.state.value
    return values


def _outcome(message: ArchivedMessage) -> dict[str, Any]:
    values = _values(message)
    return {"row": message.position, "newer": message.version, **{f"new_{name}": values[name] for name in _OUTCOME}}
