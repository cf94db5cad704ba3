"""Relay pods as processes of their own that are one relay: one name, one set of keys, ports of their own."""

import json
import os
import random
import resource
import secrets
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from tests.support.admin_client import ADMIN
from tests.support.certificates import Authority
from tests.support.endpoint_plan import Relay
from tests.support.node import WIGWAG, clean_environment, toml, with_free_api_port
from tests.support.processes import accepts_connections, wait_until

NAME = "relay.test"
"""The cluster's name, in no DNS: clients know the pods' addresses."""
ADVERTISED = {"tcp": 2855, "tls": 2856}
"""Ports in Use-Path; nothing listens there: a cluster has something in front that spreads connections."""
HOST = "127.0.0.1"
DOMAIN = "wigwag.example"
USERNAME, PASSWORD = "alice", "secret"
START_SECONDS = 120.0
END_SECONDS = 60.0

_QUIET_PORTS = range(12_000, 32_000)
"""Not given to outgoing connections by the kernel: a pod that was killed finds its ports free."""
_given: set[int] = set()


class PodError(AssertionError):
    """A pod did not start, or ended by itself; the text holds the end of its log."""


def quiet_port() -> int:
    """Return a loopback port that nothing listens on, that no outgoing connection takes, and that was not given yet."""
    while accepts_connections(HOST, port := random.choice(_QUIET_PORTS)) or port in _given:
        pass
    _given.add(port)
    return port


def shared_settings(
    name: str, *, redis_url: str, kafka: str | None, link_port: int, link_address: tuple[str, int] | None
) -> dict[str, Any]:
    """Return what makes several pods one relay, by section.

    Args:
        name: The pod's name.
        redis_url: The store.
        kafka: Bootstrap servers of the bus.
        link_port: Where the pod listens for other pods.
        link_address: Where they reach it, when something is in between; None: there.
    """
    cluster: dict[str, Any] = {"name": name, "host": HOST, "port": link_port}
    if link_address is not None:
        cluster |= {"advertised_host": link_address[0], "advertised_port": link_address[1]}
    settings: dict[str, Any] = {"redis": {"url": redis_url}, "relay": {"cluster": cluster}}
    if kafka is not None:
        settings["kafka"] = {"bootstrap_servers": kafka}
    return settings


class Pod:
    """One relay process, which keeps its ports and data directory when it is started again.

    Args:
        name: Its name, for logs.
        directory: For its settings, data and log.
        settings: All settings but where it listens and keeps data.
        environment: More variables, such as LD_PRELOAD.
        descriptors: Limit of its open files.
        cpu: CPU that it stays on; None: any.
        worker: Whether it shares ports with others, as one of ``wigwag run --workers``.
    """

    service = "relay"

    def __init__(
        self,
        name: str,
        directory: Path,
        settings: Mapping[str, Any],
        *,
        worker: bool = False,
        environment: Mapping[str, str] | None = None,
        descriptors: int | None = None,
        cpu: int | None = None,
    ) -> None:
        self.name = name
        self.directory = directory
        self.log = directory / "pod.log"
        self.ports = {kind: quiet_port() for kind in ADVERTISED}
        self.sip_ports = {kind: quiet_port() for kind in ("udp", "tcp")}
        self._admin_port = quiet_port()
        self._settings = settings
        # A worker ends when its parent does: when its standard input, here, is closed.
        self._worker = {"WIGWAG_WORKER": "1/2/0"} if worker else {}
        self._environment = clean_environment({**(environment or {}), **self._worker})
        # Without a function to run the child is not forked, which a test that uses gRPC could not bear.
        is_bounded = descriptors is not None or cpu is not None
        self._prepare = partial(_prepare, descriptors, cpu) if is_bounded else None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its admin API."""
        return f"http://{HOST}:{self._admin_port}"

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, without waiting."""
        self.directory.mkdir(exist_ok=True)
        file = self.directory / "wigwag.toml"
        file.write_text(toml(self._all_settings()))
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [WIGWAG, "run", self.service, "--config", file],
                stdin=subprocess.PIPE if self._worker else subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                cwd=self.directory,
                preexec_fn=self._prepare,
            )

    def _all_settings(self) -> dict[str, Any]:
        relay = dict(self._settings["relay"])
        relay["listeners"] = [
            one if "port" in one else {**one, "port": self.ports[one["kind"]]} for one in relay.get("listeners", ())
        ]
        if "sip" in relay:
            # Pods that share a port have it in their settings.
            sip = relay["sip"]["listeners"]
            listeners = [one if "port" in one else {**one, "port": self.sip_ports[one["kind"]]} for one in sip]
            relay["sip"] = {**relay["sip"], "listeners": listeners}
        node = {"data_dir": str(self.directory / "data"), "log_format": "json", **self._settings.get("node", {})}
        ports = {"admin": {"port": self._admin_port}, "ua": with_free_api_port(self._settings)}
        return {**self._settings, "relay": relay, "node": node, **ports}

    def is_ready(self) -> bool:
        """Whether it takes clients.

        Raises:
            PodError: It has ended.
        """
        assert self._process is not None
        if self._process.poll() is not None:
            raise PodError(f"{self.name} ended with {self._process.returncode}:\n{self.log_tail()}")
        try:
            return ADMIN.get(f"{self.url}/readyz", timeout=2.0).status_code == 200
        except (OSError, httpx.HTTPError):
            return False

    def wait_until_ready(self) -> None:
        """Wait until it takes clients.

        Raises:
            PodError: It ended, or did not get ready.
        """
        try:
            wait_until(self.is_ready, seconds=START_SECONDS, what=f"ready {self.name}")
        except TimeoutError as error:
            raise PodError(f"{error}\n{self.log_tail()}") from error

    def ask(self, path: str) -> Any:
        """Ask its admin API; returns the answer's JSON."""
        return ADMIN.get(f"{self.url}{path}").raise_for_status().json()

    def log_tail(self, lines: int = 30) -> str:
        """Return the end of its log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def _signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once (kill -9)."""
        assert self._process is not None
        self._process.kill()
        self._reap()

    def terminate(self) -> None:
        """Ask it to drain and end (SIGTERM), without waiting."""
        self._signal(signal.SIGTERM)

    def wait_until_ended(self, seconds: float = END_SECONDS) -> int:
        """Wait until it has ended; returns its exit status."""
        return self._reap(seconds)

    def _reap(self, seconds: float | None = None) -> int:
        assert self._process is not None
        status = self._process.wait(seconds)
        if self._process.stdin is not None:
            self._process.stdin.close()
        return status

    def pause(self) -> None:
        """Let it do nothing (SIGSTOP)."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it continue (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def end(self) -> None:
        """End it, whatever state it is in."""
        if self._process is not None:
            if self._process.poll() is None:
                self._process.kill()
            self._reap()


def _prepare(descriptors: int | None, cpu: int | None) -> None:
    """Bound a child process before it becomes a pod."""
    if descriptors is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})


class Cluster:
    """Pods that are one relay.

    Args:
        directory: For everything they write.
        pods: How many.
        redis_url: The store, or what each pod calls it where something is in between.
        kafka: Bootstrap servers of the bus; None: none.
        relay: More settings of the relay.
        node: Settings of the process.
        sections: More settings, by section.
        link_ports: Where each pod listens for others; None: ports that are free now.
        link_addresses: Where others reach each pod; None: at its own port.
        environment: More variables of the pods, or of each.
        descriptors: Limit of open files of the pods, or of each; None: as it is.
        cpus: CPUs that the pods stay on, in turn; None: any.
        workers: Whether the pods may share ports; each still has its own for MSRP.
    """

    def __init__(
        self,
        directory: Path,
        pods: int,
        *,
        redis_url: str | Sequence[str] | None = None,
        kafka: str | None = None,
        relay: Mapping[str, Any] | None = None,
        node: Mapping[str, Any] | None = None,
        sections: Mapping[str, Mapping[str, Any]] | None = None,
        link_ports: Sequence[int] | None = None,
        link_addresses: Sequence[tuple[str, int]] | None = None,
        environment: Mapping[str, str] | Sequence[Mapping[str, str]] | None = None,
        descriptors: int | Sequence[int | None] | None = None,
        cpus: Sequence[int] | None = None,
        workers: bool = False,
    ) -> None:
        self.authority = Authority.create(directory)
        self._base = self._base_settings(directory, relay or {}) | {"node": dict(node or {}), **(sections or {})}
        self.pods: list[Pod] = []
        for number in range(pods):
            name = f"pod{number}"
            settings = dict(self._base)
            if redis_url is not None:
                shared = shared_settings(
                    name,
                    redis_url=redis_url if isinstance(redis_url, str) else redis_url[number],
                    kafka=kafka,
                    link_port=link_ports[number] if link_ports else quiet_port(),
                    link_address=link_addresses[number] if link_addresses else None,
                )
                both = {name: {**self._base.get(name, {}), **shared[name]} for name in ("redis", "relay")}
                settings |= shared | both
            cpu = cpus[number % len(cpus)] if cpus else None
            place = directory / name
            variables = environment[number] if isinstance(environment, Sequence) else environment
            files = descriptors[number] if isinstance(descriptors, Sequence) else descriptors
            self.pods.append(
                Pod(name, place, settings, worker=workers, environment=variables, descriptors=files, cpu=cpu)
            )

    def _base_settings(self, directory: Path, relay: Mapping[str, Any]) -> dict[str, Any]:
        keys = directory / "signing-keys"
        keys.write_text(f"A:{secrets.token_hex(32)}\n")
        keys.chmod(0o600)
        certificate = self.authority.issue(NAME, file="relay")
        common = {"domain": DOMAIN, "advertised_host": NAME, "host": HOST}
        listeners: list[dict[str, Any]] = [
            {**common, "name": kind, "kind": kind, "advertised_port": port} for kind, port in ADVERTISED.items()
        ]
        listeners[0]["plain_auth"] = True
        listeners[1]["certificates"] = [certificate]
        user = {"username": USERNAME, "domain": DOMAIN, "password": PASSWORD}
        return {"users": [user], "relay": {"listeners": listeners, "signing_keys_file": str(keys), **relay}}

    def endpoint_relay(self, kind: str = "tcp", pods: Sequence[Pod] | None = None) -> Relay:
        """Return the relay as endpoints are told of it.

        Args:
            kind: ``tcp`` or ``tls``.
            pods: Those that they may connect to; None: all.
        """
        return Relay(
            uri=f"{'msrps' if kind == 'tls' else 'msrp'}://{NAME}:{ADVERTISED[kind]};tcp",
            addresses=tuple((HOST, pod.ports[kind]) for pod in pods or self.pods),
            ca_file=self.authority.ca_file if kind == "tls" else None,
            username=USERNAME,
            password=PASSWORD,
        )

    def start(self) -> None:
        """Start all pods and wait until they are ready."""
        for pod in self.pods:
            pod.start()
        for pod in self.pods:
            pod.wait_until_ready()

    def logs(self) -> str:
        """Return the ends of all pods' logs."""
        return "\n".join(f"--- {pod.name}\n{pod.log_tail()}" for pod in self.pods)


@contextmanager
def running(cluster: Cluster) -> Iterator[Cluster]:
    """Start the pods; they are ended when the block ends, and their logs are part of what went wrong in it.

    Raises:
        AssertionError: That of the block, with the ends of the logs as a note.
    """
    try:
        cluster.start()
        yield cluster
    except BaseException as error:
        error.add_note(cluster.logs())
        raise
    finally:
        for pod in cluster.pods:
            pod.end()


def tracebacks(cluster: Cluster) -> list[str]:
    """Return the lines of all logs in which an unexpected error shows."""
    found = []
    for pod in cluster.pods:
        for line in pod.log.read_text(errors="replace").splitlines():
            if "Traceback" in line or '"level":"error"' in line.replace(" ", ""):
                found.append(f"{pod.name}: {line}")
    return found


def log_events(pod: Pod, event: str) -> list[dict[str, Any]]:
    """Return the lines of a pod's log about an event."""
    lines = [line for line in pod.log.read_text().splitlines() if line.startswith("{")]
    return [record for record in map(json.loads, lines) if record.get("event") == event]
