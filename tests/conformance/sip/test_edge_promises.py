"""What the edge promises, whatever breaks: three pods, devices over UDP, TCP and WebSocket, kills, cuts, no store."""

import asyncio
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.sip_devices import Device, Sent
from tests.support.sip_world import World
from wigwag.relay.sip import pods as pods_module

USERS = ("alice", "bob", "carol")
HOSTILE = [
    ("Via", ""),
    ("Via", 'SIP/2.0/UDP h;branch=z9hG4bKhostile1, "never closed'),
    ("Via", "SIP/2.0/UDP h;branch=old"),
    ("Via", "SIP/2.0/UDP h;branch=z9hG4bKhostile2;rport;received=203.0.113.99;pod=pod-b"),
    ("Route", ""),
    ("Route", ",,"),
    ("Route", "<tel:+1>"),
    ("Route", "<sip:a@edge.example.com:5060;lr>"),
    ("Max-Breadth", "x"),
    ("Max-Forwards", "0"),
    ("Proxy-Require", '"\\\x01"'),
    ("Proxy-Authorization", "Digest nonce=x"),
    ("From", "<sip:mallory@outside.example>;tag=1"),
    ("From", "<sip:alice@example.com.>;tag=1"),
    ("To", "<tel:+1>;tag=1"),
    ("CSeq", "1 INVITE"),
    ("Call-ID", ""),
    ("Content-Length", "999"),
]
"""Fields in place of those of a good request."""
_KINDS = ("udp", "tcp", "ws")


class Story:
    """One course of things."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.world = World(seed)
        self.messages: dict[str, tuple[str, Sent]] = {}
        """By text: the addressee and what became of it."""
        self.calls: list[tuple[Device, Sent]] = []
        self.mallory: Device
        self.actions = 0

    async def begin(self) -> None:
        world = self.world
        for user in USERS:
            for _ in range(self.random.choice((1, 1, 2))):
                world.device(user, self.random.choice(_KINDS)).register()
        self.mallory = world.device("alice", self.random.choice(_KINDS), password="guessed")
        await world.pass_time(2)
        assert all(device.sent[0].status == 200 for device in self.honest)

    @property
    def honest(self) -> list[Device]:
        return [device for device in self.world.devices if device is not self.mallory]

    def message(self, device: Device, to: str, prefix: str = "m") -> Sent:
        self.actions += 1
        text = f"{prefix}-{self.actions}"
        sent = device.message(to, text)
        self.messages[text] = (to, sent)
        return sent

    def forge(self) -> None:
        """Let somebody without a password try."""
        self.actions += 1
        device, text = self.mallory, f"evil-{self.actions}"
        request = device._request("MESSAGE", "sip:bob@example.com", "sip:bob@example.com", [], text.encode())
        request.append("P-Asserted-Identity", "<sip:alice@example.com>")
        if self.random.random() < 0.5:
            request.set("To", "<sip:bob@example.com>;tag=known")
        dialogs = [dialog for other in self.honest for dialog in other.dialogs if dialog.routes]
        if dialogs and self.random.random() < 0.7:
            # A route that was seen, but in another call.
            request.append("Route", self.random.choice(self.random.choice(dialogs).routes))
        device.begin(request)

    def garble(self) -> None:
        """Let somebody send what is no good request, by datagram and under any method; and responses to nothing."""
        self.actions += 1
        uri = self.random.choice(("sip:bob@example.com", "sip:example.com", "sip:203.0.113.5", "tel:+1"))
        method = self.random.choice(("MESSAGE", "INVITE", "ACK", "CANCEL", "REGISTER", "OPTIONS", "ODD"))
        request = self.mallory._request(method, uri, "sip:bob@example.com", [], f"evil-{self.actions}".encode())
        for name, value in self.random.sample(HOSTILE, 2):
            request.set(name, value)
        data = bytes(request)
        if self.random.random() < 0.2:
            data = data[: self.random.randrange(len(data))]
        if self.random.random() < 0.2:
            data = b"SIP/2.0 200 OK\r\n" + data.partition(b"\r\n")[2]
        edge = self.world.edge()
        edge.edge.datagram_received(data, ("203.0.113.240", 5060), edge.socket, edge.addresses["udp"])

    def offend(self, device: Device) -> None:
        """Let a user call or write with fields that nobody can make sense of."""
        name, value = self.random.choice((("Max-Breadth", "x"), ("Max-Breadth", "0"), ("Max-Forwards", "0")))
        uri = f"sip:{self.random.choice(USERS)}@example.com"
        request = device._request(self.random.choice(("INVITE", "OPTIONS", "INFO")), uri, uri, [])
        if request.method == "INVITE":
            request.append("Contact", f"<{device.contact}>")
        request.set(name, value)
        device.begin(request)

    # What happens

    def step(self) -> None:
        device = self.random.choice(self.honest)
        chance = self.random.random()
        if chance < 0.45:
            self.message(device, self.random.choice(USERS))
        elif chance < 0.55:
            self.calls.append((device, device.invite(self.random.choice(USERS))))
        elif chance < 0.6:
            device.cancel_calls()
        elif chance < 0.7:
            for server in device.ringing:
                device.answer(server, self.random.choice((200, 486)))
            device.ringing.clear()
        elif chance < 0.8 and device.dialogs:
            dialog = self.random.choice(device.dialogs)
            device.within(dialog, self.random.choice(("INFO", "INFO", "BYE")))
        elif chance < 0.83:
            self.forge()
        elif chance < 0.86:
            self.garble()
        elif chance < 0.87:
            self.offend(device)
        elif chance < 0.9:
            device.register()
        else:
            self._break(device)

    def _break(self, device: Device) -> None:
        world = self.world
        match self.random.randrange(5):
            case 0:
                world.kill(self.random.choice(sorted(world.cluster.alive)))
            case 1:
                world.cut(*self.random.sample(sorted(world.cluster.alive), 2))
            case 2:
                world.store_away = not world.store_away
                world.faults.append(world.now)
            case 3 if device.kind != "udp":
                world.disconnect(device)
            case _:
                world.loss = self.random.choice((0.0, 0.0, 0.3))

    async def play(self, steps: int) -> None:
        await self.begin()
        for _ in range(steps):
            self.step()
            if self.random.random() < 0.7:
                await self.world.pass_time(self.random.choice((0.1, 0.1, 0.5, 3.0)))
            if self.random.random() < 0.8:
                await self.world.tell_registrations()
            if self.random.random() < 0.3:
                await self.world.look_after()
        await self.calm()

    async def calm(self) -> None:
        """Let everything heal, and all register again; then everybody writes to everybody."""
        world = self.world
        world.loss, world.store_away = 0.0, False
        await world.pass_time(45, 0.5)
        for device in self.honest:
            device.register()
        await world.pass_time(2)
        await world.look_after()
        await world.tell_registrations()
        self.last = [self.message(device, user, "calm") for device in self.honest for user in USERS]
        await world.pass_time(40, 0.5)
        for device in world.devices:
            device.cancel_calls()
        await world.pass_time(260, 0.5)

    # What holds

    def check(self) -> None:
        self._nobody_was_deceived()
        self._who_was_told_so_was_right()
        self._nothing_came_twice()
        assert [sent.status for sent in self.last if sent.status not in (200, 486)] == []
        for device in self.honest:
            assert all(sent.ended is not None for sent in device.sent), [
                (sent.request.start_line, sent.begun, sent.status) for sent in device.sent if sent.ended is None
            ]
        self._nothing_is_left()

    def _who_was_told_so_was_right(self) -> None:
        for text, (to, sent) in self.messages.items():
            if sent.status is not None and sent.status < 300:
                assert any(text in device.seen for device in self.honest if device.user == to), text

    def _nothing_came_twice(self) -> None:
        for device in self.honest:
            for text, branches in device.seen.items():
                sent = self.messages[text][1]
                if not self.world.disturbed(sent.begun, sent.ended):
                    assert len(set(branches)) == 1, (text, device.kind, branches)
                    if device.kind == "udp":
                        assert len(branches) == 1, (text, branches)

    def _nobody_was_deceived(self) -> None:
        for device in self.world.devices:
            assert not any(text.startswith("evil") for text in device.seen)
        assert not any(sent.status is not None and sent.status < 400 for sent in self.mallory.sent)

    def _nothing_is_left(self) -> None:
        for name in self.world.cluster.alive:
            edge = self.world.cluster.edges[name].edge
            transactions = edge.transactions
            left = (transactions.servers, transactions.clients, transactions.cancels, transactions._waiting)
            assert [len(each) for each in left] == [0, 0, 0, 0], name
            assert edge.proxy.invites == set()
            assert self.world.cluster.pods[name]._asked == {}


def play(seed: int, steps: int) -> None:
    async def played() -> None:
        story = Story(seed)
        await story.play(steps)
        story.check()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pods_module, "ANSWER", 0.02)
        asyncio.run(played())


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1 << 32), steps=st.integers(5, 60))
def test_promises_hold_whatever_breaks(seed: int, steps: int) -> None:
    play(seed, steps)
