"""``wigwag send`` and ``wigwag receive`` at a demo node, as the README has them in two terminals."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support.edge_under_test import free_sip_port
from tests.support.node import WIGWAG, RunningNode, clean_environment, demo_environment, running_node
from tests.support.processes import free_port, wait_until
from wigwag.node.demo_data import ensure_demo_data

ALICE, BOB = "sip:alice@localhost", "sip:bob@localhost"


def free_ports() -> dict[str, int]:
    """Return ports for SIP; that of UDP is TCP's too."""
    shared = free_sip_port()
    return {"udp": shared, "tcp": shared, "tls": free_port(), "ws": free_port(), "wss": free_port()}


def environment_of(directory: Path, ports: dict[str, int]) -> dict[str, str]:
    """Return settings of a demo node that speaks SIP there, and keeps nothing for who is absent."""
    layer = ensure_demo_data(directory).layer(sip_ports=ports)
    listeners = json.dumps(layer["relay"]["sip"]["listeners"])
    kept = {"WIGWAG_RELAY__SIP__PAGER__STORE": "false"}
    return demo_environment(directory) | {"WIGWAG_RELAY__SIP__LISTENERS": listeners} | kept


@pytest.fixture(scope="module")
def ports() -> dict[str, int]:
    return free_ports()


@pytest.fixture(scope="module")
def node(ports: dict[str, int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    directory = tmp_path_factory.mktemp("node")
    with running_node(environment_of(directory, ports), directory, "--demo") as running:
        yield running


@contextmanager
def receiving(environment: dict[str, str], server: str, *arguments: str) -> "Iterator[subprocess.Popen[str]]":
    """Run ``wigwag receive`` for bob; messages can come when the block begins."""
    process = subprocess.Popen(
        [WIGWAG, "receive", "--as", BOB, "--server", server, *arguments],
        env=clean_environment(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        assert "is registered" in process.stderr.readline()
        yield process
    finally:
        process.kill()
        process.communicate()


def send(node: RunningNode, server: str, *arguments: str, to: str = BOB, text: str = "") -> tuple[int, str]:
    """Run ``wigwag send`` for alice; return its exit status and all that it wrote."""
    done = node.command("send", "--as", ALICE, "--to", to, "--server", server, *arguments, text=text)
    return done.returncode, (done.stdout + done.stderr).strip()


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls", "ws", "wss"])
def test_what_alice_sends_bob_reads(node: RunningNode, ports: dict[str, int], transport: str) -> None:
    server = f"{transport}:localhost:{ports[transport]}"
    with receiving(node.environment, server, "--count", "2", "--timeout", "60", "--json") as bob:
        assert send(node, server, "hällo\nbob") == (0, "delivered: 200 OK")
        status, report = send(node, server, "-", "--json", text="x" * 3000)
        assert (status, json.loads(report)["delivery"]) == (0, "delivered")
        output, _ = bob.communicate(timeout=30)
    assert bob.returncode == 0
    first, second = map(json.loads, output.splitlines())
    assert (first["text"], first["from"], first["content_type"]) == ("hällo\nbob", ALICE, "text/plain")
    assert second["text"] == "x" * 3000
    # He has taken his binding back.
    assert send(node, server, "gone?") == (4, "refused: 480 Temporarily Unavailable")


def test_text_for_people_shows_no_control_characters(node: RunningNode, ports: dict[str, int]) -> None:
    server = f"tcp:localhost:{ports['tcp']}"
    with receiving(node.environment, server, "--count", "1", "--timeout", "60") as bob:
        assert send(node, server, "one\n\x1b[31mtwo")[0] == 0
        output, _ = bob.communicate(timeout=30)
    assert output == f"{ALICE}: one\n\\x1b[31mtwo\n"


def test_interrupt_ends_receiving_and_unregisters(node: RunningNode, ports: dict[str, int]) -> None:
    server = f"tcp:localhost:{ports['tcp']}"
    with receiving(node.environment, server) as bob:
        bob.send_signal(signal.SIGINT)
        output, errors = bob.communicate(timeout=30)
    assert (bob.returncode, output, errors) == (0, "", "")
    assert send(node, server, "gone?")[0] == 4


def test_exit_status_tells_what_became_of_it(node: RunningNode, ports: dict[str, int]) -> None:
    server = f"tcp:localhost:{ports['tcp']}"
    status, text = send(node, f"tcp:localhost:{free_port()}", "hello")
    assert (status, text.startswith("no answer: ")) == (5, True)
    assert send(node, server, "hello", to="bob")[0] == 2
    assert send(node, "sctp:localhost", "hello")[0] == 2
    wrong = node.environment | {"WIGWAG_PASSWORD": "wrong"}
    status, text = send(RunningNode(node.process, wrong, node.data_dir), server, "hello")
    assert (status, text) == (4, "refused: 407 Proxy Authentication Required (wrong user name or password?)")


def test_receiving_with_a_wrong_password_or_nobody_there_ends_at_once(node: RunningNode, ports: dict[str, int]) -> None:
    wrong = RunningNode(node.process, node.environment | {"WIGWAG_PASSWORD": "wrong"}, node.data_dir)
    refused = wrong.command("receive", "--as", BOB, "--server", f"tcp:localhost:{ports['tcp']}")
    assert (refused.returncode, "401" in refused.stderr) == (4, True)
    absent = node.command("receive", "--as", BOB, "--server", f"tcp:localhost:{free_port()}")
    assert absent.returncode == 5


def test_time_that_is_over_is_no_failure_unless_messages_are_missing(node: RunningNode, ports: dict[str, int]) -> None:
    arguments = ("receive", "--as", BOB, "--server", f"tcp:localhost:{ports['tcp']}", "--timeout", "2")
    assert node.command(*arguments).returncode == 0
    assert node.command(*arguments, "--count", "1").returncode == 5


def test_receiver_comes_back_after_the_node_was_killed(tmp_path: Path) -> None:
    ports = free_ports()
    server = f"tcp:localhost:{ports['tcp']}"
    environment = environment_of(tmp_path, ports)
    with ExitStack() as stack:
        with running_node(environment, tmp_path, "--demo"):
            bob = stack.enter_context(receiving(environment, server, "--count", "1", "--timeout", "100"))
        restarted = stack.enter_context(running_node(environment, tmp_path, "--demo"))
        wait_until(lambda: send(restarted, server, "still there?")[0] == 0, seconds=60.0, what="delivery")
        output, told = bob.communicate(timeout=30)
    assert (bob.returncode, output) == (0, f"{ALICE}: still there?\n")
    assert [line.split(" ")[1] for line in told.splitlines()] == ["has", "is"]
