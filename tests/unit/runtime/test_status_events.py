"""Changes of status reach the bus in order, also those that happened while it was away."""

import asyncio

from tests.support.waiting import until
from wigwag.errors import BusError
from wigwag.runtime import status_events
from wigwag.runtime.status import StatusChanged, StatusTree
from wigwag.runtime.status_events import StatusEvents


class MoodyBus:
    """Takes changes unless it is away."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, int]] = []
        self.away = False
        self.refusals = 0

    async def publish(self, change: StatusChanged) -> None:
        await asyncio.sleep(0)
        if self.away:
            self.refusals += 1
            raise BusError("no broker")
        self.taken.append((change.group, change.status))


async def test_changes_arrive_in_order_and_wait_for_a_bus_that_is_away() -> None:
    tree, bus = StatusTree(lambda: 0.0), MoodyBus()
    events = StatusEvents(tree, bus, retry=0.001)
    task = asyncio.create_task(events.run())
    tree.group("store").identifier().set(1)
    await until(lambda: bus.taken == [("store", 1)])
    bus.away = True
    tree.group("bus").identifier(status=1).set(-1)
    tree.group("store").identifier().set(-1)
    await until(lambda: bus.refusals > 2)
    bus.away = False
    await until(lambda: bus.taken == [("store", 1), ("bus", -1), ("store", -1)])
    task.cancel()


async def test_too_many_pending_changes_cost_the_oldest_and_are_counted() -> None:
    tree, bus = StatusTree(lambda: 0.0), MoodyBus()
    events = StatusEvents(tree, bus)
    identifier = tree.group("store").identifier()
    for number in range(1, status_events.MOST_PENDING + 6):
        identifier.set(number)
    task = asyncio.create_task(events.run())
    await until(lambda: len(bus.taken) == status_events.MOST_PENDING)
    assert bus.taken[0] == ("store", 6)
    assert events.dropped == 5
    task.cancel()


async def test_the_last_changes_are_published_at_the_end_or_given_up_in_time() -> None:
    tree, bus = StatusTree(lambda: 0.0), MoodyBus()
    events = StatusEvents(tree, bus, retry=0.001)
    tree.group("core").identifier(status=1).set(-2)
    await events.flush()
    assert bus.taken == [("core", -2)]
    bus.away = True
    tree.group("core").identifier().set(1)
    await events.flush(0.01)
    assert bus.taken == [("core", -2)]
