"""What the name service said is remembered as long as it holds; hostile and dead servers cost a bounded amount."""

import asyncio
import contextlib
from pathlib import Path

import dns.rdatatype
import pytest

from tests.support.name_server import NameServer
from wigwag.transport import name_service
from wigwag.transport.errors import ConnectError, ConnectFailure
from wigwag.transport.name_service import LONGEST_ABSENCE, LONGEST_KEPT, MOST_RECORDS, NameService

A = dns.rdatatype.A


class World:
    """A name service, its server and its clock."""

    def __init__(self, server: NameServer, tmp_path: Path, timeout: float = 5.0) -> None:
        self.server = server
        self.now = 1000.0
        self.hosts = tmp_path / "hosts"
        self.hosts.write_text("")
        self.names = NameService(timeout=timeout, nameserver=server.address, hosts=self.hosts, clock=lambda: self.now)

    async def ask(self, name: str = "a.test") -> list[str]:
        return [str(record) for record in await self.names.records(name, A)]

    async def kept_for(self, name: str = "a.test") -> float:
        """Seconds, by halving the interval, until the server is asked again."""
        await self.ask(name)
        start, asked = self.now, len(self.server.questions)
        for seconds in (
            0.5,
            4.5,
            5.5,
            29,
            31,
            LONGEST_ABSENCE - 1,
            LONGEST_ABSENCE + 1,
            299,
            301,
            LONGEST_KEPT - 1,
            LONGEST_KEPT + 1,
        ):
            self.now = start + seconds
            with contextlib.suppress(ConnectError):
                await self.ask(name)
            if len(self.server.questions) > asked:
                return seconds
        return float("inf")


@pytest.mark.parametrize(
    ("ttl", "asked_again_at"), [(0, 0.5), (5, 5.5), (30, 31), (300, 301), (2**31 - 1, LONGEST_KEPT + 1)]
)
async def test_an_answer_is_kept_for_its_time_and_at_most_an_hour(
    tmp_path: Path, ttl: int, asked_again_at: float
) -> None:
    async with NameServer(f"a.test. {ttl} IN A 192.0.2.1") as server:
        assert await World(server, tmp_path).kept_for() == asked_again_at


async def test_the_shortest_time_along_a_chain_of_names_counts(tmp_path: Path) -> None:
    async with NameServer("a.test. 30 IN CNAME b.test.", "b.test. 300 IN A 192.0.2.1") as server:
        world = World(server, tmp_path)
        assert await world.ask() == ["192.0.2.1"]
        assert await world.kept_for() == 31


@pytest.mark.parametrize("records", [[], ["a.test. 60 IN AAAA 2001:db8::1"]])
@pytest.mark.parametrize(("minimum", "asked_again_at"), [(5, 5.5), (30, 31), (86_400, LONGEST_ABSENCE + 1)])
async def test_absence_is_remembered_as_long_as_its_zone_says_and_at_most_a_minute(
    tmp_path: Path, records: list[str], minimum: int, asked_again_at: float
) -> None:
    soa = f"test. 86400 IN SOA ns.test. root.test. 1 2 3 4 {minimum}"
    async with NameServer(soa, *records) as server:
        world = World(server, tmp_path)
        assert await world.ask() == []
        assert await world.kept_for() == asked_again_at


async def test_absence_in_a_zone_that_says_nothing_is_remembered_for_a_minute(tmp_path: Path) -> None:
    async with NameServer() as server:
        assert await World(server, tmp_path).kept_for() == LONGEST_ABSENCE + 1


@pytest.mark.parametrize("name", ["a.silent.test", "a.broken.test"])
async def test_a_failure_is_remembered_for_some_seconds(tmp_path: Path, name: str) -> None:
    async with NameServer() as server:
        world = World(server, tmp_path, timeout=0.1)
        for _ in range(2):
            with pytest.raises(ConnectError) as caught:
                await world.ask(name)
            assert caught.value.failure is ConnectFailure.RESOLUTION
        assert world.names.questions == 1
        world.now += name_service.FAILURE_KEPT + 0.1
        with pytest.raises(ConnectError):
            await world.ask(name)
        assert world.names.questions == 2


async def test_who_asks_the_same_at_the_same_time_shares_one_question(tmp_path: Path) -> None:
    async with NameServer("a.test. 60 IN A 192.0.2.1") as server:
        world = World(server, tmp_path)
        answers = await asyncio.gather(*(world.ask("A.test" if odd % 2 else "a.test") for odd in range(100)))
        assert answers == [["192.0.2.1"]] * 100
        assert server.questions == ["a.test. A"]


async def test_one_who_gives_up_does_not_take_the_answer_from_the_others(tmp_path: Path) -> None:
    async with NameServer("a.test. 60 IN A 192.0.2.1") as server:
        world = World(server, tmp_path)
        first, second = asyncio.create_task(world.ask()), asyncio.create_task(world.ask())
        await asyncio.sleep(0)
        first.cancel()
        assert await second == ["192.0.2.1"]
        assert first.cancelled()


async def test_a_failure_that_nobody_waits_for_is_no_error_of_the_loops(tmp_path: Path) -> None:
    reports: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
    async with NameServer() as server:
        world = World(server, tmp_path, timeout=0.05)
        task = asyncio.create_task(world.ask("a.silent.test"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(ConnectError):
            await world.ask("a.silent.test")
    assert reports == []


async def test_questions_under_way_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(name_service, "MOST_PENDING", 2)
    async with NameServer("a.test. 60 IN A 192.0.2.1") as server:
        world = World(server, tmp_path, timeout=0.2)
        pending = [asyncio.create_task(world.ask(f"{number}.silent.test")) for number in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(ConnectError) as caught:
            await world.ask()
        assert caught.value.failure is ConnectFailure.RESOURCES
        await asyncio.wait(pending)
        assert [type(task.exception()) for task in pending] == [ConnectError] * 2
        assert await world.ask() == ["192.0.2.1"]


async def test_what_is_kept_is_bounded_and_the_least_used_goes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(name_service, "MOST_KEPT", 2)
    async with NameServer(*(f"{name}.test. 60 IN A 192.0.2.1" for name in "abc")) as server:
        world = World(server, tmp_path)
        for name in ("a", "b", "a", "c", "a", "b"):
            await world.ask(f"{name}.test")
        assert [question[0] for question in server.questions] == ["a", "b", "c", "b"]


async def test_names_that_lead_in_a_circle_are_an_error(tmp_path: Path) -> None:
    async with NameServer("a.test. 60 IN CNAME b.test.", "b.test. 60 IN CNAME a.test.") as server:
        with pytest.raises(ConnectError) as caught:
            await World(server, tmp_path).ask()
        assert caught.value.failure is ConnectFailure.RESOLUTION
        assert len(server.questions) == 1


async def test_a_name_that_leads_nowhere_has_no_records(tmp_path: Path) -> None:
    async with NameServer("a.test. 60 IN CNAME b.test.") as server:
        assert await World(server, tmp_path).ask() == []


async def test_of_a_thousand_records_a_bounded_number_is_looked_at(tmp_path: Path) -> None:
    async with NameServer(*(f"a.test. 60 IN A 10.0.{n // 250}.{n % 250}" for n in range(1000))) as server:
        assert len(await World(server, tmp_path).ask()) == MOST_RECORDS


async def test_a_change_of_the_hosts_file_is_seen(tmp_path: Path) -> None:
    async with NameServer("a.test. 60 IN A 192.0.2.1") as server:
        world = World(server, tmp_path)
        assert await world.names.addresses("a.test") == ["192.0.2.1"]
        world.hosts.write_text("192.0.2.9 a.test")
        assert await world.names.addresses("A.TEST.") == ["192.0.2.9"]
        assert world.names.local_addresses("a.test") == ["192.0.2.9"]
        world.hosts.unlink()
        assert await world.names.addresses("a.test") == ["192.0.2.1"]
