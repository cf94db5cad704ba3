"""TCP connection profiles (tcp_mgm) on live sockets of the running relay."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.live_client import LiveClient, StreamWire
from tests.support.live_relay import Clients, listening_peer
from tests.support.msrp import send_frame
from tests.support.node import RelayNode, json_of
from tests.support.waiting import until

KEEPALIVE_TIMER = "02"
TICKS = 100
"""Clock ticks of /proc/net/tcp in a second."""
OUR_IDLE = 120


@pytest.fixture(autouse=True)
def no_rows_are_left(bridge: RelayNode) -> Iterator[None]:
    yield
    for table in ("tcp_mgm", "wigwag_relay_route"):
        bridge.write_rows(f"DELETE FROM {table}")
    for what in ("profiles", "routes"):
        bridge.ask("POST", f"/v1/relay/{what}/reload")


def add_profile(node: RelayNode, **columns: object) -> None:
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    node.write_rows(f"INSERT INTO tcp_mgm ({names}) VALUES ({marks})", *columns.values())


def reload(node: RelayNode, *options: str) -> Any:
    return json_of(node.command("profiles", "reload", "--json", *options))


def port_of(client: LiveClient) -> int:
    assert isinstance(client.wire, StreamWire)
    port: int = client.wire.writer.get_extra_info("sockname")[1]
    return port


def connection_of(node: RelayNode, client: LiveClient) -> int:
    rows = node.ask("GET", "/v1/relay/connections?limit=1000")
    return int(next(row["id"] for row in rows if row["remote"].endswith(f":{port_of(client)}")))


def keepalive_seconds(local_port: int, remote_port: int) -> float | None:
    """Return when the kernel will probe a connection of this machine; None: it will not."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(f":{local_port:04X}") and fields[2].endswith(f":{remote_port:04X}"):
            kind, _, when = fields[5].partition(":")
            return int(when, 16) / TICKS if kind == KEEPALIVE_TIMER else None
    raise AssertionError("no such connection")


async def test_a_row_sets_the_keepalive_of_sockets_that_are_open(bridged: Clients) -> None:
    node, port = bridged.node, bridged.node.listeners["tcp"]["port"]
    alice = await bridged.join("alice")
    connection = connection_of(node, alice)
    add_profile(node, id=7, proto="tcp", local_port=port, keepalive=1, keepidle=3000, keepinterval=5, keepcount=2)
    planned = reload(node, "--dry-run")
    assert (planned["applied"], node.ask("GET", "/v1/relay/profiles")) == (False, [])
    (change,) = [change for change in planned["changes"] if change["connection_id"] == connection]
    assert any("keepidle" in text and "3000" in text for text in change["changes"])
    assert (keepalive_seconds(port, port_of(alice)) or 0) <= OUR_IDLE
    done = reload(node)
    assert (done["applied"], done["changes"]) == (True, planned["changes"])
    assert (keepalive_seconds(port, port_of(alice)) or 0) > OUR_IDLE
    later = await bridged.connect()
    await until(lambda: (keepalive_seconds(port, port_of(later)) or 0) > OUR_IDLE, 20)
    (listed,) = json_of(node.command("profiles", "list", "--json"))
    shown = json_of(node.command("profiles", "show", str(connection), "--json"))
    assert listed == shown
    assert (shown["id"], shown["keepidle"], shown["keepcount"]) == (7, 3000, 2)


async def test_a_row_can_turn_keepalive_off(bridged: Clients) -> None:
    node, port = bridged.node, bridged.node.listeners["tcp"]["port"]
    alice = await bridged.join("alice")
    add_profile(node, id=1, keepalive=0)
    reload(node)
    await until(lambda: keepalive_seconds(port, port_of(alice)) is None, 20)


async def test_a_bad_row_is_named_and_the_others_hold(bridged: Clients) -> None:
    node = bridged.node
    add_profile(node, id=1, proto="sctp")
    add_profile(node, id=2, remote_addr="203.0.113.0/24")
    result = reload(node)
    assert result["profiles"] == 1
    (reason,) = result["invalid"]
    assert "row 1" in reason
    assert "sctp" in reason


async def test_msg_read_timeout_closes_a_body_without_progress(bridged: Clients) -> None:
    node = bridged.node
    bob, alice = await bridged.join("bob", "tcp6"), await bridged.join("alice")
    add_profile(node, id=1, local_port=node.listeners["tcp"]["port"], msg_read_timeout=1, con_lifetime=3600)
    reload(node)
    frame = send_frame(b"x" * 1000, tid="stall1", to_path=alice.path_to(bob), from_path=alice.uri)
    await alice.write(frame[:600])
    # Our own limit would be 30 s, which is later than a test waits.
    await alice.until_closed()
    assert alice.responses["stall1"].status_code == 408


async def test_con_lifetime_ends_idle_connections_but_none_with_a_live_session(bridged: Clients) -> None:
    node = bridged.node
    living, idle = await bridged.join("alice"), await bridged.join("bob")
    for view in node.ask("GET", "/v1/relay/sessions?user=bob")["sessions"]:
        node.ask("DELETE", f"/v1/relay/sessions/{view['id']}")
    add_profile(node, id=1, con_lifetime=1, msg_read_timeout=30)
    reload(node)
    await idle.until_closed()
    carol = await bridged.join("carol")
    message, _ = await carol.send(carol.path_to(living))
    await living.message(message)


async def test_no_new_conn_refuses_an_outgoing_connection(bridged: Clients) -> None:
    node = bridged.node
    node.write_rows("INSERT INTO wigwag_relay_route (destination, allow_private) VALUES ('127.0.0.1', 1)")
    assert node.command("routes", "reload").returncode == 0
    alice = await bridged.join("alice")
    async with listening_peer() as peer, listening_peer() as other:
        add_profile(node, id=1, remote_port=peer.port, no_new_conn=1)
        reload(node)
        assert await alice.refused(f"{alice.use_path} {peer.uri}") == 403
        reached, _ = await alice.send(f"{alice.use_path} {other.uri}")
        await until(lambda: reached in other.messages, 20)
        assert peer.accepted == []
