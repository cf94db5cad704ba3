"""Messages on one stream, each acknowledged; sent again under the same idempotency key when the stream was lost.

Theory of operation. Every message has a number and waits in ``_pending`` until it is acknowledged. One call carries
them; when it is lost another begins with all that wait, in order. The user agent knows a message again by its
idempotency key, which everyone has.
"""

import asyncio
import contextlib
import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Final

import grpc
import grpc.aio

from wigwag.api.ua.v1 import ua_pb2
from wigwag.errors import OverloadedError, ServiceError
from wigwag.runtime.rpc import Backoff, error_of, service_error
from wigwag.runtime.rpc.resuming import is_final, own_cancellation

from .session import Sent

WINDOW: Final = 1_000
"""Messages without an acknowledgement; more wait for room."""
TOGETHER: Final = 65_536
"""Octets of messages from which on a request takes no more of them."""
_STATUSES: Final = {status.value[0]: status for status in grpc.StatusCode}


@dataclass(slots=True)
class _Pending:
    number: int
    message: ua_pb2.OutboundMessage
    outcome: "asyncio.Future[Sent]"


class Sending:
    """Sends messages over one stream at a time.

    Args:
        open_call: Opens the call; its requests come from the iterator.
        timeout: Seconds until a message has to be acknowledged.
        backoff: Between two attempts.
    """

    def __init__(
        self, open_call: Callable[[AsyncIterator[Any]], Any], *, timeout: float, backoff: Backoff | None = None
    ) -> None:
        self._open_call = open_call
        self._timeout = timeout
        self._backoff = backoff or Backoff()
        self._numbers = 0
        self._calls = 0
        self._pending: dict[int, _Pending] = {}
        self._unsent: deque[_Pending] = deque()
        """What the present call does not have yet."""
        self._added = asyncio.Event()
        self._room = asyncio.Semaphore(WINDOW)
        self._running: asyncio.Task[None] | None = None
        self._failure: ServiceError | None = None

    async def send(self, message: ua_pb2.OutboundMessage) -> Sent:
        """Send a message and wait for its acknowledgement.

        Raises:
            ServiceError: It was refused, or not acknowledged in time (``OverloadedError``).
        """
        if not message.idempotency_key:
            message.idempotency_key = secrets.token_hex(16)
        delays = self._backoff.delays()
        limit = asyncio.timeout(self._timeout)
        try:
            async with limit, self._room:
                while True:
                    try:
                        return await self._once(message)
                    except OverloadedError:
                        await asyncio.sleep(next(delays))
        except TimeoutError:
            if not limit.expired():
                raise
            raise OverloadedError(f"not acknowledged within {self._timeout:g} s") from None

    async def close(self) -> None:
        """End the stream; what waits fails."""
        self._fail(ServiceError("the client is closed"))
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def _once(self, message: ua_pb2.OutboundMessage) -> Sent:
        if self._failure is not None:
            raise self._failure
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        self._numbers += 1
        number = self._numbers
        outcome: asyncio.Future[Sent] = asyncio.get_running_loop().create_future()
        pending = _Pending(number, message, outcome)
        self._pending[number] = pending
        self._unsent.append(pending)
        self._added.set()
        try:
            return await outcome
        finally:
            self._pending.pop(number, None)

    async def _run(self) -> None:
        delays = self._backoff.delays()
        while self._failure is None:
            self._calls += 1
            self._unsent = deque(self._pending.values())
            call = self._open_call(self._requests(self._calls))
            try:
                async for response in call:
                    delays = self._backoff.delays()
                    for acknowledgement in response.acknowledgements:
                        self._acknowledge(acknowledgement)
            except grpc.aio.AioRpcError as error:
                if is_final(error):
                    self._fail(service_error(error))
            except asyncio.CancelledError:
                if own_cancellation():
                    raise
            finally:
                call.cancel()
            await asyncio.sleep(next(delays))

    async def _requests(self, call: int) -> AsyncIterator[ua_pb2.SendMessagesRequest]:
        """Yield what waits, and what comes, until another call has begun."""
        while call == self._calls:
            if not self._unsent:
                self._added.clear()
                await self._added.wait()
                continue
            request = self._together()
            if request is not None:
                yield request
        # gRPC still asks for a lost call, whose successor may wait for the same.
        self._added.set()

    def _together(self) -> ua_pb2.SendMessagesRequest | None:
        """Return the next of what waits, and what follows it by number; None: nobody waits for it any more."""
        request: ua_pb2.SendMessagesRequest | None = None
        octets = 0
        while self._unsent and octets < TOGETHER:
            pending = self._unsent[0]
            if request is not None and pending.number != request.sequence + len(request.more) + 1:
                break
            self._unsent.popleft()
            if pending.outcome.done():
                continue
            octets += len(pending.message.body)
            if request is None:
                request = ua_pb2.SendMessagesRequest(sequence=pending.number, message=pending.message)
            else:
                request.more.append(pending.message)
        return request

    def _acknowledge(self, acknowledgement: ua_pb2.Acknowledgement) -> None:
        pending = self._pending.get(acknowledgement.sequence)
        if pending is None or pending.outcome.done():
            return
        if acknowledgement.code:
            status = _STATUSES.get(acknowledgement.code, grpc.StatusCode.UNKNOWN)
            pending.outcome.set_exception(error_of(status, acknowledgement.error))
        else:
            pending.outcome.set_result(Sent(acknowledgement.message_id, acknowledgement.duplicate))

    def _fail(self, error: ServiceError) -> None:
        self._failure = self._failure or error
        for pending in self._pending.values():
            if not pending.outcome.done():
                with contextlib.suppress(asyncio.InvalidStateError):
                    pending.outcome.set_exception(self._failure)
