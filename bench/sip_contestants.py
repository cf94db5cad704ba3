"""The two that are measured with SIP: ours and Kamailio, on one CPU each, the load generator on the other."""

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.pairing import Contestant
from bench.sip_kamailio import DOMAIN, HOST, PASSWORD, running_registrar
from bench.sip_rows import Kind, Row
from tests.support.processes import Process, free_port
from wigwag.relay.config import RelaySettings

SERVER_CPU, GENERATOR_CPU = 0, 1
USER = "alice"
SOURCE_ADDRESSES = 10
"""Addresses that users are spread over: both users and addresses have limits by default."""
GATHER = 0.0001
"""Seconds that the generator lets datagrams gather: its wake-ups would else be most of its cost, and some of theirs."""


def can_edge() -> bool:
    """Tell whether this version of ours has a SIP edge."""
    return "sip" in RelaySettings.model_fields


@contextmanager
def ours(row: Row) -> Iterator[Contestant]:
    """Our edge, with default settings but for digest and the limits that a load generator would meet."""
    with tempfile.TemporaryDirectory(prefix="wigwag-edge-") as name:
        directory, port = Path(name), free_port(HOST)
        command: list[str | Path] = [Path(sys.executable).with_name("wigwag"), "run", "relay"]
        environment = edge_environment(directory, port, row)
        with Process(
            command, log=directory / "edge.log", environment=environment, directory=directory, cpu=SERVER_CPU
        ) as process:
            process.wait_for_port(HOST, port)
            yield Contestant("ours", _arguments(port, process.pid))


def edge_environment(directory: Path, port: int, row: Row) -> dict[str, str]:
    """Return our settings for a row: UDP and TCP on the same port; users are trusted unless the row demands digest."""
    listeners = [{"name": f"sip-{kind}", "kind": kind, "host": HOST, "port": port} for kind in ("udp", "tcp")]
    count = row.users if row.algorithm else 0
    users = [{"username": f"{USER}{index + 1}", "domain": DOMAIN, "password": PASSWORD} for index in range(count)]
    return {
        "WIGWAG_NODE__DATA_DIR": str(directory / "data"),
        "WIGWAG_ADMIN__PORT": "0",
        "WIGWAG_UA__API__PORT": "0",
        "WIGWAG_RELAY__LISTENERS": "[]",
        "WIGWAG_RELAY__SIP__LISTENERS": json.dumps(listeners),
        "WIGWAG_RELAY__SIP__DOMAINS": json.dumps([DOMAIN]),
        "WIGWAG_RELAY__SIP__TRUSTED_NETWORKS": "[]" if row.algorithm else '["127.0.0.0/8"]',
        "WIGWAG_USERS": json.dumps(users),
    }


@contextmanager
def kamailio(row: Row, name: str = "kamailio") -> Iterator[Contestant]:
    """Kamailio, with as many workers as the row says."""
    with running_registrar(
        algorithm=row.algorithm,
        children=row.peer_children,
        memory_mib=row.peer_memory_mib,
        touch=row.kind in (Kind.MESSAGE, Kind.REGISTER),
        cpu=SERVER_CPU,
    ) as registrar:
        yield Contestant(name, _arguments(registrar.port, registrar.pid))


def _arguments(port: int, pid: int) -> list[str]:
    options = {
        "--port": port,
        "--tree": pid,
        "--cpu": GENERATOR_CPU,
        "--domain": DOMAIN,
        "--user": USER,
        "--password": PASSWORD,
        "--source-addresses": SOURCE_ADDRESSES,
        "--gather": GATHER,
    }
    return [str(part) for option in options.items() for part in option]
