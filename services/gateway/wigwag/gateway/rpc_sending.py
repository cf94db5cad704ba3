"""Messages on their way to the user agent: one long-lived stream, opened again when it is lost.

Theory of operation. Each message has a number on the stream and waits for its acknowledgement, in any order. When the
stream is lost, all that wait are sent again, in their order, on the next one: their idempotency keys make that
harmless. A message without a key is not sent a second time. Whoever has waited for the deadline is told that it is not
known; what was not written by then is not written any more.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import grpc
import grpc.aio
import structlog

from wigwag.api.ua.v1 import ua_pb2
from wigwag.errors import OverloadedError, ServiceError
from wigwag.runtime.rpc import Backoff, error_of

from .ports import Handed

MOST_WAITING: Final = 10_000
"""Messages without an acknowledgement; more are refused."""
TOGETHER: Final = 65_536
"""Octets of messages from which on a request takes no more of them."""
_STATUSES: Final = {status.value[0]: status for status in grpc.StatusCode}
REFUSED: Final = (
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNIMPLEMENTED,
)
"""What the next call would be answered too; no fault of a message, which waits until an operator has put it right."""
_UNKNOWN: Final = "the user agent does not answer: the message may or may not be there"

logger = structlog.get_logger("wigwag.gateway")

OpenCall = Callable[[AsyncIterator[ua_pb2.SendMessagesRequest]], Any]


@dataclass(slots=True, eq=False)
class _Waiting:
    """A message without an acknowledgement."""

    message: ua_pb2.OutboundMessage
    handed: "asyncio.Future[Handed]"
    written: bool = False


class SendingStream:
    """Sends over ``SendMessages``; ``async with`` runs it.

    Args:
        open_call: Opens the call; its requests come from the iterator.
        deadline: Seconds for an acknowledgement.
        backoff: Between two attempts to open it.
    """

    def __init__(self, open_call: OpenCall, *, deadline: float, backoff: Backoff | None = None) -> None:
        self._open_call = open_call
        self._deadline = deadline
        self._backoff = backoff or Backoff()
        self._sequence = 0
        self._waiting: dict[int, _Waiting] = {}
        """By number, so in order."""
        self._unsent: deque[int] = deque()
        self._added = asyncio.Event()
        self._calls = 0
        self._running: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """Messages without an acknowledgement."""
        return len(self._waiting)

    async def __aenter__(self) -> Self:
        """Begin; it connects when there is something to send."""
        self._running = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End at once; of what waits nobody knows."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        self._calls += 1
        self._give_up(list(self._waiting), OverloadedError(_UNKNOWN))

    async def send(self, messages: Sequence[ua_pb2.OutboundMessage]) -> list[Handed]:
        """Send messages, those of one session in order; returns what became of each."""
        if len(self._waiting) + len(messages) > MOST_WAITING:
            return [Handed(error=OverloadedError("too many messages wait for the user agent")) for _ in messages]
        numbers = [self._add(message) for message in messages]
        futures = [self._waiting[number].handed for number in numbers]
        if not futures:
            return []
        self._added.set()
        try:
            await asyncio.wait(futures, timeout=self._deadline)
        finally:
            # Also of a caller who goes: what was not written by then is not.
            self._give_up(numbers, OverloadedError(_UNKNOWN))
        return [future.result() for future in futures]

    def _add(self, message: ua_pb2.OutboundMessage) -> int:
        self._sequence += 1
        self._waiting[self._sequence] = _Waiting(message, asyncio.get_running_loop().create_future())
        self._unsent.append(self._sequence)
        return self._sequence

    def _resolve(self, number: int, handed: Handed) -> None:
        found = self._waiting.pop(number, None)
        if found is not None and not found.handed.done():
            found.handed.set_result(handed)

    def _give_up(self, numbers: Sequence[int], error: ServiceError) -> None:
        for number in numbers:
            self._resolve(number, Handed(error=error))

    # The stream

    async def _run(self) -> None:
        delays = self._backoff.delays()
        while True:
            while not self._waiting:
                self._added.clear()
                await self._added.wait()
            try:
                await self._one_call()
            except grpc.aio.AioRpcError as error:
                logger.info("the stream of messages is lost", reason=error.details(), waiting=len(self._waiting))
                if error.code() in REFUSED:
                    self._give_up(list(self._waiting), meant(error.code(), error.details() or ""))
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise
            else:
                delays = self._backoff.delays()
            self._lost()
            await asyncio.sleep(next(delays))

    async def _one_call(self) -> None:
        self._calls += 1
        call = self._open_call(self._requests(self._calls))
        try:
            async for response in call:
                for acknowledgement in response.acknowledgements:
                    self._resolve(acknowledgement.sequence, _handed(acknowledgement))
        finally:
            call.cancel()

    def _lost(self) -> None:
        """Send all that wait again, but what has no key and was written: it might come twice."""
        written_once = [
            number for number, found in self._waiting.items() if found.written and not found.message.idempotency_key
        ]
        self._give_up(written_once, OverloadedError(_UNKNOWN))
        self._unsent = deque(self._waiting)

    async def _requests(self, call: int) -> AsyncIterator[ua_pb2.SendMessagesRequest]:
        while call == self._calls:
            request = self._together()
            if request is not None:
                yield request
                continue
            self._added.clear()
            await self._added.wait()
        # gRPC still asks for a lost call; what woke it is its successor's.
        self._added.set()

    def _together(self) -> ua_pb2.SendMessagesRequest | None:
        """Return what is to be written now, as far as its numbers follow each other; None: nothing."""
        request, octets = None, 0
        while self._unsent and octets < TOGETHER:
            number = self._unsent[0]
            found = self._waiting.get(number)
            if found is not None and request is not None and number != request.sequence + 1 + len(request.more):
                break
            self._unsent.popleft()
            if found is None:
                continue
            found.written = True
            octets += found.message.ByteSize()
            if request is None:
                request = ua_pb2.SendMessagesRequest(sequence=number, message=found.message)
            else:
                request.more.append(found.message)
        return request


def _handed(acknowledgement: ua_pb2.Acknowledgement) -> Handed:
    if not acknowledgement.code:
        return Handed(acknowledgement.message_id, acknowledgement.duplicate)
    status = _STATUSES.get(acknowledgement.code, grpc.StatusCode.UNKNOWN)
    return Handed(error=meant(status, acknowledgement.error))


def meant(status: grpc.StatusCode, details: str) -> ServiceError:
    """Return what a status of the user agent means to whom it is asked for."""
    if status in REFUSED:
        return OverloadedError(f"the user agent refuses us: {status.name}: {details}")
    return error_of(status, details)
