"""How many messages of the client go in one request."""

import asyncio
from collections.abc import AsyncIterator

from tests.support.waiting import until
from wigwag.api.ua.v1 import ua_pb2
from wigwag.client.sending import TOGETHER, Sending


class Call:
    """A call whose server takes a request when it is let, and acknowledges what is in it."""

    def __init__(self) -> None:
        self.requests: list[ua_pb2.SendMessagesRequest] = []
        self.gate = asyncio.Event()
        self._incoming: AsyncIterator[ua_pb2.SendMessagesRequest]

    def __call__(self, requests: AsyncIterator[ua_pb2.SendMessagesRequest]) -> "Call":
        self._incoming = requests
        return self

    async def __aiter__(self) -> AsyncIterator[ua_pb2.SendMessagesResponse]:
        async for request in self._incoming:
            self.requests.append(request)
            numbers = range(request.sequence, request.sequence + 1 + len(request.more))
            found = [ua_pb2.Acknowledgement(sequence=number, message_id=f"m{number}") for number in numbers]
            yield ua_pb2.SendMessagesResponse(acknowledgements=found)
            await self.gate.wait()

    def cancel(self) -> None:
        """End it."""


def message(body: bytes) -> ua_pb2.OutboundMessage:
    return ua_pb2.OutboundMessage(session_id="s", content_type="text/plain", body=body)


async def test_what_waits_goes_together_up_to_a_size_and_keeps_its_order() -> None:
    call = Call()
    sending = Sending(call, timeout=10)
    first = asyncio.create_task(sending.send(message(b"0")))
    await until(lambda: call.requests)
    bodies = [b"1", b"2", b"3" * TOGETHER, b"4", b"5"]
    rest = [asyncio.create_task(sending.send(message(body))) for body in bodies]
    await asyncio.sleep(0)
    call.gate.set()
    sent = await asyncio.gather(first, *rest)
    await sending.close()
    assert [sent.message_id for sent in sent] == [f"m{number}" for number in range(1, 7)]
    got = [[request.message.body, *(more.body for more in request.more)] for request in call.requests]
    assert got == [[b"0"], bodies[:3], bodies[3:]]


async def test_who_waits_no_more_is_left_out_and_the_numbers_stay_right() -> None:
    call = Call()
    sending = Sending(call, timeout=10)
    first = asyncio.create_task(sending.send(message(b"0")))
    await until(lambda: call.requests)
    rest = [asyncio.create_task(sending.send(message(body))) for body in (b"1", b"2", b"3")]
    await asyncio.sleep(0)
    rest[1].cancel()
    await asyncio.wait([rest[1]])
    call.gate.set()
    assert [(await task).message_id for task in (first, rest[0], rest[2])] == ["m1", "m2", "m4"]
    await sending.close()
    assert [(request.sequence, len(request.more)) for request in call.requests] == [(1, 0), (2, 0), (4, 0)]
