"""The connection to the SQL database: SQLite, PostgreSQL, MariaDB or MySQL by URL."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import URL, Column, Connection, Engine, NullPool, Table, create_engine, event, inspect, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from wigwag.errors import ConfigurationError, ConflictError, DatabaseError

from .lanes import Lane, Work
from .migrations import upgrade

Result = TypeVar("Result")

TIMEOUT: Final = 10.0
"""Seconds after which a transaction is given up: a database that hangs must not hold its callers."""
MIGRATION_TIMEOUT: Final = 60.0
"""Seconds for bringing the tables up to date, which may wait for another process that does the same."""
POOL_SIZE: Final = 5

_DRIVERS: Final = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
    "mysql": "mysql+asyncmy",
    "mariadb": "mariadb+asyncmy",
}
_VENDOR_ERRORS: Final = (SQLAlchemyError, OSError, TimeoutError)

_migration_locks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


def async_url(url: str) -> URL:
    """Return the URL with the asynchronous driver for its database.

    Args:
        url: ``sqlite:///path``, ``postgresql://user:password@host/name``, ``mysql://...`` or ``mariadb://...``.

    Raises:
        ConfigurationError: Not a URL, or of another database; the text does not hold the password.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise ConfigurationError("database url: not of the form postgresql://user:password@host/name") from error
    backend, _, driver = parsed.drivername.partition("+")
    wanted = _DRIVERS.get(backend)
    if wanted is None or (driver and driver != wanted.partition("+")[2]):
        raise ConfigurationError(
            f"database url: {parsed.drivername} is not supported; use sqlite, postgresql, mysql or mariadb"
        )
    if wanted.endswith("asyncmy") and "charset" not in parsed.query:
        parsed = parsed.update_query_dict({"charset": "utf8mb4"})
    return parsed.set(drivername=wanted)


class Database:
    """A pool of connections; ``async with`` opens it and brings the tables up to date.

    Args:
        url: As ``async_url`` takes it.
        sync: SQLite only: ``normal`` loses no commit when the process is killed, ``full`` none in a power loss either.

    Raises:
        ConfigurationError: The URL is wrong.
    """

    def __init__(self, url: str, *, sync: Literal["normal", "full"] = "normal") -> None:
        self.url = async_url(url)
        self._sync = sync
        self._engine: AsyncEngine | None = None
        self._lanes: dict[bool, Lane] = {}
        self._columns: dict[str, frozenset[str]] = {}

    async def __aenter__(self) -> Self:
        """Connect, and create or migrate the tables that are ours to change.

        Raises:
            DatabaseError: The database cannot be reached, or refuses.
        """
        if self.url.get_backend_name() == "sqlite":
            await asyncio.to_thread(_make_file, self.url)
            threads = _blocking_engine(self.url, self._sync)
            self._lanes = {write: Lane(threads, write=write) for write in (False, True)}
        self._engine = _engine(self.url, self._sync)
        try:
            # alembic keeps what it works on in the module's globals: one at a time in a process.
            async with self._connected(MIGRATION_TIMEOUT) as connection, _migration_lock():
                await connection.run_sync(upgrade)
        except BaseException:
            await self._engine.dispose()
            self._engine = None
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        if self._engine is not None:
            engine, self._engine = self._engine, None
            for lane in self._lanes.values():
                await asyncio.to_thread(lane.close)
            await engine.dispose()

    @asynccontextmanager
    async def transaction(self, *, write: bool = False) -> AsyncIterator[AsyncConnection]:
        """Run the block in a transaction: committed at its end, rolled back when it raises.

        Args:
            write: Whether it changes anything. SQLite then takes its lock at once: upgrading a read lock later
                fails without waiting when another process has written meanwhile.

        Raises:
            ConflictError: A row with the same unique values is there.
            DatabaseError: The database cannot be reached, refuses, or took longer than ``TIMEOUT``.
        """
        async with self._connected(TIMEOUT) as connection:
            await connection.execution_options(wigwag_write=write)
            async with connection.begin():
                yield connection

    async def run(self, work: Work[Result], *, write: bool = False) -> Result:
        """Run ``work`` in a transaction, as ``transaction`` does, and return what it returns.

        For what is done often: on SQLite all of it is done in one go by a thread of its own. When it took longer than
        ``TIMEOUT`` it may still be committed.

        Args:
            work: Statements on the connection, and nothing else that takes long. Not for SQLite in memory.
            write: As ``transaction``.

        Raises:
            ConflictError: As ``transaction``.
            DatabaseError: Likewise.
        """
        if not self._lanes:
            async with self.transaction(write=write) as connection:
                return await connection.run_sync(work)
        if self._engine is None:
            raise DatabaseError("the database is not open")
        with self._translated():
            async with asyncio.timeout(TIMEOUT):
                return await self._lanes[write].run(work)

    @asynccontextmanager
    async def _connected(self, seconds: float) -> AsyncIterator[AsyncConnection]:
        if self._engine is None:
            raise DatabaseError("the database is not open")
        with self._translated():
            async with asyncio.timeout(seconds), self._engine.connect() as connection:
                yield connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError as error:
            raise ConflictError("the database holds such a row already") from error
        except _VENDOR_ERRORS as error:
            raise DatabaseError(f"database at {self._place()}: {_reason(error)}") from error

    async def columns_of(self, table: Table) -> list[Column[Any]]:
        """Return those columns of ``table`` that the database really has.

        An OpenSIPS of another version may have made it. What was found is remembered until the database is closed.

        Raises:
            DatabaseError: As ``transaction``.
        """
        if table.name not in self._columns:
            async with self.transaction() as connection:
                self._columns[table.name] = await connection.run_sync(_column_names, table.name)
        return [column for column in table.columns if column.name in self._columns[table.name]]

    async def forget_deleted(self) -> None:
        """Empty the write-ahead log of an SQLite file, which still has what was deleted; other databases see to theirs.

        What somebody reads at this moment stays until it is written over.

        Raises:
            DatabaseError: The file can't be written.
        """
        if self._lanes:
            try:
                await asyncio.to_thread(_empty_wal, self.url)
            except sqlite3.Error as error:
                raise DatabaseError(f"database at {self._place()}: {error}") from error

    def _place(self) -> str:
        url = self.url
        host = f"{url.host or ''}:{url.port}" if url.port else url.host or ""
        return f"{url.get_backend_name()}://{host}/{url.database or ''}"


def _migration_lock() -> asyncio.Lock:
    return _migration_locks.setdefault(asyncio.get_running_loop(), asyncio.Lock())


def _engine(url: URL, sync: str) -> AsyncEngine:
    if url.get_backend_name() == "sqlite":
        engine = create_async_engine(url, connect_args={"timeout": TIMEOUT / 2})
        event.listen(engine.sync_engine, "connect", partial(_prepare_sqlite, sync))
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
        return engine
    connect_args: dict[str, Any] = {"connect_timeout": TIMEOUT}
    if url.get_backend_name() == "postgresql":
        connect_args = {"timeout": TIMEOUT, "command_timeout": TIMEOUT}
    return create_async_engine(
        url,
        pool_size=POOL_SIZE,
        max_overflow=POOL_SIZE,
        pool_timeout=TIMEOUT,
        pool_pre_ping=True,  # a connection that died while it was idle is replaced unnoticed
        pool_recycle=1800,
        connect_args=connect_args,
    )


def _blocking_engine(url: URL, sync: str) -> Engine:
    """Return what the lanes connect with: each keeps its connection for as long as nothing is wrong with it."""
    arguments = {"timeout": TIMEOUT / 2, "check_same_thread": False}
    engine = create_engine(url.set(drivername="sqlite+pysqlite"), connect_args=arguments, poolclass=NullPool)
    event.listen(engine, "connect", partial(_prepare_sqlite, sync))
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _file_of(url: URL) -> Path | None:
    """Return where the database's file is; None: it is in memory, or the URL says more than a path."""
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        return None
    return Path(url.database)


def _make_file(url: URL) -> None:
    """Make the database's file and directory, for its owner only: it holds what passwords are checked against."""
    path = _file_of(url)
    if path is None:
        return
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError as error:
        raise DatabaseError(f"database file {path}: {error.strerror}") from error
    try:
        _use_wal(path, time.monotonic() + TIMEOUT)
    except sqlite3.Error as error:
        raise DatabaseError(f"database file {path}: {error}") from error


def _use_wal(path: Path, deadline: float) -> None:
    """Switch the file to WAL, with which readers go on while one writes. The file remembers it."""
    with closing(sqlite3.connect(path, timeout=TIMEOUT)) as connection:
        while True:
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                # SQLite does not wait for its lock here: two processes that open a new file meet.
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)


def _empty_wal(url: URL) -> None:
    path = _file_of(url)
    if path is not None:
        with closing(sqlite3.connect(path, timeout=TIMEOUT / 2)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _prepare_sqlite(sync: str, connection: Any, _record: object) -> None:
    # NORMAL: a power loss may cost the last rows, never the file. The cache holds the inner pages of large indexes.
    # What is deleted is written over: not every build of SQLite does so by itself.
    pragmas = (
        f"synchronous={sync}",
        "cache_size=-16000",
        f"busy_timeout={int(TIMEOUT * 500)}",
        "foreign_keys=ON",
        "secure_delete=ON",
    )
    connection.isolation_level = None  # BEGIN is ours, see _begin_sqlite
    cursor = connection.cursor()
    for pragma in pragmas:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    write = connection.get_execution_options().get("wigwag_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _column_names(connection: Connection, table: str) -> frozenset[str]:
    return frozenset(column["name"] for column in inspect(connection).get_columns(table))


def _reason(error: BaseException) -> str:
    """Return the driver's own first line, without SQLAlchemy's statement and parameters, which may hold hashes."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    cause = getattr(error, "orig", None) or error
    text = str(cause).strip().splitlines()
    return text[0] if text else type(cause).__name__
