"""A cluster of edges, devices and a wire that breaks: pods die, links are cut, the store is away, datagrams vanish."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from random import Random
from typing import TYPE_CHECKING, Any, cast

from tests.support.fake_connection import FakeConnection
from tests.support.sip_cluster import FakeLinks, FakeMembers, SipCluster
from tests.support.sip_devices import DOMAIN, Device, DeviceWire
from tests.support.sip_edge import PASSWORDS, EdgeUnderTest
from wigwag.relay.sip.between_pods import decode
from wigwag.relay.sip.flows.flow import StreamFlow
from wigwag.store import Pod, StoreError
from wigwag.transport.channel import Channel

if TYPE_CHECKING:
    from wigwag.relay.cluster.links import Links
    from wigwag.runtime.members import Members

STEP = 0.1
NOTICED = 3.0
"""Seconds until a dead pod, or a cut link, is noticed."""
_OPERATIONS = ("register", "find_registrations", "use_nonce", "drop_flow", "put_registrations")


class LateMembers(FakeMembers):
    """Sees with a delay who lives."""

    def __init__(self, world: "World", own: str) -> None:
        super().__init__(world.cluster, own)
        self.seen = set(world.cluster.alive)

    def others(self) -> list[Pod]:
        return [Pod(id=name, address=name) for name in sorted(self.seen) if name != self.pod.id]

    def alive(self, pod: str) -> bool:
        return pod in self.seen


class QueuedLinks(FakeLinks):
    """Links whose frames are under way for a while; what is sent into a cut one is lost until that is noticed."""

    def __init__(self, world: "World", own: str) -> None:
        super().__init__(world.cluster, own)
        self._world = world
        self.down: set[str] = set()
        """Pods to which the link is known to be lost."""
        self.queues: dict[str, deque[bytes]] = {}

    def reachable(self, pod: str) -> bool:
        return pod not in self.down and pod in self._world.known

    stands = reachable

    def send_sip(self, pod: str, content: bytes) -> bool:
        if not self.reachable(pod):
            return False
        if pod in self._world.cluster.alive and pod not in self.cut:
            self.queues.setdefault(pod, deque()).append(content)
        return True


class World:
    """All of it.

    Args:
        seed: Of everything that chance decides.
    """

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.now = 1000.0
        self.cluster = SipCluster(*(f"pod-{letter}" for letter in "abcdefg"))
        self.cluster.alive = set(sorted(self.cluster.edges)[:3])
        self.known = set(self.cluster.alive)
        """Pods that are or were there."""
        self.spares = sorted(set(self.cluster.edges) - self.cluster.alive)
        self.faults: list[float] = []
        self.loss = 0.0
        self.store_away = False
        self.devices: list[Device] = []
        self.homes: dict[Device, tuple[str, StreamFlow, FakeConnection]] = {}
        self._read: dict[Device, int] = {}
        self._later: list[tuple[float, Callable[[], None]]] = []
        self.members: dict[str, LateMembers] = {}
        self.links: dict[str, QueuedLinks] = {}
        self._serials = iter(range(1, 1_000_000))
        for name, pods in self.cluster.pods.items():
            self.members[name], self.links[name] = LateMembers(self, name), QueuedLinks(self, name)
            pods._members = cast("Members", self.members[name])
            pods._links = cast("Links", self.links[name])
        store = next(iter(self.cluster.edges.values())).store
        for operation in _OPERATIONS:
            setattr(store, operation, self._breakable(getattr(store, operation)))

    def _breakable(self, operation: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def called(*arguments: Any, **more: Any) -> Any:
            await asyncio.sleep(0)
            if self.store_away:
                raise StoreError("away")
            return await operation(*arguments, **more)

        return called

    def edge(self) -> EdgeUnderTest:
        """Return some pod's edge."""
        return self.cluster.edges[self.random.choice(sorted(self.cluster.alive))]

    # Devices

    def device(self, user: str, kind: str, password: str = "") -> Device:
        """Add a device."""
        port = 20_000 + len(self.devices)
        device = Device(
            user, password or PASSWORDS[user], kind, port, random=Random(self.random.random()), now=lambda: self.now
        )
        self.devices.append(device)
        if kind == "udp":
            device.connect(DeviceWire(reliable=False, carry=lambda data: self._datagram(device, data)))
        else:
            self.connect(device)
        return device

    def _datagram(self, device: Device, data: bytes) -> None:
        if self.random.random() < self.loss:
            return
        edge = self.edge()
        self.soon(lambda: self._arrives(device, data, edge))

    def _arrives(self, device: Device, data: bytes, edge: EdgeUnderTest) -> None:
        if edge.edge.pod in self.cluster.alive:
            edge.edge.datagram_received(data, device.remote, edge.socket, edge.addresses["udp"])

    def connect(self, device: Device) -> None:
        """Open a connection to some pod."""
        edge = self.edge()
        serial = next(self._serials)
        connection = FakeConnection(serial, (device.remote[0], 40_000 + serial))
        flow = StreamFlow(edge.edge, edge.addresses[device.kind], 65_536, self.now)
        flow.connected(cast("Channel", connection))
        self.homes[device] = (edge.edge.pod, flow, connection)
        self._read[device] = 0

        def carry(data: bytes) -> None:
            if flow.is_open:
                self.soon(lambda: flow.data_received(data) if flow.is_open else None)

        device.connect(DeviceWire(reliable=True, carry=carry))

    def disconnect(self, device: Device) -> None:
        """Lose its connection, and open another one."""
        pod, flow, _ = self.homes[device]
        self.faults.append(self.now)
        if pod in self.cluster.alive:
            flow.disconnected("lost")
        flow.is_open = False
        self.connect(device)
        device.register()

    def soon(self, what: Callable[[], None], delay: float = 0.0) -> None:
        """Do something when it has been under way."""
        self._later.append((self.now + delay, what))

    # Faults

    def kill(self, name: str) -> None:
        """Let a pod die, and another one come."""
        self.faults.append(self.now)
        self.cluster.alive.discard(name)
        for task in self.cluster.edges[name].runtime.tasks:
            task.cancel()
        for other in sorted(self.cluster.alive):
            self.links[other].queues.pop(name, None)
            self.soon(lambda other=other: self._noticed(other, name), self.random.uniform(0, NOTICED))  # type: ignore[misc]
        self.links[name].queues.clear()
        if self.spares:
            come = self.spares.pop(0)
            self.cluster.alive.add(come)
            self.known.add(come)
            self.cluster.edges[come].runtime.time = self.now
            for pod in sorted(self.cluster.alive):
                self.soon(lambda pod=pod: self.members[pod].seen.add(come), self.random.uniform(0, 1.0))  # type: ignore[misc]
            self.members[come].seen = set(self.cluster.alive)
        for device in [each for each in self.devices if self.homes.get(each, ("",))[0] == name]:
            self.disconnect(device)

    def _noticed(self, own: str, name: str) -> None:
        self.members[own].seen.discard(name)
        self.links[own].down.add(name)
        self.cluster.pods[own].link_lost(name)

    def cut(self, one: str, other: str) -> None:
        """Cut the link between two pods in one direction, for some time."""
        self.faults.append(self.now)
        links = self.links[one]
        links.cut.add(other)
        links.queues.pop(other, None)
        seconds = self.random.uniform(0, NOTICED)

        def noticed() -> None:
            links.down.add(other)
            self.cluster.pods[one].link_lost(other)

        def healed() -> None:
            links.cut.discard(other)
            if other in self.cluster.alive:
                links.down.discard(other)

        self.soon(noticed, seconds)
        self.soon(healed, seconds + self.random.uniform(0, 5))

    # Time

    async def settle(self) -> None:
        """Let everything arrive that is under way, and background work go as far as it can."""
        idle = 0
        while idle < 12:
            moved = self._pump()
            await asyncio.sleep(0)
            working = self._reap()
            idle = 0 if moved else idle + 1
            if not moved and working and idle >= 12:
                await asyncio.sleep(0.005)
                idle = 0

    def _reap(self) -> bool:
        working = False
        for name in sorted(self.cluster.edges):
            tasks = self.cluster.edges[name].runtime.tasks
            for task in [task for task in tasks if task.done()]:
                tasks.remove(task)
                if not task.cancelled():
                    task.result()
            working = working or bool(tasks)
        return working

    def _pump(self) -> bool:
        due = [entry for entry in self._later if entry[0] <= self.now]
        self._later = [entry for entry in self._later if entry[0] > self.now]
        for _, what in due:
            what()
        moved = bool(due)
        for name in self.random.sample(sorted(self.cluster.alive), len(self.cluster.alive)):
            for to, queue in self.links[name].queues.items():
                while queue and to in self.cluster.alive:
                    moved = True
                    self.cluster.pods[to]._received(name, decode(queue.popleft()))
        for device in self.devices:
            moved = self._deliver(device) or moved
        return moved

    def _deliver(self, device: Device) -> bool:
        home = self.homes.get(device)
        written = home[2].written if home is not None else self._socket().setdefault(device.remote, [])
        at = self._read.get(device, 0)
        came, self._read[device] = written[at:], len(written)
        for data in came:
            if data.strip() and (home is not None or self.random.random() >= self.loss):
                device.receive(data)
        return bool(came)

    def _socket(self) -> dict[tuple[str, int], list[bytes]]:
        return next(iter(self.cluster.edges.values())).socket.sent

    async def pass_time(self, seconds: float, step: float = STEP) -> None:
        """Let time pass."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(self.now + step, end)
            for name in sorted(self.cluster.alive):
                edge = self.cluster.edges[name]
                edge.runtime.time = self.now
                edge.edge.transactions.handle_timeout(self.now)
                edge.edge.proxy.tick(self.now)
            for device in self.devices:
                device.tick(self.now)
            await self.settle()

    async def tell_registrations(self) -> None:
        """Let pods hear that registrations have changed."""
        for name in sorted(self.cluster.alive):
            locations = self.cluster.edges[name].parts.locations
            for aor in {device.aor for device in self.devices}:
                locations.forget(aor)

    async def look_after(self) -> None:
        """Let pods look after their bindings."""
        for name in sorted(self.cluster.alive):
            upkeep = self.cluster.edges[name].parts.registrations.upkeep
            await upkeep.turn()

    def disturbed(self, begun: float, ended: float | None) -> bool:
        """Tell whether something broke while a request was under way, or shortly before."""
        return any(begun - 8 <= at <= (ended or self.now) for at in self.faults)


__all__ = ["DOMAIN", "World"]
