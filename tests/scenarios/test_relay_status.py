"""The status of a running relay tells what happened, and readiness is not touched by it."""

from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.test_relay_certificates import good_files_are_left
from tests.support.certificates import Authority
from tests.support.live_relay import HOST, Clients
from tests.support.node import RelayNode, json_of

__all__ = ["good_files_are_left"]


def identifiers(node: RelayNode, group: str) -> dict[str, dict[str, Any]]:
    (pod,) = json_of(node.command("status", "--group", group, "--json"))["pods"]
    return {row["name"]: row for found in pod["groups"] for row in found["identifiers"]}


def spoil(chain: str) -> None:
    Path(chain).write_text("no certificate\n")


async def test_a_wrong_certificate_file_shows_and_the_relay_stays_ready(
    clients: Clients, authority: Authority, certificate: tuple[str, str]
) -> None:
    node = clients.node
    spoil(certificate[0])
    assert node.command("certificates", "reload").returncode == 1
    told = identifiers(node, "certificates")
    assert set(told) == {"tls", "wss", "peer"}
    for row in told.values():
        assert row["status"] == -1
        assert certificate[0] in row["details"]
        assert "the old one stays in use until" in row["details"]
    assert node.is_ready()
    await clients.join("alice", "tls")
    errors = json_of(node.command("status", "reports", "--group", "certificates", "--severity", "error", "--json"))
    assert {row["identifier"] for row in errors} == {"tls", "wss", "peer"}
    authority.issue(HOST, file="relay")
    assert node.command("certificates", "reload").returncode == 0
    assert all(row["ready"] for row in identifiers(node, "certificates").values())


def test_a_table_that_is_gone_leaves_the_routes_in_force(relay: RelayNode) -> None:
    relay.write_rows("ALTER TABLE wigwag_relay_route RENAME TO hidden_route")
    try:
        assert relay.command("routes", "reload").returncode == 1
        told = identifiers(relay, "routes")["main"]
        assert told["ready"]
        assert told["details"].endswith("the old ones hold")
        assert relay.is_ready()
    finally:
        relay.write_rows("ALTER TABLE hidden_route RENAME TO wigwag_relay_route")
    assert relay.command("routes", "reload").returncode == 0
    assert identifiers(relay, "routes")["main"]["details"] == "0 routes loaded"


async def test_credentials_that_cannot_be_looked_up_show(clients: Clients) -> None:
    node = clients.node
    node.write_rows("ALTER TABLE subscriber RENAME TO hidden_subscriber")
    try:
        client = await clients.connect("tcp")
        with pytest.raises(AssertionError):
            await client.authenticate(clients.uri("tcp"), "stranger", "secret")
        told = identifiers(node, "credentials")
        assert not told["database"]["ready"]
        assert told["settings"]["ready"]
        assert node.is_ready()
        await clients.join("alice", "tcp")
    finally:
        node.write_rows("ALTER TABLE hidden_subscriber RENAME TO subscriber")


def test_any_mi_command_is_called_by_position_or_by_name(relay: RelayNode) -> None:
    by_position = json_of(relay.command("mi", "sr_get_status", "core", "main"))
    assert by_position == json_of(relay.command("mi", "sr_get_status", "group=core", "identifier=main"))
    assert by_position["Readiness"] is True
    for words, reason in ((["sr_get_status", "x"], "404 Group not found"), (["no_such"], "-32601 Method not found")):
        refused = relay.command("mi", *words)
        assert refused.returncode == 1
        assert reason in refused.stderr


def test_people_read_a_tree_and_lines(relay: RelayNode) -> None:
    tree = relay.command("status")
    assert tree.returncode == 0
    for word in ("core", "listeners", "certificates", "tcp_mgm", "credentials", "routes", "store"):
        assert word in tree.stdout
    lines = relay.command("status", "reports", "--group", "core", "--since", "1d").stdout.splitlines()
    assert [line.split()[-1] for line in lines] == ["initialising", "running"]
    wrong = relay.command("status", "--since", "yesterday")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "--since" in wrong.stderr
