"""Promise 1 of the design over many pods: no message that was answered 200 is lost without a word.

Random traffic between clients and a peer at several pods, who move, are lost and resume; pods that are paused, or cut
off from each other or from the store. With Failure-Report yes, each SEND answered 200 was answered 200 by a receiver,
or a failure REPORT covers its bytes, or the sender's connection is lost. Nothing arrives twice or overtakes what was
sent before it, and in the end nothing waits, is held or is remembered.
"""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, note
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.support.relay import FakeChannel, FakeClient, body_of, ok_to, send, value_of
from tests.support.relay_cluster import ClusterUnderTest, PodUnderTest
from tests.support.relay_pair import covers, kind, request, settings, statuses
from wigwag.relay.destination import Holding

PODS = 3
NAMES = ("alice", "bob")
PEER = "msrp://peer.invalid:7/p;tcp"

POD = st.integers(min_value=0, max_value=PODS - 1)
WHO = st.integers(min_value=0, max_value=1)
SENDER = st.sampled_from([0, 1, 2, 2, 2, 2])
SIZES = st.sampled_from([1, 1, 200, 200, 5_000, 65_537, 300_000])
STATUS = st.sampled_from(["200 OK", "200 OK", "200 OK", "413 No"])

Steps = st.SearchStrategy[tuple[Any, ...]]


def weighted(**strategies: tuple[int, tuple[st.SearchStrategy[Any], ...]]) -> Steps:
    """Return steps by name: how often one is drawn, and its arguments."""
    names = [name for name, (weight, _) in strategies.items() for _ in range(weight)]
    return st.sampled_from(names).flatmap(lambda name: st.tuples(st.just(name), *strategies[name][1]))


STEPS = weighted(
    send=(20, (SENDER, WHO, SIZES, st.sampled_from([1 << 30, 1 << 30, 1 << 30, 70_000, 100]))),
    settle=(5, ()),
    answer=(9, (WHO, STATUS)),
    fill=(3, (WHO,)),
    drain=(2, (WHO,)),
    lose=(1, (WHO,)),
    auth=(4, (WHO, POD)),
    cut=(2, (POD, POD)),
    heal=(1, ()),
    pause=(1, (POD,)),
    go_on=(1, (POD,)),
    store_away=(1, (POD,)),
    store_back=(1, ()),
    store_empty=(1, ()),
    wait=(4, (st.sampled_from([0.25, 0.25, 0.5, 1, 4, 25, 70]),)),
)
ACQUAINTANCE = [("send", 0, 1, 1, 1 << 30), ("send", 2, 0, 1, 1 << 30), ("settle",), ("answer", 0, "200 OK")]
"""Everybody has been heard of before the world goes wrong."""


@dataclass
class Sent:
    """A message."""

    sender: int
    order: int
    """Of this sender to this receiver."""
    connection: int
    """Of the sender."""
    whom: int
    octets: int


@dataclass
class End:
    """A client, or the peer: what it has written and was told, and what has reached it."""

    name: str
    uri: str
    channel: FakeChannel
    pod: int
    client: FakeClient | None = None
    unsent: bytes = b""
    answered: dict[str, str] = field(default_factory=dict)
    reported: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    connections: int = 1
    unanswered: list[bytes] = field(default_factory=list)
    arrived: list[tuple[str, int, int]] = field(default_factory=list)
    """Message-ID and range, in order, over all connections."""
    accepted: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    @property
    def use_path(self) -> str:
        return self.client.use_path if self.client is not None else ""

    def feed(self, octets: int) -> None:
        while octets > 0 and self.unsent and self.channel.reading and self.channel.is_open:
            piece, self.unsent = self.unsent[: min(octets, 65_536)], self.unsent[min(octets, 65_536) :]
            octets -= len(piece)
            self.channel.receive(piece)

    def listen(self) -> None:
        for frame in self.channel.taken():
            match kind(frame):
                case "SEND":
                    self.unanswered.append(frame)
                    first, last = _range(frame)
                    self.arrived.append((value_of(frame, "Message-ID") or "", first, last))
                case "REPORT":
                    assert statuses([frame]) != ["200"]
                    start, end = map(int, (value_of(frame, "Byte-Range") or "").split("/")[0].split("-"))
                    self.reported.setdefault(value_of(frame, "Message-ID") or "", []).append((start, end))
                case status:
                    assert self.answered.setdefault(frame.split(b" ")[1].decode(), status) == status

    def answer(self, status: str) -> None:
        self.listen()
        if self.unsent:
            return  # It is in the middle of a frame.
        frames, self.unanswered = self.unanswered, []
        for frame in frames:
            if not self.channel.is_open:
                return
            self.channel.receive(ok_to(frame, status))
            if status.startswith("200"):
                self.accepted.setdefault(value_of(frame, "Message-ID") or "", []).append(_range(frame))


def _range(frame: bytes) -> tuple[int, int]:
    start = int((value_of(frame, "Byte-Range") or "1-").split("-")[0])
    return start, start + (len(body_of(frame)) if b"\r\n\r\n" in frame else 0) - 1


class World:
    """Two clients and a peer without a relay, at three pods."""

    def __init__(self, cluster: ClusterUnderTest) -> None:
        self.cluster = cluster
        self.ends: list[End] = []
        self.sent: dict[str, Sent] = {}
        self.lost: set[tuple[int, int]] = set()
        """Connections of senders that were lost while they were sending."""

    async def open(self) -> None:
        for index, name in enumerate(NAMES):
            pod = self.cluster.pods[index]
            client = FakeClient(pod, pod.connect(), name, f"msrps://{name}.invalid:9/a;tcp")
            await client.authenticate()
            self.ends.append(End(name, client.uri, client.channel, index, client))
        self.ends.append(End("peer", PEER, self.cluster.pods[2].connect(), 2))
        await self.cluster.settle()

    def path(self, who: int, whom: int) -> str:
        receiver, sender = self.ends[whom], self.ends[who]
        return " ".join(filter(None, [sender.use_path, receiver.use_path, receiver.uri]))

    async def step(self, name: str, *arguments: object) -> None:
        match (name, *arguments):
            case ("send", int(who), int(whom), int(octets), int(fed)):
                if who != whom:
                    self.send(who, whom, octets)
                if not self.paused(who):
                    self.ends[who].feed(fed)
            case ("answer", int(who), str(status)) if not self.paused(who):
                await self.cluster.settle()
                self.ends[who].answer(status)
            case ("fill", int(who)):
                self.ends[who].channel.full_above = 65_536
            case ("drain", int(who)) if not self.paused(who):
                self.ends[who].channel.drain()
            case ("lose", int(who)) if not self.paused(who):
                self.lose(who)
            case ("auth", int(who), int(pod)) if not self.cluster.pods[pod].paused:
                await self.auth(who, pod)
            case ("cut", int(pod), int(other)):
                self.cluster.network.silent.add((self.cluster.pods[pod].name, self.cluster.pods[other].name))
            case ("heal",):
                self.cluster.network.silent.clear()
            case ("pause", int(pod)):
                self.pause(pod)
            case ("go_on", int(pod)):
                self.cluster.pods[pod].paused = False
            case ("store_away", int(pod)):
                self.cluster.pods[pod].store.away = True
            case ("store_back",):
                self.store_back()
            case ("store_empty",):
                self.empty_store()
            case ("settle",):
                await self.cluster.settle()
            case ("wait", int(seconds) | float(seconds)):
                await self.cluster.advance(seconds)

    def paused(self, who: int) -> bool:
        return self.cluster.pods[self.ends[who].pod].paused

    def send(self, who: int, whom: int, octets: int) -> None:
        end = self.ends[who]
        if not end.channel.is_open:
            return
        serial = len(self.sent)
        message_id, tid = f"m{serial:05}", f"t{serial:05}"
        self.sent[message_id] = Sent(who, serial, end.connections, whom, octets)
        body = b"x" * octets
        end.unsent += send(self.path(who, whom), end.uri, body, transaction_id=tid, message_id=message_id)

    def lose(self, who: int) -> None:
        end = self.ends[who]
        end.listen()
        if end.channel.is_open:
            end.channel.lose()
        self.gone(end)

    def gone(self, end: End) -> None:
        """Its connection is lost: nothing is promised about what it sent over it."""
        self.lost.add((self.ends.index(end), end.connections))
        end.unsent, end.unanswered = b"", []

    async def auth(self, who: int, index: int) -> None:
        end, pod = self.ends[who], self.cluster.pods[index]
        end.listen()
        client = FakeClient(pod, pod.connect(), end.name, end.uri)
        challenge = await client.auth()
        fields = client.authorization(challenge)
        client.channel.receive(request("AUTH", "msrps://relay.test:2855;tcp", end.uri, fields))
        await self.cluster.settle()
        if not client.channel.frames:
            await self.cluster.advance(3)  # The store has come back empty: that takes a moment.
        end.listen()
        answer = next((frame for frame in client.channel.frames if kind(frame) not in ("SEND", "REPORT")), b"")
        if not answer or kind(answer) != "200" or not client.channel.is_open:
            if client.channel.is_open:
                client.channel.lose()
            return
        client.channel.frames.remove(answer)
        if end.channel.is_open and end.client is not None:
            end.listen()
            end.channel.lose()
        self.gone(end)
        client.use_path = value_of(answer, "Use-Path") or ""
        end.client, end.channel, end.pod = client, client.channel, index
        end.connections += 1

    def pause(self, index: int) -> None:
        self.cluster.pods[index].paused = True

    def store_back(self) -> None:
        for pod in self.cluster.pods:
            pod.store.away = False

    def empty_store(self) -> None:
        store = self.cluster.store
        for kept in (store._records, store._owners, store._peers):
            kept.clear()
        store._generation += "x"

    async def finish(self) -> None:
        """Let everything read, write and time out that still can."""
        self.cluster.network.silent.clear()
        self.store_back()
        for pod in self.cluster.pods:
            pod.paused = False
        await self.cluster.advance(5)
        for _ in range(3):
            for _ in range(30):
                for end in self.ends:
                    if end.channel.is_open:
                        end.channel.drain()
                    end.feed(1 << 30)
                    end.answer("200 OK")
                await self.cluster.settle()
            await self.cluster.advance(35)
        for end in self.ends:
            end.listen()

    def check(self) -> None:
        for message_id, sent in self.sent.items():
            end = self.ends[sent.sender]
            if (sent.sender, sent.connection) in self.lost or not end.channel.is_open:
                continue
            assert not end.unsent, f"{end.name} was never let go on"
            status = end.answered.get(message_id.replace("m", "t"))
            assert status is not None, f"{message_id} was not answered"
            covered = end.reported.get(message_id, []) + self.ends[sent.whom].accepted.get(message_id, [])
            if status == "200":
                assert covers(covered, sent.octets), f"{message_id}: {sent}, told {sorted(covered)}"
        for end in self.ends:
            self.check_arrivals(end)

    def check_arrivals(self, end: End) -> None:
        position: dict[tuple[int, int], tuple[str, int]] = {}
        seen: dict[str, int] = {}
        for message_id, first, last in end.arrived:
            sent = self.sent[message_id]
            assert first > seen.get(message_id, 0) or last < first, f"{message_id} came twice to {end.name}"
            seen[message_id] = max(last, seen.get(message_id, 0))
            stream = (sent.sender, sent.connection)
            before = position.get(stream, ("", 0))
            assert (message_id, first) >= before, f"{message_id} {first} came after {before} to {end.name}"
            position[stream] = (message_id, first)

    def check_quiet(self) -> None:
        """Nothing waits, is held or is remembered."""
        for pod in self.cluster.pods:
            _check_pod(pod)


def _check_pod(pod: PodUnderTest) -> None:
    relay, cluster = pod.relay, pod.cluster
    for hop in relay.hops.values():
        assert not hop.transactions
        assert not hop.waiting
        assert not hop.held_up, f"{pod.name} holds {hop.name} up: {hop.held_up!r}, {hop.blocked_on}"
        assert hop.blocked_on is None
    for remote in cluster.links.remotes():
        assert not remote.transactions
        assert not remote.retained
        assert not remote.waiting
    for session in [*relay.sessions, *cluster.elsewhere.sessions()]:
        assert session.gate is None
        assert not session.destination.transactions
        if isinstance(session.destination, Holding):
            assert not session.destination.outgoing
    assert not len(cluster._questions)
    assert not cluster.elsewhere._returning
    streams = {stream for holder in cluster.links.holders for stream in holder.streams}
    assert {stream for some in cluster._arrivals.values() for stream in some} <= streams
    for stream in streams:
        assert not stream._waiting
        assert not stream._outstanding
    assert len(cluster.links.remotes()) <= 8


@given(steps=st.lists(STEPS, min_size=25, max_size=60))
@hypothesis_settings(max_examples=200, deadline=None)
async def test_promise_1_over_many_pods(steps: list[tuple[Any, ...]]) -> None:
    async with ClusterUnderTest(PODS, settings(resume_window=60)) as cluster:
        world = World(cluster)
        await world.open()
        for step in [*ACQUAINTANCE, *steps]:
            await world.step(*step)
            for end in world.ends:
                end.listen()
        await world.finish()
        for pod in cluster.pods:
            note(f"{pod.name} {[item for item in pod.relay.counters.items() if item[1]]}")
        world.check()
        world.check_quiet()
