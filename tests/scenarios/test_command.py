"""The command as people use it: real processes, real sockets."""

import json
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.node import RunningNode, demo_environment, json_of, running_node, wigwag

TOKEN = "read-" + "r" * 16
OPERATE = "operate-" + "o" * 16


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    data_dir = tmp_path_factory.mktemp("node")
    with running_node(demo_environment(data_dir), data_dir, "--demo") as running:
        yield running


def test_the_demo_passes_on_a_running_node_and_leaves_no_session_behind(node: RunningNode) -> None:
    result = node.command("demo", "--megabytes", "2")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "(a running node)" in result.stdout
    assert "all of it arrived as it was sent" in result.stdout
    metrics = httpx.get(f"{node.url}/metrics", trust_env=False).text
    granted = next(line for line in metrics.splitlines() if line.startswith("wigwag_relay_sessions_granted_total{"))
    assert float(granted.rpartition(" ")[2]) >= 2


def test_lists_of_a_running_node_are_json_when_asked(node: RunningNode) -> None:
    for command in (["relay", "sessions"], ["connections"], ["profiles"]):
        assert isinstance(json_of(node.command(*command, "list", "--json")), list)


def test_an_unknown_session_is_named_in_one_line(node: RunningNode) -> None:
    result = node.command("relay", "sessions", "show", "../nothing")
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("option", ["--group", "--pod"])
def test_a_status_that_nobody_has_is_no_status_without_trouble(node: RunningNode, option: str) -> None:
    result = node.command("status", option, "relais")
    assert result.returncode == 1
    assert result.stderr.startswith("no pod ")


def test_a_profile_row_takes_effect_when_reloaded(node: RunningNode) -> None:
    result = json_of(node.command("profiles", "reload", "--dry-run", "--json"))
    assert (result["applied"], result["changes"]) == (False, [])
    assert "0 profiles are in force" in node.command("profiles", "reload").stdout


def test_a_trace_begins_shows_and_ends(node: RunningNode) -> None:
    assert node.command("trace", "alice@localhost").returncode == 0
    (trace,) = json_of(node.command("trace", "--json"))
    assert trace["selector"] == "alice@localhost"
    assert Path(trace["file"]).is_relative_to(node.data_dir)
    assert node.command("trace", "alice@localhost", "--off").returncode == 0
    assert json_of(node.command("trace", "--json")) == []


def test_a_user_added_to_the_database_is_there_at_once_and_her_password_is_shown_nowhere(node: RunningNode) -> None:
    assert node.command("user", "add", "carol@localhost", text="opensesame\n").returncode == 0
    listed = node.command("user", "list", "--json")
    assert {"user": "carol@localhost", "source": "database"} in json_of(listed)
    shown = node.command("user", "show", "carol@localhost", "--json")
    assert json_of(shown)["credentials"] == ["ha1", "ha1_sha256", "ha1_sha512t256"]
    assert "opensesame" not in listed.stdout + shown.stdout
    again = node.command("user", "add", "carol@localhost", text="x\n")
    assert (again.returncode, len(again.stderr.splitlines())) == (1, 1)
    assert node.command("user", "permit", "carol@localhost", "--no-relay").returncode == 0
    assert json_of(node.command("user", "show", "carol@localhost", "--json"))["may_relay"] is False
    assert node.command("user", "passwd", "carol@localhost", text="other\n").returncode == 0
    assert node.command("user", "remove", "carol@localhost").returncode == 0
    assert node.command("user", "remove", "carol@localhost").returncode == 1


def test_the_demo_passes_on_a_relay_of_its_own(tmp_path: Path) -> None:
    result = wigwag("demo", "--megabytes", "1", "--embedded", environment={}, directory=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "(embedded)" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_demo_fails_visibly_when_the_relay_lets_nobody_in(tmp_path: Path) -> None:
    environment = demo_environment(tmp_path)
    with running_node(environment, tmp_path, "--demo") as node:
        users = json.loads((tmp_path / "demo" / "users.json").read_text())
        (tmp_path / "demo" / "users.json").write_text(json.dumps({**users, "bob": "wrong"}))
        result = node.command("demo", "--megabytes", "1")
    assert result.returncode == 1
    assert "wrong user name or password" in result.stderr
    assert "all of it arrived" not in result.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_node_in_good_order(tmp_path: Path, number: signal.Signals) -> None:
    with running_node(demo_environment(tmp_path, ["tcp"]), tmp_path, "--demo") as node:
        node.process.send_signal(number)
        output, errors = node.process.communicate(timeout=20)
    assert node.process.returncode == 0, errors
    assert "Wigwag demo node" in output
    assert "Traceback" not in errors
    assert not (tmp_path / "admin.json").exists()


STUCK = """
import sys
from pathlib import Path
from tests.support.fake_relay import FakeRelayModule
from wigwag.node.application import Node, run_in_loop, serve
from wigwag.node.settings import Settings
from wigwag.runtime import logging
import asyncio

class Stuck(FakeRelayModule):
    async def drain(self, grace):
        print("draining", flush=True)
        await asyncio.Event().wait()

logging.configure()
settings = Settings.model_validate(
    {"node": {"data_dir": sys.argv[1], "shutdown_grace": float(sys.argv[2])}, "admin": {"port": 0}}
)
run_in_loop(serve(Node(settings, ["relay"], constructors={"relay": Stuck})))
"""


def stuck_node(data_dir: Path, grace: float) -> list[str]:
    return [sys.executable, "-c", STUCK, str(data_dir), str(grace)]


def test_a_second_signal_ends_the_process_at_once(tmp_path: Path) -> None:
    with running_node({}, tmp_path, program=stuck_node(tmp_path, 3600)) as node:
        node.process.send_signal(signal.SIGTERM)
        assert node.process.stdout is not None
        assert node.process.stdout.readline() == "draining\n"
        assert httpx.get(f"{node.url}/readyz", trust_env=False).status_code == 503
        node.process.send_signal(signal.SIGTERM)
        assert node.process.wait(timeout=20) == 128 + signal.SIGTERM


def test_a_service_that_does_not_drain_is_closed_when_the_grace_is_over(tmp_path: Path) -> None:
    with running_node({}, tmp_path, program=stuck_node(tmp_path, 0.2)) as node:
        node.process.send_signal(signal.SIGTERM)
        assert node.process.wait(timeout=20) == 0


def test_a_port_in_use_is_one_line_that_names_the_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        listener = json.dumps([{"name": "a", "kind": "tcp", "port": port}])
        environment = {"WIGWAG_NODE__DATA_DIR": str(tmp_path), "WIGWAG_ADMIN__PORT": "0"}
        relay = wigwag("run", environment={**environment, "WIGWAG_RELAY__LISTENERS": listener})
        environment["WIGWAG_ADMIN__PORT"] = str(port)
        free = json.dumps([{"name": "a", "kind": "tcp", "port": 0}])
        admin = wigwag("run", environment={**environment, "WIGWAG_RELAY__LISTENERS": free})
    for result, setting in ((relay, "relay.listeners[0]"), (admin, "admin.port")):
        assert result.returncode == 1
        (line,) = result.stderr.splitlines()[-1:]
        assert line.startswith(setting)
        assert str(port) in line
        assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["run"], "relay.listeners is empty"),
        (["run", "rely"], "there is no service 'rely'; known are: relay, ua, gateway, all"),
        (["relay", "sessions", "list"], "no node"),
        (["user", "add", "carol"], "'carol' is no user"),
        (["user", "show", "carol@localhost"], "no user carol@localhost"),
        (["user", "add", "carol@localhost"], "standard input holds no password"),
        (["user", "add", "carol@localhost", "--password-file", "/nonexistent"], "/nonexistent can't be read"),
        (["keys", "list"], "signing-keys does not exist; wigwag keys rotate --in 0 makes it"),
        (["check-config", "--config", "/nonexistent.toml"], "/nonexistent.toml: cannot be read"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_status_1(tmp_path: Path, arguments: list[str], reason: str) -> None:
    environment = {"WIGWAG_NODE__DATA_DIR": str(tmp_path), "WIGWAG_ADMIN__PORT": "0"}
    result = wigwag(*arguments, environment=environment)
    assert result.returncode == 1
    assert reason in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_check_config_prints_all_mistakes_and_ends_with_1() -> None:
    environment = {"WIGWAG_ADMIN__PROT": "1", "WIGWAG_ADMIN__PORT": "x", "WIGWAG_NODE__LOG_LEVEL": "loud"}
    result = wigwag("check-config", environment=environment)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 3
    assert result.stdout == ""


def test_check_config_says_where_each_value_came_from(tmp_path: Path) -> None:
    (tmp_path / "wigwag.toml").write_text('[database]\nurl = "postgresql://u:hush@h/d"\n')
    result = wigwag("check-config", "--json", environment={"WIGWAG_ADMIN__PORT": "9"}, directory=tmp_path)
    rows = {row["setting"]: row for row in json_of(result)}
    assert rows["admin.port"] == {"setting": "admin.port", "value": "9", "source": "WIGWAG_ADMIN__PORT"}
    assert rows["database.url"]["value"] == "postgresql://u:********@h/d"
    assert rows["database.url"]["source"] == "wigwag.toml: database.url"
    assert rows["admin.host"]["source"] == "default"


def test_a_node_with_tokens_is_operated_with_the_right_one_only(tmp_path: Path) -> None:
    (tmp_path / "read").write_text(TOKEN)
    (tmp_path / "operate").write_text(OPERATE)
    tokens = [{"token_file": str(tmp_path / role), "role": role} for role in ("read", "operate")]
    plain = demo_environment(tmp_path / "data", ["tcp"])
    environment = {**plain, "WIGWAG_ADMIN__TOKENS": json.dumps(tokens)}
    with running_node(environment, tmp_path / "data", "--demo") as node:
        assert node.command("routes", "reload").returncode == 0
        without = wigwag("relay", "sessions", "list", environment=plain)
        reading = ["--url", node.url, "--token-file", str(tmp_path / "read")]
        allowed = wigwag("relay", "sessions", "list", *reading, environment={})
        refused = wigwag("routes", "reload", *reading, environment={})
    assert (without.returncode, allowed.returncode, refused.returncode) == (1, 0, 1)
    assert "--token-file" in without.stderr
    assert "operate" in refused.stderr
