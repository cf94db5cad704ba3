"""A little HTTP server on loopback whose answers a test scripts byte by byte."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Writing = Callable[[asyncio.StreamWriter], Awaitable[None]]


def answer(status: int, body: bytes | dict[str, Any], *headers: str) -> bytes:
    """Return a whole HTTP response with a Content-Length."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Because", f"Content-Length: {len(content)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + content


@dataclass
class HttpServer:
    """What was asked, and what is answered next."""

    port: int = 0
    requests: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    """Request line, headers by lower-case name, and JSON body of each request."""
    respond: bytes | Writing = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    """The response, or what writes it; the connection is closed after the latter."""
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await self._read(reader)
                if not isinstance(self.respond, bytes):
                    await self.respond(writer)
                    break
                writer.write(self.respond)
                await writer.drain()
        writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.requests.append((head[0], headers, json.loads(body)))


@asynccontextmanager
async def http_server(port: int = 0) -> AsyncIterator[HttpServer]:
    """Serve on a loopback port (0: a free one) until the block ends."""
    state = HttpServer()
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        try:
            await state.serve(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", port)
    state.port = server.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
