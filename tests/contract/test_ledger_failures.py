"""The ledger when its process is killed, its disk is full, its database is away or slow."""

import asyncio
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import make_url

from tests.support.cut_proxy import cut_proxy
from tests.support.ledger import ManualClock, RecordingPublisher, new_message
from tests.support.sql import SqlServer
from tests.support.waiting import until
from wigwag.database import Database
from wigwag.database.ledger import Change, Ledger, Limits, State
from wigwag.errors import DatabaseError, OverloadedError
from wigwag.runtime.ledger_sweeper import LedgerSweeper, SweepTimes

ROOT = Path(__file__).resolve().parents[2]
ACKNOWLEDGED = 200
"""Lines after which the writer is killed."""


@asynccontextmanager
async def ledger_process(what: str, url: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.ledger_process", what, url, cwd=ROOT, stdout=PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def acknowledged_until_killed(url: str) -> list[list[str]]:
    async with asyncio.timeout(60), ledger_process("write", url) as process:
        assert process.stdout is not None
        lines = [await process.stdout.readline() for _ in range(ACKNOWLEDGED)]
        process.kill()
        lines += (await process.stdout.read()).splitlines(keepends=True)
    return [line.decode().split() for line in lines if line.endswith(b"\n")]


async def test_what_was_acknowledged_is_there_after_kill_9(url: str) -> None:
    lines = await acknowledged_until_killed(url)
    assert len(lines) >= ACKNOWLEDGED
    async with Database(url) as database, Ledger(database, clock=ManualClock()) as ledger:
        for word, message_id in lines:
            row = await ledger.find(message_id)
            assert row is not None
            assert row.body == b"hello"
            if word == "delivered":
                assert (row.state, row.version) == (State.DELIVERED, 2)


async def test_nothing_is_acknowledged_on_a_full_disk_and_writing_goes_on_with_room(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'wigwag.sqlite3'}"
    async with asyncio.timeout(60), ledger_process("fill", url) as process:
        output, _ = await process.communicate()
    assert process.returncode == 0
    said = {line.split()[1]: line.split()[0] for line in output.decode().splitlines()}
    assert (said["before"], said["after"]) == ("accepted", "accepted")
    assert "refused" in said.values()
    async with Database(url) as database, Ledger(database, clock=ManualClock()) as ledger:
        for message_id, word in said.items():
            assert (await ledger.find(message_id) is not None) == (word == "accepted")


async def limit_pages(database: Database, most: int) -> None:
    await database.run(lambda connection: connection.exec_driver_sql(f"PRAGMA max_page_count = {most}"), write=True)


async def test_database_that_holds_no_more_pages_refuses(tmp_path: Path) -> None:
    async with Database(f"sqlite:///{tmp_path / 'x.db'}") as database, Ledger(database, clock=ManualClock()) as ledger:
        pages = await database.run(lambda connection: connection.exec_driver_sql("PRAGMA page_count").scalar_one())
        await limit_pages(database, pages)
        with pytest.raises(DatabaseError, match="full"):
            await ledger.accept_one(new_message("m", body=b"x" * 60_000))
        assert await ledger.find("m") is None
        await limit_pages(database, pages + 1_000)
        assert (await ledger.accept_one(new_message("m", body=b"x" * 60_000))).done


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("postgresql", marks=pytest.mark.peer("postgresql")),
        pytest.param("mariadb", marks=pytest.mark.peer("mariadb")),
    ],
)
async def test_database_that_was_away_is_used_again(name: str, request: pytest.FixtureRequest) -> None:
    server: SqlServer = request.getfixturevalue(name)
    url = make_url(await server.new_database())
    assert url.port is not None
    async with cut_proxy(url.port) as proxy:
        behind = url.set(port=proxy.port).render_as_string(hide_password=False)
        async with Database(behind) as database, Ledger(database, clock=ManualClock()) as ledger:
            await ledger.accept_one(new_message("before"))
            await proxy.cut()
            results = await asyncio.gather(
                *ledger.accept([new_message("away")]),
                *ledger.apply([Change(id="before", version=1, state=State.FAILED)]),
                return_exceptions=True,
            )
            assert [type(result) for result in results] == [DatabaseError] * 2
            await proxy.join()
            assert (await ledger.accept_one(new_message("away"))).done
            row = await ledger.find("before")
            assert row is not None
            assert row.state is State.ACCEPTED


async def test_events_of_all_pods_are_published_when_the_publisher_is_back(url: str) -> None:
    publisher = RecordingPublisher(failing=True, keeps=7)
    messages = [new_message() for _ in range(250)]
    times = SweepTimes(interval=0.01, longest_pause=0.02)
    async with Database(url) as database, AsyncExitStack() as stack:
        pods = [await stack.enter_async_context(Ledger(database, clock=time.time)) for _ in range(3)]
        sweepers = [LedgerSweeper(ledger, publisher, holder=str(id(ledger)), times=times) for ledger in pods]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(sweeper.run()) for sweeper in sweepers]
            await asyncio.gather(*(pods[number % 3].accept_one(each) for number, each in enumerate(messages)))
            changes = [Change(id=message.id, version=1, state=State.DELIVERED) for message in messages]
            await asyncio.gather(*pods[0].apply(changes[:125]), *pods[1].apply(changes[125:]))
            await until(lambda: any(sweeper.failures for sweeper in sweepers))
            publisher.failing = False
            await until(lambda: len(publisher.seen()) == 2 * len(messages))
            for task in tasks:
                task.cancel()
    expected = {(each.id, 1, State.ACCEPTED) for each in messages} | {
        (each.id, 2, State.DELIVERED) for each in messages
    }
    assert set(publisher.seen()) == expected


async def test_too_much_that_waits_is_refused_and_the_rest_is_written(url: str) -> None:
    limits = Limits(jobs=10, batch=4)
    async with Database(url) as database, Ledger(database, clock=ManualClock(), limits=limits) as ledger:
        futures = ledger.accept([new_message() for _ in range(10)])
        with pytest.raises(OverloadedError, match="wait"):
            ledger.accept([new_message()])
        assert all(verdict.done for verdict in await asyncio.gather(*futures))
        assert (await ledger.accept_one(new_message())).done


async def test_bytes_that_wait_are_bounded_too(url: str) -> None:
    limits = Limits(size=100_000)
    async with Database(url) as database, Ledger(database, clock=ManualClock(), limits=limits) as ledger:
        with pytest.raises(OverloadedError):
            ledger.accept([new_message(body=b"x" * 60_000) for _ in range(2)])
        assert (await ledger.accept_one(new_message(body=b"x" * 60_000))).done


async def test_closed_ledger_takes_nothing(url: str) -> None:
    async with Database(url) as database:
        ledger = Ledger(database, clock=ManualClock())
        async with ledger:
            pass
        with pytest.raises(DatabaseError, match="not open"):
            await ledger.accept_one(new_message())
