"""A relay node with one listener of each kind, and clients of any kind at it."""

import asyncio
import itertools
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from tests.support.certificates import Authority
from tests.support.live_client import LiveClient, Received, StreamWire, open_wire
from tests.support.node import RelayNode
from wigwag.transport.tls import client_context

DOMAIN = "wigwag.example"
HOST = "relay.test"
MUTE = "mute"
"""A user who may not use the relay."""
PASSWORDS = {name: f"{name}-secret" for name in ("alice", "bob", "carol", MUTE)}
KINDS = ("tcp", "tls", "ws", "wss", "peer", "tcp6")
CLIENT_HOST = "client.test"
"""Name in the certificate that clients show to the peer listener."""

_numbers = itertools.count(1)
"""For URIs: the same one by the same user would resume the session of an earlier test."""


def relay_settings(
    certificate: tuple[str, str] | None = None, ca_file: str = "", kinds: tuple[str, ...] = ("tcp",), **relay: Any
) -> dict[str, Any]:
    """Return settings of a node; ``relay`` is what its section holds beside listeners.

    A kind ``closed`` is a plain one on which AUTH is not allowed.
    """
    listeners = [_listener(kind, certificate, ca_file) for kind in kinds]
    return {"users": [_user(name) for name in PASSWORDS], "relay": {"listeners": listeners, **relay}}


def _user(name: str) -> dict[str, Any]:
    return {"username": name, "domain": DOMAIN, "password": PASSWORDS[name], "may_relay": name != MUTE}


def _listener(kind: str, certificate: tuple[str, str] | None, ca_file: str) -> dict[str, Any]:
    listener: dict[str, Any] = {"name": kind, "kind": kind, "port": 0, "domain": DOMAIN, "advertised_host": HOST}
    if kind == "tcp6":
        listener |= {"kind": "tcp", "host": "::1"}
        del listener["advertised_host"]
    if kind == "closed":
        return listener | {"kind": "tcp"}
    if kind in ("tcp", "tcp6", "ws"):
        listener["plain_auth"] = True
    else:
        listener["certificates"] = [certificate]
    if kind == "peer":
        listener["client_ca"] = ca_file
    return listener


class Clients:
    """Opens clients at one node, and closes them.

    Args:
        node: The relay.
        authority: Whose certificates the relay and its peers have; None: plain kinds only.
    """

    def __init__(self, node: RelayNode, authority: Authority | None = None) -> None:
        self.node = node
        self._authority = authority
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "Clients":
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    async def connect(self, kind: str = "tcp", *, uri: str | None = None) -> LiveClient:
        """Open a connection; nobody has AUTHed on it."""
        listener = self.node.listeners[kind]
        wire = await open_wire(
            kind, listener["host"] if kind == "tcp6" else "127.0.0.1", listener["port"], self.tls(kind), HOST
        )
        number = next(_numbers)
        transport = "ws" if kind in ("ws", "wss") else "tcp"
        host = CLIENT_HOST if kind == "peer" else f"c{number}.invalid"
        scheme = "msrps" if kind in ("tls", "wss", "peer") else "msrp"
        client = LiveClient(wire, uri or f"{scheme}://{host}:2855/s{number}{kind};{transport}")
        self._stack.push_async_callback(client.close)
        return client

    async def join(self, user: str = "alice", kind: str = "tcp", *, uri: str | None = None) -> LiveClient:
        """Open a connection and AUTH on it."""
        client = await self.connect(kind, uri=uri)
        return await client.authenticate(self.uri(kind), user, PASSWORDS[user])

    def uri(self, kind: str = "tcp") -> str:
        """Return the To-Path of an AUTH on a listener."""
        listener = self.node.listeners[kind]
        scheme = "msrps" if kind in ("tls", "wss", "peer") else "msrp"
        host = "[::1]" if kind == "tcp6" else HOST
        return f"{scheme}://{host}:{listener['port']};{'ws' if kind in ('ws', 'wss') else 'tcp'}"

    def tls(self, kind: str = "tls") -> ssl.SSLContext | None:
        """Return a context that trusts the authority, with a certificate for the peer listener."""
        if self._authority is None or kind not in ("tls", "wss", "peer"):
            return None
        certificate = self._authority.issue(CLIENT_HOST) if kind == "peer" else None
        return client_context(ca_file=self._authority.ca_file, certificate=certificate)


class ListeningPeer:
    """A peer without a relay that waits for the relay to connect to it."""

    def __init__(self) -> None:
        self.port = 0
        self.accepted: list[LiveClient] = []

    @property
    def uri(self) -> str:
        """Its URI."""
        return f"msrp://127.0.0.1:{self.port}/waiting;tcp"

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take up a connection."""
        self.accepted.append(LiveClient(StreamWire(reader, writer), self.uri))

    @property
    def messages(self) -> dict[str, Received]:
        """What came over all its connections."""
        return {name: message for client in self.accepted for name, message in client.received.items()}


@asynccontextmanager
async def listening_peer() -> AsyncIterator[ListeningPeer]:
    """Listen on a free loopback port until the block ends."""
    peer = ListeningPeer()
    server = await asyncio.start_server(peer.connected, "127.0.0.1", 0)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()
        for client in peer.accepted:
            await client.close()
