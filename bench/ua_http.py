"""A frugal HTTP client for ``bench.ua``: the load must not need more CPU than what it measures."""

import asyncio
import json
from types import TracebackType
from typing import Self


class RestClient:
    """POSTs JSON over connections that stay open, as many as there are requests at a time.

    Args:
        host: Of the server.
        port: Of the server.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        for _, writer in self._idle:
            writer.close()

    async def post(self, path: str, content: object) -> tuple[int, bytes]:
        """Return status and body of the response."""
        body = json.dumps(content).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Length: {len(body)}"
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection(self._host, self._port)
        writer.write(b"%s\r\nContent-Type: application/json\r\n\r\n%s" % (head.encode(), body))
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        lengths = [int(value) for name, _, value in (line.partition(":") for line in lines) if name == "content-length"]
        found = await reader.readexactly(sum(lengths))
        self._idle.append((reader, writer))
        return int(lines[0].split()[1]), found
