"""What could make pods that are one relay lose, hold or leak something (DESIGN.md sections 4 and 7)."""

import asyncio

import pytest

from tests.support.relay import FakeChannel, FakeClient, body_of, ok_to, send, value_of
from tests.support.relay_cluster import ClusterUnderTest, PodUnderTest, client_at, deliver
from tests.support.relay_pair import kinds, request, settings, statuses
from wigwag.relay.cluster.remote import CREDIT, Remote
from wigwag.relay.departure import ANSWERS_AWAITED
from wigwag.store import StoreError

PEER = "msrp://peer.invalid:7/p;tcp"
ALICE = "msrps://alice.invalid:9/a;tcp"


async def alice_at(cluster: ClusterUnderTest, pod: PodUnderTest) -> FakeClient:
    return await client_at(cluster, pod, "alice", ALICE)


async def held_for_alice(cluster: ClusterUnderTest, pod: PodUnderTest) -> FakeChannel:
    """Let a peer send to a client who is lost; returns the peer's connection."""
    alice = await alice_at(cluster, pod)
    peer, path = pod.connect(), f"{alice.use_path} {ALICE}"
    await deliver(cluster, peer, send(path, PEER))
    await deliver(cluster, alice.channel, ok_to(alice.channel.taken()[0]))
    alice.channel.lose()
    await cluster.settle()
    assert kinds(await deliver(cluster, peer, send(path, PEER, b"held", transaction_id="t002"))) == ["200"]
    return peer


def the_remote(pod: PodUnderTest) -> Remote:
    (remote,) = pod.cluster.links.remotes()
    return remote


async def test_a_genuine_token_behind_another_port_is_refused_and_not_looked_up_for_ever() -> None:
    async with ClusterUnderTest() as cluster, asyncio.timeout(5):
        one, two = cluster.pods
        alice = await alice_at(cluster, one)
        path = f"{alice.use_path.replace(':2855', ':2856')} {ALICE}"
        for pod in (one, two):
            assert kinds(await deliver(cluster, pod.connect(), send(path, PEER))) == ["481"]


async def test_a_large_chunk_goes_on_when_its_sub_chunks_are_answered_late() -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        alice = await alice_at(cluster, one)
        peer, path = two.connect(), f"{alice.use_path} {ALICE}"
        data = send(path, PEER, b"x" * 4_000_000)
        arrived = 0
        while arrived < 4_000_000:
            taken = 0
            while peer.reading and data:
                piece, data = data[:65_536], data[65_536:]
                taken += len(piece)
                peer.receive(piece)
                await cluster.settle()
            frames = alice.channel.taken()
            assert taken or frames, "the sender waits, and nothing is under way"
            for frame in frames:
                arrived += len(body_of(frame))
                alice.channel.receive(ok_to(frame))
            await cluster.settle()
        assert kinds(peer.taken()) == ["200"]


async def test_another_relay_uses_any_of_its_connections_to_any_pod() -> None:
    async with ClusterUnderTest() as cluster, asyncio.timeout(5):
        one, two = cluster.pods
        alice = await alice_at(cluster, one)
        relay = "msrps://relay.example:2855/x;tcp"
        for index, pod in enumerate((two, two, one)):
            channel = pod.connect(certificate_names=("relay.example",))
            frame = send(f"{alice.use_path} {ALICE}", f"{relay} {PEER}", transaction_id=f"t00{index}")
            assert kinds(await deliver(cluster, channel, frame)) == ["200"]
        assert len(alice.channel.taken()) == 3


async def test_reports_to_a_stalled_client_of_another_pod_do_not_pile_up() -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        alice = await alice_at(cluster, one)
        peer, path = two.connect(), f"{alice.use_path} {ALICE}"
        await deliver(cluster, peer, send(path, PEER))
        alice.channel.full_above = 0
        await deliver(cluster, peer, send(path, PEER, transaction_id="t002"))
        report = request("REPORT", path, PEER, "Message-ID: m001\r\nByte-Range: 1-5/5\r\nStatus: 000 200 OK\r\n")
        for _ in range(4 * CREDIT // len(report)):
            if peer.reading:
                await deliver(cluster, peer, report)
        assert not peer.reading
        assert the_remote(two).in_flight < 3 * CREDIT
        sent = len(alice.channel.taken())
        for _ in range(100):
            alice.channel.full_above = None
            alice.channel.drain()
            await cluster.settle()
        assert peer.reading
        assert len(alice.channel.taken()) > sent


async def test_requests_of_other_methods_that_nobody_answers_are_forgotten() -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        alice = await alice_at(cluster, one)
        peer = two.connect()
        await deliver(cluster, peer, request("FETCH", f"{alice.use_path} {ALICE}", PEER))
        assert the_remote(two).relayed
        await cluster.advance(32)
        assert not the_remote(two).relayed


async def test_streams_that_are_opened_and_stopped_leave_nothing_behind() -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        alice = await alice_at(cluster, one)
        for index in range(3):
            peer = two.connect()
            await deliver(cluster, peer, send(f"{alice.use_path} {ALICE}", PEER, transaction_id=f"t00{index}"))
            await deliver(cluster, alice.channel, ok_to(alice.channel.taken()[0]))
            peer.lose()
            await cluster.advance(65)
        assert not two.cluster.links.remotes()
        assert not one.cluster._arrivals


async def test_somebody_who_does_not_prove_himself_is_cut_off_however_slowly_he_speaks() -> None:
    async with ClusterUnderTest() as cluster:
        one, _ = cluster.pods
        link = one.cluster.links.accept(one.cluster)
        aborted: list[str] = []

        class Silent:
            def abort(self, reason: str = "") -> None:
                aborted.append(reason)

        link.connected(Silent())  # type: ignore[arg-type]
        for _ in range(4):
            link.data_received(b"\x01")
            await cluster.advance(1)
        assert aborted


async def test_what_is_held_outlives_a_client_that_is_lost_while_it_authenticates() -> None:
    async with ClusterUnderTest() as cluster:
        one, _ = cluster.pods
        peer = await held_for_alice(cluster, one)
        again = FakeClient(one, one.connect(), "alice", ALICE)
        challenge = await again.auth()
        claim = one.cluster.claim

        async def lost_meanwhile(*args: object, **named: object) -> object:
            claimed = await claim(*args, **named)  # type: ignore[arg-type]
            again.channel.lose()
            return claimed

        one.cluster.claim = lost_meanwhile  # type: ignore[method-assign, assignment]
        await again.auth(again.authorization(challenge), transaction_id="auth2")
        one.cluster.claim = claim  # type: ignore[method-assign]
        await cluster.settle()
        resumed = FakeClient(one, one.connect(), "alice", ALICE)
        challenge = await resumed.auth()
        answer = await deliver(cluster, resumed.channel, _auth(resumed, challenge))
        assert kinds(answer) == ["200", "SEND"]
        assert statuses(peer.taken()) == []


async def test_what_is_held_follows_a_client_that_has_authenticated_elsewhere_meanwhile() -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        peer = await held_for_alice(cluster, one)
        again, elsewhere = (FakeClient(pod, pod.connect(), "alice", ALICE) for pod in (one, two))
        challenges = [await again.auth(), await elsewhere.auth()]
        claim = one.cluster.claim

        async def later_elsewhere(*args: object, **named: object) -> object:
            claimed = await claim(*args, **named)  # type: ignore[arg-type]
            elsewhere.channel.receive(_auth(elsewhere, challenges[1]))
            await two.runtime.settle()
            for _ in range(20):
                await asyncio.sleep(0)
                cluster.network.pump()
            return claimed

        one.cluster.claim = later_elsewhere  # type: ignore[method-assign, assignment]
        again.channel.receive(_auth(again, challenges[0]))
        await cluster.settle()
        one.cluster.claim = claim  # type: ignore[method-assign]
        await cluster.advance(1)
        found = peer.taken()
        assert kinds(elsewhere.channel.taken()) == ["200", "SEND"], found
        assert statuses(found) == [], found


def _auth(client: FakeClient, challenge: bytes) -> bytes:
    return request(
        "AUTH", "msrps://relay.test:2855;tcp", client.uri, client.authorization(challenge), transaction_id="auth2"
    )


async def test_a_claim_whose_answer_was_lost_does_not_hide_the_client_from_other_pods() -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        alice = await alice_at(cluster, one)
        claim = one.cluster.records.claim

        async def unanswered(*args: object, **named: object) -> object:
            await claim(*args, **named)  # type: ignore[arg-type]
            raise StoreError("no answer")

        one.cluster.records.claim = unanswered  # type: ignore[method-assign, assignment]
        again = FakeClient(one, one.connect(), "alice", ALICE)
        assert kinds([await again.authenticate()]) == ["403"]
        one.cluster.records.claim = claim  # type: ignore[method-assign]
        await cluster.advance(2)
        peer = two.connect()
        assert kinds(await deliver(cluster, peer, send(f"{alice.use_path} {ALICE}", PEER))) == ["200"]
        assert kinds(alice.channel.taken()) == ["SEND"]


async def test_the_way_to_a_peer_ends_with_the_session() -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        alice = await alice_at(cluster, one)
        peer = two.connect()
        await deliver(cluster, peer, send(f"{alice.use_path} {ALICE}", PEER))
        alice.channel.taken()
        frame = send(f"{alice.use_path} {PEER}", ALICE, b"back", transaction_id="t002")
        assert kinds(await deliver(cluster, alice.channel, frame)) == ["200"]
        peer.receive(ok_to(peer.taken()[-1]))
        await cluster.settle()
        assert one.cluster.links.remotes()
        one.relay.end_session(next(iter(one.relay.sessions)).id)
        await cluster.settle()
        assert not one.cluster.links.remotes()
        assert not two.cluster._arrivals


async def test_a_peer_who_has_gone_is_forgotten_by_the_session() -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        alice = await alice_at(cluster, one)
        for index in range(4):
            peer = two.connect()
            uri = f"msrp://peer{index}.invalid:7/p;tcp"
            await deliver(cluster, peer, send(f"{alice.use_path} {ALICE}", uri, transaction_id=f"t00{index}"))
            peer.lose()
            await cluster.settle()
        (copy,) = two.cluster.elsewhere.sessions()
        assert not copy.peers


async def test_a_peer_that_comes_back_after_its_pod_was_killed_is_not_told_506() -> None:
    async with ClusterUnderTest(3) as cluster:
        one, two, three = cluster.pods
        alice = await alice_at(cluster, one)
        await deliver(cluster, two.connect(), send(f"{alice.use_path} {ALICE}", PEER))
        alice.channel.taken()
        cluster.network.silent = {(a.name, b.name) for a in cluster.pods for b in cluster.pods if two in (a, b)}
        two.paused = True
        again = three.connect()
        answer = await deliver(cluster, again, send(f"{alice.use_path} {ALICE}", PEER, transaction_id="t002"))
        await cluster.advance(4)
        assert kinds(answer + again.taken()) == ["200"]
        assert kinds(alice.channel.taken()) == ["SEND"]


async def test_a_pod_that_can_not_be_reached_for_a_moment_keeps_its_peers() -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        alice = await alice_at(cluster, one)
        peer = two.connect()
        await deliver(cluster, peer, send(f"{alice.use_path} {ALICE}", PEER))
        cluster.network.silent = {("pod1", "pod2")}
        for index in range(3):
            frame = send(f"{alice.use_path} {PEER}", ALICE, b"back", transaction_id=f"t00{index}")
            await deliver(cluster, alice.channel, frame)
            await cluster.advance(0.25)
        cluster.network.silent = set()
        await cluster.advance(3)
        alice.channel.taken()
        peer.taken()
        frame = send(f"{alice.use_path} {PEER}", ALICE, b"back", transaction_id="t009")
        assert kinds(await deliver(cluster, alice.channel, frame)) == ["200"]
        assert kinds(peer.taken()) == ["SEND"]


async def test_the_peer_behind_an_outgoing_connection_is_reached_over_it_from_any_pod() -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        alice = await alice_at(cluster, one)
        uri = "msrp://peer.example:7/p;tcp"
        peer = one.connect()
        one.connector.peers[uri] = peer
        answer = await deliver(cluster, alice.channel, send(f"{alice.use_path} {uri}", ALICE))
        assert kinds(answer) == ["200"]
        peer.taken()
        moved = await alice_at(cluster, two)
        frame = send(f"{alice.use_path} {uri}", ALICE, b"on", transaction_id="t002")
        assert kinds(await deliver(cluster, moved.channel, frame)) == ["200"]
        assert kinds(peer.taken()) == ["SEND"]


async def test_what_is_held_is_reported_although_the_receivers_pod_says_again_and_again_that_he_is_lost() -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        alice = await alice_at(cluster, one)
        peer, path = two.connect(), f"{alice.use_path} {ALICE}"
        await deliver(cluster, peer, send(path, PEER))
        await deliver(cluster, alice.channel, ok_to(alice.channel.taken()[0]))
        one.store.away = True
        alice.channel.lose()
        await cluster.settle()
        assert kinds(await deliver(cluster, peer, send(path, PEER, b"held", transaction_id="t002"))) == ["200"]
        await cluster.advance(25)
        assert statuses(peer.taken()) == ["408"]


async def test_a_resume_window_of_0_reports_what_could_not_be_passed_on() -> None:
    async with ClusterUnderTest(2, settings(resume_window=0)) as cluster:
        one, two = cluster.pods
        alice = await alice_at(cluster, one)
        peer = two.connect()
        await deliver(cluster, peer, send(f"{alice.use_path} {ALICE}", PEER))
        alice.channel.lose()
        await cluster.advance(2)
        assert statuses(peer.taken()) == ["408"]


async def test_an_interrupted_message_is_aborted_at_the_receivers_pod() -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        alice = await alice_at(cluster, one)
        peer = two.connect()
        frame = send(f"{alice.use_path} {ALICE}", PEER, b"x" * 200_000)
        await deliver(cluster, peer, frame[:150_000])
        peer.lose()
        await cluster.settle()
        for sent in alice.channel.taken():
            alice.channel.receive(ok_to(sent))
        await cluster.advance(62)
        (aborted,) = alice.channel.taken()
        assert aborted.endswith(b"#\r\n")
        assert value_of(aborted, "Message-ID") == "m001"


async def test_a_peer_stays_bound_as_long_as_the_session_is_refreshed() -> None:
    async with ClusterUnderTest(3) as cluster:
        one, two, three = cluster.pods
        alice = await alice_at(cluster, one)
        peer = two.connect()
        await deliver(cluster, peer, send(f"{alice.use_path} {ALICE}", PEER))
        for _ in range(4):
            await cluster.advance(600)
            await alice.authenticate()
        moved = await alice_at(cluster, three)
        peer.taken()
        frame = send(f"{alice.use_path} {PEER}", ALICE, b"back", transaction_id="t002")
        assert kinds(await deliver(cluster, moved.channel, frame)) == ["200"]
        assert kinds(peer.taken()) == ["SEND"]


async def test_a_connection_forgets_the_sessions_its_peers_were_bound_to() -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        peer = two.connect()
        for index in range(3):
            alice = await alice_at(cluster, one)
            await deliver(cluster, peer, send(f"{alice.use_path} {ALICE}", f"msrp://peer.invalid:7/{index};tcp"))
            one.relay.end_session(next(iter(one.relay.sessions)).id)
            await cluster.settle()
        await cluster.advance(5)
        assert not peer.hop.bound


async def test_a_session_that_ends_while_records_are_written_again_stays_ended() -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        alice = await alice_at(cluster, one)
        session = next(iter(one.relay.sessions))
        records = [one.cluster.records._record(session)]
        written_late = cluster.store.put_sessions

        async def late(_: object) -> object:
            one.relay.end(session, "ended by an operator")
            await cluster.settle()
            return await written_late(records)

        one.store.store.put_sessions = late  # type: ignore[method-assign, assignment]
        one.cluster.records.incomplete = True
        await one.cluster.beat()
        one.store.store.put_sessions = written_late  # type: ignore[method-assign]
        await cluster.settle()
        answer = await deliver(cluster, two.connect(), send(f"{alice.use_path} {ALICE}", PEER))
        assert kinds(answer) == ["481"]


async def test_a_client_that_comes_and_goes_while_a_stream_is_being_stopped_gets_everything_in_order() -> None:
    async with ClusterUnderTest(3) as cluster:
        one, two, three = cluster.pods
        alice = await alice_at(cluster, one)
        peer, path = two.connect(), f"{alice.use_path} {ALICE}"
        await deliver(cluster, peer, send(path, PEER, b"0", message_id="m000"))
        await deliver(cluster, alice.channel, ok_to(alice.channel.taken()[0]))
        alice.channel.full_above = 0
        for number in range(1, 5):
            frame = send(path, PEER, b"%d" % number, transaction_id=f"t00{number}", message_id=f"m00{number}")
            await deliver(cluster, peer, frame)
        written = len(alice.channel.taken())
        cluster.network.silent = {("pod1", "pod2")}
        await alice_at(cluster, two)
        await deliver(cluster, peer, send(path, PEER, b"5", transaction_id="t005", message_id="m005"))
        moved = await alice_at(cluster, three)
        await deliver(cluster, peer, send(path, PEER, b"6", transaction_id="t006", message_id="m006"))
        cluster.network.silent = set()
        await cluster.advance(1)
        found = [value_of(frame, "Message-ID") for frame in moved.channel.taken()]
        assert found == [f"m00{number}" for number in range(written + 1, 7)]
        await cluster.advance(ANSWERS_AWAITED + 1)
        assert statuses(peer.taken()) == ["408"] * written


@pytest.mark.parametrize(
    ("failure_report", "answer", "told"),
    [("partial", "413 No", ["413"]), ("partial", "", []), ("no", "413 No", []), ("no", "", []), ("yes", "", ["408"])],
)
async def test_failure_report_means_the_same_at_another_pod(failure_report: str, answer: str, told: list[str]) -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        alice = await alice_at(cluster, one)
        peer, fields = two.connect(), f"Failure-Report: {failure_report}\r\n"
        answers = await deliver(cluster, peer, send(f"{alice.use_path} {ALICE}", PEER, fields=fields))
        assert kinds(answers) == (["200"] if failure_report == "yes" else [])
        if answer:
            alice.channel.receive(ok_to(alice.channel.taken()[0], answer))
            await cluster.settle()
        await cluster.advance(40)
        assert statuses(peer.taken()) == told
        assert not the_remote(two).transactions
        assert not alice.channel.hop.transactions


async def test_a_proven_relay_uses_its_uri_over_a_connection_to_another_pod() -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        own, names = "msrps://client.invalid:9/a;tcp", ("r1.test",)
        from_path = f"msrps://r1.test:2855/s;tcp {own}"
        relay = await client_at(cluster, one, "alice", from_path, certificate_names=names)
        use_path = relay.use_path.split()[-1]
        peer = two.connect()
        assert kinds(await deliver(cluster, peer, send(f"{use_path} {from_path}", PEER))) == ["200"]
        for certificate_names, status in ((names, "200"), ((), "481")):
            another = two.connect(certificate_names=certificate_names)
            frame = send(f"{use_path} {PEER}", from_path, transaction_id="t002")
            assert kinds(await deliver(cluster, another, frame)) == [status]
        assert kinds(peer.taken()) == ["SEND"]
        assert kinds(relay.channel.taken()) == ["SEND"]
