"""A client comes over to another connection before it leaves the old one: what it was sent may be answered there."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.support.relay import RELAY_URI, FakeChannel, FakeClient, RelayUnderTest, ok_to, send, value_of
from tests.support.relay_cluster import ClusterUnderTest, client_at, deliver
from tests.support.relay_pair import kinds, statuses
from wigwag.relay.departure import ANSWERS_AWAITED

PEER = "msrp://peer.invalid:7/p;tcp"
ALICE = "msrps://alice.invalid:9/a;tcp"
OLD, BESIDE, OTHER = range(3)
"""Pods: the one that the client leaves, and two others."""


@dataclass
class Move:
    """A message was written to a client, who then came over to another pod without having answered it."""

    cluster: ClusterUnderTest
    alice: FakeClient
    peer: FakeChannel
    frame: bytes
    """The message, as it was written to the old connection."""
    moved: FakeClient


@pytest.fixture(params=[(OLD, BESIDE), (BESIDE, OLD), (BESIDE, BESIDE), (BESIDE, OTHER), (OLD, OLD)], ids=str)
async def move(request: pytest.FixtureRequest) -> AsyncIterator[Move]:
    """By the pod of the sender and the pod that the client comes to."""
    async with ClusterUnderTest(3) as cluster:
        sender, target = (cluster.pods[number] for number in request.param)
        alice = await client_at(cluster, cluster.pods[OLD], "alice", ALICE)
        peer = sender.connect()
        await deliver(cluster, peer, send(f"{alice.use_path} {ALICE}", PEER))
        (frame,) = alice.channel.taken()
        yield Move(cluster, alice, peer, frame, await client_at(cluster, target, "alice", ALICE))


async def test_an_answer_over_the_old_connection_counts_and_nothing_is_reported(move: Move) -> None:
    assert move.alice.channel.is_open
    await deliver(move.cluster, move.alice.channel, ok_to(move.frame))
    assert not move.alice.channel.is_open
    await move.cluster.advance(40)
    assert statuses(move.peer.taken()) == []


async def test_a_refusal_over_the_old_connection_is_reported_as_it_is(move: Move) -> None:
    await deliver(move.cluster, move.alice.channel, ok_to(move.frame, "413 too much"))
    assert statuses(move.peer.taken()) == ["413"]


async def test_silence_on_the_old_connection_is_reported_once_and_soon(move: Move) -> None:
    await move.cluster.advance(ANSWERS_AWAITED + 1)
    assert not move.alice.channel.is_open
    assert statuses(move.peer.taken()) == ["408"]
    await move.cluster.advance(40)
    assert statuses(move.peer.taken()) == []


async def test_a_lost_old_connection_is_reported_at_once(move: Move) -> None:
    move.alice.channel.lose()
    await move.cluster.settle()
    assert statuses(move.peer.taken()) == ["408"]


async def test_what_comes_next_does_not_wait_for_the_old_connection_and_nothing_is_sent_twice(move: Move) -> None:
    path = f"{move.alice.use_path} {ALICE}"
    await deliver(move.cluster, move.peer, send(path, PEER, b"next", transaction_id="t002", message_id="m002"))
    (frame,) = move.moved.channel.taken()
    assert b"next" in frame
    assert move.alice.channel.taken() == []


async def test_requests_over_the_old_connection_are_dropped(move: Move) -> None:
    old = move.alice.channel
    await deliver(move.cluster, old, send(f"{move.alice.use_path} {PEER}", ALICE, b"late", transaction_id="t003"))
    assert old.taken() == []
    assert kinds(move.peer.taken()) in ([], ["200"])  # The 200 is the peer's own, from before.


async def test_a_report_to_a_client_that_moved_goes_to_its_new_connection() -> None:
    """Also while the old one still stands: nothing may be read from that any more."""
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        alice = await client_at(cluster, one, "alice", ALICE)
        peer = two.connect()
        path = f"{alice.use_path} {ALICE}"
        await deliver(cluster, peer, send(path, PEER))
        first = alice.channel.taken()[0]
        await deliver(cluster, alice.channel, ok_to(first))
        await deliver(cluster, alice.channel, send(f"{alice.use_path} {PEER}", ALICE, transaction_id="t002"))
        frame = next(frame for frame in peer.taken() if kinds([frame]) == ["SEND"])
        await deliver(cluster, peer, send(path, PEER, transaction_id="t003", message_id="m003"))
        moved = await client_at(cluster, two, "alice", ALICE)
        assert alice.channel.is_open
        alice.channel.taken()
        await deliver(cluster, peer, ok_to(frame, "413 too much"))
        assert statuses(moved.channel.taken()) == ["413"]
        assert alice.channel.taken() == []


async def test_a_connection_on_which_nothing_is_open_ends_at_once(pod: RelayUnderTest) -> None:
    alice = await pod.client()
    await pod.client()
    assert not alice.channel.is_open


@pytest.fixture
def pod() -> RelayUnderTest:
    """A relay of one pod."""
    return RelayUnderTest()


async def test_a_client_that_was_sending_to_a_peer_who_takes_nothing_is_heard_answering(pod: RelayUnderTest) -> None:
    alice, peer = await pod.client(uri=ALICE), pod.connect()
    peer.receive(send(f"{alice.use_path} {ALICE}", PEER))
    (frame,) = alice.channel.taken()
    peer.full_above = 0
    for number in range(1, 4):
        alice.channel.receive(send(f"{alice.use_path} {PEER}", ALICE, transaction_id=f"t00{number}"))
    assert not alice.channel.reading
    await pod.client(uri=ALICE)
    alice.channel.receive(ok_to(frame))
    assert not alice.channel.is_open
    pod.advance(ANSWERS_AWAITED + 1)
    assert statuses(peer.taken()) == []


@pytest.mark.parametrize("target", [OLD, BESIDE])
async def test_who_waited_for_room_on_the_old_connection_goes_on_to_the_new_one_at_once(target: int) -> None:
    async with ClusterUnderTest() as cluster:
        alice = await client_at(cluster, cluster.pods[OLD], "alice", ALICE)
        peer = cluster.pods[OLD].connect()
        alice.channel.full_above = 0
        for number in range(1, 5):
            frame = send(f"{alice.use_path} {ALICE}", PEER, transaction_id=f"t00{number}", message_id=f"m00{number}")
            await deliver(cluster, peer, frame)
        written = alice.channel.taken()
        assert not peer.reading
        moved = FakeClient(cluster.pods[target], cluster.pods[target].connect(), "alice", ALICE)
        challenge = await moved.auth()
        authorized = moved.authorization(challenge)
        moved.channel.receive(
            f"MSRP auth2 AUTH\r\nTo-Path: {RELAY_URI}\r\nFrom-Path: {ALICE}\r\n{authorized}-------auth2$\r\n".encode()
        )
        await cluster.settle()
        answer, *sent = moved.channel.taken()
        assert kinds([answer]) == ["200"], "the answer to the AUTH comes first"
        found = [value_of(frame, "Message-ID") for frame in (*written, *sent)]
        assert found == [f"m00{number}" for number in range(1, 5)]
        assert peer.reading
        for frame in written:
            await deliver(cluster, alice.channel, ok_to(frame))
        assert statuses(peer.taken()) == []
