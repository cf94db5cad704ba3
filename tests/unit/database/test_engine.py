"""The engine's own rules: URLs, files, timeouts, and errors that never tell secrets."""

import asyncio
import contextlib
import stat
from pathlib import Path

import pytest

from tests.support.processes import free_port
from tests.support.sql import execute
from wigwag.database import Database, Subscribers, engine, relay_routes
from wigwag.database.engine import async_url
from wigwag.database.migrations import sql_script
from wigwag.errors import ConfigurationError, DatabaseError


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("sqlite:///x.db", "sqlite+aiosqlite"),
        ("sqlite+aiosqlite:///x.db", "sqlite+aiosqlite"),
        ("postgresql://u:p@h/d", "postgresql+asyncpg"),
        ("postgres://u:p@h/d", "postgresql+asyncpg"),
        ("mysql://u:p@h/d", "mysql+asyncmy"),
        ("mariadb://u:p@h/d", "mariadb+asyncmy"),
    ],
)
def test_plain_urls_get_the_asynchronous_driver(url: str, driver: str) -> None:
    assert async_url(url).drivername == driver


def test_mysql_is_spoken_to_in_all_of_unicode_unless_told_otherwise() -> None:
    assert async_url("mysql://h/d").query["charset"] == "utf8mb4"
    assert async_url("mysql://h/d?charset=latin1").query["charset"] == "latin1"


@pytest.mark.parametrize(
    "url", ["", "nonsense", "oracle://u:s3cret@h/d", "postgresql+psycopg2://u:s3cret@h/d", "mysql://u:s3cret@h:port/d"]
)
def test_other_urls_are_refused_without_showing_the_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Database(url)
    assert "s3cret" not in str(caught.value)


async def test_sqlite_file_and_directory_are_made_for_the_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "data" / "wigwag.sqlite3"
    async with Database(f"sqlite:///{path}"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_sqlite_writes_ahead_and_waits_for_locks(tmp_path: Path) -> None:
    async with Database(f"sqlite:///{tmp_path / 'x.db'}") as database, database.transaction() as connection:
        values = [
            (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "busy_timeout")
        ]
    assert values == ["wal", 1, 5000]


async def test_sqlite_syncs_each_commit_when_it_has_to_survive_a_power_loss(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    async with Database(url, sync="full") as database, database.transaction() as connection:
        assert (await connection.exec_driver_sql("PRAGMA synchronous")).scalar_one() == 2


async def test_database_in_memory_works() -> None:
    async with Database("sqlite://") as database:
        await Subscribers(database).add("alice", "example.com", "secret")
        assert await Subscribers(database).credentials("alice", "example.com") is not None


async def test_failed_block_leaves_nothing_behind(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    async with Database(url) as database:
        with contextlib.suppress(RuntimeError):
            async with database.transaction(write=True) as connection:
                await connection.exec_driver_sql("INSERT INTO wigwag_relay_route (priority) VALUES (1)")
                raise RuntimeError
        assert await relay_routes(database) == []


async def test_closed_database_is_an_error() -> None:
    with pytest.raises(DatabaseError, match="not open"):
        await relay_routes(Database("sqlite://"))


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
async def test_server_that_is_away_is_an_error_without_the_password(scheme: str) -> None:
    port = free_port()
    with pytest.raises(DatabaseError, match=r"127\.0\.0\.1") as caught:
        async with Database(f"{scheme}://user:s3cret@127.0.0.1:{port}/d"):
            pass
    assert "s3cret" not in str(caught.value)
    assert "user:" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
async def test_server_that_never_answers_is_given_up(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "MIGRATION_TIMEOUT", 0.2)
    release = asyncio.Event()

    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    try:
        with pytest.raises(DatabaseError, match="no answer in time"):
            async with Database(f"{scheme}://u:p@127.0.0.1:{server.sockets[0].getsockname()[1]}/d"):
                pass
    finally:
        release.set()
        server.close()
        await server.wait_closed()


async def test_statement_that_hangs_is_given_up_and_the_database_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Database(f"sqlite:///{tmp_path / 'x.db'}") as database:
        monkeypatch.setattr(engine, "TIMEOUT", 0.1)
        with pytest.raises(DatabaseError, match="no answer in time"):
            async with database.transaction():
                await asyncio.Event().wait()
        monkeypatch.undo()
        assert await relay_routes(database) == []


async def test_file_that_is_no_database_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(DatabaseError, match="not a database"):
        async with Database(f"sqlite:///{path}"):
            pass


async def test_directory_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseError, match="file"):
        async with Database(f"sqlite:///{tmp_path / 'file' / 'x.db'}"):
            pass


async def test_errors_do_not_show_statements_or_values(tmp_path: Path) -> None:
    async with Database(f"sqlite:///{tmp_path / 'x.db'}") as database:
        with pytest.raises(DatabaseError) as caught:
            async with database.transaction() as connection:
                await connection.exec_driver_sql("INSERT INTO missing VALUES (?)", ("s3cret",))
        assert "s3cret" not in str(caught.value)
        assert "INSERT" not in str(caught.value)


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql", "mysql", "mariadb"])
def test_sql_for_an_empty_database_can_be_had_without_one(dialect: str) -> None:
    script = sql_script(dialect)
    ours = ("wigwag_subscriber", "wigwag_relay_route", "wigwag_ledger", "wigwag_lease", "wigwag_alembic_version")
    newer = ("wigwag_sip_route", "wigwag_sip_pool_member", "wigwag_application", "wigwag_api_key", "wigwag_blob_chunk")
    for table in ("subscriber", "tcp_mgm", *ours, *newer):
        assert f"CREATE TABLE {table}" in script


async def test_database_made_by_that_sql_is_up_to_date(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    statements = [statement for statement in sql_script("sqlite").split(";") if statement.strip()]
    await execute(url, *(text for text in statements if text.strip() not in ("BEGIN", "COMMIT")))
    async with Database(url) as database:
        await Subscribers(database).add("alice", "example.com", "secret")
