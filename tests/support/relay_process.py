"""Our relay as a process of its own, ``wigwag run relay``, on free loopback ports."""

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import Process, free_port

DOMAIN = "wigwag.example"
USERNAME = "alice"
PASSWORD = "secret"
HOST = "127.0.0.1"
OPEN_ROUTE: Mapping[str, object] = {"action": "forward", "allow_private": True}
"""Lets the relay connect to loopback, where all peers of a test are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayProcess:
    """A running relay.

    Args:
        ports: Port of each listener, by its kind.
        pid: Its process id.
        log: File with its log.
    """

    ports: Mapping[str, int]
    pid: int
    log: Path

    def uri(self, kind: str) -> str:
        """Return the MSRP URI of the listener of that kind, to be used as To-Path of AUTH."""
        scheme = "msrps" if kind in ("tls", "wss") else "msrp"
        return f"{scheme}://{HOST}:{self.ports[kind]};{'ws' if kind in ('ws', 'wss') else 'tcp'}"


@contextmanager
def running_relay(
    *kinds: str,
    certificate: tuple[str, str] | None = None,
    authority: str | None = None,
    users: Sequence[str] = (USERNAME,),
    routes: Sequence[Mapping[str, object]] = (OPEN_ROUTE,),
    cpu: int | None = None,
) -> Iterator[RelayProcess]:
    """Run the relay until the block ends, with default settings but for what is given.

    Args:
        kinds: Listeners: ``tcp``, ``tls``, ``ws``, ``wss``. AUTH is allowed on all, since they are on loopback.
        certificate: PEM files (certificate, key) of the encrypted listeners.
        authority: PEM file of who signed the certificates of relays it connects to.
        users: Names; the password of each is ``PASSWORD``.
        routes: Its routing table.
        cpu: CPU it is pinned to; None: any.

    Raises:
        ProcessError: It did not start; the text holds its log.
    """
    with tempfile.TemporaryDirectory(prefix="wigwag-relay-") as name:
        directory = Path(name)
        ports = {kind: free_port() for kind in kinds}
        environment = _environment(directory, [_listener(*item, certificate) for item in ports.items()], users, routes)
        if authority:
            environment["WIGWAG_RELAY__OUTBOUND_CA"] = authority
        wigwag = Path(sys.executable).with_name("wigwag")
        command: list[str | Path] = [wigwag, "run", "relay"]
        log = directory / "relay.log"
        with Process(command, log=log, environment=environment, directory=directory, cpu=cpu) as process:
            for port in ports.values():
                process.wait_for_port(HOST, port)
            yield RelayProcess(ports=ports, pid=process.pid, log=log)


def _environment(
    directory: Path,
    listeners: Sequence[Mapping[str, object]],
    users: Sequence[str],
    routes: Sequence[Mapping[str, object]],
) -> dict[str, str]:
    rows = [{"username": user, "domain": DOMAIN, "password": PASSWORD} for user in users]
    return {
        "WIGWAG_NODE__DATA_DIR": str(directory / "data"),
        "WIGWAG_ADMIN__PORT": "0",
        "WIGWAG_RELAY__LISTENERS": json.dumps([dict(listener) for listener in listeners]),
        "WIGWAG_RELAY__ROUTES": json.dumps([dict(route) for route in routes]),
        "WIGWAG_USERS": json.dumps(rows),
    }


def _listener(kind: str, port: int, certificate: tuple[str, str] | None) -> dict[str, object]:
    listener: dict[str, object] = {"name": kind, "kind": kind, "host": HOST, "port": port, "domain": DOMAIN}
    if kind in ("tls", "wss"):
        if certificate is None:
            raise ValueError(f"a {kind} listener needs a certificate")
        listener["certificates"] = [list(certificate)]
    else:
        listener["plain_auth"] = True
    return listener
