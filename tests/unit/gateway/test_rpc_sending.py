"""Messages on one stream to the user agent: each is acknowledged once, whatever becomes of the stream."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest

from tests.support.waiting import until
from wigwag.api.ua.v1 import ua_pb2
from wigwag.errors import ConflictError, OverloadedError
from wigwag.gateway import rpc_sending
from wigwag.gateway.rpc_sending import REFUSED, SendingStream
from wigwag.runtime.rpc import Backoff

METADATA = grpc.aio.Metadata()


class Call:
    """One call, as gRPC has it."""

    def __init__(self, requests: AsyncIterator[ua_pb2.SendMessagesRequest]) -> None:
        self.requests = 0
        self.got: list[tuple[int, ua_pb2.OutboundMessage]] = []
        """Numbers and messages."""
        self._responses: asyncio.Queue[Any] = asyncio.Queue()
        self._reading = asyncio.create_task(self._read(requests))

    async def _read(self, requests: AsyncIterator[ua_pb2.SendMessagesRequest]) -> None:
        async for request in requests:
            self.requests += 1
            self.got += enumerate((request.message, *request.more), request.sequence)

    @property
    def bodies(self) -> list[str]:
        return [message.body.decode() for _, message in self.got]

    def acknowledge(self, *sequences: int, code: int = 0) -> None:
        acknowledgements = [
            ua_pb2.Acknowledgement(sequence=number, message_id="" if code else f"id-{number}", code=code)
            for number in sequences
        ]
        self._responses.put_nowait(ua_pb2.SendMessagesResponse(acknowledgements=acknowledgements))

    def lose(self, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE) -> None:
        self._responses.put_nowait(
            grpc.aio.AioRpcError(code, METADATA, METADATA, details="lost", debug_error_string="")
        )

    def cancel(self) -> bool:
        self._reading.cancel()
        return True

    def __aiter__(self) -> AsyncIterator[ua_pb2.SendMessagesResponse]:
        return self._yielded()

    async def _yielded(self) -> AsyncIterator[ua_pb2.SendMessagesResponse]:
        while True:
            response = await self._responses.get()
            if isinstance(response, Exception):
                raise response
            yield response


class Server:
    """All calls, in order."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def open(self, requests: AsyncIterator[ua_pb2.SendMessagesRequest]) -> Call:
        self.calls.append(Call(requests))
        return self.calls[-1]

    async def call(self, number: int, count: int) -> Call:
        """Wait until a call has so many requests."""
        await until(lambda: len(self.calls) >= number and len(self.calls[number - 1].got) >= count)
        return self.calls[number - 1]


@asynccontextmanager
async def stream(server: Server, deadline: float = 5.0) -> AsyncIterator[SendingStream]:
    async with SendingStream(server.open, deadline=deadline, backoff=Backoff(first=0.001, longest=0.001)) as made:
        yield made


def messages(*bodies: str, key: bool = True) -> list[ua_pb2.OutboundMessage]:
    return [
        ua_pb2.OutboundMessage(session_id="s", body=body.encode(), idempotency_key=body if key else "")
        for body in bodies
    ]


async def test_each_message_gets_its_own_acknowledgement_in_any_order() -> None:
    server = Server()
    async with stream(server) as made:
        sending = asyncio.create_task(made.send(messages("a", "b", "c")))
        call = await server.call(1, 3)
        call.acknowledge(3)
        call.acknowledge(2, code=grpc.StatusCode.FAILED_PRECONDITION.value[0])
        call.acknowledge(1)
        one, two, three = await sending
        assert (one.message_id, three.message_id) == ("id-1", "id-3")
        assert isinstance(two.error, ConflictError)
        assert len(made) == 0


async def test_what_was_not_acknowledged_is_sent_again_in_order_on_the_next_stream() -> None:
    server = Server()
    async with stream(server) as made:
        sending = asyncio.create_task(made.send(messages("a", "b", "c")))
        first = await server.call(1, 3)
        first.acknowledge(2)
        await until(lambda: len(made) == 2)
        first.lose()
        later = asyncio.create_task(made.send(messages("d")))
        second = await server.call(2, 3)
        assert second.bodies == ["a", "c", "d"]
        assert [number for number, _ in second.got] == [1, 3, 4]
        second.acknowledge(1, 3, 4)
        assert [each.message_id for each in (*await sending, *await later)] == ["id-1", "id-2", "id-3", "id-4"]


async def test_a_message_without_a_key_is_not_sent_a_second_time() -> None:
    server = Server()
    async with stream(server) as made:
        sending = asyncio.create_task(made.send([*messages("a", key=False), *messages("b")]))
        (await server.call(1, 2)).lose()
        second = await server.call(2, 1)
        second.acknowledge(2)
        unknown, known = await sending
        assert isinstance(unknown.error, OverloadedError)
        assert known.message_id == "id-2"
        assert second.bodies == ["b"]


async def test_who_waited_for_the_deadline_is_told_so_and_what_was_not_written_is_not_written_any_more() -> None:
    server = Server()
    async with stream(server, deadline=0.05) as made:
        (unknown,) = await made.send(messages("a"))
        assert isinstance(unknown.error, OverloadedError)
        call = await server.call(1, 1)
        call.acknowledge(1)
        call.lose()
        sending = asyncio.create_task(made.send(messages("b")))
        second = await server.call(2, 1)
        second.acknowledge(2)
        assert [each.message_id for each in await sending] == ["id-2"]
        assert second.bodies == ["b"]


@pytest.mark.parametrize("code", REFUSED)
async def test_a_stream_that_is_refused_fails_what_waits_for_now_and_is_tried_for_what_comes(
    code: grpc.StatusCode,
) -> None:
    server = Server()
    async with stream(server) as made:
        sending = asyncio.create_task(made.send(messages("a")))
        (await server.call(1, 1)).lose(code)
        (refused,) = await sending
        assert isinstance(refused.error, OverloadedError)
        sending = asyncio.create_task(made.send(messages("b")))
        (await server.call(2, 1)).acknowledge(2)
        assert [each.message_id for each in await sending] == ["id-2"]


async def test_more_than_may_wait_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc_sending, "MOST_WAITING", 2)
    server = Server()
    async with stream(server) as made:
        sending = asyncio.create_task(made.send(messages("a", "b")))
        call = await server.call(1, 2)
        (refused,) = await made.send(messages("c"))
        assert isinstance(refused.error, OverloadedError)
        call.acknowledge(1, 2)
        assert [each.error for each in await sending] == [None, None]


async def test_messages_travel_together_up_to_a_size() -> None:
    server = Server()
    async with stream(server) as made:
        sending = asyncio.create_task(made.send(messages(*(f"{number:02}" * 5_000 for number in range(20)))))
        call = await server.call(1, 20)
        assert call.requests == 5, "four of 20 kB each, with their keys, go together"
        call.acknowledge(*range(1, 21))
        assert [each.message_id for each in await sending] == [f"id-{number}" for number in range(1, 21)]


async def test_at_the_end_of_what_waits_nobody_knows() -> None:
    server = Server()
    async with stream(server) as made:
        sending = asyncio.create_task(made.send(messages("a")))
        await server.call(1, 1)
    (unknown,) = await sending
    assert isinstance(unknown.error, OverloadedError)
