"""A gateway whose surroundings do what a test says."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.gateway_world import BOB, GatewayWorld, gateway_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[GatewayWorld]:
    """Bob has a device that takes sessions only."""
    async with gateway_world(tmp_path) as made:
        await made.registers(BOB, params=';+sip.message;methods="INVITE,BYE"')
        yield made
