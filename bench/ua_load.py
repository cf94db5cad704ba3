"""The load of ``bench.ua``: an application that chats as fast as its window lets it, and what it sees."""

import asyncio
import resource
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import grpc.aio

from bench.ua_http import RestClient
from bench.ua_peer import URI, Peer
from bench.ua_rows import SIZE, Kind, Row
from bench.ua_site import APPLICATION, Site
from wigwag.api.ua.v1 import ua_pb2, ua_pb2_grpc

PATIENCE: Final = 60.0
"""Seconds until a message, or a session, counts as lost."""
WARM_UP: Final = 1.0
TOGETHER: Final = 127
"""Messages that go with another one in a request of SendMessages."""


class BrokenRoundError(Exception):
    """Something was refused, or lost."""


@dataclass(slots=True)
class Measured:
    """What one round saw."""

    seconds: float = 0.0
    cpu: float = 0.0
    """Seconds of CPU of the node."""
    load_cpu: float = 0.0
    """Likewise, of this process."""
    times: list[float] = field(default_factory=list)
    """Seconds from the call to the arrival, of each message; of a session from StartSession to its end."""

    def percentile(self, part: int) -> float:
        """Return a percentile of the times, in ms."""
        return statistics.quantiles(self.times, n=100)[part - 1] * 1_000


class Load:
    """Chats of one application with one SIP user.

    Args:
        row: What to do.
        site: Where.
        peer: The user, registered.
        stub: The user agent.
        rest: Likewise, by HTTP.
    """

    def __init__(self, row: Row, site: Site, peer: Peer, stub: ua_pb2_grpc.UaServiceStub, rest: RestClient) -> None:
        self._row = row
        self._site = site
        self._peer = peer
        self._stub = stub
        self._rest = rest
        self._sessions: list[str] = []
        self._under_way: dict[bytes, tuple[float, asyncio.Semaphore]] = {}
        self._numbers = count()
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._all_came = asyncio.Event()
        self._problem = ""
        self._found = Measured()
        peer.on_message = self._arrived
        peer.on_opened = peer.on_ended = self._happened

    async def run(self, seconds: float) -> Measured:
        """Do it for so long, after a moment of warming up."""
        if self._row.kind is Kind.SESSIONS:
            return await self._measure(self._chat_again, seconds)
        if not self._sessions:
            self._sessions = [await self._start(f"chat {number}") for number in range(self._row.sessions)]
        send = {Kind.STREAM: self._stream, Kind.UNARY: self._send_unary, Kind.REST: self._send_rest}[self._row.kind]
        return await self._measure(send, seconds)

    async def _measure(self, work: Callable[[int, float], Coroutine[Any, Any, None]], seconds: float) -> Measured:
        for length in (WARM_UP, seconds):
            self._found = Measured()
            until, begin, cpu, load_cpu = time.monotonic() + length, time.monotonic(), self._site.cpu(), _own_cpu()
            async with asyncio.timeout(length + PATIENCE), asyncio.TaskGroup() as group:
                for number in range(self._row.sessions):
                    group.create_task(work(number, until))
            await self._all_arrived()
            self._found.seconds = time.monotonic() - begin
            self._found.cpu, self._found.load_cpu = self._site.cpu() - cpu, _own_cpu() - load_cpu
        return self._found

    async def _all_arrived(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while self._under_way:
                self._all_came.clear()
                await self._all_came.wait()
        if self._problem:
            raise BrokenRoundError(self._problem)

    # Messages

    async def _message(self, number: int, window: asyncio.Semaphore) -> ua_pb2.OutboundMessage:
        await window.acquire()
        key = b"%08d" % next(self._numbers)
        self._under_way[key] = time.monotonic(), window
        return ua_pb2.OutboundMessage(
            session_id=self._sessions[number], content_type="text/plain", body=key.ljust(SIZE, b".")
        )

    def _arrived(self, body: bytes) -> None:
        sent = self._under_way.pop(body[:8], None)
        if sent is None:
            self._problem = "a message came twice"
            return
        self._found.times.append(time.monotonic() - sent[0])
        sent[1].release()
        if not self._under_way:
            self._all_came.set()

    async def _stream(self, number: int, until: float) -> None:
        """All chats share a few streams, as those of a real application would."""
        if number % 5:
            return
        numbers = range(number, min(number + 5, self._row.sessions))
        messages: asyncio.Queue[ua_pb2.OutboundMessage | None] = asyncio.Queue()

        async def chat(which: int) -> None:
            window = asyncio.Semaphore(self._row.window)
            while time.monotonic() < until:
                messages.put_nowait(await self._message(which, window))

        async def chats() -> None:
            async with asyncio.TaskGroup() as group:
                for which in numbers:
                    group.create_task(chat(which))
            messages.put_nowait(None)
            messages.put_nowait(None)  # one for whoever gathers, one for whoever waits

        async def all_requests() -> AsyncIterator[ua_pb2.SendMessagesRequest]:
            """What waits goes together, as ``wigwag.client`` does it."""
            while (message := await messages.get()) is not None:
                request = ua_pb2.SendMessagesRequest(message=message)
                while not messages.empty() and len(request.more) < TOGETHER and (last := messages.get_nowait()):
                    request.more.append(last)
                yield request

        task = asyncio.create_task(chats())
        async for response in self._stub.SendMessages(all_requests()):
            for acknowledgement in response.acknowledgements:
                if acknowledgement.code:
                    raise BrokenRoundError(acknowledgement.error)
        await task

    async def _send_unary(self, number: int, until: float) -> None:
        async def send(message: ua_pb2.OutboundMessage) -> None:
            await self._stub.SendMessage(ua_pb2.SendMessageRequest(message=message))

        await self._one_by_one(number, until, send)

    async def _send_rest(self, number: int, until: float) -> None:
        async def send(message: ua_pb2.OutboundMessage) -> None:
            content = {"content_type": message.content_type, "text": message.body.decode()}
            status, answer = await self._rest.post(f"/v1/sessions/{message.session_id}/messages", content)
            if status >= 300:
                raise BrokenRoundError(answer.decode())

        await self._one_by_one(number, until, send)

    async def _one_by_one(
        self, number: int, until: float, send: Callable[[ua_pb2.OutboundMessage], Awaitable[None]]
    ) -> None:
        window = asyncio.Semaphore(self._row.window)
        while time.monotonic() < until:
            await send(await self._message(number, window))

    # Sessions

    async def _chat_again(self, number: int, until: float) -> None:
        while time.monotonic() < until:
            subject, begin = f"chat {next(self._numbers)}", time.monotonic()
            session_id = await self._start(subject)
            ended = self._wait_for(subject)
            await self._stub.EndSession(ua_pb2.EndSessionRequest(session_id=session_id))
            await ended
            self._found.times.append(time.monotonic() - begin)

    async def _start(self, subject: str) -> str:
        opened = self._wait_for(subject)
        request = ua_pb2.StartSessionRequest(application=APPLICATION, to_uri=URI, subject=subject)
        response = await self._stub.StartSession(request)
        await opened
        return str(response.session.session_id)

    def _wait_for(self, subject: str) -> "asyncio.Future[None]":
        future = self._waiting[subject] = asyncio.get_running_loop().create_future()
        return future

    def _happened(self, subject: str) -> None:
        future = self._waiting.pop(subject, None)
        if future is not None and not future.done():
            future.set_result(None)


@asynccontextmanager
async def loaded(row: Row, site: Site) -> AsyncIterator[Load]:
    """Yield the load of a row, its user registered."""
    peer = Peer(site)
    await peer.start()
    try:
        async with (
            grpc.aio.insecure_channel(site.rpc) as channel,
            RestClient("127.0.0.1", site.rest) as rest,
        ):
            stub: Any = ua_pb2_grpc.UaServiceStub(channel)
            yield Load(row, site, peer, stub, rest)
    finally:
        await peer.close()


def _own_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
