"""SIP over several pods: any of them takes anything, any of them may die (DESIGN.md section 5)."""

import gc

import msgspec
import pytest

from tests.support.sip_cluster import SipCluster
from tests.support.sip_edge import DOMAIN, EdgeUnderTest, SipClient
from wigwag.protocols.sip import Request
from wigwag.relay.sip.between_pods import HandedOver
from wigwag.store import StoreError
from wigwag.store.memory import MemoryStore


@pytest.fixture
def cluster() -> SipCluster:
    return SipCluster("pod-a", "pod-b", "pod-c")


async def registered(edge: EdgeUnderTest, user: str, kind: str = "udp") -> SipClient:
    client = SipClient(edge, user, kind=kind)
    assert (await client.register()).status == 200
    return client


async def send(client: SipClient, request: Request) -> Request:
    """Send a request, with credentials once they are asked for."""
    client.send(request)
    await client.under_test.settle()
    again = client.authenticated(request, client.response())
    client.send(again)
    await client.under_test.settle()
    return again


async def test_datagrams_of_one_transaction_meet_whatever_pods_they_reach(cluster: SipCluster) -> None:
    alice = await registered(cluster.edges["pod-a"], "alice")
    bob = await registered(cluster.edges["pod-b"], "bob")
    for number in range(12):
        sent = await send(alice, alice.message("bob", str(number)))
        alice.under_test = cluster.edges[("pod-a", "pod-b", "pod-c")[number % 3]]
        alice.send(sent)  # The retransmission reaches another pod.
        bob.under_test = cluster.edges[("pod-c", "pod-a", "pod-b")[number % 3]]
        bob.answer(bob.incoming())
        assert alice.response().status == 200
    held = [len(edge.edge.transactions.servers) for edge in cluster.edges.values()]
    assert all(held), held


@pytest.mark.parametrize("kind", ["tcp", "wss"])
async def test_connection_of_another_pod_is_reached(cluster: SipCluster, kind: str) -> None:
    alice = await registered(cluster.edges["pod-a"], "alice", "tcp")
    bob = await registered(cluster.edges["pod-b"], "bob", kind)
    await send(alice, alice.message("bob"))
    bob.answer(bob.incoming())
    assert alice.response().status == 200


async def test_connection_that_is_gone_at_another_pod_is_told_at_once(cluster: SipCluster) -> None:
    alice = await registered(cluster.edges["pod-a"], "alice", "tcp")
    bob = await registered(cluster.edges["pod-b"], "bob", "tcp")
    assert bob.flow is not None
    del cluster.edges["pod-b"].edge.streams[bob.flow.connection]
    await send(alice, alice.message("bob"))
    assert alice.response().status == 430


async def test_pod_that_dies_with_the_receivers_connection_is_told_at_once(cluster: SipCluster) -> None:
    alice = await registered(cluster.edges["pod-a"], "alice", "tcp")
    bob = await registered(cluster.edges["pod-b"], "bob", "tcp")
    await send(alice, alice.message("bob"))
    cluster.kill("pod-b")
    assert alice.response().status == 430
    del bob


async def test_udp_client_needs_nothing_but_its_retransmission_when_a_pod_dies(cluster: SipCluster) -> None:
    alice = await registered(cluster.edges["pod-a"], "alice")
    bob = await registered(cluster.edges["pod-b"], "bob")
    for number in range(9):
        sent = await send(alice, alice.message("bob", str(number)))
        came = bob.incoming()
        owner = str(came.via.parameters["pod"])
        survivors = [name for name in cluster.edges if name != owner]
        cluster.kill(owner)
        alice.under_test = bob.under_test = cluster.edges[survivors[0]]
        bob.answer(came)  # It can be told to nobody.
        assert alice.received() == []
        alice.send(sent)
        await alice.under_test.settle()
        again = bob.incoming()
        assert again.via.branch == came.via.branch  # Bob's transaction knows it.
        bob.answer(again)
        assert alice.response().status == 200
        cluster.alive.add(owner)


async def test_datagrams_to_a_client_of_a_pod_that_died_go_on_from_another(cluster: SipCluster) -> None:
    alice = await registered(cluster.edges["pod-a"], "alice", "tcp")
    bob = await registered(cluster.edges["pod-b"], "bob")
    await send(alice, alice.message("bob"))
    first = bob.incoming()
    cluster.kill("pod-b")  # With bob's answer in its socket.
    alice.under_test.pass_time(0.6)
    again = bob.incoming()
    assert again.via.branch == first.via.branch
    bob.under_test = alice.under_test
    bob.answer(again)
    assert alice.response().status == 200


async def test_datagrams_to_a_client_of_a_pod_that_is_heard_but_not_reached_go_from_here(
    cluster: SipCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the two links between pods one is missed first."""
    alice = await registered(cluster.edges["pod-a"], "alice", "tcp")
    bob = await registered(cluster.edges["pod-b"], "bob")
    links = cluster.links["pod-a"]
    links.cut.add("pod-b")
    monkeypatch.setattr(links, "hears", lambda pod: True)
    await send(alice, alice.message("bob"))
    bob.under_test = alice.under_test
    bob.answer(bob.incoming())
    assert alice.response().status == 200


@pytest.mark.parametrize("where", [0, 1])
async def test_answer_that_names_a_pod_that_died_reaches_the_pod_that_has_taken_over(
    cluster: SipCluster, where: int
) -> None:
    """Bob's transaction answers the retransmission with what it has said before, about the Via of the first request."""
    alice = await registered(cluster.edges["pod-a"], "alice")
    bob = await registered(cluster.edges["pod-b"], "bob")
    sent = await send(alice, alice.message("bob"))
    first = bob.incoming()
    owner = str(first.via.parameters["pod"])
    cluster.kill(owner)
    survivors = [edge for name, edge in cluster.edges.items() if name != owner]
    alice.under_test, bob.under_test = survivors[0], survivors[where]
    alice.send(sent)
    await alice.under_test.settle()
    assert bob.incoming().via.branch == first.via.branch
    bob.answer(first)
    assert alice.response().status == 200


async def test_retransmission_is_not_challenged_when_nonce_and_transaction_died_with_their_pods(
    cluster: SipCluster,
) -> None:
    alice = SipClient(cluster.edges["pod-a"], "alice")
    request = alice.message("bob")
    alice.send(request)
    await alice.under_test.settle()
    challenge = alice.response()
    (issuer,) = [name for name, edge in cluster.edges.items() if edge.edge.counters["requests_received"]]
    cluster.kill(issuer)
    one, other = (edge for name, edge in cluster.edges.items() if name != issuer)
    bob = await registered(one, "bob")
    alice.under_test = one
    again = alice.authenticated(request, challenge)
    alice.send(again)
    await one.settle()
    first = bob.incoming()
    cluster.kill(str(first.via.parameters["pod"]))
    alice.under_test = bob.under_test = one if str(first.via.parameters["pod"]) != _name(cluster, one) else other
    alice.send(again)
    await alice.under_test.settle()
    assert bob.incoming().via.branch == first.via.branch


def _name(cluster: SipCluster, wanted: EdgeUnderTest) -> str:
    return next(name for name, edge in cluster.edges.items() if edge is wanted)


async def test_count_of_a_nonce_is_good_once_in_the_whole_cluster(cluster: SipCluster) -> None:
    alice = SipClient(cluster.edges["pod-a"], "alice")
    sent = await send(alice, alice.message("bob"))
    assert alice.response().status == 480
    for number, edge in enumerate(cluster.edges.values()):
        alice.under_test = edge
        replay = sent.copy()
        replay.replace_item("via", f"{sent.via};x=1".replace("branch=", f"branch=z9hG4bKreplay{number}"))
        alice.send(replay)
        await edge.settle()
        response = alice.response()
        assert response.status == 407
        assert "stale=true" in str(response.get("proxy-authenticate"))


async def test_count_of_a_nonce_whose_pod_is_gone_is_good_once(cluster: SipCluster) -> None:
    alice = SipClient(cluster.edges["pod-a"], "alice")
    request = alice.message("bob")
    alice.send(request)
    await alice.under_test.settle()
    challenge = alice.response()
    (issuer,) = [name for name, edge in cluster.edges.items() if edge.edge.counters["requests_received"]]
    cluster.kill(issuer)
    alice.under_test = next(edge for name, edge in cluster.edges.items() if name != issuer)
    again = alice.authenticated(request, challenge)
    statuses = []
    for number in range(2):
        copy = again.copy()
        copy.replace_item("via", str(again.via).replace("branch=", f"branch=z9hG4bKtry{number}"))
        alice.send(copy)
        await alice.under_test.settle()
        statuses.append(alice.response().status)
    assert statuses == [480, 407]


async def test_dialog_survives_every_pod_it_was_set_up_on(cluster: SipCluster) -> None:
    alice = await registered(cluster.edges["pod-a"], "alice")
    bob = await registered(cluster.edges["pod-b"], "bob", "tcp")
    sent = await send(alice, alice.request("INVITE", f"sip:bob@{DOMAIN}"))
    came = bob.incoming()
    routes = came.get_all("record-route")
    bob.answer(came, 200, "OK", fields=[("Record-Route", route) for route in routes])
    alice.received()
    cluster.kill("pod-a")
    cluster.kill("pod-b")
    alice.under_test = bob.under_test = cluster.edges["pod-c"]
    bob.connect()
    assert (await bob.register()).status == 200
    for sender, receiver, route_set in ((alice, bob, routes[::-1]), (bob, alice, routes)):
        fields = [("Route", route) for route in route_set]
        request = sender.request("INFO", receiver.contact, fields, call_id=sent.call_id)
        request.set("To", f"<{receiver.aor}>;tag=other")
        sender.send(request)
        await sender.under_test.settle()
        receiver.answer(receiver.incoming())
        assert sender.response().status == 200


async def test_datagram_waits_for_no_link(cluster: SipCluster) -> None:
    alice = await registered(cluster.edges["pod-a"], "alice")
    bob = await registered(cluster.edges["pod-a"], "bob")
    cluster.links["pod-a"].cut = {"pod-b", "pod-c"}
    for number in range(6):
        await send(alice, alice.message("bob", str(number)))
        bob.answer(bob.incoming())
        assert alice.response().status == 200


async def test_user_goes_on_with_a_new_nonce_when_its_pod_is_gone_and_the_store_too(
    cluster: SipCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> bool:
        raise StoreError("away")

    alice = SipClient(cluster.edges["pod-a"], "alice")
    request = alice.message("bob")
    alice.send(request)
    await alice.under_test.settle()
    again = alice.authenticated(request, alice.response())
    (issuer,) = [name for name, edge in cluster.edges.items() if edge.edge.counters["requests_received"]]
    cluster.kill(issuer)
    alice.under_test = next(edge for name, edge in cluster.edges.items() if name != issuer)
    monkeypatch.setattr(MemoryStore, "use_nonce", away)
    alice.send(again)
    await alice.under_test.settle()
    challenge = alice.response()
    assert (challenge.status, "stale=true" in str(challenge.get("proxy-authenticate"))) == (407, True)
    alice.send(alice.authenticated(again, challenge))
    await alice.under_test.settle()
    assert alice.response().status == 480


def owner_of(cluster: SipCluster, pods: set[str], branch: str) -> str:
    """Return who owns a branch while these pods live."""
    alive, cluster.alive = cluster.alive, pods
    first = min(pods)
    owner = cluster.pods[first]._owner(branch, [pod for pod in pods if pod != first])
    cluster.alive = alive
    return owner


async def test_cancel_and_ack_meet_their_call_after_another_pod_has_come(cluster: SipCluster) -> None:
    bob = await registered(cluster.edges["pod-a"], "bob")
    everyone, two = set(cluster.alive), {"pod-a", "pod-b"}
    branch = next(
        branch
        for branch in (f"z9hG4bK{number}" for number in range(1000))
        if owner_of(cluster, two, f"{branch}a") == "pod-a" and owner_of(cluster, everyone, f"{branch}a") == "pod-c"
    )
    alice = SipClient(cluster.edges["pod-a"], "alice")
    cluster.alive = set(two)
    sent = await send(alice, alice.request("INVITE", f"sip:bob@{DOMAIN}", branch=branch))
    came = bob.incoming()
    bob.answer(came, 180, "Ringing")
    cluster.alive = everyone
    alice.received()
    cancel = alice.request("CANCEL", sent.uri, branch=sent.via.branch)
    cancel.set("CSeq", f"{sent.cseq.number} CANCEL")
    alice.send(cancel)
    assert alice.response().status == 200
    assert bob.incoming().method == "CANCEL"
    bob.answer(came, 487, "Request Terminated")
    refused = alice.response()
    assert refused.status == 487
    ack = alice.request("ACK", sent.uri, branch=sent.via.branch)
    ack.set("CSeq", f"{sent.cseq.number} ACK")
    ack.set("To", str(refused.get("to")))
    alice.send(ack)
    cluster.edges["pod-a"].pass_time(4)
    assert alice.received() == []  # It has its ACK, and is not said again.


async def test_pods_whose_long_names_differ_at_the_end_share_the_work() -> None:
    cluster = SipCluster(*(f"production-wigwag-relay-edge-7d8f9c6b5-{end}" for end in ("abcde", "fghij", "klmno")))
    owners = {owner_of(cluster, set(cluster.alive), f"z9hG4bK{number}") for number in range(50)}
    assert owners == cluster.alive


async def test_answer_by_another_pod_goes_to_the_port_that_via_names(cluster: SipCluster) -> None:
    alice = SipClient(cluster.edges["pod-a"], "alice")
    for number in range(6):
        request = alice.message("bob", str(number))
        request.set("Via", f"SIP/2.0/UDP {alice.remote[0]}:7777;branch={request.via.branch}")
        alice.send(request)
        await alice.under_test.settle()
    assert len(alice.under_test.socket.sent[alice.remote[0], 7777]) == 6


async def test_connections_of_other_pods_are_forgotten_when_nothing_waits_for_them(cluster: SipCluster) -> None:
    alice = await registered(cluster.edges["pod-a"], "alice", "tcp")
    for _ in range(3):
        bob = await registered(cluster.edges["pod-b"], "bob", "tcp")
        await send(alice, alice.message("bob"))
        bob.answer(bob.incoming())
        assert alice.response().status == 200
        await bob.register(expires=0)
        bob.disconnect()
        cluster.edges["pod-a"].parts.locations.forget(bob.aor)
    cluster.edges["pod-a"].pass_time(40)
    gc.collect()
    assert len(cluster.pods["pod-a"]._flows) == 0


@pytest.mark.parametrize(
    "content", [b"", b"\xc1", b"\x91\x01", b"\x92\x63\x00", b"\x92\x03\xc4\x01x", b"\x95\x01\xa1u\xa1h\x01\xc4\x01x"]
)
async def test_what_can_not_be_read_of_another_pod_ends_no_link(cluster: SipCluster, content: bytes) -> None:
    cluster.pods["pod-a"].received("pod-b", content)
    cluster.pods["pod-a"].received("pod-b", msgspec.msgpack.encode(HandedOver("udp", "203.0.113.1", 1, b"nothing")))


def forget(cluster: SipCluster, aor: str) -> None:
    """Let all pods hear that a user's registration has changed."""
    for edge in cluster.edges.values():
        edge.parts.locations.forget(aor)


async def test_dialog_follows_a_client_whose_datagrams_reach_any_pod_and_come_from_elsewhere_later(
    cluster: SipCluster,
) -> None:
    bob = await registered(cluster.edges["pod-b"], "bob")
    for name, edge in cluster.edges.items():
        alice = await registered(cluster.edges["pod-a"], "alice")
        forget(cluster, alice.aor)
        alice.under_test = edge
        await send(alice, alice.request("INVITE", f"sip:bob@{DOMAIN}", call_id=f"call-{name}"))
        came = bob.incoming()
        bob.answer(came)
        moved = SipClient(edge, "alice")
        assert (await moved.register(contact=alice.contact)).status == 200
        forget(cluster, alice.aor)
        request = bob.request("INFO", alice.contact, call_id=came.call_id)
        request.set("To", f"<{alice.aor}>;tag=alice1")
        for route in came.items("record-route"):
            request.append("Route", route)
        bob.send(request)
        await bob.under_test.settle()
        assert moved.incoming().method == "INFO"


async def test_mistake_of_ours_about_one_message_ends_no_link(
    cluster: SipCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("a bug")

    for edge in cluster.edges.values():
        monkeypatch.setattr(edge.router, "admit", broken)
    alice = SipClient(cluster.edges["pod-a"], "alice")
    links = cluster.links["pod-a"]
    for _ in range(12):
        before = links.sent
        try:
            alice.send(alice.message("bob"))
        except KeyError:
            assert links.sent == before  # Its own.
        assert alice.response().status == 500
    assert links.sent
