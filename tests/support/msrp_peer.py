"""A small MSRP endpoint that peers connect to, for user agents of tests that have only SIP."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.live_client import PATIENCE, LiveClient, StreamWire
from tests.support.waiting import until


class ListeningPeer:
    """Waits for connections; each is a ``LiveClient``.

    Args:
        name: Session part of its URI.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.uri = ""
        self.connections: list[LiveClient] = []

    async def connected(self, number: int = 1) -> LiveClient:
        """Wait for so many connections; returns the last of them."""
        await until(lambda: len(self.connections) >= number, PATIENCE)
        return self.connections[number - 1]

    async def texts(self, count: int) -> list[bytes]:
        """Wait for so many messages with a body, over whatever connection; returns their bodies."""

        def found() -> list[bytes]:
            taken = [received for one in self.connections for received in one.received.values()]
            return [received.body for received in taken if received.body and received.flags.endswith("$")]

        await until(lambda: len(found()) >= count, PATIENCE)
        return found()

    async def say(self, text: bytes) -> tuple[str, int]:
        """Send over the last connection, back to where its first message came from."""
        connection = self.connections[-1]
        await until(lambda: bool(connection.received), PATIENCE)
        head = next(iter(connection.received.values())).head
        return await connection.send(" ".join(map(str, head.from_path)), text)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(LiveClient(StreamWire(reader, writer), self.uri))


@asynccontextmanager
async def listening_peer(name: str = "theirs", tls: ssl.SSLContext | None = None) -> AsyncIterator[ListeningPeer]:
    """Run an endpoint on a free loopback port until the block ends."""
    peer = ListeningPeer(name)
    server = await asyncio.start_server(peer._take, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    peer.uri = f"{'msrps' if tls else 'msrp'}://127.0.0.1:{port}/{name};tcp"
    try:
        yield peer
    finally:
        server.close()
        for connection in peer.connections:
            await connection.close()
