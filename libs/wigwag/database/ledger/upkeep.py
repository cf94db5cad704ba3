"""What keeps the ledger in order besides its batches: published marks, the lease of the sweep, purging."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, bindparam, delete, insert, or_, select, update

from wigwag.database.tables import wigwag_lease, wigwag_ledger
from wigwag.errors import ConflictError

from .messages import LedgerEvent
from .states import FINAL
from .writes import Writer

PURGE_STEP: Final = 200
"""Rows that one transaction deletes: more would hold the others up."""

_COLUMNS: Final = wigwag_ledger.c
_PUBLISHED: Final = (
    update(wigwag_ledger)
    .where(_COLUMNS.position.in_(bindparam("rows", expanding=True)), _COLUMNS.published < bindparam("sent"))
    .values(published=bindparam("sent"), event_pending=_COLUMNS.version > bindparam("sent"))
)


async def mark_published(writer: Writer, events: Iterable[LedgerEvent]) -> None:
    """Note which versions were published; a state that came meanwhile stays pending.

    The highest version counts: those below it were published with it or before it.
    """
    highest: dict[int, int] = {}
    for event in events:
        highest[event.row.position] = max(event.version, highest.get(event.row.position, 0))
    rows: dict[int, list[int]] = {}
    for position, version in sorted(highest.items()):
        rows.setdefault(version, []).append(position)

    def work(connection: Connection) -> None:
        for version, positions in rows.items():
            connection.execute(_PUBLISHED, {"rows": positions, "sent": version})

    if rows:
        await writer.transaction(work)


async def hold_lease(writer: Writer, name: str, holder: str, now: float, seconds: float) -> bool:
    """Take or renew a lease; return whether the holder has it.

    The clocks of two holders may differ, so that both believe to have it: it saves work, it protects nothing. One that
    ends later than any holder could have set it comes from a clock that was wrong, and is free.
    """
    lease = wigwag_lease.c
    free = or_(lease.holder == holder, lease.until <= now, lease.until > now + 2 * seconds)
    renewal = update(wigwag_lease).where(lease.name == name, free).values(holder=holder, until=now + seconds)

    def work(connection: Connection) -> bool:
        connection.execute(renewal)
        present = connection.execute(select(lease.holder).where(lease.name == name)).scalar_one_or_none()
        if present is None:
            connection.execute(insert(wigwag_lease).values(name=name, holder=holder, until=now + seconds))
        return present in (holder, None)

    try:
        return await writer.transaction(work)
    except ConflictError:
        return False  # somebody else made the row at the same moment


async def purge(
    writer: Writer, before: float, delete_blobs: Callable[[Sequence[str]], Awaitable[None]] | None = None
) -> int:
    """Delete up to ``PURGE_STEP`` messages that have been final since before a moment; return how many went.

    Blobs go first: when that is cut off the row is still there to say what has to go.
    """
    old = (_COLUMNS.due <= before, _COLUMNS.event_pending == False)  # noqa: E712 - IS FALSE uses no index
    for state in sorted(state.value for state in FINAL):
        query = select(_COLUMNS.position, _COLUMNS.blob).where(_COLUMNS.state == state, *old)
        query = query.order_by(_COLUMNS.due).limit(PURGE_STEP)
        rows = await writer.transaction(partial(_all, query))
        if not rows:
            continue
        blobs = [row.blob for row in rows if row.blob is not None]
        if blobs and delete_blobs is not None:
            await delete_blobs(blobs)
        return await _delete(writer, [row.position for row in rows], before)
    return 0


async def _delete(writer: Writer, positions: list[int], before: float) -> int:
    # A message may have been displayed meanwhile: that is still to be told.
    statement = delete(wigwag_ledger).where(
        _COLUMNS.position.in_(positions),
        _COLUMNS.due <= before,
        _COLUMNS.event_pending == False,  # noqa: E712
    )

    return await writer.transaction(lambda connection: connection.execute(statement).rowcount)


def _all(query: Select[Any], connection: Connection) -> Sequence[Row[Any]]:
    return connection.execute(query).all()
