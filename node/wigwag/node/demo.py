"""``wigwag demo``: two clients talk through a relay on real sockets, and every octet is compared."""

import asyncio
import hashlib
import os
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from wigwag.errors import ServiceError
from wigwag.protocols.msrp import MsrpUri
from wigwag.runtime import logging
from wigwag.transport.connector import Connector
from wigwag.transport.resolver import Resolver
from wigwag.transport.tls import client_context

from .client import AdminClient
from .configuration import load
from .conversation import DemoFailedError, Participant, ReceivedMessage
from .demo_data import DemoData, ensure_demo_data, existing_demo_data
from .settings import Settings
from .terminal import console

_PIECE = 1_048_576


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the conversation takes place."""

    relay: MsrpUri
    data: DemoData
    description: str


def play_demo(*, config: Path | None, octets: int, embedded: bool) -> None:
    """Play the demo and print each step.

    Args:
        config: The TOML file, if not the usual one.
        octets: Size of the file that is sent.
        embedded: Do not look for a running node.

    Raises:
        WigwagError: Something differs, or the relay could not be reached or started.
    """
    # What goes wrong is told by the demo itself; an own relay's log would stand between its lines.
    logging.configure(level="error", style="text")
    settings = load(os.environ, file=config).settings
    asyncio.run(_play(settings, octets, embedded))


async def _play(settings: Settings, octets: int, embedded: bool) -> None:
    out = console()
    async with AsyncExitStack() as stack:
        stage = None if embedded else _running_stage(settings)
        if stage is None:
            stage = await stack.enter_async_context(_embedded_stage())
        out.print(f"relay: {stage.relay} ({stage.description})", markup=False)
        await Conversation(stage, out).play(octets)
    out.print("[bold green]all of it arrived as it was sent[/bold green]")


def _running_stage(settings: Settings) -> Stage | None:
    """Return the demo node that runs with these settings, if any."""
    data = existing_demo_data(settings.node.data_dir)
    if data is None:
        return None
    try:
        with AdminClient.of(settings) as client:
            listeners = client.get("/v1/relay/listeners")
    except ServiceError:
        return None
    ports = [listener["port"] for listener in listeners if listener["kind"] == "tls"]
    return Stage(_relay_uri(ports[0]), data, "a running node") if ports else None


@asynccontextmanager
async def _embedded_stage() -> AsyncIterator[Stage]:
    from .application import Node

    with tempfile.TemporaryDirectory(prefix="wigwag-demo-") as directory:
        data = ensure_demo_data(Path(directory))
        layer = data.layer(ports={"tls": 0}, sip_ports={})
        settings = Settings.model_validate({**layer, "node": {"data_dir": directory}, "admin": {"port": 0}})
        async with Node(settings, ["relay"]) as node:
            with AdminClient(node.admin_url) as client:
                (listener,) = await asyncio.to_thread(client.get, "/v1/relay/listeners")
            yield Stage(_relay_uri(listener["port"]), data, "embedded")


def _relay_uri(port: int) -> MsrpUri:
    return MsrpUri.parse(f"msrps://localhost:{port};tcp")


class Conversation:
    """The play.

    Args:
        stage: The relay and the users.
        out: Where steps are printed.
    """

    def __init__(self, stage: Stage, out: Console) -> None:
        self._stage = stage
        self._out = out
        self._show_progress: Callable[[int], None] | None = None

    async def play(self, octets: int) -> None:
        """Play all steps.

        Raises:
            WigwagError: The first thing that was not as it has to be.
        """
        context = client_context(ca_file=str(self._stage.data.certificates.authority))
        connector = Connector(Resolver(choose=lambda most: secrets.randbelow(most + 1)), tls=lambda: context)
        alice = Participant("alice", random=secrets.token_bytes)
        bob = Participant("bob", random=secrets.token_bytes, on_progress=self._on_file_octets)
        try:
            for one in (alice, bob):
                await one.join(connector, self._stage.relay, self._stage.data.passwords[one.name])
                self._step(f"{one.name} came in by TLS and AUTH: {one.path[0]}")
            # As SDP would have it: the one who asked for the session sends first (RFC 4975 section 5.4).
            bob.talk_to(alice, passive=False)
            alice.talk_to(bob, passive=False)
            await self._text(alice, bob, "Hello Bob, how far does this reach?")
            await self._text(bob, alice, "All the way, Alice: grüß Gott, 你好, 🚩")
            await self._file(alice, bob, octets)
        finally:
            await asyncio.gather(alice.leave(), bob.leave())

    async def _text(self, sender: Participant, receiver: Participant, text: str) -> None:
        sender.send_text(text)
        body = text.encode()
        expected = ReceivedMessage("text/plain", len(body), hashlib.sha256(body).hexdigest())
        _compare(receiver.name, await receiver.received(), expected)
        await sender.reported(len(body))
        self._step(f"{sender.name} to {receiver.name}: {text!r}; received, and reported back")

    async def _file(self, sender: Participant, receiver: Participant, octets: int) -> None:
        with tempfile.TemporaryFile() as file, self._progress() as progress:
            digest = _fill(file, octets)
            bar = progress.add_task(f"{sender.name} to {receiver.name}", total=octets)
            self._show_progress = lambda count: progress.update(bar, completed=count)
            started = time.monotonic()
            sender.send_file(file, octets)
            received = await receiver.received()
            seconds = time.monotonic() - started
            _compare(receiver.name, received, ReceivedMessage("application/octet-stream", octets, digest))
            await sender.reported(octets)
        rate = octets / seconds / 1e6
        self._step(f"file of {octets:,} octets in {seconds:.1f} s ({rate:.0f} MB/s), SHA-256 {digest[:16]}... is equal")

    def _on_file_octets(self, count: int) -> None:
        if self._show_progress is not None:
            self._show_progress(count)

    def _progress(self) -> Progress:
        return Progress(
            TextColumn("  {task.description}"),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            console=self._out,
            transient=True,
            disable=not self._out.is_terminal,
        )

    def _step(self, text: str) -> None:
        self._out.print(f"  ok  {text}", markup=False)


def _fill(file: BinaryIO, octets: int) -> str:
    """Write so many random octets and go back to the beginning; returns their SHA-256."""
    digest = hashlib.sha256()
    while octets > 0:
        piece = secrets.token_bytes(min(octets, _PIECE))
        digest.update(piece)
        file.write(piece)
        octets -= len(piece)
    file.seek(0)
    return digest.hexdigest()


def _compare(name: str, received: ReceivedMessage, expected: ReceivedMessage) -> None:
    if received.content_type != expected.content_type:
        raise DemoFailedError(f"{name} got {received.content_type} in place of {expected.content_type}")
    if received.octets != expected.octets:
        raise DemoFailedError(f"{name} got {received.octets} octets of {expected.octets}")
    if received.sha256 != expected.sha256:
        raise DemoFailedError(
            f"{name} got other octets than were sent: SHA-256 {received.sha256} in place of {expected.sha256}"
        )
