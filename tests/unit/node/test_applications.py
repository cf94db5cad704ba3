"""Applications are read again at once, here and in the other pods."""

import asyncio
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from tests.support.waiting import until
from wigwag.bus.sqlite import SqliteBus
from wigwag.errors import BusError, ConflictError, DatabaseError
from wigwag.node.applications import Reloading, applications_router
from wigwag.runtime.beside import beside


class Table:
    """What a pod reads; counts how often it did."""

    def __init__(self) -> None:
        self.read = 0
        self.failure: Exception | None = None

    async def reload(self) -> int:
        self.read += 1
        if self.failure is not None:
            raise self.failure
        return 2


class AwayBus(SqliteBus):
    async def publish(self, *arguments: object, **named: object) -> None:  # type: ignore[override]
        raise BusError("away")


def pod(name: str, bus: SqliteBus) -> tuple[Reloading, Table]:
    table = Table()
    return Reloading(table, bus, pod=name, now=lambda: 1.0), table


async def test_other_pods_read_them_too_and_go_on_hearing_after_they_could_not(tmp_path: Path) -> None:
    async with SqliteBus(tmp_path / "bus.sqlite3") as bus:
        here, table_here = pod("here", bus)
        there, table_there = pod("there", bus)
        follower = Table()
        there.followers.append(follower.reload)
        # What was said before somebody listened does not concern him: he has read them since.
        await here.reload()
        async with beside(there.run()), beside(here.run()):
            async with asyncio.timeout(10):
                while not follower.read:
                    await here.reload()
                    await asyncio.sleep(0.02)
            table_there.failure = DatabaseError("away")
            read = table_there.read
            await here.reload()
            await until(lambda: table_there.read > read)
            table_there.failure = None
            read = follower.read
            assert (await here.reload()).model_dump() == {"applications": 2, "problem": None}
            await until(lambda: follower.read > read)
        assert table_here.read >= 4


async def test_who_is_asked_says_when_others_are_not_told(tmp_path: Path) -> None:
    async with AwayBus(tmp_path / "bus.sqlite3") as bus:
        here, table = pod("here", bus)
        answer = await here.reload()
    assert (answer.applications, table.read) == (2, 1)
    assert answer.problem == "other pods will find out by themselves: away"


async def test_what_can_not_be_used_is_a_conflict_and_nobody_is_told(tmp_path: Path) -> None:
    async with SqliteBus(tmp_path / "bus.sqlite3") as bus:
        here, table = pod("here", bus)
        table.failure = ValueError("bot: no URI")
        with pytest.raises(ConflictError, match="what was known stays: bot: no URI"):
            await here.reload()
        assert not any((await bus.extent("wigwag.applications")).values())


async def test_the_admin_api_and_the_management_interface_have_it(tmp_path: Path) -> None:
    async with SqliteBus(tmp_path / "bus.sqlite3") as bus:
        here, _ = pod("here", bus)
        application = FastAPI()
        application.include_router(applications_router(here))
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            assert (await client.post("/v1/applications/reload")).json() == {"applications": 2, "problem": None}
        assert await here.command().run({}) == {"applications": 2}
