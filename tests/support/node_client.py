"""JsSIP and SIP.js as SIP clients over WebSocket, each in a Node process that is told what to do by lines of JSON."""

import asyncio
import json
import os
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from tests.support.edge_under_test import SipEdge
from tests.support.peers import require_node_peers

CLIENTS: Final = ("jssip", "sipjs")
SCRIPTS: Final = Path(__file__).with_name("node")
SECONDS: Final = 15.0
"""Longest wait for an event."""


class PeerClient(ABC):
    """A client that is connected; ``do`` makes it act, ``event`` waits for what it tells.

    Args:
        name: For error messages.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._told: list[dict[str, Any]] = []
        self._lines: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.is_registered = False

    @abstractmethod
    def do(self, command: str, **fields: object) -> None:
        """Give a command."""

    @abstractmethod
    async def _line(self) -> str:
        """Return the next event, as JSON; empty: it has ended."""

    async def event(self, *names: str, seconds: float = SECONDS) -> dict[str, Any]:
        """Return the oldest event of one of these names that was not yet returned.

        Raises:
            AssertionError: None came within ``seconds``, or the client reported an error of its own.
        """
        try:
            async with asyncio.timeout(seconds):
                while (found := self._take(names)) is None:
                    await self._read()
        except TimeoutError:
            raise AssertionError(f"{self._name} told of no {' or '.join(names)}:\n{self._story()}") from None
        return found

    async def close(self) -> None:
        """Wait until every command was given."""
        await asyncio.gather(*self._tasks)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _take(self, names: tuple[str, ...]) -> dict[str, Any] | None:
        for index, event in enumerate(self._told):
            if event["event"] in names:
                return self._told.pop(index)
        return None

    def _story(self) -> str:
        return "\n".join(line.rstrip() + "\n" for line in self._lines)

    async def _read(self) -> None:
        line = await self._line()
        if not line:
            raise AssertionError(f"{self._name} ended:\n{self._story()}")
        event = json.loads(line)
        if event["event"] == "wire":
            self._lines.append(f"{event['way']} {event['message']}")
            return
        self._lines.append(line)
        if event["event"] == "error":
            raise AssertionError(f"{self._name} failed at {event['command']}: {event['cause']}")
        if event["event"] in ("registered", "unregistered"):
            self.is_registered = event["event"] == "registered"
        self._told.append(event)


class NodeClient(PeerClient):
    """The client in a Node process.

    Args:
        name: For error messages.
        process: The Node process.
    """

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        super().__init__(name)
        self._process = process

    def do(self, command: str, **fields: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": command, **fields}).encode() + b"\n")

    async def _line(self) -> str:
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode()


@asynccontextmanager
async def node_client(
    kind: str,
    edge: SipEdge,
    user: str,
    *,
    transport: str = "ws",
    password: str | None = None,
    sdp: str = "",
    expires: int = 300,
) -> AsyncIterator[NodeClient]:
    """Run a client until the block ends; it is connected, not registered.

    Args:
        kind: ``jssip`` or ``sipjs``.
        edge: Where it connects to.
        user: Who it is.
        transport: ``ws`` or ``wss``.
        password: Another than the user's own.
        sdp: What it offers and answers.
        expires: Seconds that it registers for.
    """
    node, directory = require_node_peers()
    settings = {
        "url": edge.url(transport),
        "uri": edge.aor(user),
        "user": user,
        "password": password or edge.users[user],
        "sdp": sdp,
        "expires": expires,
    }
    process = await asyncio.create_subprocess_exec(
        str(node),
        str(SCRIPTS / f"{kind}_client.mjs"),
        json.dumps(settings),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "WIGWAG_NODE_PEERS": str(directory), "NODE_EXTRA_CA_CERTS": edge.ca_file},
    )
    client = NodeClient(f"{kind} of {user}", process)
    try:
        await client.event("connected")
        yield client
    finally:
        process.kill()
        await process.communicate()


@asynccontextmanager
async def registered(
    kind: str, edge: SipEdge, user: str, *, transport: str = "ws", sdp: str = ""
) -> AsyncIterator[NodeClient]:
    """Run a client that has registered; its binding is removed at the end, whatever it did to it before."""
    async with node_client(kind, edge, user, transport=transport, sdp=sdp) as client, registration_of(client):
        yield client


@asynccontextmanager
async def registration_of(client: PeerClient) -> AsyncIterator[None]:
    """Let a client be registered for the length of the block."""
    client.do("register")
    await client.event("registered")
    yield
    if client.is_registered:
        client.do("unregister")
        await client.event("unregistered")
