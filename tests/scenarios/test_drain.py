"""``wigwag drain`` on a running node."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.node import RunningNode, demo_environment, json_of, running_node
from tests.support.processes import accepts_connections, wait_until


@pytest.fixture
def node(tmp_path: Path) -> Iterator[RunningNode]:
    with running_node(demo_environment(tmp_path), tmp_path, "--demo") as running:
        yield running


def test_a_drained_node_takes_no_client_until_it_is_called_off(node: RunningNode) -> None:
    listeners = httpx.get(f"{node.url}/v1/relay/listeners", trust_env=False).json()
    port = next(one["bound_port"] for one in listeners if one["kind"] == "tls")
    drained = json_of(node.command("drain", "--grace", "5", "--json"))
    assert drained["drain"]["state"] == "drained"
    assert not node.is_ready()
    assert not accepts_connections("127.0.0.1", port)
    assert json_of(node.command("drain", "--cancel", "--json"))["drain"]["state"] == "serving"
    wait_until(node.is_ready, seconds=10.0, what="the node serves again")
    result = node.command("demo", "--megabytes", "1")
    assert result.returncode == 0, result.stdout + result.stderr


def test_draining_twice_waits_for_the_same_drain(node: RunningNode) -> None:
    first = json_of(node.command("drain", "--no-wait", "--json"))
    assert first["drain"]["state"] in ("draining", "drained")
    assert json_of(node.command("drain", "--json"))["drain"]["state"] == "drained"


def test_a_grace_that_is_no_time_is_refused(node: RunningNode) -> None:
    result = node.command("drain", "--grace", "1000000")
    assert result.returncode == 1
    assert "less than or equal to 86400" in result.stderr
    assert node.is_ready()
