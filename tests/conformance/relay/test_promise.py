"""Promise 1 of the design: no message that was answered 200 is lost without a word.

With Failure-Report yes, each SEND answered 200 has reached the receiver's hop and was answered there, or a failure
REPORT covers its bytes, or the sender's connection is lost. Random traffic, cuts, losses, refusals and silence show it.
"""

import re
from dataclasses import dataclass, field

from hypothesis import given, note
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.support.relay import FakeChannel, FakeClient, RelayUnderTest, body_of, ok_to, send, value_of
from tests.support.relay_pair import covers, kind, settings, statuses

SIZES = st.sampled_from([0, 1, 200, 5_000, 65_536, 65_537, 150_000, 300_000])
WHO = st.integers(min_value=0, max_value=1)

STEPS = st.one_of(
    st.tuples(st.just("send"), WHO, WHO, SIZES),
    st.tuples(st.just("feed"), WHO, st.integers(min_value=1, max_value=120_000)),
    st.tuples(st.just("feed all"), WHO),
    st.tuples(st.just("answer"), WHO, st.sampled_from(["200 OK", "200 OK", "200 OK", "413 No", "415 No"])),
    st.tuples(st.just("fill"), WHO),
    st.tuples(st.just("drain"), WHO),
    st.tuples(st.just("lose receiver"), WHO),
    st.tuples(st.just("resume"), WHO),
    st.tuples(st.just("wait"), st.sampled_from([0.5, 3, 25, 70])),
)


@dataclass
class Sender:
    """A peer: what it has written, and what it was told."""

    channel: FakeChannel
    uri: str
    unsent: bytes = b""
    sent: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Transaction identifier: Message-ID and octets."""
    answered: dict[str, str] = field(default_factory=dict)
    reported: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    def feed(self, octets: int) -> None:
        while octets > 0 and self.unsent and self.channel.reading and self.channel.is_open:
            piece, self.unsent = self.unsent[: min(octets, 65_536)], self.unsent[min(octets, 65_536) :]
            octets -= len(piece)
            self.channel.receive(piece)
        self.listen()

    def listen(self) -> None:
        for frame in self.channel.taken():
            if kind(frame) != "REPORT":
                assert self.answered.setdefault(frame.split(b" ")[1].decode(), kind(frame)) == kind(frame)
                continue
            assert statuses([frame]) != ["200"]
            start, end = re.match(r"(\d+)-(\d+)/", value_of(frame, "Byte-Range") or "").groups()  # type: ignore[union-attr]
            self.reported.setdefault(value_of(frame, "Message-ID") or "", []).append((int(start), int(end)))


@dataclass
class Receiver:
    """A client of the relay and what has reached it, over all its connections."""

    client: FakeClient
    unanswered: list[bytes] = field(default_factory=list)
    accepted: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    def listen(self) -> None:
        self.unanswered += [frame for frame in self.client.channel.taken() if kind(frame) == "SEND"]

    def answer(self, status: str) -> None:
        self.listen()
        frames, self.unanswered = self.unanswered, []
        for frame in frames:
            if not self.client.channel.is_open:
                return
            self.client.channel.receive(ok_to(frame, status))
            if status.startswith("200"):
                start = int((value_of(frame, "Byte-Range") or "1-").split("-")[0])
                octets = len(body_of(frame)) if b"\r\n\r\n" in frame else 0
                self.accepted.setdefault(value_of(frame, "Message-ID") or "", []).append((start, start + octets - 1))


class World:
    """Two senders, two receivers, one relay."""

    def __init__(self, window: float) -> None:
        self.under_test = RelayUnderTest(settings(resume_window=window))
        self.receivers: list[Receiver] = []
        self.senders: list[Sender] = []
        self._serial = 0

    async def open(self) -> None:
        for index in range(2):
            uri = f"msrps://client{index}.invalid:9/a;tcp"
            self.receivers.append(Receiver(await self.under_test.client(("alice", "bob")[index], uri)))
            channel = self.under_test.connect()
            self.senders.append(Sender(channel, f"msrp://peer{index}.invalid:7/p;tcp"))
            channel.receive(send(self.to_path(index), self.senders[index].uri, None, message_id="bind"))
            channel.taken()

    def to_path(self, index: int) -> str:
        client = self.receivers[index].client
        return f"{client.use_path} {client.uri}"

    async def step(self, name: str, *arguments: object) -> None:
        match (name, *arguments):
            case ("send", int(who), int(whom), int(octets)):
                self._serial += 1
                tid, message_id = f"t{self._serial:05}", f"m{self._serial:05}"
                sender = self.senders[who]
                sender.sent[tid] = message_id, octets
                sender.unsent += send(
                    self.to_path(whom), sender.uri, b"x" * octets, transaction_id=tid, message_id=message_id
                )
            case ("feed", int(who), int(octets)):
                self.senders[who].feed(octets)
            case ("feed all", int(who)):
                self.senders[who].feed(1 << 30)
            case ("answer", int(who), str(status)):
                self.receivers[who].answer(status)
            case ("fill", int(who)):
                self.receivers[who].client.channel.full_above = 65_536
            case ("drain", int(who)):
                self.receivers[who].client.channel.drain()
            case ("lose receiver", int(who)):
                self.receivers[who].listen()
                self.receivers[who].client.channel.lose()
            case ("resume", int(who)):
                await self.resume(self.receivers[who])
            case ("wait", int(seconds) | float(seconds)):
                self.under_test.advance(seconds)

    async def resume(self, receiver: Receiver) -> None:
        receiver.listen()
        old = receiver.client
        if not self.under_test.relay.settings.resume_window:
            old.channel.lose()  # Else it would stay beside the new session, which has another URI.
        client = FakeClient(self.under_test, self.under_test.connect(), old.username, old.uri)
        challenge = await client.auth()
        head = f"MSRP resume AUTH\r\nTo-Path: msrps://relay.test:2855;tcp\r\nFrom-Path: {client.uri}\r\n"
        client.channel.receive(f"{head}{client.authorization(challenge)}-------resume$\r\n".encode())
        await self.under_test.runtime.settle()
        client.use_path = value_of(client.channel.frames.pop(0), "Use-Path") or ""
        receiver.unanswered = []
        receiver.client = client

    def finish(self) -> None:
        """Let everything read, write and time out that still can."""
        for _ in range(30):
            for receiver in self.receivers:
                if receiver.client.channel.is_open:
                    receiver.client.channel.drain()
            for sender in self.senders:
                sender.feed(1 << 30)
        self.under_test.advance(70)
        for sender in self.senders:
            sender.feed(1 << 30)
        self.under_test.advance(35)
        for sender in self.senders:
            sender.listen()

    def check(self) -> None:
        for sender in self.senders:
            if not sender.channel.is_open:
                continue  # It paused in the middle of a frame for too long.
            assert sender.unsent == b"", "the sender was never let go on"
            for tid, (message_id, octets) in sender.sent.items():
                assert tid in sender.answered, f"{tid} was not answered"
                covered = sender.reported.get(message_id, [])
                for receiver in self.receivers:
                    covered = covered + receiver.accepted.get(message_id, [])
                if sender.answered[tid] == "200":
                    assert covers(covered, octets), f"{message_id}: {octets} octets, told {sorted(covered)}"


@given(steps=st.lists(STEPS, max_size=25), window=st.sampled_from([0, 60]))
@hypothesis_settings(max_examples=60, deadline=None)
async def test_promise_1_every_send_answered_200_arrives_or_is_reported(steps: list[tuple[str]], window: float) -> None:
    world = World(window)
    await world.open()
    for step in steps:
        await world.step(*step)
    note(f"counters {[item for item in world.under_test.relay.counters.items() if item[1]]}")
    world.finish()
    world.check()
    hops = world.under_test.relay.hops.values()
    assert not any(hop.transactions for hop in hops), "every transaction comes to its end"
