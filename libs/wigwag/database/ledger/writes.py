"""The ledger's writing transactions: a batch of new messages, a batch of edits."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from msgspec.structs import replace
from sqlalchemy import Column, Connection, Row, bindparam, insert, select, update
from sqlalchemy.exc import DataError, StatementError

from wigwag.database.engine import Database
from wigwag.database.lanes import Work
from wigwag.database.many import Many
from wigwag.database.tables import wigwag_ledger
from wigwag.errors import ConflictError, DatabaseError, WigwagError

from .edits import Edit, Standing, judge, verdict
from .messages import NewMessage, Refusal, Verdict, headers_text
from .states import FIRST_VERSION, State

DEADLOCK_TRIES: Final = 5
_DEADLOCKS: Final = {"40P01", "40001", 1213}
"""PostgreSQL's and MariaDB's codes for a transaction that was sacrificed, to be done again."""

_COLUMNS: Final = wigwag_ledger.c
_STANDING: Final[list[Column[Any]]] = [_COLUMNS[name] for name in Standing._fields]
_FIND: Final = (
    select(_COLUMNS.id, *_STANDING).where(_COLUMNS.id.in_(bindparam("ids", expanding=True))).order_by(_COLUMNS.position)
)
_LOCK: Final = _FIND.with_for_update()
_LATER: Final = ("position", "settled", "status")
"""Columns that a new message does not have yet."""
_EDITED: Final = [(f"new_{name}", name) for name in Standing._fields if name not in ("position", "expires")]
_UPDATE: Final = Many(
    update(wigwag_ledger)
    .where(_COLUMNS.position == bindparam("row"))
    .values({name: bindparam(parameter) for parameter, name in _EDITED}),
    (),
)
_INSERT: Final = Many(insert(wigwag_ledger), (column.name for column in _COLUMNS if column.name not in _LATER))

Result = TypeVar("Result")


class Writer:
    """Does whole batches, each in one transaction.

    Args:
        database: Open while methods are called.
        clock: Seconds since 1970.
        outcome_timeout: Seconds after a claim until its outcome counts as unknown.
    """

    def __init__(self, database: Database, clock: Callable[[], float], outcome_timeout: float) -> None:
        self._database = database
        self._clock = clock
        self._outcome_timeout = outcome_timeout

    async def transaction(self, work: Work[Result]) -> Result:
        """Run ``work`` in a writing transaction, and again when the database sacrificed it for another one.

        Raises:
            DatabaseError: As ``Database.run``, or it was sacrificed ``DEADLOCK_TRIES`` times.
        """
        for _ in range(DEADLOCK_TRIES - 1):
            try:
                return await self._database.run(work, write=True)
            except DatabaseError as error:
                if not _is_deadlock(error):
                    raise
        return await self._database.run(work, write=True)

    async def accept(self, messages: Sequence[NewMessage]) -> list[Verdict | WigwagError]:
        """Write those messages that are not there yet; return what became of each."""
        first: dict[str, NewMessage] = {}
        for message in messages:
            first.setdefault(message.id, message)
        written = await self._accepted(list(first.values()))
        return list(_answers(messages, written))

    async def _accepted(self, messages: list[NewMessage]) -> dict[str, Verdict | WigwagError]:
        """Insert all, which is the usual case; only when that fails find out who is the reason."""
        if not messages:
            return {}
        try:
            now = self._clock()
            rows = [_values(message, now, self._outcome_timeout) for message in messages]
            await self.transaction(lambda connection: _INSERT.execute(connection, rows))
        except ConflictError as error:
            return await self._without_duplicates(messages, error)
        except DatabaseError as error:
            if _refuses_a_value(error):
                return await self._halves(messages, error)
            return {message.id: error for message in messages}
        return {message.id: _accepted_verdict(message) for message in messages}

    async def _without_duplicates(
        self, messages: list[NewMessage], conflict: WigwagError
    ) -> dict[str, Verdict | WigwagError]:
        try:
            ids = [message.id for message in messages]
            known = await self._database.run(partial(_standings, ids=ids, lock=False))
        except DatabaseError as error:
            return {message.id: error for message in messages}
        if not known:
            return await self._halves(messages, conflict)
        rest = [message for message in messages if message.id not in known]
        return {
            **{id_: verdict(id_, standing, Refusal.DUPLICATE) for id_, standing in known.items()},
            **await self._accepted(rest),
        }

    async def _halves(self, messages: list[NewMessage], error: WigwagError) -> dict[str, Verdict | WigwagError]:
        """Separate the message that the database refuses from its neighbours."""
        if len(messages) == 1:
            return {messages[0].id: error}
        middle = len(messages) // 2
        return {**await self._accepted(messages[:middle]), **await self._accepted(messages[middle:])}

    async def apply(self, edits: Sequence[Edit]) -> list[Verdict]:
        """Do the edits that are allowed, in their order; return what became of each.

        Raises:
            DatabaseError: Nothing was done.
        """
        return await self.transaction(partial(self._edit, edits)) if edits else []

    def _edit(self, edits: Sequence[Edit], connection: Connection) -> list[Verdict]:
        now = self._clock()
        standings = _standings(connection, list({edit.id for edit in edits}), lock=True)
        changed: dict[str, Standing] = {}
        verdicts = []
        for edit in edits:
            row = standings.get(edit.id)
            after = Refusal.UNKNOWN if row is None else judge(edit, row, now, self._outcome_timeout)
            if isinstance(after, Standing):
                standings[edit.id] = changed[edit.id] = after
            refusal = after if isinstance(after, Refusal) else None
            verdicts.append(verdict(edit.id, standings.get(edit.id), refusal))
        if changed:
            _UPDATE.execute(connection, map(_new_values, changed.values()))
        return verdicts


def _answers(
    messages: Sequence[NewMessage], written: Mapping[str, Verdict | WigwagError]
) -> Iterator[Verdict | WigwagError]:
    """Yield the result for each message: of several with one id in a batch, the first was written."""
    seen: set[str] = set()
    for message in messages:
        result = written[message.id]
        if message.id in seen and isinstance(result, Verdict):
            result = replace(result, refusal=Refusal.DUPLICATE)
        seen.add(message.id)
        yield result


def _is_deadlock(error: DatabaseError) -> bool:
    vendor = getattr(error.__cause__, "orig", None)
    codes = {getattr(vendor, "sqlstate", None), *getattr(vendor, "args", ())[:1]}
    return not _DEADLOCKS.isdisjoint(codes)


def _refuses_a_value(error: DatabaseError) -> bool:
    """Tell whether a row is the reason, not the database: a ``StatementError`` itself is a value without a binding."""
    return isinstance(error.__cause__, DataError) or type(error.__cause__) is StatementError


def _standings(connection: Connection, ids: list[str], *, lock: bool) -> dict[str, Standing]:
    found = connection.execute(_LOCK if lock else _FIND, {"ids": ids})
    return {row.id: _standing(row) for row in found}


def _standing(row: Row[Any]) -> Standing:
    _, position, state, *rest = tuple(row)
    return Standing(position, State(state), *rest)


def _new_values(standing: Standing) -> dict[str, Any]:
    values = {parameter: getattr(standing, name) for parameter, name in _EDITED}
    values["new_state"], values["row"] = standing.state.value, standing.position
    return values


def _accepted_verdict(message: NewMessage) -> Verdict:
    return Verdict(message.id, None, State.ACCEPTED, FIRST_VERSION, attempt=0 if message.claim is None else 1)


def _values(message: NewMessage, now: float, outcome_timeout: float) -> dict[str, Any]:
    owner, token = message.claim or ("", 0)
    attempts = 0 if message.claim is None else 1
    return {
        "id": message.id,
        "conversation": message.conversation,
        "service": message.service,
        "direction": message.direction,
        "sender": message.sender,
        "recipient": message.recipient,
        "content_type": message.content_type,
        "headers": headers_text(message.headers),
        "body": message.body,
        "blob": message.blob,
        "state": State.ACCEPTED.value,
        "version": FIRST_VERSION,
        "attempt": attempts,
        "owner": owner,
        "token": token,
        "doubts": attempts,
        "created": now,
        "updated": now,
        "expires": message.expires,
        "due": now + outcome_timeout if attempts else message.expires,
        "published": 0 if message.publish else FIRST_VERSION,
        "event_pending": message.publish,
        "reason": "",
    }
