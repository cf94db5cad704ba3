"""A pod that takes many sessions over gets their connections back a few at a time."""

import asyncio
import random
from typing import Any, cast

import pytest

from tests.support.waiting import until
from wigwag.protocols.msrp import MsrpUri
from wigwag.ua.endpoint.line import MediaLine
from wigwag.ua.endpoint.media import AT_ONCE, MediaSide, RelayWay


class Relay:
    """Lets nobody in until its gate is open."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.trying = 0
        self.let_in = 0

    async def connect(self, line: MediaLine) -> None:
        self.trying += 1
        await self.gate.wait()
        self.let_in += 1


async def test_a_relay_that_is_slow_is_asked_for_a_few_sessions_at_a_time_and_for_all_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    relay = Relay()

    async def connect(line: MediaLine) -> None:
        await relay.connect(line)

    monkeypatch.setattr(MediaLine, "_connect", connect)
    way = RelayWay(uri=MsrpUri.parse("msrps://relay.example.com:2855;tcp"), connector=cast(Any, None))
    side = MediaSide({"relay": way}, random.Random(1).randbytes)
    lines = [
        MediaLine(f"s{number}", "relay", side, cast(Any, None), accept_types=(), max_size=None, token=1)
        for number in range(3 * AT_ONCE)
    ]
    for line in lines:
        line._get_back()
    await until(lambda: relay.trying)
    for _ in range(10):
        await asyncio.sleep(0)
    assert relay.trying == AT_ONCE
    await lines[-1].close()
    relay.gate.set()
    await until(lambda: relay.let_in == len(lines) - 1)
