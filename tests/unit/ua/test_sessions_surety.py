"""A pod knows by the clock what is its own, and asks only when it can't."""

import asyncio

from tests.support.ua_sessions import Clock
from wigwag.runtime.members import LEASE as DEAD_AFTER
from wigwag.ua.sessions.surety import Surety

LEASE = 6.0


class Asked:
    """A store that is asked."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.times = 0
        self.is_away = False
        self.gate: asyncio.Event | None = None
        self.surety = Surety(LEASE, self.ask, now=self.clock)

    async def ask(self) -> bool:
        self.times += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.is_away:
            return False
        self.surety.beaten(self.clock())
        self.surety.renewed(self.clock())
        return True


async def test_nobody_is_asked_while_leases_and_signs_of_life_are_fresh() -> None:
    asked = Asked()
    asked.surety.beaten(asked.clock())
    for second in range(12):
        asked.clock.now += 1.0
        asked.surety.beaten(asked.clock())
        if second % 2:
            asked.surety.renewed(asked.clock())
        if second > DEAD_AFTER:
            await asked.surety.confirm()
    assert asked.times == 0


async def test_lease_that_was_not_renewed_in_time_is_asked_for() -> None:
    asked = Asked()
    await asked.surety.confirm()
    for _ in range(int(LEASE)):
        asked.clock.now += 1.0
        asked.surety.beaten(asked.clock())
    before = asked.times
    await asked.surety.confirm()
    assert asked.times == before + 1


async def test_who_was_silent_for_long_asks_each_time_until_others_have_looked_again() -> None:
    asked = Asked()
    asked.clock.now += 60.0
    for _ in range(3):
        await asked.surety.confirm()
    assert asked.times == 3
    asked.clock.now += DEAD_AFTER / 2
    asked.surety.beaten(asked.clock())
    asked.clock.now += DEAD_AFTER / 2
    await asked.surety.confirm()
    assert asked.times == 3


async def test_an_answer_to_an_earlier_question_is_none_to_a_later_one() -> None:
    asked = Asked()
    asked.gate = asyncio.Event()
    first = asyncio.create_task(asked.surety.confirm())
    await asyncio.sleep(0)
    others = [asyncio.create_task(asked.surety.confirm()) for _ in range(10)]
    await asyncio.sleep(0)
    asked.gate.set()
    await asyncio.gather(first, *others)
    assert asked.times == 2, "all later ones share the second"


async def test_while_the_store_is_away_nobody_waits_for_it_more_than_now_and_then() -> None:
    asked = Asked()
    asked.is_away = True
    for _ in range(10):
        await asked.surety.confirm()
    assert asked.times == 1
    asked.clock.now += 2.0
    await asked.surety.confirm()
    assert asked.times == 2
