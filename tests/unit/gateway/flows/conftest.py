"""A gateway whose surroundings do what a test says."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.gateway_world import BOB, GatewayWorld, gateway_world


@pytest.fixture(params=[pytest.param(False, id="one_by_one"), pytest.param(True, id="in_groups")])
async def world(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[GatewayWorld]:
    """Bob has a device that takes sessions only."""
    async with gateway_world(tmp_path) as made:
        made.in_groups = request.param
        await made.registers(BOB, params=';+sip.message;methods="INVITE,BYE"')
        yield made
