"""Reading the ledger, in bounded pages."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, and_, func, or_, select

from wigwag.database.engine import Database
from wigwag.database.filters import MessageFilter, conditions
from wigwag.database.tables import wigwag_ledger

from .messages import Backlog, LedgerEvent, LedgerRow, Outcome, headers_from, storable_id
from .states import FINAL, FIRST_VERSION, State, history

MAX_PAGE: Final = 1_000
"""Rows of one page."""

_COLUMNS: Final = wigwag_ledger.c
_NAMES: Final = list(LedgerRow.__struct_fields__)
_STATE: Final = _NAMES.index("state")
_HEADERS: Final = _NAMES.index("headers")
_ROWS: Final = select(*(_COLUMNS[name] for name in _NAMES))


async def find(database: Database, message_id: str) -> LedgerRow | None:
    """Return the message with this id."""
    if not storable_id(message_id):
        return None
    found = await _page(database, _ROWS.where(_COLUMNS.id == message_id))
    return found[0] if found else None


async def find_many(database: Database, message_ids: Iterable[str]) -> dict[str, LedgerRow]:
    """Return those messages with these ids that there are, by id."""
    ids = [message_id for message_id in dict.fromkeys(message_ids) if storable_id(message_id)]
    found: list[LedgerRow] = []
    for begin in range(0, len(ids), MAX_PAGE):
        some = ids[begin : begin + MAX_PAGE]
        query = _ROWS.where(_COLUMNS.id.in_(some)).order_by(_COLUMNS.position)
        found += await _page(database, query)
    return {row.id: row for row in found}


async def conversation(database: Database, key: str, after: int, limit: int) -> list[LedgerRow]:
    """Return messages of a conversation behind a position, in the order of their acceptance."""
    if not key.isprintable():
        return []
    query = _ROWS.where(_COLUMNS.conversation == key, _COLUMNS.position > after)
    return await _page(database, query.order_by(_COLUMNS.position).limit(_bounded(limit)))


async def undelivered(
    database: Database,
    now: float,
    *,
    recipient: str | None,
    sender: str | None,
    conversation: str | None,
    unclaimed: bool,
    after: int,
    limit: int,
) -> list[LedgerRow]:
    """Return messages without an outcome whose time has not run out, in the order of their acceptance."""
    query = _ROWS.where(_COLUMNS.state == State.ACCEPTED.value, _COLUMNS.expires > now)
    columns = (_COLUMNS.recipient, recipient), (_COLUMNS.sender, sender), (_COLUMNS.conversation, conversation)
    for column, wanted in columns:
        if wanted is not None and not wanted.isprintable():
            return []
        if wanted is not None:
            query = query.where(column == wanted)
    if unclaimed:
        query = query.where(_COLUMNS.owner == "")
    return await _page(
        database, query.where(_COLUMNS.position > after).order_by(_COLUMNS.position).limit(_bounded(limit))
    )


async def delivered(database: Database, recipient: str, before: int | None, limit: int) -> list[LedgerRow]:
    """Return messages that were delivered to somebody and not displayed, the last accepted first."""
    if not recipient.isprintable():
        return []
    query = _ROWS.where(_COLUMNS.recipient == recipient, _COLUMNS.state == State.DELIVERED.value)
    if before is not None:
        query = query.where(_COLUMNS.position < before)
    return await _page(database, query.order_by(_COLUMNS.position.desc()).limit(_bounded(limit)))


async def recent(
    database: Database,
    service: str,
    direction: str,
    wanted: MessageFilter,
    settled_since: float,
    after: int,
    limit: int,
) -> list[LedgerRow]:
    """Return messages without an outcome, or that have had it since a moment, in the order of their acceptance."""
    over = and_(_COLUMNS.state.in_(sorted(state.value for state in FINAL)), _COLUMNS.due >= settled_since)
    query = _ROWS.where(_COLUMNS.service == service, _COLUMNS.direction == direction)
    query = query.where(or_(_COLUMNS.state == State.ACCEPTED.value, over), *conditions(wanted, _COLUMNS))
    return await _page(
        database, query.where(_COLUMNS.position > after).order_by(_COLUMNS.position).limit(_bounded(limit))
    )


async def backlog(database: Database, recipient: str | None, conversation: str | None, most: int) -> Backlog:
    """Return how many messages have no outcome, and how large their bodies are; looks at ``most`` at most."""
    query = select(func.length(_COLUMNS.body).label("octets")).where(_COLUMNS.state == State.ACCEPTED.value)
    for column, wanted in ((_COLUMNS.recipient, recipient), (_COLUMNS.conversation, conversation)):
        if wanted is not None and not wanted.isprintable():
            return Backlog(0, 0)
        if wanted is not None:
            query = query.where(column == wanted)
    found = query.limit(most).subquery()
    counted = select(func.count(), func.sum(found.c.octets)).select_from(found)
    messages, octets = await database.run(lambda connection: connection.execute(counted).one())
    return Backlog(int(messages), int(octets or 0))


async def outcomes(database: Database, message_ids: Iterable[str]) -> dict[str, Outcome]:
    """Return how those of these messages ended that have, by id; bodies are not read."""
    ids = [message_id for message_id in dict.fromkeys(message_ids) if storable_id(message_id)]
    columns = (_COLUMNS.id, _COLUMNS.state, _COLUMNS.status, _COLUMNS.reason)
    ended = select(*columns).where(_COLUMNS.state != State.ACCEPTED.value)
    found: dict[str, Outcome] = {}
    for begin in range(0, len(ids), MAX_PAGE):
        rows = await database.run(partial(_all, ended.where(_COLUMNS.id.in_(ids[begin : begin + MAX_PAGE]))))
        found |= {row.id: Outcome(State(row.state), row.status, row.reason) for row in rows}
    return found


async def pending(database: Database, limit: int) -> list[LedgerRow]:
    """Return messages with states that were not published, in the order of their acceptance."""
    query = _ROWS.where(_COLUMNS.event_pending == True)  # noqa: E712 - IS TRUE uses no index
    return await _page(database, query.order_by(_COLUMNS.position).limit(_bounded(limit)))


async def overdue_ids(database: Database, now: float, limit: int) -> list[str]:
    """Return messages without an outcome whose time has come, the longest overdue first."""
    query = select(_COLUMNS.id).where(_COLUMNS.state == State.ACCEPTED.value, _COLUMNS.due <= now)
    query = query.order_by(_COLUMNS.due).limit(_bounded(limit))
    return await database.run(lambda connection: list(connection.execute(query).scalars()))


async def is_to_be_swept(database: Database, now: float) -> bool:
    """Tell whether an event is pending or a message is overdue; bodies are not read."""
    queries = (
        select(_COLUMNS.position).where(_COLUMNS.event_pending == True),  # noqa: E712
        select(_COLUMNS.position).where(_COLUMNS.state == State.ACCEPTED.value, _COLUMNS.due <= now),
    )

    def work(connection: Connection) -> bool:
        return any(connection.execute(query.limit(1)).first() is not None for query in queries)

    return await database.run(work)


def events_of(row: LedgerRow) -> list[LedgerEvent]:
    """Return the events of a row that were not published, in order."""
    states = history(row.state, row.version)
    return [
        LedgerEvent(row.id, version, states[version - FIRST_VERSION], _moment(row, version), row)
        for version in range(row.published + 1, row.version + 1)
    ]


def _moment(row: LedgerRow, version: int) -> float:
    """Return when the row got this version: each of the table's paths has at most three."""
    if version == FIRST_VERSION:
        return row.created
    if version == FIRST_VERSION + 1 and row.settled is not None:
        return row.settled
    # A final row has no claims any more, so its last update was its last change.
    assert row.state in FINAL
    return row.updated


def _bounded(limit: int) -> int:
    return max(1, min(limit, MAX_PAGE))


async def _page(database: Database, query: Select[Any]) -> list[LedgerRow]:
    return [_row(row) for row in await database.run(partial(_all, query))]


def _all(query: Select[Any], connection: Connection) -> Sequence[Row[Any]]:
    return connection.execute(query).all()


def _row(row: Row[Any]) -> LedgerRow:
    # By position: this is done for every message several times.
    values = list(row)
    values[_STATE] = State(values[_STATE])
    values[_HEADERS] = headers_from(values[_HEADERS])
    return LedgerRow(*values)
