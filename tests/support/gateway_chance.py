"""Two pods of the gateway over ``GatewayWorld``, and an edge; what happens next is drawn."""

import asyncio
import random
from collections import defaultdict, deque
from dataclasses import replace
from typing import Final

from tests.support.gateway_edge import Device, WorldEdge
from tests.support.gateway_world import ALICE, GatewayWorld, Killed
from wigwag.api.ua.v1 import session_pb2
from wigwag.bus import Record
from wigwag.errors import OverloadedError
from wigwag.gateway.flows.consuming import TOPICS, Consuming
from wigwag.runtime.events import PAGER_OUTBOUND

_MOST_ROUNDS: Final = 30
_NAMES: Final = frozenset(topic.name for topic in TOPICS)


class Chance:
    """Two gateway pods that share the keys, and an edge; what happens next is drawn.

    Args:
        world: What is around them.
        seed: Of what is drawn.
    """

    def __init__(self, world: GatewayWorld, seed: int) -> None:
        self.world = world
        self.random = random.Random(seed)
        self.edge = WorldEdge(world, Device())
        self.pods: list[Consuming] = []
        for _ in range(2):
            world.start_pod()
            self.pods.append(world.consuming)
        self.owner: dict[tuple[str, str], tuple[int, int]] = defaultdict(lambda: (self.random.randrange(2), 0))
        """Topic and key -> pod, and by which assignment."""
        self.waiting: dict[tuple[str, str], deque[Record]] = defaultdict(deque)
        self.handled: dict[tuple[str, str], Record] = {}
        self.read = 0
        self.said: list[str] = []
        self.talk: session_pb2.Session | None = None
        self.sessions = 0

    async def collect(self) -> None:
        """Put what was published behind what waits of its key."""
        await self.world.publish()
        for record in self.world.bus.records[self.read :]:
            if record.topic in _NAMES:
                self.waiting[record.topic, record.key].append(record)
        self.read = len(self.world.bus.records)

    async def handle(self, key: tuple[str, str]) -> None:
        """Let the pod of a key handle the next record; if it is killed, another pod does."""
        pod, assignment = self.owner[key]
        try:
            await self.pods[pod].handle(replace(self.waiting[key][0], assignment=assignment))
        except Killed:
            self.world.start_pod()
            self.pods[pod] = self.world.consuming
            return
        except OverloadedError:
            return
        self.handled[key] = self.waiting[key].popleft()

    async def some(self) -> None:
        await self.collect()
        keys = sorted(key for key, records in self.waiting.items() if records)
        await asyncio.gather(*map(self.handle, self.random.sample(keys, min(len(keys), 2))))

    async def moves(self) -> None:
        """Give a key to the other pod, maybe before the last record of it was committed."""
        if self.owner:
            key = self.random.choice(sorted(self.owner))
            pod, assignment = self.owner[key]
            self.owner[key] = (1 - pod, assignment + 1)
            if key in self.handled and self.random.random() < 0.5:
                self.waiting[key].appendleft(self.handled[key])

    async def says(self) -> None:
        text = str(len(self.said))
        if self.talk is None:
            await self.opens()
        assert self.talk is not None
        await self.world.says(self.talk, text)
        self.said.append(text)

    async def opens(self) -> None:
        self.sessions += 1
        self.talk = await self.world.calls(f"s{self.sessions}")
        await self.drain()
        await self.world.opens(self.talk)
        await self.drain()

    async def ends(self) -> None:
        if self.talk is not None:
            await self.world.ends(self.talk, session_pb2.END_CAUSE_ENDED_HERE)
            self.talk = None

    async def registers(self) -> None:
        await self.world.registers(ALICE, params=';methods="MESSAGE"')
        self.edge.device.is_there = True
        await self.world.waking.registered(ALICE, "phone")

    async def leaves(self) -> None:
        self.edge.device.is_there = False
        if self.random.random() < 0.5:
            await self.world.store.remove_bindings(ALICE)

    async def sends(self) -> None:
        await self.edge.handle(1)

    async def forgets(self) -> None:
        self.edge.start_pod()

    async def dies(self) -> None:
        """Let the next pod that asks for an attempt be killed before, or after, it is asked for."""
        publish, is_late = self.world.bus.publish, self.random.random() < 0.5

        async def dying(topic: str, *args: object, **fields: object) -> object:
            if topic != PAGER_OUTBOUND.name:
                return await publish(topic, *args, **fields)  # type: ignore[arg-type]
            self.world.bus.publish = publish  # type: ignore[method-assign]
            if is_late:
                await publish(topic, *args, **fields)  # type: ignore[arg-type]
            raise Killed

        self.world.bus.publish = dying  # type: ignore[method-assign, assignment]

    async def later(self) -> None:
        self.world.clock.now += self.random.choice((1.0, 6.0, 12.0))
        await self.world.waking.sweep(self.world.clock())

    async def drain(self) -> None:
        """Let all pods go on until there is nothing to do for them."""
        await self.collect()
        while keys := sorted(key for key, records in self.waiting.items() if records):
            await self.handle(self.random.choice(keys))
            await self.collect()

    async def finish(self) -> None:
        """Let the device stay, and everything come to its end."""
        await self.registers()
        for _ in range(_MOST_ROUNDS):
            await self.drain()
            while await self.edge.handle(self.random.choice((1, 2, 1_000))):
                await self.drain()
            if not await self.world.ledger.undelivered(recipient=ALICE):
                return
            self.world.clock.now += 301.0
            await self.world.waking.sweep(self.world.clock())
