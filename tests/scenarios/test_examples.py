"""The example programs for applications, at a demo node, with people who chat in terminals."""

import base64
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.chats import Stage, chatting
from tests.support.node import WIGWAG, RunningNode, clean_environment, json_of, running_node

EXAMPLES = Path(__file__).parents[2] / "examples"
KEY = "example-key-0123456789"
ECHO = "sip:echo@localhost"
MOST_LINES = 40
ENDED = "SESSION_STATE_ENDED"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return Stage(tmp_path_factory.mktemp("node"))


@pytest.fixture(scope="module")
def node(stage: Stage) -> Iterator[RunningNode]:
    settings = {
        "WIGWAG_UA__API__PORT": "0",
        "WIGWAG_RPC__TOKENS": json.dumps([{"token": "operator-token-0123456789", "role": "operate"}]),
        "WIGWAG_UA__APPLICATIONS": json.dumps([{"name": "echo", "uris": [ECHO]}]),
        "WIGWAG_UA__API__KEYS": json.dumps([{"application": "echo", "key": KEY}]),
    }
    with running_node(stage.environment | settings, stage.directory, "relay", "ua", "--demo") as running:
        yield running


@contextmanager
def example(node: RunningNode, name: str, *arguments: str) -> "Iterator[subprocess.Popen[str]]":
    target = json.loads((node.data_dir / "admin.json").read_text())["rpc"]
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLES / name), target, KEY, *arguments],
        env=clean_environment({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def line_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def line_of_error(process: "subprocess.Popen[str]") -> str:
    assert process.stderr is not None
    return process.stderr.readline().rstrip("\n")


def test_the_echo_bot_answers_who_calls(node: RunningNode, stage: Stage) -> None:
    with example(node, "echo_bot.py") as bot:
        assert line_of(bot) == "waiting for calls"
        with chatting(stage.environment, ECHO, *stage.arguments("alice")) as alice:
            alice.see("echo is here")
            assert line_of(bot) == "sip:alice@localhost is here"
            alice.type("hällo", "again")
            alice.see("echo: you said: hällo")
            alice.see("echo: you said: again")
            alice.see("#2 displayed ✓✓")
            assert alice.leave() == 0
        assert line_of(bot) == "sip:alice@localhost has left: ended_by_peer", bot.communicate()


def test_a_chat_is_started_and_ends_with_the_answer(node: RunningNode, stage: Stage) -> None:
    with chatting(stage.environment, *stage.arguments("bob")) as bob:
        bob.see("waits to be called")
        with example(node, "start_chat.py", "sip:bob@localhost", "how are you?") as program:
            bob.see("echo calls about a question. Take it?")
            bob.type("y")
            bob.see("echo: how are you?")
            bob.type("fine")
            assert program.wait(60) == 0
            assert program.stdout is not None
            assert program.stdout.read().splitlines()[-1] == "sip:bob@localhost: fine"
        bob.see("echo has left")


def test_nobody_to_start_a_chat_with_is_said(node: RunningNode) -> None:
    with example(node, "start_chat.py", "sip:nobody@localhost", "hello?") as program:
        assert program.wait(60) == 1
        assert line_of(program) == "no answer: not_found"


def test_an_operator_looks_at_sessions_speaks_in_them_and_ends_them(node: RunningNode, stage: Stage) -> None:
    with (
        example(node, "echo_bot.py") as bot,
        chatting(stage.environment, ECHO, *stage.arguments("alice")) as alice,
    ):
        assert line_of(bot) == "waiting for calls"
        alice.see("echo is here")
        (row,) = json_of(node.command("sessions", "list", "--application", "echo", "--json"))
        assert (row["state"], row["direction"], row["remote_uri"]) == ("open", "inbound", "sip:alice@localhost")
        sent = node.command("sessions", "send", row["session_id"], "from the operator")
        alice.see("echo: from the operator")
        shown = json_of(node.command("messages", "show", sent.stdout.strip(), "--json"))
        assert (shown["service"], shown["attempt"]) == ("ua", 1)
        assert node.command("sessions", "end", row["session_id"]).returncode == 0
        alice.see("echo has left")
        assert json_of(node.command("sessions", "show", row["session_id"], "--json"))["state"] == "ended"
        assert node.command("sessions", "show", "f" * 32).returncode == 1


@contextmanager
def tail(node: RunningNode, *arguments: str) -> "Iterator[subprocess.Popen[str]]":
    """Run ``wigwag sessions tail``."""
    process = subprocess.Popen(
        [WIGWAG, "sessions", "tail", *arguments],
        env=clean_environment(node.environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def events_until(process: "subprocess.Popen[str]", wanted: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """Return the events that are printed up to one that is wanted."""
    found: list[dict[str, Any]] = []
    while not found or not wanted(found[-1]):
        found.append(json.loads(line_of(process)))
    return found


def test_an_operator_sees_events_as_they_happen_until_he_has_enough(node: RunningNode, stage: Stage) -> None:
    with (
        example(node, "echo_bot.py") as bot,
        chatting(stage.environment, ECHO, *stage.arguments("alice")) as alice,
    ):
        assert line_of(bot) == "waiting for calls"
        alice.see("echo is here")
        (row,) = json_of(node.command("sessions", "list", "--json"))
        session_id = row["session_id"]
        with (
            tail(node, session_id) as of_one,
            tail(node, "--application", "echo") as of_all,
            tail(node, "f" * 32) as no,
        ):
            # Whoever prints has begun: what follows is not missed.
            assert [line_of_error(each) for each in (of_one, of_all, no)] == ["waiting for events; Ctrl-C ends"] * 3
            alice.type("hello")
            alice.see("echo: you said: hello")
            node.command("sessions", "end", session_id)
            for process in (of_one, of_all):
                events = events_until(process, lambda event: event.get("session_changed", {}).get("state") == ENDED)
                assert {event["session_id"] for event in events} == {session_id}
                (came,) = [event["message_received"] for event in events if "message_received" in event]
                assert base64.b64decode(came["body"]) == b"hello"
            for process in (of_one, of_all, no):
                process.send_signal(signal.SIGINT)
                rest, complaint = process.communicate(timeout=30)
                assert (process.returncode, complaint) == (0, "")
                assert process is not no or rest == ""


def test_applications_and_keys_are_known_at_once_when_they_are_reloaded(node: RunningNode, tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    assert node.command("applications", "add", "fresh", "--uri", "sip:fresh@localhost").returncode == 0
    key = json_of(node.command("applications", "keys", "create", "fresh", "--json"))
    key_file.write_text(key["key"])
    asking = ("sessions", "list", "--key-file", str(key_file), "--json")
    assert node.command("applications", "reload").stdout.strip() == "2 applications are in force"
    assert json_of(node.command(*asking)) == []
    assert node.command("applications", "keys", "revoke", str(key["id"])).returncode == 0
    assert node.command("mi", "wigwag:reload_applications").returncode == 0
    refused = node.command(*asking)
    assert (refused.returncode, "none that is known" in refused.stderr) == (1, True)
    assert node.command("applications", "remove", "fresh").returncode == 0


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_examples_stay_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) < MOST_LINES
