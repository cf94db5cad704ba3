"""What could make pods that are one relay lose, hold or leak something (DESIGN.md sections 4 and 7)."""

import asyncio

from tests.support.relay import FakeClient, body_of, ok_to, send, value_of
from tests.support.relay_cluster import ClusterUnderTest, PodUnderTest, client_at, deliver
from tests.support.relay_pair import kinds, request, settings, statuses
from wigwag.relay.cluster.remote import CREDIT, Remote

PEER = "msrp://peer.invalid:7/p;tcp"
ALICE = "msrps://alice.invalid:9/a;tcp"


async def alice_at(cluster: ClusterUnderTest, pod: PodUnderTest) -> FakeClient:
    return await client_at(cluster, pod, "alice", ALICE)


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
