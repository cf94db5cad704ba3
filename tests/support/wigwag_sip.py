"""Our SIP edge as a process of its own, ``wigwag run relay``, on free loopback ports."""

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.support.certificates import Authority
from tests.support.edge_under_test import DOMAIN, RESOLVABLE, TRANSPORTS, USERS, SipEdge, free_sip_port
from tests.support.processes import Process

HOST: Final = "127.0.0.1"


@contextmanager
def wigwag_edge(
    algorithms: Sequence[str] | None = None,
    trusted: Sequence[str] = (),
    routes: Sequence[Mapping[str, object]] = (),
    outbound_ca: str = "",
) -> Iterator[SipEdge]:
    """Run the relay with SIP listeners alone until the block ends, with default settings but for what is given.

    Args:
        algorithms: Digest algorithms offered, in order; None: the default.
        trusted: Networks of neighbours.
        routes: Rows of the SIP routing table.
        outbound_ca: PEM file of the authorities of next hops.

    Raises:
        ProcessError: It did not start; the text holds its log.
    """
    with tempfile.TemporaryDirectory(prefix="wigwag-edge-") as name:
        directory = Path(name)
        authority = Authority.create(directory)
        pair = authority.issue("localhost", DOMAIN, addresses=(HOST,))
        ports = {transport: free_sip_port() for transport in TRANSPORTS}
        environment = _environment(directory, ports, pair)
        if algorithms is not None:
            environment["WIGWAG_RELAY__DIGEST_ALGORITHMS"] = json.dumps(list(algorithms))
        if trusted:
            environment["WIGWAG_RELAY__SIP__TRUSTED_NETWORKS"] = json.dumps(list(trusted))
        if routes:
            environment["WIGWAG_RELAY__SIP__ROUTES"] = json.dumps(list(routes))
        if outbound_ca:
            environment["WIGWAG_RELAY__OUTBOUND_CA"] = outbound_ca
        command: list[str | Path] = [Path(sys.executable).with_name("wigwag"), "run", "relay"]
        with Process(command, log=directory / "log", environment=environment, directory=directory) as process:
            process.wait_for_port(HOST, ports["wss"])
            yield SipEdge(name="wigwag", host=HOST, ports=ports, ca_file=authority.ca_file, log=process.log)


def _environment(directory: Path, ports: dict[str, int], pair: tuple[str, str]) -> dict[str, str]:
    users = [
        {"username": user, "domain": domain, "password": password}
        for user, password in USERS.items()
        for domain in (DOMAIN, RESOLVABLE)
    ]
    return {
        "WIGWAG_NODE__DATA_DIR": str(directory / "data"),
        "WIGWAG_ADMIN__PORT": "0",
        "WIGWAG_UA__API__PORT": "0",
        "WIGWAG_RELAY__LISTENERS": "[]",
        "WIGWAG_RELAY__SIP__LISTENERS": json.dumps([_listener(kind, port, pair) for kind, port in ports.items()]),
        "WIGWAG_RELAY__SIP__DOMAINS": json.dumps([DOMAIN, RESOLVABLE]),
        "WIGWAG_USERS": json.dumps(users),
    }


def _listener(kind: str, port: int, pair: tuple[str, str]) -> dict[str, object]:
    listener: dict[str, object] = {"name": f"sip-{kind}", "kind": kind, "host": HOST, "port": port}
    if kind in ("tls", "wss"):
        listener["certificates"] = [pair]
    if kind == "tls":
        # Linphone's TLS library compares host names only, so that is the name by which it is sent here.
        listener["advertised_host"] = "localhost"
    return listener
