"""An SQLite file for one process: one thread that writes, one that reads.

Theory of operation. The writer takes everything that waits into one transaction and tells the callers after its commit:
while one commit runs the next batch gathers, so no delay is ever added. A failed transaction changes nothing, fails all
its callers, and the next one is tried as if nothing had been: a disk that has room again needs no restart.

An exclusive lock on a second, empty file makes sure that one process uses the log; the system takes the lock away when
the process dies.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from . import BusError
from .sqlite_tables import SCHEMA, LogTopic, Work, find_or_make

Sync = Literal["normal", "full"]
T = TypeVar("T")
_MOST_AT_ONCE: Final = 2_000
"""Requests in one transaction: the first of them waits for the last."""


def _nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class _Request:
    work: Work[Any]
    future: "asyncio.Future[Any]"
    on_commit: Callable[[], None]
    on_end: Callable[[], None]

    def run(self, connection: sqlite3.Connection) -> object:
        return _SKIPPED if self.future.cancelled() else self.work(connection)

    def succeed(self, result: object) -> None:
        self.on_end()
        if result is _SKIPPED:
            return
        if not self.future.done():
            self.future.set_result(result)
        self.on_commit()

    def fail(self, reason: str) -> None:
        self.on_end()
        if not self.future.done():
            self.future.set_exception(BusError(reason))


_SKIPPED: Final = object()


class LogFile:
    """The file; ``open`` and ``close`` block.

    Args:
        path: Where it is; made when missing.
        sync: ``full``: a commit survives power loss; ``normal``: the death of the process.
    """

    def __init__(self, path: Path, sync: Sync) -> None:
        self._path = path
        self._sync = sync
        self._loop = asyncio.get_running_loop()
        self._topics: dict[str, LogTopic] = {}
        self._topics_are_stale = False
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._connections: list[sqlite3.Connection] = []
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="bus-reader")
        self._writing: threading.Thread | None = None

    # Opening and closing

    def open(self) -> None:
        """Take the lock, make the tables, start the writer.

        Raises:
            BusError: Another process uses the file, or it can't be opened.
        """
        lock = self._path.with_name(self._path.name + "-lock")
        try:
            _make_files(lock, self._path)
            self._connect(lock).execute("BEGIN EXCLUSIVE")
            writer = self._connect(self._path)
            writer.execute("PRAGMA journal_mode = WAL")
            writer.execute(f"PRAGMA synchronous = {self._sync.upper()}")
            writer.execute("PRAGMA journal_size_limit = 67108864")
            writer.executescript(SCHEMA)
            self._reader = self._connect(self._path)
            self._reader.execute("PRAGMA query_only = ON")
        except sqlite3.Error as error:
            self.close()
            reason = "another process uses it" if "locked" in str(error) else str(error)
            raise BusError(f"{self._path} can't be opened: {reason}") from error
        self._writing = threading.Thread(target=self._serve, args=(writer,), name="bus-writer", daemon=True)
        self._writing.start()

    def _connect(self, path: Path) -> sqlite3.Connection:
        # Transactions are ours to begin and end; each connection is used by one thread at a time.
        connection = sqlite3.connect(path, timeout=0.2, isolation_level=None, check_same_thread=False)
        self._connections.append(connection)
        return connection

    def close(self) -> None:
        """Write what waits, close the file, give the lock back."""
        if self._writing is not None:
            self._requests.put(None)
            self._writing.join()
        self._reading.shutdown()
        while self._connections:
            with suppress(sqlite3.Error):
                self._connections.pop().close()

    # Writing

    def submit(
        self, work: Work[T], *, on_commit: Callable[[], None] = _nothing, on_end: Callable[[], None] = _nothing
    ) -> "asyncio.Future[T]":
        """Run ``work`` in the writer's next transaction; the result is there once that is committed.

        Args:
            work: Is given the connection. It is skipped when the future is cancelled before its turn.
            on_commit: Called in the loop after the commit, also when nobody waits for the future any more.
            on_end: Called in the loop once the request is gone, whatever came of it.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        self._requests.put(_Request(work, future, on_commit, on_end))
        return future

    def topic(self, connection: sqlite3.Connection, name: str) -> LogTopic:
        """Return a topic with its numbers, made when missing; for the writer's work only."""
        if name not in self._topics:
            self._topics[name] = find_or_make(connection, name)
        return self._topics[name]

    def _serve(self, connection: sqlite3.Connection) -> None:
        is_last = False
        while not is_last:
            batch, is_last = self._next_batch()
            if batch:
                self._write(connection, batch)

    def _next_batch(self) -> tuple[list[_Request], bool]:
        request = self._requests.get()
        batch: list[_Request] = []
        while request is not None:
            batch.append(request)
            if len(batch) >= _MOST_AT_ONCE:
                return batch, False
            try:
                request = self._requests.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _write(self, connection: sqlite3.Connection, batch: Sequence[_Request]) -> None:
        try:
            connection.execute("BEGIN IMMEDIATE")
            if self._topics_are_stale:
                self._reload(connection)
            results = [request.run(connection) for request in batch]
            connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait have to be told
            self._topics_are_stale = True
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            reason = f"{self._path.name} can't be written: {error}"
            self._tell(partial(_fail_all, batch, reason))
        else:
            self._tell(partial(_succeed_all, batch, results))

    def _reload(self, connection: sqlite3.Connection) -> None:
        """Believe the file again, not what a transaction that failed has left behind."""
        known = {name for (name,) in connection.execute("SELECT name FROM topic").fetchall()}
        for name in self._topics.keys() - known:
            del self._topics[name]
        for topic in self._topics.values():
            topic.load(connection)
        self._topics_are_stale = False

    def _tell(self, callback: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # the loop has ended: nobody waits
            self._loop.call_soon_threadsafe(callback)

    # Reading

    async def read(self, work: Work[T]) -> T:
        """Run ``work`` on the reader's connection.

        Raises:
            BusError: It failed.
        """
        try:
            return await self._loop.run_in_executor(self._reading, work, self._reader)
        except sqlite3.Error as error:
            raise BusError(f"{self._path.name} can't be read: {error}") from error


def _succeed_all(batch: Sequence[_Request], results: Sequence[object]) -> None:
    for request, result in zip(batch, results, strict=True):
        request.succeed(result)


def _fail_all(batch: Sequence[_Request], reason: str) -> None:
    for request in batch:
        request.fail(reason)


def _make_files(*paths: Path) -> None:
    """Make files for their owner only: the records hold what people say. What is in the way SQLite tells."""
    for path in paths:
        with suppress(OSError):
            path.touch(mode=0o600)
