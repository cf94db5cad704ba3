"""What a lost ua pod had not answered is sent again to the session's next owner, in order, and told lost only then."""

from collections.abc import AsyncIterator
from random import Random

import pytest

from tests.support.relay import FakeChannel, FakeClient, RelayUnderTest, ok_to, send, value_of
from tests.support.relay_agents import URI, AgentClient, opened
from tests.support.relay_cluster import ClusterUnderTest, PodUnderTest, client_at, deliver
from tests.support.relay_pair import kinds, settings, statuses
from wigwag.relay.cluster.remote import Remote
from wigwag.relay.hop import Hop
from wigwag.relay.unanswered import LARGEST, LARGEST_OF_ALL, Room

PEER = "msrp://peer.invalid:7/p;tcp"
OLD, BESIDE, OTHER = range(3)
"""Pods: the one that the lost ua pod was connected to, and two others."""
HELD, ANSWERED_WITHIN = 20, 31
"""Seconds, and a little: for which the next owner is awaited, and in which it has to answer."""


class Chat:
    """A peer sends to a ua pod."""

    def __init__(self, cluster: ClusterUnderTest, sender: PodUnderTest, target: PodUnderTest) -> None:
        self.cluster, self.sender, self.target = cluster, sender, target
        for pod in cluster.pods:
            opened(pod)
        self.peer = sender.connect()
        self.sent = 0
        self.token = 0
        self.path = ""

    async def claim(self, pod: PodUnderTest) -> AgentClient:
        """Let the next owner come."""
        self.token += 1
        agent = AgentClient(pod)
        assert await agent.claim(self.token) == "200 OK"
        await self.cluster.advance(0.5)  # The sender's pod looks again where the session is.
        agent.handed_over += agent.channel.taken()
        self.path = f"{agent.use_path} {URI}"
        return agent

    async def send(self, count: int = 1, octets: int = 5, fields: str = "", **chunk: str) -> list[str]:
        """Let the peer send messages; returns their Message-IDs."""
        names = []
        for _ in range(count):
            self.sent += 1
            names.append(chunk.get("message_id", f"m{self.sent:04}"))
            named = {"transaction_id": f"t{self.sent:04}", "message_id": names[-1], **chunk}
            self.peer.receive(send(self.path, PEER, b"x" * octets, fields=fields, **named))
            await self.cluster.settle()
        return names

    async def answer(self, agent: AgentClient, frames: list[bytes]) -> None:
        for frame in frames:
            agent.channel.receive(ok_to(frame))
            await self.cluster.settle()

    async def kill_pod(self, pod: PodUnderTest) -> None:
        """Let a pod of the relay be gone, with the connections of its clients."""
        pod.paused = True
        for other in self.cluster.pods:
            self.cluster.network.silent |= {(pod.name, other.name), (other.name, pod.name)}
        await self.cluster.advance(4)

    def remote(self) -> Remote:
        """Return the stream from the sender's pod to another."""
        (remote,) = self.sender.cluster.links.remotes()
        return remote

    async def nothing_is_told_lost(self) -> None:
        await self.cluster.advance(HELD + ANSWERED_WITHIN)
        assert statuses(self.peer.taken()) == []


def ids(frames: list[bytes]) -> list[str]:
    """Return the Message-IDs of the SENDs among frames."""
    return [value_of(f, "Message-ID") or "" for f in frames if kinds([f]) == ["SEND"]]


@pytest.fixture(params=[(OLD, OLD), (OLD, BESIDE), (BESIDE, OLD), (BESIDE, BESIDE), (BESIDE, OTHER)], ids=str)
async def chat(request: pytest.FixtureRequest) -> AsyncIterator[Chat]:
    """By the pod of the sender and the pod that the next owner comes to."""
    async with ClusterUnderTest(3) as cluster:
        yield Chat(cluster, *(cluster.pods[number] for number in request.param))


async def test_what_a_lost_owner_did_not_answer_comes_first_and_in_order_to_the_next(chat: Chat) -> None:
    old = await chat.claim(chat.cluster.pods[OLD])
    first, *others = await chat.send(4)
    written = old.channel.taken()
    assert ids(written) == [first, *others]
    await chat.answer(old, written[:1])
    old.channel.lose()
    await chat.cluster.settle()
    others += await chat.send()
    new = await chat.claim(chat.target)
    others += await chat.send()
    again = new.handed_over + new.channel.taken()
    assert ids(again) == others
    assert [value_of(frame, "Byte-Range") for frame in again] == ["1-5/5"] * 5
    await chat.answer(new, again)
    await chat.nothing_is_told_lost()


async def test_an_owner_whose_connection_stands_is_left_at_once_and_the_next_one_has_everything(chat: Chat) -> None:
    old = await chat.claim(chat.cluster.pods[OLD])
    names = await chat.send(3)
    written = old.channel.taken()
    new = await chat.claim(chat.target)
    assert not old.channel.is_open
    assert ids(new.handed_over) == names
    assert ids(old.channel.taken()) == []
    # An answer that was under way counts no more, and does no harm.
    await chat.answer(new, new.handed_over)
    assert len(written) == 3
    await chat.nothing_is_told_lost()


async def test_an_owner_that_comes_back_itself_gets_them_too(chat: Chat) -> None:
    old = await chat.claim(chat.cluster.pods[OLD])
    names = await chat.send(2)
    old.channel.lose()
    chat.token -= 1
    assert ids((await chat.claim(chat.target)).handed_over) == names


async def test_they_outlast_one_owner_after_the_other(chat: Chat) -> None:
    agent = await chat.claim(chat.cluster.pods[OLD])
    names = await chat.send(3)
    for pod in (chat.target, chat.cluster.pods[OTHER], chat.cluster.pods[OLD], chat.target):
        agent.channel.lose()
        await chat.cluster.settle()
        agent = await chat.claim(pod)
        assert ids(agent.handed_over) == names
        await chat.answer(agent, agent.handed_over[:1])
        del names[0]
        names += await chat.send()
        agent.handed_over = agent.handed_over[1:] + agent.channel.taken()
    await chat.answer(agent, agent.handed_over)
    await chat.nothing_is_told_lost()


async def test_each_is_reported_once_when_nobody_comes_in_time(chat: Chat) -> None:
    old = await chat.claim(chat.cluster.pods[OLD])
    await chat.send(3)
    old.channel.lose()
    await chat.cluster.advance(HELD - 2)
    assert statuses(chat.peer.taken()) == []
    await chat.cluster.advance(4)
    assert statuses(chat.peer.taken()) == ["408"] * 3
    assert ids((await chat.claim(chat.target)).handed_over) == []
    await chat.nothing_is_told_lost()


async def test_each_is_reported_once_when_the_next_owner_does_not_answer(chat: Chat) -> None:
    old = await chat.claim(chat.cluster.pods[OLD])
    await chat.send(2)
    old.channel.lose()
    await chat.claim(chat.target)
    await chat.cluster.advance(HELD)
    assert statuses(chat.peer.taken()) == []
    await chat.cluster.advance(ANSWERED_WITHIN - HELD + 2)
    assert statuses(chat.peer.taken()) == ["408"] * 2


async def test_a_refusal_by_the_next_owner_is_told(chat: Chat) -> None:
    old = await chat.claim(chat.cluster.pods[OLD])
    await chat.send()
    old.channel.lose()
    new = await chat.claim(chat.target)
    await deliver(chat.cluster, new.channel, ok_to(new.handed_over[0], "413 no"))
    assert statuses(chat.peer.taken()) == ["413"]


async def test_what_is_more_than_the_relay_keeps_is_reported_and_the_rest_comes_again(chat: Chat) -> None:
    old = await chat.claim(chat.cluster.pods[OLD])
    names = await chat.send(12, octets=8_000)
    old.channel.lose()
    await chat.cluster.settle()
    kept = -(-LARGEST // len(old.channel.taken()[0]))
    assert statuses(chat.peer.taken()) == ["408"] * (12 - kept)
    new = await chat.claim(chat.target)
    assert ids(new.handed_over) == names[:kept]
    await chat.answer(new, new.handed_over)
    await chat.nothing_is_told_lost()


async def test_they_take_no_room_from_what_comes_meanwhile(chat: Chat) -> None:
    old = await chat.claim(chat.cluster.pods[OLD])
    names = await chat.send(8, octets=8_000)
    old.channel.lose()
    await chat.cluster.settle()
    chat.peer.taken()
    names += await chat.send(8, octets=8_000)
    assert kinds(chat.peer.taken()) == ["200"] * 8
    assert ids((await chat.claim(chat.target)).handed_over) == names


async def test_silence_may_be_wanted(chat: Chat) -> None:
    """Failure-Report: no has no answer, so nobody knows what has arrived; partial has one, for refusals only."""
    old = await chat.claim(chat.cluster.pods[OLD])
    partial = await chat.send(fields="Failure-Report: partial\r\n")
    await chat.send(fields="Failure-Report: no\r\n")
    old.channel.lose()
    assert ids((await chat.claim(chat.target)).handed_over) == partial
    await chat.nothing_is_told_lost()


async def test_the_rest_of_a_message_whose_beginning_the_lost_owner_answered_is_reported(chat: Chat) -> None:
    old = await chat.claim(chat.cluster.pods[OLD])
    await chat.send(message_id="large", byte_range="1-5/15", flag="+")
    await chat.answer(old, old.channel.taken())
    await chat.send(message_id="large", byte_range="6-10/15", flag="+")
    whole = await chat.send(message_id="other", byte_range="1-5/10", flag="+")
    whole += await chat.send(message_id="other", byte_range="6-10/10")
    old.channel.lose()
    await chat.cluster.settle()
    assert statuses(chat.peer.taken()) == ["408"]
    assert ids((await chat.claim(chat.target)).handed_over) == whole


async def test_a_session_without_resume_window_has_no_next_owner() -> None:
    async with ClusterUnderTest(2, settings(resume_window=0)) as cluster:
        chat = Chat(cluster, cluster.pods[BESIDE], cluster.pods[BESIDE])
        old = await chat.claim(cluster.pods[OLD])
        await chat.send(2)
        old.channel.lose()
        await cluster.settle()
        assert statuses(chat.peer.taken()) == ["408"] * 2


@pytest.mark.parametrize("target", [BESIDE, OTHER])
async def test_they_come_again_when_the_pod_of_the_relay_is_lost_too(target: int) -> None:
    async with ClusterUnderTest(3) as cluster:
        chat = Chat(cluster, cluster.pods[BESIDE], cluster.pods[target])
        old = await chat.claim(cluster.pods[OLD])
        names = await chat.send(3)
        await chat.answer(old, old.channel.taken()[:1])
        await chat.kill_pod(cluster.pods[OLD])
        assert statuses(chat.peer.taken()) == []
        new = await chat.claim(chat.target)
        assert ids(new.handed_over) == names[1:]
        await chat.answer(new, new.handed_over)
        await chat.nothing_is_told_lost()


async def test_they_come_again_when_only_the_link_between_the_pods_was_lost() -> None:
    async with ClusterUnderTest(2) as cluster:
        chat = Chat(cluster, cluster.pods[BESIDE], cluster.pods[BESIDE])
        agent = await chat.claim(cluster.pods[OLD])
        names = await chat.send(2)
        assert ids(agent.channel.taken()) == names
        chat.remote().link.close("cut")
        await cluster.advance(2)
        again = agent.channel.taken()
        assert ids(again) == names
        await chat.answer(agent, again)
        await chat.nothing_is_told_lost()


async def test_a_drain_sends_again_what_was_not_answered_before_the_connection_was_closed(chat: Chat) -> None:
    old = await chat.claim(chat.cluster.pods[OLD])
    names = await chat.send(2)
    relay = chat.cluster.pods[OLD].relay
    relay.lifecycle.send_away(old.channel.hop, relay.now())
    await chat.cluster.settle()
    names += await chat.send()
    await chat.answer(old, old.channel.taken()[:1])
    old.channel.hop.close("draining")
    await chat.cluster.settle()
    new = await chat.claim(chat.target)
    assert ids(new.handed_over) == names[1:]
    await chat.answer(new, new.handed_over)
    await chat.nothing_is_told_lost()


@pytest.mark.parametrize("pod", [OLD, BESIDE])
async def test_a_client_that_is_no_ua_pod_gets_nothing_twice(pod: int) -> None:
    """Its endpoint may have shown a message already, and need not remember that it has."""
    uri = "msrps://alice.invalid:9/a;tcp"
    async with ClusterUnderTest(2) as cluster:
        alice = await client_at(cluster, cluster.pods[OLD], "alice", uri)
        peer = cluster.pods[pod].connect()
        await deliver(cluster, peer, send(f"{alice.use_path} {uri}", PEER))
        alice.channel.lose()
        await cluster.settle()
        assert statuses(peer.taken()) == ["408"]
        back = FakeClient(cluster.pods[OLD], cluster.pods[OLD].connect(), "alice", uri)
        await back.auth(back.authorization(await back.auth()), transaction_id="auth2")
        await cluster.settle()
        assert ids(back.channel.taken()) == []


# Bounds


def hop_of(channel: FakeChannel) -> Hop:
    return channel.hop


async def test_an_answer_lets_go_of_what_is_kept() -> None:
    relay = opened(RelayUnderTest())
    agent = AgentClient(relay)
    await agent.claim(1)
    peer = relay.connect()
    for number in range(3):
        peer.receive(send(f"{agent.use_path} {URI}", PEER, b"x" * 1000, transaction_id=f"t{number:03}"))
    kept = hop_of(agent.channel).unanswered
    assert kept is not None
    frames = agent.channel.taken()
    assert kept.octets == sum(map(len, frames))
    assert relay.relay.room.left == LARGEST_OF_ALL - kept.octets
    agent.channel.receive(b"".join(map(ok_to, frames)))
    assert kept.octets == 0
    assert relay.relay.room.left == LARGEST_OF_ALL


async def test_answers_to_messages_of_other_pods_let_go_of_what_is_kept_for_them() -> None:
    async with ClusterUnderTest(2) as cluster:
        chat = Chat(cluster, cluster.pods[BESIDE], cluster.pods[BESIDE])
        agent = await chat.claim(cluster.pods[OLD])
        await chat.send(3)
        kept, room = chat.remote().unanswered, cluster.pods[BESIDE].relay.room
        assert kept is not None
        assert kept.octets > 0
        assert hop_of(agent.channel).unanswered.octets == 0  # type: ignore[union-attr]
        await chat.answer(agent, agent.channel.taken())
        assert (kept.octets, room.left) == (0, LARGEST_OF_ALL)


async def test_all_sessions_together_keep_no_more_than_the_relay_has_room_for() -> None:
    relay = opened(RelayUnderTest())
    relay.relay.room = Room(3_000)
    for name in ("s1", "s2", "s3"):
        agent = AgentClient(relay, f"msrps://agents.invalid:9/{name};tcp")
        await agent.claim(1)
        relay.connect().receive(send(f"{agent.use_path} {agent.uri}", PEER, b"x" * 2_000))
    kept = [hop.unanswered.octets > 0 for hop in relay.relay.hops.values() if hop.unanswered is not None]
    assert kept == [True, True, False]


async def test_nothing_is_kept_of_what_a_client_is_sent() -> None:
    relay = RelayUnderTest()
    alice = await relay.client()
    relay.connect().receive(send(f"{alice.use_path} {alice.uri}", PEER))
    assert hop_of(alice.channel).unanswered is None
    assert relay.relay.room.left == LARGEST_OF_ALL


async def test_room_is_given_back_when_the_owner_is_lost(chat: Chat) -> None:
    old = await chat.claim(chat.cluster.pods[OLD])
    await chat.send(3)
    old.channel.lose()
    await chat.cluster.settle()
    assert [pod.relay.room.left for pod in chat.cluster.pods] == [LARGEST_OF_ALL] * 3
    assert sum(pod.relay.totals()["messages_held_again"] for pod in chat.cluster.pods) == 3


# All together


async def owners_by_chance(chat: Chat, chance: Random) -> tuple[list[list[str]], set[str]]:
    """Let owners come and go by chance; returns what each got, and what was answered by any."""
    agent = await chat.claim(chat.cluster.pods[chance.randrange(3)])
    got: list[list[str]] = [[]]
    answered: set[str] = set()
    waiting = agent.handed_over
    for _ in range(60):
        match chance.randrange(5):
            case 0 | 1:
                await chat.send(chance.randrange(1, 4), octets=chance.choice((5, 500, 9_000)))
            case 2 | 3:
                waiting += agent.channel.taken() if agent.channel.is_open else []
                some = waiting[: chance.randrange(1, 4)]
                del waiting[: len(some)]
                got[-1] += ids(some)
                answered.update(ids(some))
                await chat.answer(agent, some)
            case _:
                if chance.random() < 0.3:
                    for link in chat.sender.cluster.links._links.copy().values():
                        link.close("cut")
                if chance.random() < 0.5:
                    agent.channel.lose()
                    await chat.cluster.advance(chance.choice((0, 0.5, 3)))
                agent = await chat.claim(chat.cluster.pods[chance.randrange(3)])
                got.append([])
                waiting = list(agent.handed_over)
    waiting += agent.channel.taken()
    got[-1] += ids(waiting)
    answered.update(ids(waiting))
    await chat.answer(agent, waiting)
    return got, answered


@pytest.mark.parametrize("seed", range(30))
async def test_whatever_happens_each_message_is_answered_or_reported_and_order_is_kept(seed: int) -> None:
    chance = Random(seed)
    async with ClusterUnderTest(3) as cluster:
        chat = Chat(cluster, cluster.pods[seed % 3], cluster.pods[OLD])
        got, answered = await owners_by_chance(chat, chance)
        await cluster.advance(ANSWERED_WITHIN)
        frames = chat.peer.taken()
        lost = {value_of(frame, "Message-ID") for frame in frames if kinds([frame]) == ["REPORT"]}
        refused = sum(kind not in ("200", "REPORT") for kind in kinds(frames))
        assert len(answered | lost) + refused == chat.sent
        assert not answered & lost
        for owner in got:
            assert owner == sorted(owner)
