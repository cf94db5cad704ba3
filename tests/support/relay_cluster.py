"""Several relays without sockets that are one: a shared store, a clock turned by hand, links whose bytes are lists."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, cast

from tests.support.relay import FakeChannel, FakeClient, FakeRuntime, RelayUnderTest
from wigwag.protocols.digest import SigningKey, SigningKeys
from wigwag.relay.cluster import Cluster
from wigwag.relay.config import RelaySettings
from wigwag.store import Pod, StoreError
from wigwag.store.memory import MemoryStore
from wigwag.transport.channel import Channel, Receiver
from wigwag.transport.errors import ConnectError, ConnectFailure


class LinkEnd:
    """One end of a connection between two pods."""

    def __init__(self, network: "Network", pods: tuple[str, str], receiver: Receiver) -> None:
        self.network = network
        self.pods = pods
        self.receiver = receiver
        self.other: LinkEnd
        self.inbox: list[bytes] = []
        self.open = True

    def send(self, frames: Sequence[bytes]) -> None:
        if self.open:
            self.other.inbox.append(b"".join(frames))

    def abort(self, reason: str = "") -> None:
        if self.open:
            self.open = False
            self.other.inbox.append(b"")

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Network:
    """Delivers what pods send to each other; ``silent`` holds (from, to) pairs of pods between which nothing passes."""

    def __init__(self) -> None:
        self.pods: dict[str, PodUnderTest] = {}
        self.ends: list[LinkEnd] = []
        self.silent: set[tuple[str, str]] = set()

    async def connect(self, sender: str, receiver: Receiver, address: str) -> None:
        target = self.pods.get(address)
        if target is None or (sender, address) in self.silent:
            raise ConnectError(ConnectFailure.REFUSED, "connection refused")
        near = LinkEnd(self, (sender, address), receiver)
        far = LinkEnd(self, (address, sender), cast(Receiver, target.cluster.links.accept(target.cluster)))
        near.other, far.other = far, near
        self.ends += [near, far]
        far.receiver.connected(cast(Channel, far))
        near.receiver.connected(cast(Channel, near))

    def pump(self) -> bool:
        """Deliver what is under way; False when there was nothing."""
        moved = False
        for end in list(self.ends):
            if (end.other.pods[0], end.pods[0]) in self.silent or not end.inbox:
                continue
            moved = True
            inbox, end.inbox = end.inbox, []
            for data in inbox:
                if not end.open:
                    break
                if data:
                    end.receiver.data_received(data)
                else:
                    end.open = False
                    end.receiver.disconnected("reset by the peer")
        self.ends = [end for end in self.ends if end.open]
        return moved


class Connector:
    def __init__(self, network: Network, own: str) -> None:
        self._network = network
        self._own = own

    async def connect(self, receiver: Receiver, address: str) -> None:
        await self._network.connect(self._own, receiver, address)


class SometimesAway:
    """The store as one pod reaches it; ``away``: every operation fails."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.away = False

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self.store, name)
        if name == "changes":
            return operation

        async def guarded(*args: Any, **named: Any) -> Any:
            if self.away:
                raise StoreError("the store is away")
            return await operation(*args, **named)

        return guarded


class PodUnderTest(RelayUnderTest):
    """One pod."""

    def __init__(
        self, name: str, seed: int, network: Network, store: MemoryStore, settings: RelaySettings | None
    ) -> None:
        super().__init__(settings, runtime=FakeRuntime(seed))
        self.name = name
        self.paused = False
        self.store = SometimesAway(store)
        keys = SigningKeys([SigningKey("A", b"k" * 32)])
        self.cluster = Cluster(
            self.relay,
            pod=Pod(id=name, address=name),
            store=cast(Any, self.store),
            keys=keys,
            connector=Connector(network, name),
        )
        self.relay.cluster = self.cluster
        network.pods[name] = self
        self.watching: asyncio.Task[None] | None = None


class ClusterUnderTest:
    """All pods."""

    def __init__(self, pods: int = 2, settings: RelaySettings | None = None) -> None:
        self.network = Network()
        self.clock = FakeRuntime()
        self.store = MemoryStore(clock=self.clock.wall)
        names = [f"pod{number}" for number in range(1, pods + 1)]
        self.pods = [
            PodUnderTest(name, seed, self.network, self.store, settings) for seed, name in enumerate(names, start=11)
        ]

    async def __aenter__(self) -> "ClusterUnderTest":
        for pod in self.pods:
            await pod.cluster.beat()
            pod.watching = asyncio.create_task(pod.cluster.watch())
        for pod in self.pods:
            await pod.cluster.beat()
        await self.settle()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for pod in self.pods:
            assert pod.watching is not None
            pod.watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await pod.watching
            for task in pod.runtime.tasks:
                task.cancel()

    async def settle(self) -> None:
        """Let everything that is under way arrive; what waits for time to pass goes on waiting."""
        quiet, before = 0, 0
        while quiet < (40 if before else 5):
            await asyncio.sleep(0)
            busy = self.network.pump()
            for pod in self.pods:
                pod.runtime.tasks = [task for task in pod.runtime.tasks if not _finished(task)]
            running = sum(len(pod.runtime.tasks) for pod in self.pods)
            quiet = 0 if busy or running != before else quiet + 1
            before = running

    async def advance(self, seconds: float) -> None:
        """Let time pass for all pods."""
        for _ in range(round(seconds / 0.25)):
            self.clock.time += 0.25
            for pod in self.pods:
                if not pod.paused:
                    pod.advance(0.25)
                else:
                    pod.runtime.time += 0.25
            await self.settle()


async def client_at(
    cluster: ClusterUnderTest, pod: PodUnderTest, name: str, uri: str, **attributes: object
) -> FakeClient:
    """Connect a client and AUTH."""
    found = FakeClient(pod, pod.connect(**attributes), name, uri)
    await found.authenticate()
    await cluster.settle()
    return found


async def deliver(cluster: ClusterUnderTest, channel: FakeChannel, frame: bytes) -> list[bytes]:
    """Let a frame arrive and all that follows from it; returns what the channel is sent."""
    channel.receive(frame)
    await cluster.settle()
    return channel.taken()


def _finished(task: "asyncio.Task[None]") -> bool:
    if task.done() and not task.cancelled():
        task.result()
    return task.done()
