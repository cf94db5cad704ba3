"""Clients of every kind reach each other through one relay (RFC 4976, RFC 7977)."""

import itertools

import pytest

from tests.support.live_client import LiveClient, open_wire, status_of
from tests.support.live_relay import HOST, KINDS, PASSWORDS, Clients


async def test_messages_pass_between_every_pair_of_listener_kinds(clients: Clients) -> None:
    users = itertools.cycle(("alice", "bob", "carol"))
    joined = {kind: await clients.join(next(users), kind) for kind in KINDS}
    for sender, receiver in itertools.product(KINDS, KINDS):
        if sender == receiver:
            continue
        body = f"from {sender} to {receiver}".encode()
        message, status = await joined[sender].send(joined[sender].path_to(joined[receiver]), body)
        assert status == 200
        assert (await joined[receiver].message(message)).body == body
    assert {kind: client.reports for kind, client in joined.items()} == {kind: [] for kind in KINDS}


async def test_success_reports_come_back_from_a_websocket_to_a_tls_client(clients: Clients) -> None:
    alice, bob = await clients.join("alice", "tls"), await clients.join("bob", "wss")
    message, _ = await alice.send(alice.path_to(bob), b"hi", headers=["Success-Report: yes"])
    received = await bob.message(message)
    back = " ".join(map(str, received.head.from_path))
    await bob.request("REPORT", back, (f"Message-ID: {message}", "Byte-Range: 1-2/2", "Status: 000 200 OK"))
    assert status_of(await alice.report(message)) == 200


async def test_a_peer_without_a_relay_is_bound_by_its_first_message_and_answered_there(clients: Clients) -> None:
    alice = await clients.join("alice", "wss")
    peer = await clients.connect("tls")
    message, status = await peer.send(alice.path, b"hello from outside")
    assert status == 200
    assert (await alice.message(message)).body == b"hello from outside"
    answer, _ = await alice.send(f"{alice.use_path} {peer.uri}", b"and back")
    assert (await peer.message(answer)).body == b"and back"


async def test_a_second_connection_that_claims_a_bound_peer_gets_506(clients: Clients) -> None:
    alice, first = await clients.join("alice"), await clients.connect("tls")
    second = await clients.connect("tls", uri=first.uri)
    assert (await first.send(alice.path))[1] == 200
    assert (await second.send(alice.path))[1] == 506


async def test_two_sessions_share_a_connection(clients: Clients) -> None:
    one = await clients.join("alice", "tls")
    first_uri, first_use = one.uri, one.use_path
    one.uri = "msrps://second.invalid:2855/other;tcp"
    await one.authenticate(clients.uri("tls"), "bob", "bob-secret")
    bob = await clients.join("carol")
    for to in (f"{bob.use_path} {first_use} {first_uri}", f"{bob.use_path} {one.path}"):
        message, status = await bob.send(to, to.encode())
        assert status == 200
        assert (await one.message(message)).body == to.encode()


@pytest.mark.parametrize("kind", ["tcp", "tls", "ws", "wss", "tcp6"])
async def test_nothing_is_relayed_for_who_has_not_authenticated(clients: Clients, kind: str) -> None:
    alice, stranger = await clients.join("alice"), await clients.connect(kind)
    _, status = await stranger.send(f"{alice.use_path} msrp://elsewhere.invalid:2855/x;tcp")
    assert status == 481


async def test_a_peer_listener_turns_away_who_shows_no_certificate(clients: Clients) -> None:
    wire = await open_wire("tls", "127.0.0.1", clients.node.listeners["peer"]["port"], clients.tls("tls"), HOST)
    stranger = LiveClient(wire, "msrps://client.test:2855/x;tcp")
    # TLS 1.3 tells the client only after its own part of the handshake.
    await stranger.until_closed()
    await stranger.close()
    assert stranger.responses == {}


async def test_the_peer_listener_asks_a_certified_client_for_a_digest_all_the_same(clients: Clients) -> None:
    client = await clients.connect("peer")
    assert await client.auth(clients.uri("peer"), "alice", "wrong") == 401
    assert await client.auth(clients.uri("peer"), "alice", PASSWORDS["alice"]) == 200


async def test_a_plain_listener_refuses_auth_unless_told_otherwise(bridged: Clients) -> None:
    client = await bridged.connect("closed")
    assert await client.auth(bridged.uri("closed"), "alice", PASSWORDS["alice"]) == 403
    alice = await bridged.join("alice")
    message, status = await client.send(alice.path, b"who has no relay may write without AUTH")
    assert status == 200
    await alice.message(message)
