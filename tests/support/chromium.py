"""A page in headless Chromium as a SIP client with MSRP over WebSocket, driven over the DevTools protocol."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from websockets.asyncio.client import ClientConnection, connect

from tests.support.edge_under_test import SipEdge
from tests.support.node_client import SCRIPTS, PeerClient
from tests.support.peers import require_node_peers, require_peer
from tests.support.waiting import until

PAGE: Final = Path(__file__).with_name("browser") / "page.html"
START_SECONDS: Final = 60.0
_TYPES: Final = {".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript"}


class PageClient(PeerClient):
    """The client in a page, once it is connected.

    Args:
        name: For error messages.
        devtools: The connection to the page.
    """

    def __init__(self, name: str, devtools: ClientConnection) -> None:
        super().__init__(name)
        self._devtools = devtools
        self._numbers = count(1)

    async def call(self, method: str, **params: object) -> None:
        """Send a command of the DevTools protocol."""
        await self._devtools.send(json.dumps({"id": next(self._numbers), "method": method, "params": params}))

    async def open(self, url: str) -> None:
        """Load a page that tells of itself by ``tell``."""
        for domain in ("Runtime", "Page", "Log"):
            await self.call(f"{domain}.enable")
        await self.call("Runtime.addBinding", name="tell")
        await self.call("Page.navigate", url=url)
        await self.event("ready", seconds=START_SECONDS)

    def do(self, command: str, **fields: object) -> None:
        text = json.dumps({"do": command, **fields})
        self._start(self.call("Runtime.evaluate", expression=f"carryOut({text}); 0"))

    async def _line(self) -> str:
        while True:
            message = json.loads(await self._devtools.recv())
            params = message.get("params", {})
            match message.get("method"):
                case "Runtime.bindingCalled":
                    return str(params["payload"])
                case "Runtime.exceptionThrown":
                    return json.dumps({"event": "error", "command": "page", "cause": json.dumps(params)})
                case "Log.entryAdded":
                    return json.dumps({"event": "wire", "way": "log", "message": params["entry"]["text"]})
                case _:
                    continue


@asynccontextmanager
async def chromium_client(
    edge: SipEdge, user: str, certificate: str, *, sdp: str, page: tuple[str, int]
) -> AsyncIterator[PageClient]:
    """Run a page until the block ends; it is connected, not registered.

    Args:
        edge: Where it connects to, over secure WebSocket.
        user: Who it is.
        certificate: PEM file whose key the browser trusts.
        sdp: What it offers and answers.
        page: Host and port that the page is served from.
    """
    program = require_peer("chromium")
    _, peers = require_node_peers()
    settings = {
        "url": edge.url("wss"), "uri": edge.aor(user), "user": user, "password": edge.users[user], "sdp": sdp,
        "expires": 300,
    }  # fmt: skip
    folders = {"sip.js": peers / "node_modules" / "sip.js", "node": SCRIPTS}
    async with (
        _served(folders, *page),
        _browser(program, edge.log.with_name("chromium"), certificate) as target,
        connect(target, proxy=None, max_size=None) as devtools,
    ):
        client = PageClient(f"the page of {user}", devtools)
        await client.open(f"http://{page[0]}:{page[1]}/#{quote(json.dumps(settings))}")
        yield client
        await client.close()


@asynccontextmanager
async def _browser(program: Path, directory: Path, certificate: str) -> AsyncIterator[str]:
    """Run Chromium with a profile of its own; yields the DevTools URL of its page."""
    directory.mkdir()  # noqa: ASYNC240 (a test's own folder)
    with (directory / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            str(program),
            "--headless=new",
            # CI is root, and a root's browser has no sandbox.
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-proxy-server",
            f"--user-data-dir={directory / 'profile'}",
            f"--ignore-certificate-errors-spki-list={_pin(certificate)}",
            "--remote-debugging-port=0",
            "about:blank",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        port_file = directory / "profile" / "DevToolsActivePort"
        await until(lambda: process.returncode is not None or _lines(port_file), START_SECONDS)
        assert process.returncode is None, (directory / "log").read_text(errors="replace")[-2_000:]
        async with httpx.AsyncClient(trust_env=False) as client:
            targets: list[dict[str, Any]] = (await client.get(f"http://127.0.0.1:{_lines(port_file)[0]}/json")).json()
        yield next(each["webSocketDebuggerUrl"] for each in targets if each["type"] == "page")
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _lines(file: Path) -> list[str]:
    text = file.read_text() if file.exists() else ""
    return text.splitlines() if "\n" in text else []


def _pin(certificate: str) -> str:
    """Return the key of a certificate as Chromium wants to be told of it."""
    key = x509.load_pem_x509_certificates(Path(certificate).read_bytes())[0].public_key()
    return base64.b64encode(
        hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    ).decode()


@asynccontextmanager
async def _served(folders: dict[str, Path], host: str, port: int) -> AsyncIterator[None]:
    """Serve the page at /, and folders beside it."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
            folder, _, rest = path.lstrip("/").partition("/")
            file = PAGE if path == "/" else folders.get(folder, PAGE.parent) / rest
            content = file.read_bytes() if file.is_file() else None
            head = "200 OK" if content is not None else "404 Not Found"
            kind = _TYPES.get(file.suffix, "application/octet-stream")
            writer.write(
                f"HTTP/1.1 {head}\r\nContent-Type: {kind}\r\nContent-Length: {len(content or b'')}\r\n"
                "Connection: close\r\n\r\n".encode()
                + (content or b"")
            )
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, host, port)
    async with server:
        yield
