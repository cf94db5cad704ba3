"""Order of MESSAGEs, whatever comes when: two pods, records that come late, kills, a device that comes and goes."""

import pytest

from tests.support.gateway_chance import Chance
from tests.support.gateway_world import ALICE, BOB, GatewayWorld
from wigwag.database.ledger import State

STEPS = 60
SEEDS = range(5)


@pytest.mark.parametrize("seed", SEEDS)
async def test_all_arrive_once_and_in_order_whatever_comes_when(world: GatewayWorld, seed: int) -> None:
    chance = Chance(world, seed)
    steps = [chance.says] * 6 + [chance.some] * 10 + [chance.sends] * 5 + [chance.registers, chance.leaves] * 2
    steps += [chance.ends, chance.moves, chance.later, chance.dies, chance.forgets]
    await chance.registers()
    for _ in range(STEPS):
        await chance.random.choice(steps)()
    await chance.finish()
    assert chance.edge.device.got == chance.said
    assert len(world.agents.settled) >= len(chance.said)
    assert {told[1] for told in world.agents.settled} == {State.DELIVERED}


@pytest.mark.parametrize("seed", SEEDS)
async def test_kept_messages_arrive_once_and_in_order_whatever_comes_when(world: GatewayWorld, seed: int) -> None:
    chance = Chance(world, seed)

    async def writes() -> None:
        await world.writes(str(len(chance.said)), sender=BOB, recipient=ALICE)
        chance.said.append(str(len(chance.said)))

    steps = [writes] * 6 + [chance.some] * 10 + [chance.sends] * 5 + [chance.registers, chance.leaves] * 2
    steps += [chance.moves, chance.later, chance.dies, chance.forgets]
    await chance.registers()
    for _ in range(STEPS):
        await chance.random.choice(steps)()
    await chance.finish()
    assert chance.edge.device.got == chance.said
