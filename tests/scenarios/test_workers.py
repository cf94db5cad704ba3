"""``wigwag run --workers N``: several processes on one host are one relay, with a real Redis."""

import json
import os
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.node import RunningNode, demo_environment, json_of, running_node, wigwag
from tests.support.processes import free_port, wait_until
from tests.support.redis_server import running_redis
from wigwag.node.demo_data import ensure_demo_data

WORKERS = 3


@pytest.fixture
def node(tmp_path: Path) -> Iterator[RunningNode]:
    with running_redis() as redis:
        environment = demo_environment(tmp_path) | shared_ports(tmp_path) | {"WIGWAG_REDIS__URL": redis.url}
        with running_node(environment, tmp_path, "--demo", "--workers", str(WORKERS)) as running:
            wait_until(lambda: len(children(running)) == WORKERS, seconds=30.0, what="all workers run")
            yield running


def shared_ports(directory: Path) -> dict[str, str]:
    """Return listeners on ports that several processes can share: known ones."""
    layer = ensure_demo_data(directory).layer(ports={kind: free_port() for kind in ("tls", "tcp")}, sip_ports={})
    return {"WIGWAG_RELAY__LISTENERS": json.dumps(layer["relay"]["listeners"])}


def children(node: RunningNode) -> set[int]:
    """Return the process ids of the workers."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == node.process.pid:
            found.add(int(path.parent.name))
    return found


def test_clients_of_different_workers_talk_to_each_other(node: RunningNode) -> None:
    for _ in range(4):
        result = node.command("demo", "--megabytes", "1")
        assert result.returncode == 0, result.stdout + result.stderr
    rows = json_of(node.command("relay", "sessions", "list", "--json"))
    assert isinstance(rows, list)


def test_a_worker_that_is_killed_is_started_again_and_the_relay_goes_on(node: RunningNode) -> None:
    before = children(node)
    os.kill(min(before), signal.SIGKILL)
    wait_until(lambda: len(children(node) - before) == 1, seconds=30.0, what="another worker in its place")
    wait_until(node.is_ready, seconds=30.0, what="the first worker is ready")
    result = node.command("demo", "--megabytes", "1")
    assert result.returncode == 0, result.stdout + result.stderr


def test_workers_end_when_their_parent_is_killed(node: RunningNode) -> None:
    workers = children(node)
    node.process.kill()
    node.process.wait()
    wait_until(lambda: not any(map(_lives, workers)), seconds=40.0, what="the workers have ended")


def _lives(pid: int) -> bool:
    try:
        return not re.search(r"\) Z ", Path(f"/proc/{pid}/stat").read_text())
    except OSError:
        return False


def test_workers_without_a_shared_store_are_refused_by_the_settings_name(tmp_path: Path) -> None:
    result = wigwag("run", "--demo", "--workers", "2", environment=demo_environment(tmp_path))
    assert result.returncode == 1
    assert "WIGWAG_REDIS__URL" in result.stderr


def test_workers_that_cannot_start_say_why_and_end_with_their_parent(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listener = json.dumps([{"name": "a", "kind": "tcp", "port": taken.getsockname()[1]}])
        # The store is away, which is no reason not to start.
        away = {"WIGWAG_REDIS__URL": f"redis://127.0.0.1:{free_port()}", "WIGWAG_RELAY__LISTENERS": listener}
        result = wigwag("run", "--workers", "2", environment=demo_environment(tmp_path) | away)
    assert result.returncode == 1
    assert "relay.listeners[0]" in result.stderr
    assert result.stderr.splitlines()[-1].endswith("could not start, for the reason above")
