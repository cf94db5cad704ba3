"""Work that is done in batches without anybody waiting long for a batch to fill.

Theory of operation. The first job is taken at once. Whatever is handed in while a batch is being written, and for about
as long afterwards, makes the next batch: the busier it gets, the larger they are, and an idle writer adds no delay. A
future is resolved after the batch was written, so what it says is true. What waits is bounded in number and in bytes.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

from wigwag.errors import DatabaseError, OverloadedError, WigwagError

Job = TypeVar("Job")
Result = TypeVar("Result")

BATCH_BYTES: Final = 4 * 1_024 * 1_024
"""A batch ends when it has so many bytes: servers bound what one transaction's statements may carry."""
PACE: Final = 0.003
"""Seconds from the beginning of one batch to that of the next, at least."""
LONGEST_PAUSE: Final = 0.01
"""Seconds between two batches, at most."""
CLOSING_TIMEOUT: Final = 15.0
"""Seconds for writing what waits when the writer ends."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one kind of jobs may use."""

    jobs: int = 10_000
    """Jobs that may wait."""
    size: int = 64 * 1_024 * 1_024
    """Bytes that may wait."""
    batch: int = 500
    """Jobs of one batch."""
    pace: float = PACE
    """Seconds from the beginning of one batch to that of the next, at least, unless a whole batch waits."""


class Batches(Generic[Job, Result]):
    """A queue of jobs and the task that writes them, batch by batch; ``async with`` runs it.

    Args:
        write: Does a batch, and returns each job's result or error in the same order; raises when all of it failed.
        limits: What may wait.
    """

    def __init__(
        self, write: Callable[[Sequence[Job]], Awaitable[Sequence[Result | WigwagError]]], limits: Limits
    ) -> None:
        self._write = write
        self._limits = limits
        self._waiting: deque[tuple[Job, int, asyncio.Future[Result]]] = deque()
        self._size = 0
        self._filled = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.written = 0
        """Jobs done so far."""
        self.batches = 0
        """Batches tried so far."""

    @property
    def waiting(self) -> int:
        """Jobs that wait."""
        return len(self._waiting)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what waits, for up to ``CLOSING_TIMEOUT``, then end; what is handed in from now on is refused."""
        task, self._task = self._task, None
        self._filled.set()
        if task is not None and not (await asyncio.wait([task], timeout=CLOSING_TIMEOUT))[0]:
            task.cancel()
            await asyncio.wait([task])
        _fail([future for _, _, future in self._waiting], DatabaseError("the ledger was closed"))
        self._waiting.clear()

    def submit(self, jobs: Sequence[tuple[Job, int]]) -> list[asyncio.Future[Result]]:
        """Queue jobs, each with its size in bytes: all of them or none.

        Raises:
            OverloadedError: Too many jobs or bytes wait already.
            DatabaseError: The writer is closed.
        """
        if self._task is None:
            raise DatabaseError("the ledger is not open")
        size = sum(size for _, size in jobs)
        if len(self._waiting) + len(jobs) > self._limits.jobs or self._size + size > self._limits.size:
            raise OverloadedError(f"{len(self._waiting)} messages wait to be written already")
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[Result]] = [loop.create_future() for _ in jobs]
        self._waiting.extend((job, size, future) for (job, size), future in zip(jobs, futures, strict=True))
        self._size += size
        self._filled.set()
        return futures

    async def _run(self) -> None:
        time = asyncio.get_running_loop().time
        while True:
            await self._filled.wait()
            jobs, futures = self._take()
            if jobs:
                begun = time()
                await self._do(jobs, futures)
                await self._pause(time() - begun)
            elif self._task is None:
                return
            else:
                self._filled.clear()

    async def _pause(self, took: float) -> None:
        """Let more come: a transaction costs as much as many jobs, so at most half of the time is spent in them."""
        if self._task is not None and len(self._waiting) < self._limits.batch:
            pace = self._limits.pace
            await asyncio.sleep(min(max(took, pace - took), max(LONGEST_PAUSE, pace)))

    def _take(self) -> tuple[list[Job], list[asyncio.Future[Result]]]:
        jobs: list[Job] = []
        futures: list[asyncio.Future[Result]] = []
        size = 0
        while self._waiting and len(jobs) < self._limits.batch and size < BATCH_BYTES:
            job, job_size, future = self._waiting.popleft()
            self._size -= job_size
            if not future.done():  # nobody waits for a cancelled one
                size += job_size
                jobs.append(job)
                futures.append(future)
        return jobs, futures

    async def _do(self, jobs: list[Job], futures: list[asyncio.Future[Result]]) -> None:
        self.batches += 1
        try:
            results = await self._write(jobs)
        except BaseException as error:
            _fail(futures, error if isinstance(error, WigwagError) else DatabaseError("the ledger's writer failed"))
            if not isinstance(error, Exception):
                raise
            if not isinstance(error, WigwagError):
                # A bug of ours costs this batch, not the writer: loudly, and the next batch is tried.
                asyncio.get_running_loop().call_exception_handler({"message": "ledger writer", "exception": error})
            return
        self.written += len(jobs)
        for future, result in zip(futures, results, strict=True):
            _resolve(future, result)


def _fail(futures: Sequence[asyncio.Future[Result]], error: WigwagError) -> None:
    for future in futures:
        _resolve(future, error)


def _resolve(future: "asyncio.Future[Result]", result: Result | WigwagError) -> None:
    if future.done():
        return
    if isinstance(result, WigwagError):
        future.set_exception(result)
        future.exception()  # a caller who has gone is no reason for a warning
    else:
        future.set_result(result)
