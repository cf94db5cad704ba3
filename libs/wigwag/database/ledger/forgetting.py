"""Removing what one user said and was told, while the ledger remembers that he did."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, bindparam, func, or_, select, update

from wigwag.database.engine import Database
from wigwag.database.tables import wigwag_ledger

from .messages import headers_from, headers_text
from .states import State
from .writes import Writer

WINDOW: Final = 2_000
"""Positions that one look covers: there is no index by sender."""
_COLUMNS: Final = wigwag_ledger.c
_SPEAKING: Final = frozenset(("subject", "content-description"))
"""Row headers that say something of what the message says; those of message/cpim follow behind ``cpim: ``."""
_EMPTIED: Final = (
    update(wigwag_ledger)
    .where(_COLUMNS.position == bindparam("row"), _COLUMNS.state != State.ACCEPTED.value)
    .values(body=None, blob=None, headers=bindparam("kept"))
)
_ROWS: Final = select(
    _COLUMNS.position, _COLUMNS.sender, _COLUMNS.recipient, _COLUMNS.state, _COLUMNS.blob, _COLUMNS.headers
)


_HAS_BODY: Final = or_(_COLUMNS.body.is_not(None), _COLUMNS.blob.is_not(None))


@dataclass(slots=True)
class _Found:
    over: list[dict[str, Any]] = field(default_factory=list)
    blobs: list[str] = field(default_factory=list)
    open: int = 0


async def forget_bodies(
    database: Database,
    writer: Writer,
    concerns: Callable[[str], bool],
    delete_blobs: Callable[[Sequence[str]], Awaitable[None]] | None,
) -> tuple[int, int]:
    """Remove the bodies of a user's messages that have their outcome; see ``Ledger.forget_bodies``."""
    async with database.transaction() as connection:
        first, last = (await connection.execute(select(func.min(_COLUMNS.position), func.max(_COLUMNS.position)))).one()
    removed = left = 0
    for after in range((first or 1) - 1, last or 0, WINDOW):
        found = await _look(database, concerns, after)
        # Blobs first: when this is cut off the rows still say what has to go.
        if found.blobs and delete_blobs is not None:
            await delete_blobs(found.blobs)
        await _empty(writer, found.over)
        removed, left = removed + len(found.over), left + found.open
    return removed, left


async def _look(database: Database, concerns: Callable[[str], bool], after: int) -> _Found:
    query = _ROWS.where(_COLUMNS.position > after, _COLUMNS.position <= after + WINDOW)
    found = _Found()
    async with database.transaction() as connection:
        rows = (
            await connection.execute(query.where(or_(_COLUMNS.body.is_not(None), _COLUMNS.blob.is_not(None))))
        ).all()
    for row in rows:
        if not (concerns(row.sender) or concerns(row.recipient)):
            continue
        if row.state == State.ACCEPTED.value:
            found.open += 1
            continue
        found.over.append({"row": row.position, "kept": _silent(row.headers)})
        if row.blob is not None:
            found.blobs.append(row.blob)
    return found


async def _empty(writer: Writer, rows: list[dict[str, Any]]) -> None:
    def work(connection: Connection) -> None:
        connection.execute(_EMPTIED, rows)

    if rows:
        await writer.transaction(work)


def _silent(text: str) -> str:
    """Return a row's headers without those that say something of what the message says."""
    return headers_text(tuple((name, value) for name, value in headers_from(text) if not _speaks(name, value)))


def _speaks(name: str, value: str) -> bool:
    inner = value.partition(":")[0].strip().lower() if name == "cpim" else name.lower()
    return inner in _SPEAKING
