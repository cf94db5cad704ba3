"""Many messages on one stream: a bounded window, order within a session, acknowledgements in batches."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any, Final, NamedTuple, Protocol

import grpc
import structlog

from wigwag.api.ua.v1 import ua_pb2
from wigwag.errors import WigwagError
from wigwag.runtime.error_table import grpc_status
from wigwag.ua.ports import Caller, Outcome

WINDOW: Final = 1_024
"""Messages of a stream that are read and not yet acknowledged."""
WINDOW_OCTETS: Final = 8_388_608
"""Octets of them."""
BATCH: Final = 128
"""Messages of a session that are handed in at once."""
ACKNOWLEDGEMENTS: Final = 512
"""In one response."""
_SEQUENCES: Final = 2**64
_INTERNAL: Final = grpc.StatusCode.INTERNAL.value[0]

logger = structlog.get_logger(__name__)


class _Numbered(NamedTuple):
    sequence: int
    message: ua_pb2.OutboundMessage
    size: int


class Sender(Protocol):
    """What sends."""

    async def send_messages(self, caller: Caller, messages: list[ua_pb2.OutboundMessage]) -> list[Outcome]:
        """Accept messages, those of one session in order."""


class SendingStream:
    """One call of SendMessages.

    A session's messages are handed in one batch after the other, so that they keep their order; sessions don't wait for
    each other. What was handed in is never cut off: its outcome is durable, whether the caller is still there or not.

    Args:
        sender: Sends.
        caller: Who calls.
        keep: Keeps a task alive that may outlive the call.
    """

    def __init__(self, sender: Sender, caller: Caller, keep: Callable[[asyncio.Task[None]], None]) -> None:
        self._sender = sender
        self._caller = caller
        self._keep = keep
        self._lanes: dict[str, deque[_Numbered]] = {}
        self._acknowledged: list[ua_pb2.Acknowledgement] = []
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._messages = 0
        self._octets = 0
        self._closed = False

    async def responses(
        self, requests: AsyncIterator[ua_pb2.SendMessagesRequest]
    ) -> AsyncIterator[ua_pb2.SendMessagesResponse]:
        """Yield acknowledgements until the caller has sent his last message and each has been acknowledged."""
        reading = asyncio.create_task(self._read(requests))
        reading.add_done_callback(lambda _: self._news.set())
        try:
            while self._acknowledged or self._messages or not reading.done():
                await self._news.wait()
                # Let the rest of this turn's acknowledgements come into the same response.
                await asyncio.sleep(0)
                self._news.clear()
                while self._acknowledged:
                    found, self._acknowledged = self._acknowledged, []
                    for first in range(0, len(found), ACKNOWLEDGEMENTS):
                        batch = found[first : first + ACKNOWLEDGEMENTS]
                        yield ua_pb2.SendMessagesResponse(acknowledgements=batch)
            await reading
        finally:
            self._closed = True
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.wait([reading])

    async def _read(self, requests: AsyncIterator[ua_pb2.SendMessagesRequest]) -> None:
        async for request in requests:
            for number, message in enumerate((request.message, *request.more), request.sequence):
                self._queue(_Numbered(number % _SEQUENCES, message, message.ByteSize()))
            if self._messages >= WINDOW or self._octets >= WINDOW_OCTETS:
                self._room.clear()
                await self._room.wait()

    def _queue(self, numbered: _Numbered) -> None:
        self._messages += 1
        self._octets += numbered.size
        session_id = numbered.message.session_id
        lane = self._lanes.get(session_id)
        if lane is not None:
            lane.append(numbered)
            return
        self._lanes[session_id] = deque([numbered])
        self._keep(asyncio.create_task(self._work(session_id)))

    async def _work(self, session_id: str) -> None:
        lane = self._lanes[session_id]
        # What comes in this turn of the loop goes together.
        await asyncio.sleep(0)
        while lane and not self._closed:
            batch = [lane.popleft() for _ in range(min(BATCH, len(lane)))]
            for (sequence, _, size), outcome in zip(batch, await self._outcomes(batch), strict=True):
                self._acknowledged.append(acknowledgement(sequence, outcome))
                self._messages -= 1
                self._octets -= size
            self._news.set()
            if self._messages < WINDOW and self._octets < WINDOW_OCTETS:
                self._room.set()
        del self._lanes[session_id]

    async def _outcomes(self, batch: list[_Numbered]) -> list[Outcome]:
        try:
            return await self._sender.send_messages(self._caller, [numbered.message for numbered in batch])
        except Exception as error:
            if not isinstance(error, WigwagError):
                logger.error("messages can't be sent", exc_info=error)
            return [Outcome(error=error) for _ in batch]


def acknowledgement(sequence: int, outcome: Outcome) -> ua_pb2.Acknowledgement:
    """Return what the sender of a message is told."""
    error: Any = outcome.error
    if error is None:
        return ua_pb2.Acknowledgement(sequence=sequence, message_id=outcome.message_id, duplicate=outcome.duplicate)
    if not isinstance(error, WigwagError):
        return ua_pb2.Acknowledgement(sequence=sequence, code=_INTERNAL, error="an internal error; the log has details")
    code = grpc.StatusCode[grpc_status(error)].value[0]
    return ua_pb2.Acknowledgement(sequence=sequence, code=code, error=str(error))
