"""``wigwag run``: reads the settings, says what will happen, and runs the node."""

import os
from collections.abc import Sequence
from pathlib import Path

from wigwag.runtime import logging

from .application import Node, run_in_loop, serve
from .client import admin_url
from .configuration import Configuration, load
from .demo_data import DemoData, ensure_demo_data
from .modules import chosen
from .settings import Settings
from .terminal import console


def run_node(services: Sequence[str], *, config: Path | None, demo: bool) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        WigwagError: The node can't start.
    """
    names = chosen(services)
    configuration = load(os.environ, file=config)
    data = None
    if demo:
        data = ensure_demo_data(configuration.settings.node.data_dir)
        configuration = load(os.environ, file=config, demo=data.layer())
    settings = configuration.settings
    logging.configure(level=settings.node.log_level, style=settings.node.log_format)
    if data is not None:
        _greet(configuration, data)
    run_in_loop(serve(Node(settings, names)))


def _greet(configuration: Configuration, data: DemoData) -> None:
    """Say who is there, where, and what to try."""
    settings = configuration.settings
    out = console()
    out.print("\n[bold]Wigwag demo node[/bold] (loopback only, do not expose it)\n")
    for listener in settings.relay.listeners:
        scheme = "msrps" if listener.kind in ("tls", "wss", "peer") else "msrp"
        transport = listener.kind if listener.kind in ("ws", "wss") else "tcp"
        out.print(
            f"  {listener.kind:<5} {scheme}://{listener.advertised_host or listener.host}:{listener.port};{transport}"
        )
    out.print()
    for name, password in data.passwords.items():
        out.print(f"  user  {name}@localhost  password {password}")
    out.print(f"\n  trust {data.certificates.authority}")
    if settings.admin.port:
        out.print(f"  admin {admin_url(settings)}  (/readyz, /metrics, /v1/openapi.json)")
    _suggest(settings)


def _suggest(settings: Settings) -> None:
    lines = {
        "wigwag demo": "two clients, TLS, texts and a file of 20 MiB through this node",
        "wigwag sessions list": "who is there",
        "wigwag user add carol@localhost": "one more user",
        "wigwag check-config": "every setting and where it came from",
    }
    out = console()
    out.print("\nIn another terminal (after: [bold]. .venv/bin/activate[/bold]):\n")
    for command, meaning in lines.items():
        out.print(f"  [bold]{command:<32}[/bold] {meaning}")
    out.print("\nCtrl-C ends it; the data stay in", str(settings.node.data_dir), "\n")
