"""The short way of a request is the long way, also where MESSAGEs are kept for whom they don't reach."""

import asyncio
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import Connection

from tests.support.fake_connection import FakeConnection
from tests.support.pager import BreakableLedger
from tests.support.relay import FakeRuntime
from tests.support.sip_edge import EdgeUnderTest
from tests.support.sip_recurring import EVENTS, Event, Scene, message, never_read
from wigwag.database import Database
from wigwag.database.ledger import Edit, LedgerRow, NewMessage, Verdict
from wigwag.database.tables import wigwag_ledger
from wigwag.protocols.sip import Response
from wigwag.relay.sip.proxy.request_shortcut import RequestShortcut
from wigwag.runtime.pager_events import REASON

STORE: dict[str, Any] = {"store": True}
GATEWAY: dict[str, Any] = {"services": ["gateway"]}
BOTH = STORE | GATEWAY
ELSEWHERE = BOTH | {"store_domains": ["other.example"]}
SURE = 33.0
"""Seconds after its start from which on an edge knows that no other pod has kept what it gets."""


class WrittenLedger(BreakableLedger):
    """A ledger that knows what it was asked to write."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self.asked: list[NewMessage | Edit] = []

    async def accept_one(self, message: NewMessage) -> Verdict:
        self.asked.append(message)
        return await super().accept_one(message)

    async def apply_one(self, edit: Edit) -> Verdict:
        self.asked.append(edit)
        return await super().apply_one(edit)


class KeepingScene(Scene):
    """A scene at an edge that keeps messages.

    Args:
        ledger: Where.
        pager: Settings of pager mode.
        come: As ``Scene``.
        go: Likewise.
        limit: Likewise.
    """

    def __init__(self, ledger: WrittenLedger, pager: dict[str, Any], come: str, go: str, limit: int = 0) -> None:
        sip = {"pager": pager, **({"limits": {"transactions": limit}} if limit else {})}
        super().__init__(come, go, edge=EdgeUnderTest(sip, ledger=ledger))
        self.ledger = ledger

    async def lose_database(self) -> None:
        self.ledger.away = True

    async def get_database_back(self) -> None:
        self.ledger.away = False

    async def lose_pod(self) -> None:
        self.edge.parts.pager.pod_lost(self.edge.runtime.time)

    async def fail_at_once(self) -> None:
        """Let bob's connection be lost by what is written next."""
        flow = self.bob.flow
        if flow is not None and flow.is_open:
            self.bob.connection = DyingConnection(self.bob)
            flow.connected(cast("Any", self.bob.connection))

    async def wait_for_answers(self) -> None:
        self.edge.pass_time(9.9)

    async def passed(self, seconds: float) -> None:
        """Let time pass, and what it starts finish."""
        self.edge.pass_time(seconds)
        await self.edge.settle()

    async def rows(self) -> list[LedgerRow]:
        return [replace(row, position=0) for row in await self.ledger.undelivered()]

    def statuses(self) -> list[int]:
        """Return what the sender got since it was asked last."""
        return [response.status for response in self.sender.received() if isinstance(response, Response)]

    async def recurring(self, *, answered: int = 2) -> None:
        """Send requests until the next takes the short way; all are answered."""
        await self.register()
        await self.passed(SURE)
        for number in range(100, 100 + answered):
            await self.send(message(number, self.come))
            await self.answer(200)
        assert self.statuses() == [200] * answered


class DyingConnection(FakeConnection):
    """A connection that is lost when something is written."""

    def __init__(self, client: Any) -> None:
        super().__init__(client.connection.id, client.remote)
        self._client = client
        self.written = client.connection.written

    def send(self, frames: Sequence[bytes]) -> None:
        self._client.disconnect()


@dataclass
class Stage:
    """Where scenes are played.

    Args:
        runner: Runs them.
        database: Empty before each.
    """

    runner: asyncio.Runner
    database: Database

    @asynccontextmanager
    async def scene(self, pager: dict[str, Any], come: str, go: str, limit: int = 0) -> Any:
        def clear(connection: Connection) -> None:
            connection.execute(wigwag_ledger.delete())

        await self.database.run(clear, write=True)
        scenes: list[KeepingScene] = []
        async with WrittenLedger(self.database, clock=lambda: scenes[0].edge.runtime.wall()) as ledger:
            scenes.append(KeepingScene(ledger, pager, come, go, limit))
            yield scenes[0]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'ledger.sqlite3'}")
    with asyncio.Runner() as runner:
        runner.run(database.__aenter__())
        yield Stage(runner, database)
        runner.run(database.__aexit__(None, None, None))


MORE_EVENTS: list[Any] = [
    lambda scene: scene.answer(405),
    lambda scene: scene.answer(415),
    lambda scene: scene.answer(480),
    lambda scene: scene.answer(430),
    lambda scene: scene.answer(202),
    KeepingScene.take_sessions_only,
    KeepingScene.lose_database,
    KeepingScene.get_database_back,
    KeepingScene.lose_pod,
    KeepingScene.fail_at_once,
    KeepingScene.wait_for_answers,
    KeepingScene.wait_for_answers,
]


def spawn_in_turn(runtime: FakeRuntime, work: Awaitable[None]) -> None:
    """Begin each background work when the one before has ended: in which order threads answer is chance."""

    async def in_turn(before: "asyncio.Task[None] | None") -> None:
        if before is not None:
            await asyncio.wait([before])
        await work

    before: asyncio.Task[None] | None = getattr(runtime, "last", None)
    task = asyncio.ensure_future(in_turn(before))
    runtime.tasks.append(task)
    vars(runtime)["last"] = task


def seen(stage: Stage, events: list[list[Event]], rest: float, *, short: bool, **given: Any) -> dict[str, Any]:
    """Return what is seen of a scene in which these events come between requests."""

    async def play() -> dict[str, Any]:
        async with stage.scene(**given) as scene:
            await scene.register()
            await scene.passed(SURE)
            for number, each in enumerate(events, 1):
                await scene.send(message(number, scene.come))
                for event in each:
                    await event(scene)
                    await scene.edge.settle()
            await scene.passed(rest)
            pager, rows = scene.edge.parts.pager, await scene.rows()
            kept = {"asked": scene.ledger.asked, "rows": rows, "pager": dict(pager.counters)}
            record: dict[str, Any] = scene.record()
            return record | kept | {"unanswered": len(pager._unanswered)}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakeRuntime, "spawn", spawn_in_turn)
        if not short:
            patch.setattr(RequestShortcut, "passed", lambda *_: 0)
        return stage.runner.run(play())


@settings(max_examples=200, deadline=None)
@given(
    events=st.lists(st.lists(st.sampled_from(EVENTS + MORE_EVENTS), max_size=3), min_size=4, max_size=6),
    come=st.sampled_from(["udp", "udp", "tcp"]),
    go=st.sampled_from(["udp", "udp", "tcp"]),
    limit=st.sampled_from([0, 0, 3]),
    rest=st.sampled_from([0.0, 5.5, 11.0, 40.0]),
    pager=st.sampled_from([BOTH, BOTH, STORE, GATEWAY, ELSEWHERE]),
)
def test_both_ways_keep_the_same_whatever_happens_meanwhile(
    stage: Stage, events: list[list[Event]], come: str, go: str, limit: int, rest: float, pager: dict[str, Any]
) -> None:
    short, long = (
        seen(stage, events, rest, short=short, pager=pager, come=come, go=go, limit=limit) for short in (True, False)
    )
    assert short == long


@pytest.mark.parametrize("pager", [BOTH, STORE, GATEWAY])
@pytest.mark.parametrize("come", ["udp", "tcp"])
@pytest.mark.parametrize("go", ["udp", "tcp"])
def test_request_that_recurs_takes_the_short_way_where_messages_are_kept(
    stage: Stage, pager: dict[str, Any], come: str, go: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play() -> None:
        async with stage.scene(pager, come, go) as scene:
            await scene.recurring()
            never_read(monkeypatch)
            for number in range(3, 6):
                await scene.send(message(number, come))
                await scene.answer(200)
            assert scene.statuses() == [200] * 3
            assert (scene.ledger.asked, scene.edge.parts.pager._unanswered) == ([], {})

    stage.runner.run(play())


@pytest.mark.parametrize("status", [0, 408, 430, 480])
def test_request_that_was_not_read_is_kept_when_nobody_is_reached(
    stage: Stage, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play() -> None:
        async with stage.scene(BOTH, "udp", "udp") as scene:
            await scene.recurring()
            with monkeypatch.context() as patch:
                never_read(patch)
                await scene.send(message(3, "udp"))
            if status:
                await scene.answer(status)
            else:
                await scene.passed(9.9)
                assert (scene.statuses(), await scene.rows()) == ([], [])
                await scene.passed(0.2)
            await scene.edge.settle()
            (row,) = await scene.rows()
            assert (row.body, dict(row.headers)["Call-ID"], row.doubts) == (b"hello", "call-3@x", int(not status))
            assert scene.statuses() == [202]

    stage.runner.run(play())


def test_request_that_was_not_read_is_kept_when_the_connection_is_lost(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play() -> None:
        async with stage.scene(BOTH, "udp", "tcp") as scene:
            await scene.recurring()
            with monkeypatch.context() as patch:
                never_read(patch)
                await scene.send(message(3, "udp"))
            await scene.disconnect()
            await scene.edge.settle()
            assert (scene.statuses(), len(await scene.rows())) == ([202], 1)

    stage.runner.run(play())


def test_once_a_device_takes_no_messages_they_are_kept_at_once(stage: Stage) -> None:
    async def play() -> None:
        async with stage.scene(BOTH, "udp", "udp") as scene:
            await scene.recurring()
            await scene.send(message(3, "udp"))
            await scene.answer(405)
            await scene.edge.settle()
            came = len(scene.came())
            await scene.send(message(4, "udp"))
            assert (scene.statuses(), len(scene.came())) == ([202, 202], came)
            assert [dict(row.headers)[REASON] for row in await scene.rows()] == ["session-mode"] * 2

    stage.runner.run(play())


def test_what_a_lost_pod_may_have_kept_is_called_off(stage: Stage) -> None:
    async def play() -> None:
        async with stage.scene(BOTH, "udp", "udp") as scene:
            await scene.recurring()
            await scene.lose_pod()
            await scene.send(message(3, "udp"))
            await scene.answer(200)
            await scene.edge.settle()
            (edit,) = scene.ledger.asked
            assert (edit.status, scene.statuses()) == (200, [200])

    stage.runner.run(play())


def test_late_answer_calls_the_copy_off(stage: Stage) -> None:
    async def play() -> None:
        async with stage.scene(BOTH, "udp", "udp") as scene:
            await scene.recurring()
            await scene.send(message(3, "udp"))
            await scene.passed(10.1)
            assert (scene.statuses(), len(await scene.rows())) == ([202], 1)
            await scene.answer(200)
            await scene.edge.settle()
            assert (scene.statuses(), await scene.rows()) == ([], [])

    stage.runner.run(play())
