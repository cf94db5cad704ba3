"""Where the running relay connects to on its own, and where not (docs/operations.md, Routes)."""

from collections.abc import Iterator

import pytest

from tests.scenarios.conftest import Hooks
from tests.support.http_server import answer
from tests.support.live_relay import Clients, ListeningPeer, listening_peer
from tests.support.node import RelayNode
from tests.support.waiting import until


@pytest.fixture(autouse=True)
def no_routes_are_left(bridge: RelayNode) -> Iterator[None]:
    yield
    bridge.write_rows("DELETE FROM wigwag_relay_route")
    reload(bridge)


def reload(node: RelayNode) -> None:
    node.ask("POST", "/v1/relay/routes/reload")


def add_route(node: RelayNode, **columns: object) -> None:
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    node.write_rows(f"INSERT INTO wigwag_relay_route ({names}) VALUES ({marks})", *columns.values())
    reload(node)


async def refused_with(clients: Clients, uri: str) -> int:
    """Let a new client send to a URI that can't be reached; returns what it is told."""
    alice = await clients.join("alice")
    return await alice.refused(f"{alice.use_path} {uri}")


async def reaches(clients: Clients, uri: str, peer: ListeningPeer) -> None:
    """Send to a URI, and wait until it has arrived at the peer."""
    alice = await clients.join("alice")
    message, status = await alice.send(f"{alice.use_path} {uri}", b"out there")
    assert status == 200
    await until(lambda: message in peer.messages and peer.messages[message].flags == "$", 20)
    assert peer.messages[message].body == b"out there"


async def test_loopback_is_not_connected_to_until_a_row_opens_it(bridged: Clients) -> None:
    async with listening_peer() as peer, listening_peer() as opened:
        assert await refused_with(bridged, peer.uri) == 403
        add_route(bridged.node, destination="127.0.0.1", allow_private=1)
        await reaches(bridged, opened.uri, opened)
        assert peer.accepted == []


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "10.0.0.1", "192.168.0.1", "169.254.169.254", "0.0.0.0"])
async def test_private_addresses_are_refused_without_a_row(bridged: Clients, host: str) -> None:
    assert await refused_with(bridged, f"msrp://{host}:2855/x;tcp") == 403


async def test_a_refusing_row_goes_before_an_opening_one(bridged: Clients) -> None:
    async with listening_peer() as peer:
        add_route(bridged.node, priority=1, destination="127.*", action="refuse")
        add_route(bridged.node, priority=2, allow_private=1)
        assert await refused_with(bridged, peer.uri) == 403
        assert peer.accepted == []


async def test_a_row_names_another_next_hop_and_the_paths_stay(bridged: Clients) -> None:
    async with listening_peer() as peer:
        next_hop = f"msrp://127.0.0.1:{peer.port};tcp"
        add_route(bridged.node, destination="*.partner.example", next_hop=next_hop, allow_private=1)
        await reaches(bridged, "msrp://chat.partner.example:2855/abc;tcp", peer)
        (message,) = peer.messages.values()
        assert str(message.head.to_path[0]) == "msrp://chat.partner.example:2855/abc;tcp"


async def test_a_row_holds_for_its_listener_and_network_only(bridged: Clients) -> None:
    async with listening_peer() as peer:
        add_route(bridged.node, listener="ws", allow_private=1)
        add_route(bridged.node, source_network="192.0.2.0/24", allow_private=1)
        assert await refused_with(bridged, peer.uri) == 403
        alice = await bridged.join("alice", "ws")
        message, _ = await alice.send(f"{alice.use_path} {peer.uri}")
        await until(lambda: message in peer.messages, 20)


async def test_who_is_not_there_is_reported_408(bridged: Clients) -> None:
    add_route(bridged.node, allow_private=1)
    async with listening_peer() as peer:
        gone = peer.uri
    assert await refused_with(bridged, gone) == 408


async def test_an_http_service_is_asked_before_the_table(bridged: Clients, hooks: Hooks) -> None:
    async with listening_peer() as peer:
        hooks.routes.respond = answer(200, {"action": "forward", "allow_private": True})
        await reaches(bridged, peer.uri, peer)
        question = hooks.routes.requests[0][2]
        assert question == {"source": "127.0.0.1", "listener": "tcp", "scheme": "msrp", "destination": "127.0.0.1"}
    add_route(bridged.node, allow_private=1)
    async with listening_peer() as refused:
        hooks.routes.respond = answer(200, {"action": "refuse", "reason": "not today"})
        assert await refused_with(bridged, refused.uri) == 403
        assert refused.accepted == []


async def test_a_service_that_gives_no_usable_answer_opens_nothing(bridged: Clients, hooks: Hooks) -> None:
    add_route(bridged.node, allow_private=1)
    async with listening_peer() as peer:
        hooks.routes.respond = answer(500, {})
        assert await refused_with(bridged, peer.uri) == 408
        assert peer.accepted == []


async def test_a_broken_row_leaves_the_routes_as_they_were(bridged: Clients) -> None:
    node = bridged.node
    add_route(node, destination="127.0.0.1", allow_private=1)
    node.write_rows("INSERT INTO wigwag_relay_route (next_hop) VALUES ('nonsense')")
    result = node.command("routes", "reload")
    assert result.returncode == 1
    assert "route 2" in result.stderr
    async with listening_peer() as peer:
        await reaches(bridged, peer.uri, peer)


async def test_a_websocket_uri_is_never_connected_to(bridged: Clients) -> None:
    add_route(bridged.node, allow_private=1)
    async with listening_peer() as peer:
        assert await refused_with(bridged, f"msrp://127.0.0.1:{peer.port}/x;ws") == 481
        assert await refused_with(bridged, "msrp://df7jal23ls0d.invalid:2855/x;tcp") == 481
        assert peer.accepted == []
