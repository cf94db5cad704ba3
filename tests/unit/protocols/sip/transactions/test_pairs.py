"""Two layers over a wire that loses, repeats and reorders: what must hold whatever happens."""

import itertools
import random
from dataclasses import dataclass, field

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.support.sip_transactions import request, response
from wigwag.protocols.sip import Request, Response, parse_datagram
from wigwag.protocols.sip.transactions import ClientTransaction, ServerTransaction, Transactions

SLOWEST = 24
"""Ticks after which a datagram has arrived: below T1, which is an estimate of a round trip."""
TICK = 1 / 64
"""Times are multiples of this, so that sums of them are exact."""


class Network:
    """What is on its way and when it arrives."""

    def __init__(self, seed: int, losses: float) -> None:
        self.chance = random.Random(seed)
        self.losses = losses
        self.now = 0.0
        self.in_timer = False
        self.flying: list[tuple[float, int, bytes, NetworkWire]] = []
        self._number = itertools.count()

    def send(self, data: bytes, to: "NetworkWire") -> None:
        if to.reliable:
            self._fly(TICK, data, to)
            return
        for _ in range(self.chance.choice((1, 1, 1, 2, 3))):
            if self.chance.random() >= self.losses:
                self._fly(self.chance.randint(0, SLOWEST) * TICK, data, to)

    def arrival(self) -> float | None:
        """Return when the next message arrives."""
        return min(self.flying)[0] if self.flying else None

    def arrived(self) -> list[tuple[bytes, "NetworkWire"]]:
        """Take out what has arrived."""
        here = sorted(flying for flying in self.flying if flying[0] <= self.now)
        self.flying = [flying for flying in self.flying if flying[0] > self.now]
        return [(data, wire) for _, _, data, wire in here]

    def _fly(self, delay: float, data: bytes, to: "NetworkWire") -> None:
        self.flying.append((self.now + delay, next(self._number), data, to))


class NetworkWire:
    """One end of a way; ``back`` is the other end, for what is sent in answer."""

    def __init__(self, network: Network, *, reliable: bool, back: "NetworkWire | None" = None) -> None:
        self.network = network
        self.reliable = reliable
        self.back = back or NetworkWire(network, reliable=reliable, back=self)
        self.sent: list[tuple[float, bool, bytes]] = []

    def send(self, data: bytes) -> None:
        self.network.send(data, self.back)
        self.sent.append((self.network.now, self.network.in_timer, data))


@dataclass
class Caller:
    """The user of one client transaction."""

    started: float
    method: str
    wire: NetworkWire
    provisional: float | None = None
    finals: list[int] = field(default_factory=list)
    ended: float | None = None
    """When the first final response, the timeout or the failure was told."""
    outcomes: int = 0
    cancelled: bool = False

    def response_received(self, client: ClientTransaction, response: Response, now: float) -> None:
        if response.status < 200:
            assert not self.outcomes, "a provisional response was told after the end"
            self.provisional = now if self.provisional is None else self.provisional
            return
        self.finals.append(response.status)
        if len(self.finals) > 1:
            assert self.method == "INVITE", "a second final response was told"
            assert all(200 <= status < 300 for status in self.finals), "a second final response was told"
            return
        self._end(now)

    def timed_out(self, client: ClientTransaction, now: float) -> None:
        if not self.cancelled:
            assert now == self.started + 32.0
        self._end(now)

    def wire_failed(self, client: ClientTransaction, reason: str, now: float) -> None:
        self._end(now)

    def _end(self, now: float) -> None:
        assert not self.outcomes, "two outcomes were told"
        self.outcomes += 1
        self.ended = now

    def transmissions(self, until: float) -> list[float]:
        """Return when RFC 3261 wants the request to be sent (sections 17.1.1.2, 17.1.2.2)."""
        moments, interval = [self.started], 0.5
        if self.wire.reliable:
            return moments
        end = min(until if self.ended is None else self.ended, self.started + 32.0)
        if self.method == "INVITE" and self.provisional is not None:
            end = min(end, self.provisional)
        while (due := moments[-1] + interval) <= end:
            moments.append(due)
            answered = self.provisional is not None and self.provisional < due
            interval = 2 * interval if self.method == "INVITE" else 4.0 if answered else min(2 * interval, 4.0)
        return moments


class Callee:
    """The user of all server transactions."""

    def __init__(self) -> None:
        self.acks: dict[str, list[float]] = {}

    def ack_received(self, server: ServerTransaction, ack: Request, now: float) -> None:
        self.acks.setdefault(server.key, []).append(now)

    def server_failed(self, server: ServerTransaction, reason: str, now: float) -> None:
        pass


@dataclass
class Seen:
    """A request that the callee was given."""

    server: ServerTransaction
    request: Request
    refused: float | None = None


class Pair(RuleBasedStateMachine):
    @initialize(seed=st.integers(0, 1 << 32), losses=st.sampled_from([0.0, 0.3, 0.7, 0.9, 0.97]))
    def begin(self, seed: int, losses: float) -> None:
        self.network = Network(seed, losses)
        self.near, self.far = Transactions(), Transactions()
        self.callers: dict[str, tuple[ClientTransaction, Caller]] = {}
        self.callee = Callee()
        self.seen: dict[str, Seen] = {}
        self.answers: list[tuple[float, str, int]] = []

    @rule(method=st.sampled_from(["MESSAGE", "INVITE"]), reliable=st.booleans())
    def send(self, method: str, reliable: bool) -> None:
        branch = f"z9hG4bK{len(self.callers)}"
        caller = Caller(self.network.now, method, NetworkWire(self.network, reliable=reliable))
        made = request(method, branch=branch, call_id=branch)
        self.callers[branch] = self.near.send_request(made, caller.wire, caller, self.network.now), caller

    @rule(ticks=st.integers(1, 24) | st.integers(25, 3000))
    def wait(self, ticks: int) -> None:
        self._advance(self.network.now + ticks * TICK)

    @rule(which=st.integers(0, 100), status=st.sampled_from([100, 183, 200, 202, 302, 404, 486, 503, 603]))
    def answer(self, which: int, status: int) -> None:
        if self.seen:
            self._answer(list(self.seen.values())[which % len(self.seen)], status)

    @rule(which=st.integers(0, 100))
    def cancel(self, which: int) -> None:
        if self.callers:
            client, caller = list(self.callers.values())[which % len(self.callers)]
            caller.cancelled = True
            client.cancel(self.network.now)

    @rule(which=st.integers(0, 100))
    def break_connection(self, which: int) -> None:
        wires = [caller.wire for _, caller in self.callers.values() if caller.wire.reliable]
        if wires:
            wire = wires[which % len(wires)]
            self.near.wire_lost(wire, "reset", self.network.now)
            self.far.wire_lost(wire.back, "reset", self.network.now)
            self.network.flying = [f for f in self.network.flying if f[3] not in (wire, wire.back)]

    @invariant()
    def requests_are_sent_when_the_rfc_wants(self) -> None:
        for client, caller in self.callers.values():
            sent = [at for at, _, data in caller.wire.sent if data.startswith(client.method.encode())]
            assert sent == caller.transmissions(self.network.now)

    @invariant()
    def refusals_are_sent_when_the_rfc_wants(self) -> None:
        for seen in self.seen.values():
            wire = seen.server.wire
            if seen.refused is None or seen.request.method != "INVITE" or not isinstance(wire, NetworkWire):
                continue
            end = min([self.network.now, seen.refused + 32.0, *self.callee.acks.get(seen.server.key, [])])
            expected, interval = [seen.refused], 0.5
            while not wire.reliable and (due := expected[-1] + interval) <= end:
                expected.append(due)
                interval = min(2 * interval, 4.0)
            by_timer = [at for at, timer, data in wire.sent if timer and not data.startswith(b"SIP/2.0 100")]
            assert by_timer == expected[1:]

    @invariant()
    def an_ack_is_told_once(self) -> None:
        assert all(len(moments) == 1 for moments in self.callee.acks.values())

    def teardown(self) -> None:
        """Nothing is left once everything was cancelled or answered and its time has passed."""
        for client, caller in self.callers.values():
            caller.cancelled = True
            client.cancel(self.network.now)
        for seen in list(self.seen.values()):
            self._answer(seen, 487)
        self._advance(self.network.now + 200.0)
        for seen in list(self.seen.values()):
            self._answer(seen, 487)
        self._advance(self.network.now + 200.0)
        self.requests_are_sent_when_the_rfc_wants()
        self.refusals_are_sent_when_the_rfc_wants()
        assert all(caller.outcomes == 1 for _, caller in self.callers.values())
        for layer in (self.near, self.far):
            for index in (layer.clients, layer.servers, layer.cancels, layer.merged):
                assert index == {}
            assert layer.next_timeout() is None

    def _answer(self, seen: Seen, status: int) -> None:
        if status >= 300 and not seen.server.final_sent:
            seen.refused = self.network.now
        seen.server.respond(response(seen.request, status), self.network.now)

    def _advance(self, end: float) -> None:
        """Let timers fire exactly when they are due, before what arrives or is answered at the same moment."""
        network = self.network
        while (now := self._next(end)) is not None:
            network.now = now
            network.in_timer = True
            self.near.handle_timeout(now)
            self.far.handle_timeout(now)
            network.in_timer = False
            for data, wire in network.arrived():
                self._arrive(data, wire)
            for due in [answer for answer in self.answers if answer[0] <= now]:
                self.answers.remove(due)
                self._answer(self.seen[due[1]], due[2])
        network.now = end

    def _next(self, end: float) -> float | None:
        moments = [self.near.next_timeout(), self.far.next_timeout(), self.network.arrival()]
        dues = [due for due in (*moments, *(answer[0] for answer in self.answers)) if due is not None and due <= end]
        return min(dues) if dues else None

    def _arrive(self, data: bytes, wire: NetworkWire) -> None:
        message, now = parse_datagram(data), self.network.now
        if isinstance(message, Response):
            self.near.receive_response(message, now)
        elif message.method == "ACK":
            assert self.far.receive_ack(message, now) or self.far.find_invite(message) is None
        else:
            self._take(message, wire, now)

    def _take(self, message: Request, wire: NetworkWire, now: float) -> None:
        server = self.far.receive_request(message, wire, now)
        if server is None:
            return
        assert server.key not in self.seen, "a request was seen twice"
        server.user = self.callee
        self.seen[server.key] = Seen(server, message)
        if message.method != "CANCEL":
            self._plan(server.key)
        else:
            invite = self.far.find_invite(message)
            self._answer(self.seen[server.key], 200 if invite else 481)
            if invite is not None:
                self._answer(self.seen[invite.key], 487)

    def _plan(self, key: str) -> None:
        """Decide when the callee says what: perhaps something provisional, perhaps something final, perhaps nothing."""
        chance, at = self.network.chance, self.network.now
        for status in (chance.choice((100, 183)), chance.choice((200, 404, 486))):
            if chance.random() < 0.7:
                at += chance.choice((0, 1, 8, 40, 640)) * TICK
                self.answers.append((at, key, status))


TestPair = Pair.TestCase
TestPair.settings = settings(max_examples=300, stateful_step_count=30, deadline=None)
