"""Several pods are one relay (DESIGN.md section 4), without sockets."""

import pytest

from tests.support.relay import FakeClient, ok_to, send, value_of
from tests.support.relay_cluster import ClusterUnderTest, PodUnderTest, client_at, deliver
from tests.support.relay_pair import kinds, request, settings, statuses
from wigwag.protocols.digest import SigningKey
from wigwag.relay.departure import ANSWERS_AWAITED

PEER = "msrp://peer.invalid:7/p;tcp"
ALICE = "msrps://alice.invalid:9/a;tcp"
BOB = "msrps://bob.invalid:9/b;tcp"


async def client(cluster: ClusterUnderTest, pod: PodUnderTest, name: str = "alice", uri: str = ALICE) -> FakeClient:
    return await client_at(cluster, pod, name, uri)


async def test_a_peer_at_another_pod_reaches_the_client_and_is_answered() -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        alice = await client(cluster, one)
        peer = two.connect()
        answer = await deliver(cluster, peer, send(f"{alice.use_path} {ALICE}", PEER))
        assert kinds(answer) == ["200"]
        assert kinds(alice.channel.taken()) == ["SEND"]


async def test_the_receivers_own_200_ends_the_transaction_at_the_pod_that_answered_the_sender() -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        alice = await client(cluster, one)
        peer = two.connect()
        await deliver(cluster, peer, send(f"{alice.use_path} {ALICE}", PEER))
        frame = alice.channel.taken()[0]
        remote = next(iter(peer.hop.routes_from.values())).destination
        assert len(remote.transactions) == 1
        await deliver(cluster, alice.channel, ok_to(frame))
        assert not remote.transactions
        await cluster.advance(40)
        assert statuses(peer.taken()) == []


async def test_a_refusal_by_the_receiver_becomes_a_report_at_the_senders_pod() -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        alice = await client(cluster, one)
        peer = two.connect()
        await deliver(cluster, peer, send(f"{alice.use_path} {ALICE}", PEER))
        await deliver(cluster, alice.channel, ok_to(alice.channel.taken()[0], "413 too much"))
        assert statuses(peer.taken()) == ["413"]


async def test_silence_of_the_receiver_is_reported_after_30_seconds() -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        alice = await client(cluster, one)
        peer = two.connect()
        await deliver(cluster, peer, send(f"{alice.use_path} {ALICE}", PEER))
        await cluster.advance(29)
        assert statuses(peer.taken()) == []
        await cluster.advance(4)
        assert statuses(peer.taken()) == ["408"]


async def test_the_client_reaches_a_peer_bound_at_another_pod() -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        alice = await client(cluster, one)
        peer = two.connect()
        await deliver(cluster, peer, send(f"{alice.use_path} {ALICE}", PEER))
        answer = await deliver(
            cluster, alice.channel, send(f"{alice.use_path} {PEER}", ALICE, b"back", transaction_id="t002")
        )
        assert kinds(answer)[-1] == "200"
        assert kinds(peer.taken()) == ["SEND"]


async def test_a_second_connection_that_claims_the_peers_uri_at_another_pod_gets_506() -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        alice = await client(cluster, one)
        await deliver(cluster, two.connect(), send(f"{alice.use_path} {ALICE}", PEER))
        assert kinds(await deliver(cluster, one.connect(), send(f"{alice.use_path} {ALICE}", PEER))) == ["506"]


async def test_two_clients_at_two_pods_talk_through_both_their_sessions() -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        alice, bob = await client(cluster, one), await client(cluster, two, "bob", BOB)
        path = f"{alice.use_path} {bob.use_path} {BOB}"
        assert kinds(await deliver(cluster, alice.channel, send(path, ALICE))) == ["200"]
        assert kinds(bob.channel.taken()) == ["SEND"]


async def test_a_report_travels_back_across_pods() -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        alice, bob = await client(cluster, one), await client(cluster, two, "bob", BOB)
        await deliver(cluster, alice.channel, send(f"{alice.use_path} {bob.use_path} {BOB}", ALICE))
        back = value_of(bob.channel.taken()[0], "From-Path")
        assert back is not None
        report = request("REPORT", back, BOB, "Message-ID: m001\r\nByte-Range: 1-5/5\r\nStatus: 000 200 OK\r\n")
        await deliver(cluster, bob.channel, report)
        assert statuses(alice.channel.taken()) == ["200"]


async def test_the_response_to_another_method_finds_its_way_back() -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        alice = await client(cluster, one)
        peer = two.connect()
        await deliver(cluster, peer, request("FETCH", f"{alice.use_path} {ALICE}", PEER))
        frame = alice.channel.taken()[0]
        back = value_of(frame, "From-Path")
        transaction_id = frame.split(b" ")[1].decode()
        answer = (
            f"MSRP {transaction_id} 200 fine\r\nTo-Path: {back}\r\nFrom-Path: {ALICE}\r\n-------{transaction_id}$\r\n"
        )
        await deliver(cluster, alice.channel, answer.encode())
        assert kinds(peer.taken()) == ["200"]


async def test_an_unknown_but_genuine_uri_is_481_at_every_pod() -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        alice = await client(cluster, one)
        one.relay.end_session(next(iter(one.relay.sessions)).id)
        await cluster.settle()
        assert kinds(await deliver(cluster, two.connect(), send(f"{alice.use_path} {ALICE}", PEER))) == ["481"]


# Newest AUTH wins


async def test_a_client_that_moves_keeps_its_uri_and_gets_what_comes_next_at_its_new_pod() -> None:
    async with ClusterUnderTest(3) as cluster:
        one, two, three = cluster.pods
        alice = await client(cluster, one)
        peer = three.connect()
        await deliver(cluster, peer, send(f"{alice.use_path} {ALICE}", PEER))
        await deliver(cluster, alice.channel, ok_to(alice.channel.taken()[0]))
        moved = await client(cluster, two)
        assert moved.use_path == alice.use_path
        assert not alice.channel.is_open
        await deliver(cluster, peer, send(f"{alice.use_path} {ALICE}", PEER, b"second", transaction_id="t002"))
        assert kinds(moved.channel.taken()) == ["SEND"]
        assert statuses(peer.taken()) == []


async def test_what_was_not_passed_on_follows_the_client_in_order() -> None:
    async with ClusterUnderTest(3) as cluster:
        one, two, three = cluster.pods
        alice = await client(cluster, one)
        peer = three.connect()
        await deliver(cluster, peer, send(f"{alice.use_path} {ALICE}", PEER, b"0"))
        await deliver(cluster, alice.channel, ok_to(alice.channel.taken()[0]))
        alice.channel.full_above = 0
        for number in range(1, 6):
            path = f"{alice.use_path} {ALICE}"
            await deliver(
                cluster,
                peer,
                send(path, PEER, b"%d" % number, transaction_id=f"t00{number}", message_id=f"m00{number}"),
            )
        written = len(alice.channel.taken())
        moved = await client(cluster, two)
        found = [value_of(frame, "Message-ID") for frame in moved.channel.taken()]
        assert found == [f"m00{number}" for number in range(written + 1, 6)]
        assert statuses(peer.taken()) == []
        await cluster.advance(ANSWERS_AWAITED + 1)
        assert statuses(peer.taken()) == ["408"] * written


async def test_messages_of_the_new_pods_own_sources_wait_for_what_the_old_pod_had() -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        alice = await client(cluster, one)
        peer = two.connect()
        path = f"{alice.use_path} {ALICE}"
        await deliver(cluster, peer, send(path, PEER, b"0"))
        await deliver(cluster, alice.channel, ok_to(alice.channel.taken()[0]))
        alice.channel.full_above = 0
        for number in range(1, 4):
            frame = send(path, PEER, b"%d" % number, transaction_id=f"t00{number}", message_id=f"m00{number}")
            await deliver(cluster, peer, frame)
        written = len(alice.channel.taken())
        moved = await client(cluster, two)
        await deliver(cluster, peer, send(path, PEER, b"4", transaction_id="t004", message_id="m004"))
        found = [value_of(frame, "Message-ID") for frame in moved.channel.taken()]
        assert found == [f"m00{number}" for number in range(written + 1, 5)]


async def test_a_client_that_comes_back_to_its_pod_is_reached_there_again() -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        alice = await client(cluster, one)
        peer = two.connect()
        await deliver(cluster, peer, send(f"{alice.use_path} {ALICE}", PEER))
        again = await client(cluster, one)
        assert again.use_path == alice.use_path
        await deliver(cluster, peer, send(f"{alice.use_path} {ALICE}", PEER, b"second", transaction_id="t002"))
        assert kinds(again.channel.taken()) == ["SEND"]


# Loss and resume


async def test_a_lost_client_is_held_for_at_the_senders_pod_and_resumes_at_a_third() -> None:
    async with ClusterUnderTest(3) as cluster:
        one, two, three = cluster.pods
        alice = await client(cluster, one)
        peer = three.connect()
        await deliver(cluster, peer, send(f"{alice.use_path} {ALICE}", PEER))
        await deliver(cluster, alice.channel, ok_to(alice.channel.taken()[0]))
        alice.channel.lose()
        await cluster.settle()
        answer = await deliver(cluster, peer, send(f"{alice.use_path} {ALICE}", PEER, b"held", transaction_id="t002"))
        assert kinds(answer) == ["200"]
        resumed = await client(cluster, two)
        assert resumed.use_path == alice.use_path
        assert kinds(resumed.channel.taken()) == ["SEND"]
        assert statuses(peer.taken()) == []


async def test_what_is_held_for_a_lost_client_is_reported_after_20_seconds_and_then_refused() -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        alice = await client(cluster, one)
        peer = two.connect()
        path = f"{alice.use_path} {ALICE}"
        await deliver(cluster, peer, send(path, PEER))
        await deliver(cluster, alice.channel, ok_to(alice.channel.taken()[0]))
        alice.channel.lose()
        await cluster.settle()
        await deliver(cluster, peer, send(path, PEER, b"held", transaction_id="t002"))
        await cluster.advance(19)
        assert statuses(peer.taken()) == []
        await cluster.advance(3)
        assert statuses(peer.taken()) == ["408"]
        assert kinds(await deliver(cluster, peer, send(path, PEER, b"no", transaction_id="t003"))) == ["481"]


async def test_what_a_killed_pod_had_is_reported_408_and_the_session_resumes_elsewhere() -> None:
    async with ClusterUnderTest(3) as cluster:
        one, two, three = cluster.pods
        alice = await client(cluster, one)
        peer = three.connect()
        path = f"{alice.use_path} {ALICE}"
        await deliver(cluster, peer, send(path, PEER))
        one.paused = True
        cluster.network.silent = {("pod1", "pod2"), ("pod2", "pod1"), ("pod1", "pod3"), ("pod3", "pod1")}
        await cluster.advance(4)
        assert statuses(peer.taken()) == ["408"]
        assert kinds(await deliver(cluster, peer, send(path, PEER, b"held", transaction_id="t002"))) == ["200"]
        resumed = await client(cluster, two)
        assert resumed.use_path == alice.use_path
        assert kinds(resumed.channel.taken()) == ["SEND"]


async def test_a_paused_pod_gives_up_its_session_before_it_reads_on() -> None:
    async with ClusterUnderTest(3) as cluster:
        one, two, three = cluster.pods
        alice = await client(cluster, one)
        peer = three.connect()
        await deliver(cluster, peer, send(f"{alice.use_path} {ALICE}", PEER))
        await deliver(cluster, alice.channel, ok_to(alice.channel.taken()[0]))
        one.paused = True
        await cluster.advance(9)
        await client(cluster, two)
        one.paused = False
        alice.channel.receive(send(f"{alice.use_path} {PEER}", ALICE, b"late", transaction_id="t009"))
        await cluster.settle()
        assert kinds(peer.taken()) == []
        assert not alice.channel.is_open


# The store


async def test_known_routes_go_on_while_the_store_is_away() -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        alice = await client(cluster, one)
        peer = two.connect()
        path = f"{alice.use_path} {ALICE}"
        await deliver(cluster, peer, send(path, PEER))
        one.store.away = two.store.away = True
        await cluster.advance(20)
        assert kinds(await deliver(cluster, peer, send(path, PEER, b"on", transaction_id="t002"))) == ["200"]
        assert len(alice.channel.taken()) == 2


async def test_auth_for_a_new_session_is_refused_while_the_store_is_away_and_a_refresh_is_granted() -> None:
    async with ClusterUnderTest() as cluster:
        one, _ = cluster.pods
        alice = await client(cluster, one)
        one.store.away = True
        challenge = await alice.auth(transaction_id="auth3")
        assert kinds([await alice.auth(alice.authorization(challenge), transaction_id="auth4")]) == ["200"]
        bob = FakeClient(one, one.connect(), "bob", BOB)
        assert kinds([await bob.authenticate()]) == ["403"]


async def test_a_new_route_is_refused_408_while_the_store_is_away_and_works_afterwards() -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        alice = await client(cluster, one)
        two.store.away = True
        peer, path = two.connect(), f"{alice.use_path} {ALICE}"
        assert kinds(await deliver(cluster, peer, send(path, PEER))) == ["408"]
        two.store.away = False
        await cluster.advance(1)
        assert kinds(await deliver(cluster, peer, send(path, PEER, transaction_id="t002"))) == ["200"]


async def test_a_store_that_comes_back_empty_is_filled_again() -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        alice = await client(cluster, one)
        cluster.store._records.clear()
        cluster.store._owners.clear()
        cluster.store._generation = "another"
        await cluster.advance(2)
        peer = two.connect()
        assert kinds(await deliver(cluster, peer, send(f"{alice.use_path} {ALICE}", PEER))) == ["200"]
        assert len(alice.channel.taken()) == 1


async def test_a_known_route_goes_on_while_the_store_has_come_back_empty() -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        alice = await client(cluster, one)
        peer, path = two.connect(), f"{alice.use_path} {ALICE}"
        await deliver(cluster, peer, send(path, PEER))
        cluster.store._records.clear()
        two.cluster._refresh(next(iter(one.relay.sessions)).uri.session_id or "")
        await cluster.settle()
        assert kinds(await deliver(cluster, peer, send(path, PEER, b"on", transaction_id="t002"))) == ["200"]
        assert len(alice.channel.taken()) == 2


async def test_what_is_held_waits_for_the_store_to_be_filled_again() -> None:
    async with ClusterUnderTest(3) as cluster:
        one, two, three = cluster.pods
        alice = await client(cluster, one)
        peer, path = three.connect(), f"{alice.use_path} {ALICE}"
        await deliver(cluster, peer, send(path, PEER))
        await deliver(cluster, alice.channel, ok_to(alice.channel.taken()[0]))
        alice.channel.lose()
        await cluster.settle()
        await deliver(cluster, peer, send(path, PEER, b"held", transaction_id="t002"))
        three.store.away = True
        await cluster.advance(1.5)
        cluster.store._records.clear()
        cluster.store._owners.clear()
        cluster.store._generation = "another"
        three.store.away = False
        await cluster.advance(3)
        resumed = await client(cluster, two)
        assert resumed.use_path == alice.use_path
        assert kinds(resumed.channel.taken()) == ["SEND"]
        assert statuses(peer.taken()) == []


@pytest.mark.parametrize("window", [0, 60])
async def test_the_resume_window_decides_whether_the_uri_stays(window: int) -> None:
    async with ClusterUnderTest(2, settings(resume_window=window)) as cluster:
        one, two = cluster.pods
        alice = await client(cluster, one)
        alice.channel.lose()
        await cluster.settle()
        again = await client(cluster, two)
        assert (again.use_path == alice.use_path) is bool(window)


async def test_sessions_of_a_user_are_counted_over_all_pods() -> None:
    async with ClusterUnderTest(2, settings(limits={"sessions_per_user": 1})) as cluster:
        one, two = cluster.pods
        await client(cluster, one)
        second = FakeClient(two, two.connect(), "alice", "msrps://other.invalid:9/x;tcp")
        assert kinds([await second.authenticate()]) == ["403"]


async def test_a_link_that_cannot_be_opened_is_shown_with_the_reason_until_it_stands() -> None:
    right, wrong = (SigningKey("A", secret * 32) for secret in (b"k", b"x"))
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        alice = await client(cluster, one)
        two.cluster.keys.replace([wrong])
        peer = two.connect()
        await deliver(cluster, peer, send(f"{alice.use_path} {ALICE}", PEER))
        assert "signing keys" in two.cluster.links.views()[one.name]
        two.cluster.keys.replace([right])
        await cluster.advance(1)
        await deliver(cluster, peer, send(f"{alice.use_path} {ALICE}", PEER))
        await cluster.advance(1)
        assert two.cluster.links.views() == {one.name: "up"}


async def test_what_waits_for_a_pod_that_lives_but_cannot_be_reached_is_reported() -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        alice = await client(cluster, one)
        cluster.network.silent = {("pod1", "pod2"), ("pod2", "pod1")}
        peer = two.connect()
        path = f"{alice.use_path} {ALICE}"
        assert kinds(await deliver(cluster, peer, send(path, PEER))) == ["200"]
        await cluster.advance(settings().suspended_hold + 1)
        assert statuses(peer.taken()) == ["408"]
        cluster.network.silent = set()
        await cluster.advance(2)
        assert kinds(await deliver(cluster, peer, send(path, PEER))) == ["200"]
        assert kinds(alice.channel.taken()) == ["SEND"]
        # Once the pod was reached, what waits does so as long as ever.
        cluster.network.silent = {("pod1", "pod2"), ("pod2", "pod1")}
        for end in list(cluster.network.ends):
            end.receiver.disconnected("cut")
        peer.taken()
        assert kinds(await deliver(cluster, peer, send(path, PEER))) == ["200"]
        await cluster.advance(settings().suspended_hold - 2)
        assert statuses(peer.taken()) == []
        await cluster.advance(3)
        assert statuses(peer.taken()) == ["408"]


@pytest.mark.parametrize("error", [-3600, 3600])
async def test_the_wrong_clock_of_a_pod_ends_no_session(error: float) -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        one.runtime.clock_error = error
        alice = await client(cluster, one)
        bob = await client(cluster, two, "bob", BOB)
        for sender, receiver in ((bob, alice), (alice, bob)):
            paths = f"{sender.use_path} {receiver.use_path} {receiver.uri}", str(sender.uri)
            assert kinds(await deliver(cluster, sender.channel, send(*paths))) == ["200"]
            assert kinds(receiver.channel.taken()) == ["SEND"]
        moved = await client(cluster, two)
        assert moved.use_path == alice.use_path
        await cluster.advance(5)
        bob.channel.taken()
        onward = send(f"{bob.use_path} {alice.use_path} {ALICE}", BOB)
        assert kinds(await deliver(cluster, bob.channel, onward)) == ["200"]
        assert kinds(moved.channel.taken()) == ["SEND"]
