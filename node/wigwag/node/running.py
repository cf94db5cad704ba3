"""``wigwag run``: reads the settings, says what will happen, and runs the node."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from wigwag.database import Database
from wigwag.relay.config import ListenerSettings
from wigwag.runtime import logging

from .agents import certificates, is_embedded
from .application import Node, run_in_loop, serve
from .configuration import load
from .data_directory import make_data_directory
from .demo_data import DOMAIN, DemoData, ensure_demo_data
from .modules import UA, chosen, without_idle
from .settings import Settings
from .terminal import console
from .workers import Worker, check, supervise


def run_node(services: Sequence[str], *, config: Path | None, demo: bool, workers: int | None = None) -> None:
    """Run until SIGTERM or SIGINT.

    Args:
        services: Names of services and groups; none: all.
        config: The TOML file, if not the usual one.
        demo: Whether to add demo data.
        workers: Processes that share the listeners' ports; None: as the settings say.

    Raises:
        WigwagError: The node can't start.
    """
    worker = Worker.of_environment(os.environ)
    names = chosen(services)
    configuration = load(os.environ, file=config)
    data = None
    if demo:
        data = ensure_demo_data(configuration.settings.node.data_dir)
        configuration = load(os.environ, file=config, demo=data.layer())
    settings = configuration.settings
    names = without_idle(names, services, settings)
    # gRPC's native part writes lines of its own to standard error, which are no JSON.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    logging.configure(level=settings.node.log_level, style=settings.node.log_format)
    count = workers or settings.node.workers
    if worker is None and count > 1:
        _run_workers(settings, services, config=config, demo=demo, count=count)
        return
    greets = data is not None and (worker is None or worker.number == 1)
    greeting = partial(_greet, data) if data is not None and greets else lambda node: None
    run_in_loop(serve(Node(settings, names, worker=worker), greeting))


def _run_workers(settings: Settings, services: Sequence[str], *, config: Path | None, demo: bool, count: int) -> None:
    """Prepare what workers would make at the same time, then let them run."""
    check(settings, count)
    make_data_directory(settings.node.data_dir)
    if UA in without_idle(chosen(services), services, settings) and is_embedded(settings):
        certificates(settings)
    arguments = ["run", *services, *(["--config", str(config)] if config is not None else [])]
    run_in_loop(_prepare_and_supervise(settings, [*arguments, *(["--demo"] if demo else [])], count))


async def _prepare_and_supervise(settings: Settings, arguments: Sequence[str], count: int) -> None:
    async with Database(settings.database_url):
        pass  # Its tables are up to date now.
    await supervise(arguments, count)


def _greet(data: DemoData, node: Node) -> None:
    """Say who is there, where, and what to try."""
    out = console()
    out.print("\n[bold]Wigwag demo node[/bold], on loopback only\n")
    for listener in node.settings.relay.listeners:
        out.print(f"  {listener.kind:<6}{_address(listener)}")
    for sip in node.settings.relay.sip.listeners:
        out.print(f"  {sip.kind:<6}sip:{sip.advertised_host or sip.host}:{sip.port};transport={sip.kind}")
    for name, password in data.passwords.items():
        out.print(f"  user  {name}@{DOMAIN}, password {password}")
    out.print(f"  trust {data.certificates.authority}")
    out.print(f"  admin {node.admin_url}  (/readyz, /metrics, /v1/openapi.json)")
    out.print(f"  gRPC  {node.rpc_target}  (health, reflection, RelayService)")
    _suggest(out)
    out.print(f"Ctrl-C ends it; the data stay in {node.settings.node.data_dir}\n")


def _address(listener: ListenerSettings) -> str:
    host = listener.advertised_host or listener.host
    if listener.kind in ("ws", "wss"):
        return f"{listener.kind}://{host}:{listener.port}/  (subprotocol {listener.subprotocol})"
    return f"{'msrp' if listener.kind == 'tcp' else 'msrps'}://{host}:{listener.port};tcp"


def _suggest(out: Console) -> None:
    lines = {
        "wigwag demo": "two clients, TLS, texts and a file of 20 MiB through this node",
        "wigwag chat --as sip:bob@localhost": "waits for somebody to chat with",
        "wigwag chat sip:bob@localhost --as sip:alice@localhost": "calls him, in one more terminal",
        "wigwag receive --as sip:bob@localhost": "registers bob and prints his SIP messages",
        "wigwag send --as sip:alice@localhost --to sip:bob@localhost hi": "sends him one",
        "wigwag status": "how every part of it is",
        "wigwag relay sessions list": "who is there",
        "wigwag user add carol@localhost": "one more user",
        "wigwag trace alice@localhost": "her traffic as pcap, without bodies and credentials",
        "wigwag check-config": "every setting and where it came from",
    }
    out.print("\nIn another terminal, after [bold]. .venv/bin/activate[/bold]:\n")
    for command, meaning in lines.items():
        out.print(f"  [bold]{command:<63}[/bold] {meaning}")
    out.print()
