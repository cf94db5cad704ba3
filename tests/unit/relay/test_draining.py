"""Draining (DESIGN.md section 7, promise 5), without sockets."""

import asyncio

from tests.support.relay import ok_to, send
from tests.support.relay_cluster import ClusterUnderTest, deliver
from tests.support.relay_pair import kinds, statuses
from tests.unit.relay.test_cluster import ALICE, PEER, client
from wigwag.relay.draining import Drain, DrainState


class Drained:
    """A drain by the cluster's clock."""

    def __init__(self, cluster: ClusterUnderTest, pod: int = 0, pace: int = 200) -> None:
        self.cluster = cluster
        self.drain = Drain(
            cluster.pods[pod].relay, pace=pace, seed=1, pause=self.pause, clock=lambda: cluster.clock.time
        )

    async def pause(self, seconds: float) -> None:
        until = self.cluster.clock.time + seconds
        while self.cluster.clock.time < until:  # noqa: ASYNC110 - the clock is turned by the test
            await asyncio.sleep(0)

    def begin(self, grace: float) -> "asyncio.Task[None]":
        return asyncio.create_task(self.drain.run(grace))

    async def end(self, running: "asyncio.Task[None]") -> None:
        for _ in range(400):
            if running.done():
                break
            await self.cluster.advance(0.25)
        await running
        await self.cluster.settle()


async def test_a_clients_session_goes_on_at_another_pod_and_nothing_is_reported() -> None:
    async with ClusterUnderTest(3) as cluster:
        one, two, three = cluster.pods
        alice = await client(cluster, one)
        peer = three.connect()
        path = f"{alice.use_path} {ALICE}"
        await deliver(cluster, peer, send(path, PEER))
        frame = alice.channel.taken()[0]
        drained = Drained(cluster)
        running = drained.begin(30.0)
        await cluster.advance(0.5)
        await deliver(cluster, peer, send(path, PEER, b"during", transaction_id="t002"))
        assert kinds(alice.channel.taken()) == []
        alice.channel.receive(ok_to(frame))
        await cluster.advance(1)
        assert not alice.channel.is_open
        resumed = await client(cluster, two)
        assert resumed.use_path == alice.use_path
        assert kinds(resumed.channel.taken()) == ["SEND"]
        await drained.end(running)
        assert drained.drain.state is DrainState.DRAINED
        assert statuses(peer.taken()) == []


async def test_a_client_that_does_not_answer_is_disconnected_and_the_sender_told() -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        alice = await client(cluster, one)
        peer = two.connect()
        await deliver(cluster, peer, send(f"{alice.use_path} {ALICE}", PEER))
        drained = Drained(cluster)
        await drained.end(drained.begin(10.0))
        assert not alice.channel.is_open
        assert statuses(peer.taken()) == ["408"]


async def test_a_client_being_sent_away_may_still_send() -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        alice = await client(cluster, one)
        peer = two.connect()
        await deliver(cluster, peer, send(f"{alice.use_path} {ALICE}", PEER))
        frame = alice.channel.taken()[0]
        drained = Drained(cluster)
        running = drained.begin(30.0)
        await cluster.advance(0.5)
        last = send(f"{alice.use_path} {PEER}", ALICE, b"last", transaction_id="t009")
        assert kinds(await deliver(cluster, alice.channel, last)) == ["200"]
        assert "SEND" in kinds(peer.taken())
        alice.channel.receive(ok_to(frame))
        await drained.end(running)


async def test_a_sender_stays_while_what_it_sent_is_held_for_a_receiver_who_is_away() -> None:
    async with ClusterUnderTest(3) as cluster:
        one, two, three = cluster.pods
        alice = await client(cluster, one)
        bob = await client(cluster, two, "bob", "msrps://bob.invalid:9/b;tcp")
        path = f"{bob.use_path} {alice.use_path} {ALICE}"
        await deliver(cluster, bob.channel, send(path, bob.uri))
        await deliver(cluster, alice.channel, ok_to(alice.channel.taken()[0]))
        alice.channel.lose()
        await cluster.settle()
        await deliver(cluster, bob.channel, send(path, bob.uri, b"held", transaction_id="t002"))
        drained = Drained(cluster, pod=1)
        running = drained.begin(30.0)
        await cluster.advance(2)
        assert bob.channel.is_open
        resumed = await client(cluster, three)
        await cluster.advance(1)
        assert kinds(resumed.channel.taken()) == ["SEND"]
        assert not bob.channel.is_open
        await drained.end(running)


async def test_connections_are_closed_no_faster_than_the_pace() -> None:
    async with ClusterUnderTest(1) as cluster:
        (one,) = cluster.pods
        clients = [await client(cluster, one, uri=f"msrps://c{number}.invalid:9/a;tcp") for number in range(8)]
        drained = Drained(cluster, pace=2)
        running = drained.begin(60.0)
        await cluster.advance(2)
        closed = sum(not found.channel.is_open for found in clients)
        assert 3 <= closed <= 5
        await drained.end(running)
        assert not any(found.channel.is_open for found in clients)


async def test_a_new_session_is_refused_while_draining_and_granted_after_it_was_called_off() -> None:
    async with ClusterUnderTest() as cluster:
        one, _ = cluster.pods
        await client(cluster, one)
        await client(cluster, one, uri="msrps://second.invalid:9/a;tcp")
        drained = Drained(cluster, pace=1)
        running = drained.begin(60.0)
        await asyncio.sleep(0)
        refused = await client(cluster, one, "bob", "msrps://bob.invalid:9/b;tcp")
        assert refused.use_path == ""
        assert not refused.channel.is_open
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert drained.drain.state is DrainState.SERVING
        granted = await client(cluster, one, "bob", "msrps://bob.invalid:9/c;tcp")
        assert granted.use_path
