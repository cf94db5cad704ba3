import asyncio

import pytest

from tests.support.waiting import until
from wigwag.errors import ConflictError
from wigwag.relay.drain_control import OperatorsDrain
from wigwag.relay.draining import DrainState, DrainView


class Service:
    """Drains until a test lets it end."""

    def __init__(self) -> None:
        self.state = DrainState.SERVING
        self.graces: list[float] = []
        self.over = asyncio.Event()

    async def drain(self, grace: float) -> None:
        self.graces.append(grace)
        self.state = DrainState.DRAINING
        try:
            await self.over.wait()
        except asyncio.CancelledError:
            self.serve_again()
            raise
        self.state = DrainState.DRAINED

    def serve_again(self) -> None:
        self.state = DrainState.SERVING

    def drain_view(self) -> DrainView:
        return DrainView(state=self.state.value, connections=0, sessions=0, open_chunks=0, transactions=0)


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def control(service: Service) -> OperatorsDrain:
    return OperatorsDrain(service, default_grace=30.0, wall=lambda: 1_000.0)


async def test_a_drain_begins_at_once_and_ends_by_itself(service: Service, control: OperatorsDrain) -> None:
    await control.start(None)
    assert (control.view().state, control.deadline) == ("draining", 1_030.0)
    service.over.set()
    await until(lambda: control.view().state == "drained")
    assert service.graces == [30.0]


async def test_a_drain_that_is_asked_for_again_keeps_its_deadline(service: Service, control: OperatorsDrain) -> None:
    await control.start(5.0)
    await control.start(60.0)
    service.over.set()
    await until(lambda: service.state is DrainState.DRAINED)
    await control.start(70.0)
    assert (service.graces, control.deadline) == ([5.0], 1_005.0)


async def test_it_serves_again_when_the_drain_is_taken_back_and_can_drain_anew(
    service: Service, control: OperatorsDrain
) -> None:
    await control.start(5.0)
    await control.cancel()
    assert (service.state, control.deadline) == (DrainState.SERVING, None)
    await control.cancel()
    await control.start(6.0)
    assert service.graces == [5.0, 6.0]
    control.close()


async def test_a_drain_that_is_done_can_be_taken_back_too(service: Service, control: OperatorsDrain) -> None:
    service.over.set()
    await control.start(5.0)
    await until(lambda: service.state is DrainState.DRAINED)
    await asyncio.sleep(0)
    await control.cancel()
    assert service.state is DrainState.SERVING


async def test_the_drain_of_a_process_that_ends_cannot_be_taken_back(service: Service, control: OperatorsDrain) -> None:
    service.state = DrainState.DRAINING
    await control.start(5.0)
    assert service.graces == []
    with pytest.raises(ConflictError, match="about to end"):
        await control.cancel()
