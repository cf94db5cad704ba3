"""The node that is measured: relay, edge and user agent in one process on a CPU of its own, and what it needs."""

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.cluster import quiet_port
from tests.support.kafka_broker import running_kafka
from tests.support.node import WIGWAG, demo_environment, running_node
from tests.support.postgresql import running_postgresql
from wigwag.node.demo_data import ensure_demo_data

NODE_CPU, LOAD_CPU = 0, 1
END_SECONDS: Final = 60.0
APPLICATION: Final = "bench"
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where the node is reached."""

    pid: int
    rpc: str
    """Address of its gRPC."""
    rest: int
    """Port of its REST interface."""
    sip: int
    """Port of its edge, plain TCP."""
    msrp: int
    """Port of its relay, TLS."""
    ca_file: str
    passwords: Mapping[str, str]

    def cpu(self) -> float:
        """Return the seconds of CPU that the node has used, in all its threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS


@contextmanager
def running_site(
    servers: bool,
    *,
    services: Sequence[str] = ("relay", "ua"),
    settings: Mapping[str, str] | None = None,
    profile: Path | None = None,
) -> Iterator[Site]:
    """Run a node with its default settings until the block ends.

    Args:
        servers: Whether Kafka and PostgreSQL are behind it; else SQLite in it.
        services: What it hosts.
        settings: More of its environment.
        profile: File for a profile of it (cProfile); None: none is made.
    """
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wigwag-bench-")))
        behind = stack.enter_context(_servers()) if servers else {}
        ports = {name: quiet_port() for name in ("rpc", "rest", "sip", "msrp")}
        environment = {**_environment(directory, ports), **behind, **(settings or {})}
        wigwag = (WIGWAG,) if profile is None else (sys.executable, "-m", "cProfile", "-o", profile, WIGWAG)
        program = ("taskset", "--cpu-list", str(NODE_CPU), *map(str, wigwag), "run", *services, "--demo")
        node = stack.enter_context(running_node(environment, directory, program=program))
        data = ensure_demo_data(directory)
        yield Site(
            pid=node.process.pid,
            rpc=f"127.0.0.1:{ports['rpc']}",
            rest=ports["rest"],
            sip=ports["sip"],
            msrp=ports["msrp"],
            ca_file=str(data.certificates.authority),
            passwords=data.passwords,
        )
        if profile is not None:  # It is written when the node ends by itself.
            node.process.terminate()
            node.process.wait(END_SECONDS)


def _environment(directory: Path, ports: Mapping[str, int]) -> dict[str, str]:
    layer = ensure_demo_data(directory).layer(ports={"tls": ports["msrp"]}, sip_ports={"tcp": ports["sip"]})
    applications = [{"name": APPLICATION, "uris": [f"sip:{APPLICATION}@localhost"]}]
    return {
        **demo_environment(directory),
        "WIGWAG_RELAY__LISTENERS": json.dumps(layer["relay"]["listeners"]),
        "WIGWAG_RELAY__SIP__LISTENERS": json.dumps(layer["relay"]["sip"]["listeners"]),
        "WIGWAG_RPC__PORT": str(ports["rpc"]),
        "WIGWAG_UA__API__PORT": str(ports["rest"]),
        "WIGWAG_UA__APPLICATIONS": json.dumps(applications),
        "WIGWAG_NODE__LOG_LEVEL": "warning",
        "TMPDIR": str(directory),
    }


@contextmanager
def _servers() -> Iterator[dict[str, str]]:
    with running_kafka() as broker, running_postgresql() as server:
        yield {
            "WIGWAG_KAFKA__BOOTSTRAP_SERVERS": broker.bootstrap_servers,
            "WIGWAG_DATABASE__URL": server.url + server.maintenance,
        }
