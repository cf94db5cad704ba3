"""The ``wigwag`` command as a real process, with settings of its own."""

import json
import os
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import httpx

from tests.support.admin_client import ADMIN
from tests.support.processes import wait_until
from wigwag.node.demo_data import ensure_demo_data

WIGWAG = str(Path(sys.executable).with_name("wigwag"))
START_SECONDS = 30.0


class RunningNode:
    """A node in a process.

    Args:
        process: The process.
        environment: Its variables, for commands that talk to it.
        data_dir: Its data directory.
    """

    def __init__(self, process: "subprocess.Popen[str]", environment: Mapping[str, str], data_dir: Path) -> None:
        self.process = process
        self.environment = dict(environment)
        self.data_dir = data_dir

    @property
    def url(self) -> str:
        """Its admin API."""
        return str(json.loads((self.data_dir / "admin.json").read_text())["url"])

    def is_ready(self) -> bool:
        """Whether it answers /readyz with 200; raises when the process has ended."""
        if self.process.poll() is not None:
            raise AssertionError(f"the node ended with {self.process.returncode}: {self.last_words()}")
        try:
            return ADMIN.get(f"{self.url}/readyz").status_code == 200
        except (OSError, ValueError, httpx.HTTPError):
            return False

    def last_words(self) -> str:
        """Return what it wrote on standard error."""
        return str(self.process.communicate()[1])

    def command(self, *arguments: str, text: str = "") -> "subprocess.CompletedProcess[str]":
        """Run a ``wigwag`` command with the node's settings."""
        return wigwag(*arguments, environment=self.environment, text=text)


def wigwag(
    *arguments: str, environment: Mapping[str, str], text: str = "", directory: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run the command to its end."""
    return subprocess.run(
        [WIGWAG, *arguments],
        env=clean_environment(environment),
        input=text,
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def clean_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return this process's variables without Wigwag's, then ``settings``."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("WIGWAG_")}
    return {**inherited, "COLUMNS": "200", **settings}


def demo_environment(
    data_dir: Path, listeners: Sequence[str] = ("tls", "tcp"), sip: Sequence[str] = ()
) -> dict[str, str]:
    """Return settings of a demo node whose ports the system chooses."""
    layer = ensure_demo_data(data_dir).layer(ports=dict.fromkeys(listeners, 0), sip_ports=dict.fromkeys(sip, 0))
    return {
        "WIGWAG_NODE__DATA_DIR": str(data_dir),
        "WIGWAG_ADMIN__PORT": "0",
        "WIGWAG_UA__API__PORT": "0",
        "WIGWAG_RELAY__LISTENERS": json.dumps(layer["relay"]["listeners"]),
        "WIGWAG_RELAY__SIP__LISTENERS": json.dumps(layer["relay"]["sip"]["listeners"]),
    }


def with_free_api_port(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the settings of the user agent, which a node may host whether a test cares or not, with a free port."""
    ua = settings.get("ua", {})
    return {**ua, "api": {"port": 0, **ua.get("api", {})}}


@contextmanager
def running_node(
    environment: Mapping[str, str], data_dir: Path, *arguments: str, program: Sequence[str] = (WIGWAG, "run")
) -> Iterator[RunningNode]:
    """Start a node and wait until it is ready; it is killed at the end if it still runs."""
    process = subprocess.Popen(
        [*program, *arguments],
        env=clean_environment(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        node = RunningNode(process, environment, data_dir)
        wait_until(node.is_ready, seconds=START_SECONDS, what="ready node")
        yield node
    finally:
        process.kill()
        process.communicate()


def json_of(result: "subprocess.CompletedProcess[str]") -> Any:
    """Return what a command printed as JSON."""
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


class RelayNode(RunningNode):
    """``wigwag run relay`` with the listeners of a TOML file, each found by its name."""

    log: Path

    @cached_property
    def listeners(self) -> dict[str, dict[str, Any]]:
        """Where it listens, by the listener's name."""
        rows = self.ask("GET", "/v1/relay/listeners")
        return {row["name"]: row for row in rows}

    def ask(self, method: str, path: str) -> Any:
        """Ask its admin API; returns the answer's JSON."""
        response = httpx.request(method, f"{self.url}{path}", trust_env=False, verify=False).raise_for_status()
        return response.json() if response.content else None

    def last_words(self) -> str:
        return self.log.read_text()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def memory(self, what: str = "VmRSS") -> int:
        """Return the memory of the process in bytes; ``VmHWM`` is the most that it had since ``forget_peak``."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith(what)).split()[1]) * 1024

    def forget_peak(self) -> None:
        """Let ``VmHWM`` begin anew."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def write_rows(self, statement: str, *values: object) -> None:
        """Change its database, as an operator does who knows SQL."""
        with closing(sqlite3.connect(self.data_dir / "wigwag.sqlite3")) as database:
            database.execute(statement, values)
            database.commit()

    def log_lines(self) -> list[dict[str, Any]]:
        """Return the whole lines of its log."""
        text = self.log.read_text()
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


@contextmanager
def relay_node(
    directory: Path,
    settings: Mapping[str, Any],
    *,
    descriptors: int | None = None,
    admin: Mapping[str, Any] | None = None,
) -> Iterator[RelayNode]:
    """Run the relay with a TOML file made of ``settings`` and wait until it is ready; it is ended by its pid.

    Args:
        directory: Holds the file, the log and the data directory; used again it stands for a restart.
        settings: What the file says beside ``node.data_dir`` and ``admin.port``.
        descriptors: Its limit of open files.
        admin: What the file says of the admin API beside its port.
    """
    file, data_dir, log = directory / "wigwag.toml", directory / "data", directory / "node.log"
    node_settings = {"data_dir": str(data_dir), "log_format": "json", **settings.get("node", {})}
    ports = {"admin": {"port": 0, **(admin or {})}, "ua": with_free_api_port(settings)}
    file.write_text(toml({**settings, "node": node_settings, **ports}))
    limit = partial(resource.setrlimit, resource.RLIMIT_NOFILE, (descriptors,) * 2) if descriptors else None
    with log.open("ab") as output:
        process = subprocess.Popen(
            [WIGWAG, "run", "relay", "--config", str(file)],
            env=clean_environment({}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=output,
            text=True,
            preexec_fn=limit,
        )
    try:
        node = RelayNode(process, {"WIGWAG_CONFIG": str(file)}, data_dir)
        node.log = log
        wait_until(node.is_ready, seconds=START_SECONDS, what="ready node")
        yield node
    finally:
        process.kill()
        process.wait()


def toml(settings: Mapping[str, Any]) -> str:
    """Write settings as TOML; what is nested is written inline."""
    lines = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            lines += [f"[{name}]", *(f"{key} = {_toml_value(item)}" for key, item in value.items())]
        else:
            lines.insert(0, f"{name} = {_toml_value(value)}")
    return "\n".join([*lines, ""])


def _toml_value(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    return json.dumps(value)
