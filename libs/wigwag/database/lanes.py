"""Threads with an SQLite connection of their own, each of which does whole transactions.

The driver blocks, so it can't be used in the loop; a statement that is sent to a thread and waited for costs more than
it does there, so all statements of a transaction go together.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

Result = TypeVar("Result")
Work = Callable[[Connection], Result]
"""Statements of one transaction."""


class Lane:
    """One thread and its connection, made when they are needed first; one transaction at a time, in order.

    Args:
        engine: Connects.
        write: Whether its transactions change anything.
    """

    def __init__(self, engine: Engine, *, write: bool) -> None:
        self._engine = engine.execution_options(wigwag_write=write)
        self._name = "database-writer" if write else "database-reader"
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._connection: Connection | None = None

    def run(self, work: Work[Result]) -> "asyncio.Future[Result]":
        """Do it in a transaction that is committed at its end, rolled back when it raises.

        It is skipped when the future is cancelled before its turn; afterwards it is done all the same.
        """
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
            self._thread.start()
        job = _Job(work, asyncio.get_running_loop())
        self._jobs.put(job)
        return job.future

    def close(self) -> None:
        """Do what waits, then end; blocks until then."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
            self._thread = None

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            if job.future.cancelled():
                continue
            try:
                result = self._transaction(job.work)
            except BaseException as error:  # noqa: BLE001 - whatever it is, who waits has to be told
                job.tell(job.fail, error)
            else:
                job.tell(job.succeed, result)
        self._disconnect()

    def _transaction(self, work: Work[Any]) -> object:
        if self._connection is None:
            self._connection = self._engine.connect()
        try:
            with self._connection.begin():
                return work(self._connection)
        except IntegrityError:
            raise
        except BaseException:
            # What is left of the transaction, should the rollback have failed too, must not meet the next one.
            self._disconnect()
            raise

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()


class _Job:
    """A transaction that somebody waits for."""

    __slots__ = ("_loop", "future", "work")

    def __init__(self, work: Work[Any], loop: asyncio.AbstractEventLoop) -> None:
        self.work = work
        self._loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()

    def tell(self, callback: Callable[[Any], None], what: object) -> None:
        """Call back in the loop."""
        with suppress(RuntimeError):  # the loop has ended: nobody waits
            self._loop.call_soon_threadsafe(callback, what)

    def succeed(self, result: object) -> None:
        if not self.future.done():
            self.future.set_result(result)

    def fail(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)
