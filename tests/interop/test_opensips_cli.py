"""The real ``opensips-cli`` against a running node."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.live_relay import relay_settings
from tests.support.node import RelayNode, relay_node

OPENSIPS_CLI = Path(sys.executable).with_name("opensips-cli")
READ, OPERATE = "only-for-reading-0", "for-operators-only"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelayNode]:
    with relay_node(tmp_path_factory.mktemp("mi"), relay_settings(kinds=("tcp",))) as running:
        yield running


def opensips_cli(url: str, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run one MI command with the program's own defaults but for the carrier."""
    options = ["-o", "communication_type=http", "-o", f"url={url}"]
    return subprocess.run(
        [OPENSIPS_CLI, *options, "-x", "mi", *words], capture_output=True, text=True, timeout=30, check=False
    )


def told(node: RelayNode, *words: str) -> Any:
    result = opensips_cli(f"{node.url}/mi", *words)
    assert result.returncode == 0, result.stdout + result.stderr
    return json.loads(result.stdout)


def refused(node: RelayNode, *words: str) -> str:
    result = opensips_cli(f"{node.url}/mi", *words)
    assert result.returncode != 0
    return result.stdout + result.stderr


@pytest.mark.parametrize("command", ["sr_list_reports", "status_report:reports"])
def test_reports_are_printed_as_in_the_deck(node: RelayNode, command: str) -> None:
    (identifier,) = told(node, command, "routes")
    assert list(identifier) == ["Name", "Reports"]
    assert identifier["Name"] == "main"
    assert [report["Log"] for report in identifier["Reports"]] == ["loading routes", "0 routes loaded"]
    for report in identifier["Reports"]:
        assert list(report)[:3] == ["Timestamp", "Date", "Log"]
        assert abs(report["Timestamp"] - time.time()) < 600
        assert report["Date"] == time.ctime(report["Timestamp"])


def test_reports_of_everything_one_identifier_and_by_severity(node: RelayNode) -> None:
    everything = told(node, "sr_list_reports")
    assert {"core", "relay", "listeners", "routes", "tcp_mgm", "credentials", "store"} <= {
        group["Name"] for group in everything
    }
    assert told(node, "sr_list_reports", "core", "main")[-1]["Log"] == "running"
    assert told(node, "sr_list_reports", "group=core", "identifier=main", "severity=error") == []


def test_status_and_identifiers(node: RelayNode) -> None:
    assert told(node, "sr_get_status", "core") == {"Readiness": True, "Status": 1, "Details": "running"}
    assert told(node, "sr_get_status", "listeners", "all")["Details"] == "aggregated"
    assert told(node, "sr_list_identifiers", "listeners") == {"Group": "listeners", "Identifiers": ["tcp"]}
    (listener,) = told(node, "sr_list_status", "group=listeners")
    assert listener["Readiness"] is True


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["sr_get_status", "nothing"], "404: Group not found"),
        (["sr_get_status", "core", "nothing"], "404: Identity not found"),
        (["sr_list_reports", "core", "nothing"], "404: Identifier not found"),
        (["sr_get_status"], "Invalid params"),
        (["wigwag:end_session", "0000000000000000"], "404"),
        (["no_such_command"], "no command 'no_such_command'"),
    ],
)
def test_errors_are_printed_with_their_reason(node: RelayNode, words: list[str], text: str) -> None:
    assert text in refused(node, *words)


def test_what_operators_of_opensips_are_used_to(node: RelayNode) -> None:
    assert told(node, "tcp_reload") == told(node, "tcp_mgm:reload") == "OK"
    assert "Up since" in told(node, "uptime")
    assert told(node, "version")["Server"].startswith("Wigwag (")
    assert told(node, "ps")["Processes"][0]["PID"] == node.pid
    statistics = told(node, "get_statistics", "core:", "auth_successes")
    assert set(statistics) == {"core:timestamp", "relay:auth_successes"}
    assert told(node, "wigwag:reload_routes") == {"routes": 0}
    assert told(node, "wigwag:sessions", "limit=5") == {"Sessions": []}
    logs = [report["Log"] for report in told(node, "sr_list_reports", "tcp_mgm", "main")]
    assert logs.count("loading TCP profiles") >= 3


def test_a_token_goes_in_the_url(tmp_path: Path) -> None:
    settings = relay_settings(kinds=("tcp",))
    tokens = [{"token": READ, "role": "read"}, {"token": OPERATE, "role": "operate"}]
    with relay_node(tmp_path, settings, admin={"tokens": tokens}) as node:
        url = f"{node.url}/mi"
        assert opensips_cli(url, "sr_get_status", "core").returncode != 0
        assert opensips_cli(f"{url}?token={READ}", "sr_get_status", "core").returncode == 0
        reload = opensips_cli(f"{url}?token={READ}", "tcp_reload")
        assert "403" in reload.stdout + reload.stderr
        assert opensips_cli(f"{url}?token={OPERATE}", "tcp_reload").returncode == 0
        log = node.log.read_text()
    assert READ not in log
    assert OPERATE not in log
