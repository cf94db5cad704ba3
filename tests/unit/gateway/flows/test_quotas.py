"""How much of a session may wait for a page-mode user who is absent."""

import pytest

from tests.support.gateway_content import COMPOSING
from tests.support.gateway_world import ALICE, GatewayWorld
from wigwag.database.ledger import State

REFUSED = (State.FAILED, 403, "480 Temporarily Unavailable: too many messages wait")


async def says(world: GatewayWorld, limits: dict[str, int], *texts: str) -> None:
    """Let Bob write to Alice, who is absent."""
    world.settings = type(world.settings).model_validate({"limits": limits})
    world.start_pod()
    session = await world.calls()
    await world.run()
    await world.opens(session)
    for text in texts:
        await world.says(session, text)
        await world.run()


@pytest.mark.parametrize("limits", [{"waiting": 2}, {"waiting_bytes": 10}], ids=["count", "bytes"])
async def test_what_is_too_much_to_wait_is_reported_and_the_rest_is_delivered(
    world: GatewayWorld, limits: dict[str, int]
) -> None:
    await says(world, limits, "first", "other", "third")
    assert world.agents.settled == [("u3", *REFUSED)]
    await world.registers(ALICE, params=';methods="MESSAGE"')
    await world.waking.registered(ALICE, "phone")
    await world.run()
    assert [each.body for each in world.asked()] == [b"first", b"other"]


async def test_there_is_room_again_when_what_waited_is_over(world: GatewayWorld) -> None:
    await says(world, {"waiting": 1}, "first")
    await world.registers(ALICE, params=';methods="MESSAGE"')
    await world.waking.registered(ALICE, "phone")
    await world.run()
    await world.sends()
    await world.store.remove_bindings(ALICE)
    await world.says(world.agents.sessions["in"], "second")
    await world.run()
    assert [told[1] for told in world.agents.settled] == [State.DELIVERED]
    assert (await world.row("u2")).state is State.ACCEPTED


async def test_that_somebody_writes_takes_no_room(world: GatewayWorld) -> None:
    await says(world, {"waiting": 1})
    session = world.agents.sessions["in"]
    await world.says(session, COMPOSING, "application/im-iscomposing+xml")
    await world.says(session, "hi")
    await world.run()
    assert (await world.row("u2")).state is State.ACCEPTED
    assert [told[:2] for told in world.agents.settled] == [("u1", State.FAILED)]
