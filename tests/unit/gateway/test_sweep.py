"""The sweep goes on whatever goes wrong."""

import asyncio
from pathlib import Path
from typing import cast

import pytest

from tests.support.gateway_world import gateway_world
from wigwag.gateway import module
from wigwag.gateway.flows.waking import Waking
from wigwag.runtime.beside import beside


class Broken:
    """A look that fails for a reason nobody expects, the first time."""

    def __init__(self) -> None:
        self.looks = 0
        self.went_well = asyncio.Event()

    async def sweep(self, now: float) -> None:
        """Look."""
        self.looks += 1
        if self.looks == 1:
            raise ValueError("broken")
        self.went_well.set()


async def test_a_sweep_that_failed_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SWEEP", 0.0)
    waking = Broken()
    async with gateway_world(tmp_path) as world, beside(world.gateway._sweep(cast("Waking", waking))):
        async with asyncio.timeout(5):
            await waking.went_well.wait()
