"""The edge of a gateway's world: its real consumer of attempts, with a device that is there or not."""

from typing import cast

from tests.support.gateway_world import GatewayWorld
from wigwag.database.ledger import State
from wigwag.relay.sip.pager.outbound import PagerOutbound
from wigwag.relay.sip.pager.requests import Outbound
from wigwag.relay.sip.pager.sender import Outcome, PagerSender
from wigwag.runtime.events import PAGER_OUTBOUND

ABSENT = Outcome(State.FAILED, 480, "Temporarily Unavailable", sent=False)


class Device:
    """Sends nowhere but here.

    Attributes:
        is_there: Whether it is reached.
        refuses: Content type -> status of what it refuses.
        got: Bodies that it was given and took, in order.
    """

    def __init__(self) -> None:
        self.is_there = True
        self.refuses: dict[str, int] = {}
        self.got: list[str] = []

    async def send(self, outbound: Outbound) -> Outcome:
        """Take a message, or not."""
        if not self.is_there:
            return ABSENT
        status = self.refuses.get(outbound.request.content_type)
        if status is not None:
            return Outcome(State.FAILED, status, "Refused")
        self.got.append(outbound.request.body.decode())
        return Outcome(State.DELIVERED, 200, "OK")


class WorldEdge:
    """Handles what the gateway asks for, when a test says so.

    Args:
        world: The gateway.
        device: That everything is sent to.
    """

    def __init__(self, world: GatewayWorld, device: Device) -> None:
        self._world = world
        self.device = device
        self._next = 0
        self.start_pod()

    def start_pod(self) -> None:
        """Let a pod go on that remembers nothing."""
        sender, wall = cast("PagerSender", self.device), self._world.clock
        self.consumer = PagerOutbound(sender, self._world.ledger, pod="edge", wall=wall)

    async def handle(self, most: int = 1_000) -> int:
        """Handle what was asked for, in order; returns how many records that were."""
        asked = [record for record in self._world.bus.records if record.topic == PAGER_OUTBOUND.name]
        todo = asked[self._next : self._next + most]
        for record in todo:
            self._next += 1
            await self.consumer.handle(record)
        return len(todo)

    async def settle(self) -> None:
        """Let gateway and edge go on until there is nothing to do."""
        await self._world.run()
        while await self.handle():
            await self._world.run()
