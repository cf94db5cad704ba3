"""Transactions as functions, on every database."""

import asyncio
import threading
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, bindparam, insert, select, update

from tests.support.waiting import until
from wigwag.database import Database, engine
from wigwag.database.many import Many
from wigwag.database.tables import wigwag_lease
from wigwag.errors import ConflictError, DatabaseError

NAMES = select(wigwag_lease.c.name).order_by(wigwag_lease.c.name)
INSERT = Many(insert(wigwag_lease), ("name", "holder", "until"))


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    async with Database(url) as opened:
        yield opened


def add(connection: Connection, *names: str) -> None:
    INSERT.execute(connection, [{"name": name, "until": 1.5, "holder": "somebody"} for name in names])


def adding(name: str, connection: Connection) -> None:
    add(connection, name)


async def names(database: Database) -> list[str]:
    return await database.run(lambda connection: list(connection.execute(NAMES).scalars()))


async def test_what_it_does_is_committed_and_what_it_returns_is_returned(database: Database) -> None:
    def work(connection: Connection) -> str:
        add(connection, "a", "b")
        return "done"

    assert await database.run(work, write=True) == "done"
    assert await names(database) == ["a", "b"]


async def test_many_rows_are_changed_by_one_statement(database: Database) -> None:
    table = wigwag_lease.c
    changed = Many(update(wigwag_lease).where(table.name == bindparam("key")).values(until=bindparam("end")), ())
    await database.run(lambda connection: add(connection, "a", "b", "c"), write=True)
    rows = [{"key": "a", "end": 2.0}, {"end": 3.0, "key": "c"}]
    await database.run(lambda connection: changed.execute(connection, rows), write=True)
    query = select(table.name, table.until).order_by(table.name)
    found = await database.run(lambda connection: [tuple(row) for row in connection.execute(query)])
    assert found == [("a", 2.0), ("b", 1.5), ("c", 3.0)]


async def test_what_raises_leaves_nothing_behind_and_the_next_one_is_done(database: Database) -> None:
    def work(connection: Connection) -> None:
        add(connection, "a")
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        await database.run(work, write=True)
    await database.run(lambda connection: add(connection, "b"), write=True)
    assert await names(database) == ["b"]


async def test_row_that_is_there_is_a_conflict(database: Database) -> None:
    await database.run(lambda connection: add(connection, "a"), write=True)
    with pytest.raises(ConflictError):
        await database.run(lambda connection: add(connection, "b", "a"), write=True)
    assert await names(database) == ["a"]


async def test_statement_that_is_wrong_is_an_error_without_its_text(database: Database) -> None:
    with pytest.raises(DatabaseError) as caught:
        await database.run(lambda connection: connection.exec_driver_sql("INSERT INTO missing VALUES ('s3cret')"))
    assert "s3cret" not in str(caught.value)
    assert await names(database) == []


async def test_transactions_of_several_callers_are_all_done(database: Database) -> None:
    wanted = [f"lease {number:02}" for number in range(20)]
    await asyncio.gather(*(database.run(partial(adding, name), write=True) for name in wanted))
    assert await names(database) == wanted


async def test_closed_database_is_an_error(url: str) -> None:
    database = Database(url)
    async with database:
        await names(database)
    with pytest.raises(DatabaseError, match="not open"):
        await names(database)


async def test_sqlite_skips_what_nobody_waits_for_and_does_the_rest_before_it_closes(tmp_path: Path) -> None:
    url, begun, go_on = f"sqlite:///{tmp_path / 'x.db'}", threading.Event(), threading.Event()

    def work(connection: Connection) -> None:
        begun.set()
        assert go_on.wait(10)
        add(connection, "first")

    async with Database(url) as database:
        first = asyncio.create_task(database.run(work, write=True))
        await until(begun.is_set)
        skipped = asyncio.create_task(database.run(lambda connection: add(connection, "skipped"), write=True))
        last = asyncio.create_task(database.run(lambda connection: add(connection, "last"), write=True))
        await asyncio.sleep(0)
        skipped.cancel()
        await asyncio.wait([skipped])
        go_on.set()
    await asyncio.gather(first, last)
    async with Database(url) as database:
        assert await names(database) == ["first", "last"]


async def test_sqlite_gives_up_what_takes_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    async with Database(f"sqlite:///{tmp_path / 'x.db'}") as database:
        monkeypatch.setattr(engine, "TIMEOUT", 0.1)
        with pytest.raises(DatabaseError, match="no answer in time"):
            await database.run(lambda connection: go_on.wait(10))
        monkeypatch.undo()
        go_on.set()
        assert await names(database) == []
