"""A long-lived stream on which many small items travel in few frames.

One item per gRPC frame costs more than most items are worth. Nobody waits for a batch to fill, though: a frame takes
what has gathered while the frame before was written and the loop's other tasks had their turn.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Generic, Self, TypeVar

import grpc
import grpc.aio
import structlog

from wigwag.errors import LocalProtocolError, ServiceError, WigwagError

from .channel import service_error
from .outbox import Batch, BatchLimits, Outbox
from .resuming import Backoff, is_final, own_cancellation
from .types import StreamStreamCall

Item = TypeVar("Item")

logger = structlog.get_logger(__name__)


class BatchedStream(Generic[Item]):
    """Sends items in order, at least once, over a call with streams both ways that is opened again when it is lost.

    Each response acknowledges, by number, what the peer has dealt with. After a lost connection everything beyond that
    is sent again with its numbers; the peer leaves out what it has had.

    Args:
        open_call: Opens the call; its requests come from the iterator.
        frame: Makes a request from the number of the first item, counted from 1, and the items.
        acknowledged: Returns up to which number a response acknowledges; 0: it says nothing.
        size: Returns the bytes that an item takes in a frame.
        limits: Of frames, and of what may wait.
        backoff: Between two attempts to connect.
    """

    def __init__(
        self,
        open_call: Callable[[AsyncIterator[Any]], StreamStreamCall],
        *,
        frame: Callable[[int, Sequence[Item]], Any],
        acknowledged: Callable[[Any], int],
        size: Callable[[Item], int],
        limits: BatchLimits | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self._open_call = open_call
        self._frame = frame
        self._acknowledged = acknowledged
        self._size = size
        self._backoff = backoff or Backoff()
        self._delays = self._backoff.delays()
        self._outbox: Outbox[Item] = Outbox(limits or BatchLimits())
        self._added = asyncio.Event()
        self._progress = asyncio.Event()
        self._failure: WigwagError | None = None
        self._closed = False
        self._calls = 0
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to connect."""
        self._running = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Close at once; what is not acknowledged is in ``unacknowledged()``."""
        self._closed = True
        self._made_progress()
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    def unacknowledged(self) -> list[Item]:
        """Return what the peer may not have, oldest first."""
        return self._outbox.unacknowledged()

    async def send(self, item: Item) -> int:
        """Take an item, waiting while the buffer is full; return its number.

        Raises:
            InvalidRequestError: It is larger than a frame may be.
            ServiceError: The peer has refused the stream for good, or it is closed.
        """
        while self._outbox.full and not self._over:
            await self._progress.wait()
        self._check()
        number = self._outbox.add(item, self._size(item))
        self._added.set()
        return number

    async def acknowledged(self, number: int) -> None:
        """Wait until the peer has dealt with everything up to ``number``.

        Raises:
            ServiceError: The peer has refused the stream for good, or it is closed.
        """
        while self._outbox.acknowledged < number:
            self._check()
            await self._progress.wait()

    @property
    def _over(self) -> bool:
        return self._closed or self._failure is not None

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._closed:
            raise ServiceError("the stream is closed")

    def _made_progress(self) -> None:
        self._progress.set()
        self._progress = asyncio.Event()

    async def _run(self) -> None:
        while not self._over:
            self._outbox.rewind()
            try:
                await self._one_call()
            except grpc.aio.AioRpcError as error:
                if is_final(error):
                    self._fail(service_error(error))
                else:
                    logger.info("stream is lost, connecting again", reason=error.details(), waiting=len(self._outbox))
            except asyncio.CancelledError:
                if own_cancellation():
                    raise
            except WigwagError as error:
                self._fail(error)
            if not self._over:
                await asyncio.sleep(next(self._delays))

    async def _one_call(self) -> None:
        self._calls += 1
        call = self._open_call(self._frames(self._calls))
        try:
            async for response in call:
                self._delays = self._backoff.delays()
                number = self._acknowledged(response)
                if number > self._outbox.acknowledged:
                    self._outbox.acknowledge(number)
                    self._made_progress()
        finally:
            call.cancel()

    async def _frames(self, call: int) -> AsyncIterator[Any]:
        while True:
            while not self._outbox.unsent:
                self._added.clear()
                await self._added.wait()
            # One turn of the loop: whoever has something to send by now gets it into the same frame.
            await asyncio.sleep(0)
            if call != self._calls:
                # gRPC still asks for a lost call, which must not take what belongs to its successor.
                self._added.set()
                return
            batch = self._outbox.next_batch()
            if batch is not None:
                yield self._made(batch)

    def _made(self, batch: Batch[Item]) -> Any:
        try:
            return self._frame(batch.first, batch.items)
        except Exception as error:
            # gRPC would only end the call, which would be opened again for ever.
            self._fail(LocalProtocolError(f"a frame can't be made: {error}"))
            raise

    def _fail(self, error: WigwagError) -> None:
        self._failure = error
        self._made_progress()
