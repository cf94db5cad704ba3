"""A user agent of many pods as processes: an edge with its relay, ua pods behind it, one store, bus and database."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.certificates import Authority
from tests.support.cluster import DOMAIN, HOST, Pod, quiet_port
from tests.support.load import LONG

APPLICATION = "load"
HELPDESK = f"sip:helpdesk@{DOMAIN}"
PASSWORD = "secret"
AGENTS = "agents.invalid"
LEASE = 6.0 if LONG else 3.0


class UaPod(Pod):
    """A ua pod; its gRPC stays at one port."""

    service = "ua"

    def __init__(self, name: str, directory: Path, settings: dict[str, Any]) -> None:
        self.rpc_port = quiet_port()
        super().__init__(name, directory, {**settings, "rpc": {"host": HOST, "port": self.rpc_port}})

    @property
    def target(self) -> str:
        """Its gRPC."""
        return f"{HOST}:{self.rpc_port}"

    @property
    def api(self) -> str:
        """URL of its REST interface, once it runs."""
        return str(json.loads((self.directory / "data" / "admin.json").read_text())["api"])


class UaCluster:
    """See the module's text.

    Args:
        directory: For everything they write.
        pods: How many ua pods.
        users: Names of SIP users.
        redis_url: The store.
        kafka: Bootstrap servers of the bus.
        database: Where messages are.
        application: More settings of the application.
        api: More settings of its interface.
        blobs: Where large bodies and files are; None: in the database.
    """

    def __init__(
        self,
        directory: Path,
        pods: int,
        users: Sequence[str],
        *,
        redis_url: str,
        kafka: str,
        database: str,
        application: Mapping[str, Any] | None = None,
        api: Mapping[str, Any] | None = None,
        blobs: Mapping[str, Any] | None = None,
    ) -> None:
        self.directory = directory
        self.authority = Authority.create(directory)
        self.msrp_port, self.sip_port = quiet_port(), quiet_port()
        self._peer_ports = quiet_port(), quiet_port()
        agent = self.authority.issue(AGENTS, file="agent")
        known = {
            "name": APPLICATION, "uris": [HELPDESK], "answer": "automatic", "outcome_timeout": 15.0,
            **(application or {}),
        }  # fmt: skip
        shared: dict[str, Any] = {
            # Where more runs than there are processors a pod may get its turn late: that is no outage.
            "redis": {"url": redis_url, "timeout": 10.0},
            "kafka": {"bootstrap_servers": kafka},
            "database": {"url": database},
            "blobs": dict(blobs or {}),
        }
        interface = {"port": 0, **(api or {})}
        ua: dict[str, Any] = {"applications": [known], "ownership": {"lease": LEASE}, "api": interface}
        self.edge = Pod("edge", directory / "edge", {**shared, **self._edge(users), "ua": ua})
        sip, msrp = self._peer_ports
        edge = {
            "sip": [f"sip:{HOST}:{sip};transport=tls"],
            "relay": f"msrps://{HOST}:{msrp};tcp",
            "certificate": agent,
            "ca_file": self.authority.ca_file,
        }
        self.pods = [
            UaPod(name, directory / name, {**shared, "ua": {**ua, "edge": edge}, "relay": {"cluster": {"name": name}}})
            for name in (f"ua{number}" for number in range(pods))
        ]

    def _edge(self, users: Sequence[str]) -> dict[str, Any]:
        certificate = self.authority.issue("localhost", addresses=(HOST,), file="edge")
        sip, msrp = self._peer_ports
        peer = {
            "name": "pods", "kind": "peer", "host": HOST, "certificates": [certificate],
            "client_ca": self.authority.ca_file,
        }  # fmt: skip
        public = {
            "name": "tls", "kind": "tls", "host": HOST, "port": self.msrp_port, "advertised_host": "localhost",
            "domain": DOMAIN, "certificates": [certificate],
        }  # fmt: skip
        keys = self.directory / "signing-keys"
        keys.write_text(f"A:{'5a' * 32}\n")
        keys.chmod(0o600)
        relay = {
            "domains": [DOMAIN],
            "signing_keys_file": str(keys),
            "cluster": {"name": "edge", "host": HOST},
            "listeners": [public, {**peer, "port": msrp}],
            "agents": [AGENTS],
            "sip": {
                "listeners": [
                    {"name": "tcp", "kind": "tcp", "host": HOST, "port": self.sip_port},
                    {**peer, "port": sip},
                ],
                "overload": {"target_delay": 4.0},
            },
            "limits": {"connections_per_address": 10_000},
        }
        return {
            "relay": relay,
            "users": [{"username": user, "domain": DOMAIN, "password": PASSWORD} for user in users],
        }

    @property
    def all_pods(self) -> list[Pod]:
        """The edge, then the ua pods."""
        return [self.edge, *self.pods]

    def start(self) -> None:
        """Start all and wait until they are ready."""
        for pod in self.all_pods:
            pod.start()
        for pod in self.all_pods:
            pod.wait_until_ready()

    def logs(self) -> str:
        """Return the ends of all logs."""
        return "\n".join(f"--- {pod.name}\n{pod.log_tail()}" for pod in self.all_pods)

    def errors(self) -> list[str]:
        """Return the lines of all logs in which an unexpected error shows."""
        return [
            f"{pod.name}: {line}"
            for pod in self.all_pods
            for line in pod.log.read_text(errors="replace").splitlines()
            if "Traceback" in line or '"level":"error"' in line.replace(" ", "")
        ]


@contextmanager
def running_agents(cluster: UaCluster) -> Iterator[UaCluster]:
    """Start the processes; they are ended when the block ends, and their logs are part of what went wrong in it."""
    try:
        cluster.start()
        yield cluster
    except BaseException as error:
        error.add_note(cluster.logs())
        raise
    finally:
        for pod in cluster.all_pods:
            pod.end()
