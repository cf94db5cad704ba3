"""The ``wigwag`` command as a real process, with settings of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

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
            raise AssertionError(f"the node ended with {self.process.returncode}: {self.process.communicate()[1]}")
        try:
            return httpx.get(f"{self.url}/readyz", trust_env=False).status_code == 200
        except (OSError, ValueError, httpx.HTTPError):
            return False

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


def demo_environment(data_dir: Path, listeners: Sequence[str] = ("tls", "tcp")) -> dict[str, str]:
    """Return settings of a demo node whose ports the system chooses."""
    layer = ensure_demo_data(data_dir).layer(ports=dict.fromkeys(listeners, 0))
    return {
        "WIGWAG_NODE__DATA_DIR": str(data_dir),
        "WIGWAG_ADMIN__PORT": "0",
        "WIGWAG_RELAY__LISTENERS": json.dumps(layer["relay"]["listeners"]),
    }


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
