import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from tests.support.fake_agent import FakeAgent, composing, received, tell
from tests.support.ua_api import HELPDESK, KEYS, authenticator, rpc_stub
from tests.support.waiting import until
from wigwag.api.ua.v1 import ua_pb2
from wigwag.bus import Bus
from wigwag.bus.sqlite import SqliteBus
from wigwag.errors import InvalidRequestError, OutOfRangeError, OverloadedError
from wigwag.runtime.events import SESSIONS_EVENTS
from wigwag.runtime.resume_tokens import offsets_of, token_of
from wigwag.ua.api.feed import Bounds, EventFeed
from wigwag.ua.api.watching import Watching

SMALL = Bounds(4, 1_000_000)


@asynccontextmanager
async def opened(
    path: Path, *, kept: Bounds | None = None, **options: Any
) -> AsyncIterator[tuple[Bus, Watching, EventFeed]]:
    async with SqliteBus(path / "bus.sqlite3") as bus:
        feed = EventFeed(bus) if kept is None else EventFeed(bus, kept=kept)
        async with feed:
            yield bus, Watching(bus, feed, **options), feed


class Watcher:
    """Somebody who watches, and remembers what he had."""

    def __init__(self, watching: Watching, application: str = "helpdesk", **request: Any) -> None:
        self._responses = watching.watch(application, ua_pb2.WatchRequest(**request))
        self.token = ""

    async def begin(self) -> "Watcher":
        """Wait until he watches."""
        assert await self.next() == []
        return self

    async def next(self) -> list[str]:
        """Return what the next response holds."""
        response = await asyncio.wait_for(anext(self._responses), 10)
        self.token = response.resume_token
        return [event.event_id for event in response.events]

    async def numbers(self, count: int) -> list[str]:
        """Return the next so many events."""
        found: list[str] = []
        while len(found) < count:
            found += await self.next()
        return found

    async def leave(self) -> None:
        await self._responses.aclose()  # type: ignore[attr-defined]


def ids(numbers: Sequence[int]) -> list[str]:
    return [f"e{number}" for number in numbers]


async def test_a_watcher_gets_his_applications_events_from_now_on(tmp_path: Path) -> None:
    async with opened(tmp_path) as (bus, watching, _):
        await tell(bus, composing(0))
        watcher = await Watcher(watching).begin()
        await tell(bus, composing(1), composing(2, application="sales"), composing(3))
        assert await watcher.numbers(2) == ids([1, 3])
        await watcher.leave()


async def test_an_operator_gets_everybodys(tmp_path: Path) -> None:
    async with opened(tmp_path) as (bus, watching, _):
        watcher = await Watcher(watching, "").begin()
        await tell(bus, composing(1), composing(2, application="sales"))
        assert await watcher.numbers(2) == ids([1, 2])
        await watcher.leave()


async def test_only_the_sessions_that_are_asked_for(tmp_path: Path) -> None:
    async with opened(tmp_path) as (bus, watching, _):
        watcher = await Watcher(watching, session_ids=["s2"]).begin()
        await tell(bus, composing(1), composing(2, session_id="s2"), composing(3))
        assert await watcher.numbers(1) == ids([2])
        await watcher.leave()


@pytest.mark.parametrize("kept", [None, SMALL])
async def test_who_comes_back_with_his_token_misses_nothing_and_gets_nothing_twice(
    tmp_path: Path, kept: Bounds | None
) -> None:
    async with opened(tmp_path, kept=kept) as (bus, watching, _):
        watcher = await Watcher(watching).begin()
        await tell(bus, composing(1), composing(2))
        assert await watcher.numbers(2) == ids([1, 2])
        await watcher.leave()
        await tell(bus, *map(composing, range(3, 100)))
        again = Watcher(watching, resume_token=watcher.token)
        found = await again.numbers(97)
        await tell(bus, composing(100))
        assert [*found, *await again.numbers(1)] == ids(range(3, 101))
        await again.leave()


async def test_a_token_is_good_in_another_process(tmp_path: Path) -> None:
    async with opened(tmp_path) as (bus, watching, _):
        watcher = await Watcher(watching).begin()
        await tell(bus, composing(1))
        await watcher.numbers(1)
        await watcher.leave()
        await tell(bus, composing(2))
    async with opened(tmp_path) as (bus, watching, _):
        again = Watcher(watching, resume_token=watcher.token)
        assert await again.numbers(1) == ids([2])
        await tell(bus, composing(3))
        assert await again.numbers(1) == ids([3])
        await again.leave()


async def test_nothing_is_missed_while_events_pour_in_during_catching_up(tmp_path: Path) -> None:
    async with opened(tmp_path, kept=SMALL, waiting=Bounds(10_000, 100_000_000)) as (bus, watching, _):
        watcher = await Watcher(watching).begin()
        token, stop = watcher.token, asyncio.Event()
        await watcher.leave()
        told = 0

        async def pour() -> None:
            nonlocal told
            while not stop.is_set():
                await tell(bus, composing(told := told + 1))

        pouring = asyncio.create_task(pour())
        await until(lambda: told > 200)
        again = Watcher(watching, resume_token=token)
        found = await again.numbers(400)
        stop.set()
        await pouring
        found += await again.numbers(told - len(found))
        assert found == ids(range(1, told + 1))
        await again.leave()


async def test_a_slow_watcher_loses_his_place_and_can_come_back(tmp_path: Path) -> None:
    async with opened(tmp_path, waiting=Bounds(10, 1_000_000)) as (bus, watching, feed):
        slow, quick = await Watcher(watching).begin(), await Watcher(watching).begin()
        await tell(bus, composing(1))
        assert await slow.numbers(1) == ids([1])
        for number in range(2, 40):
            await tell(bus, composing(number))
            assert await quick.numbers(1) == ids([number]) if number > 2 else await quick.numbers(2)
        with pytest.raises(OverloadedError, match="resume token"):
            await slow.next()
        assert len(feed) == 1
        again = Watcher(watching, resume_token=slow.token)
        assert (await again.numbers(1))[0] == "e2"
        await quick.leave()
        await again.leave()


async def test_a_slow_reader_of_bodies_keeps_bounded_octets(tmp_path: Path) -> None:
    async with opened(tmp_path, waiting=Bounds(1_000, 300_000)) as (bus, watching, _):
        slow = await Watcher(watching).begin()
        # Begin to wait, so that he is where events come to.
        first = asyncio.ensure_future(slow.next())
        await tell(bus, received(0, b"x"))
        await first
        for number in range(1, 11):
            await tell(bus, received(number, b"x" * 60_000))
        await until(lambda: watching._feed.ends[0] == 11)
        with pytest.raises(OverloadedError):
            await slow.numbers(11)


async def test_what_is_kept_no_more_is_out_of_range(tmp_path: Path) -> None:
    now = [1_000_000.0]
    log = SqliteBus(tmp_path / "bus.sqlite3", retention=60.0, clock=lambda: now[0])
    async with log as bus, EventFeed(bus, kept=SMALL) as feed:
        watching = Watching(bus, feed)
        watcher = await Watcher(watching).begin()
        await watcher.leave()
        await tell(bus, *map(composing, range(10)))
        await until(lambda: feed.ends[0] == 10)
        now[0] += 100
        await bus.trim()
        with pytest.raises(OutOfRangeError):
            await Watcher(watching, resume_token=watcher.token).next()


async def test_a_token_of_a_quiet_log_stays_good_when_old_events_go(tmp_path: Path) -> None:
    now = [1_000_000.0]
    async with SqliteBus(tmp_path / "bus.sqlite3", retention=60.0, clock=lambda: now[0]) as bus:
        bus.declare(SESSIONS_EVENTS)
        await tell(bus, composing(1))
        async with EventFeed(bus) as feed:
            watching = Watching(bus, feed)
            watcher = await Watcher(watching).begin()
            await watcher.leave()
            now[0] += 100
            await bus.trim()
            again = await Watcher(watching, resume_token=watcher.token).begin()
            await tell(bus, composing(2))
            assert await again.numbers(1) == ids([2])
            await again.leave()


@pytest.mark.parametrize("offsets", [{0: 1_000}, {0: 0, 7: 3}])
async def test_a_token_of_another_log_is_out_of_range(tmp_path: Path, offsets: dict[int, int]) -> None:
    async with opened(tmp_path) as (bus, watching, _):
        await tell(bus, composing(1))
        with pytest.raises(OutOfRangeError):
            await Watcher(watching, resume_token=token_of(offsets)).next()


@pytest.mark.parametrize("token", ["x", "!!!!", "\u00e9", "a" * 10_000, "kgGA\r\n", token_of({})[:-2], "kgKA"])
async def test_a_token_that_is_none_is_refused(tmp_path: Path, token: str) -> None:
    with pytest.raises(InvalidRequestError, match="resume_token"):
        offsets_of(token)


async def test_a_quiet_watcher_gets_newer_tokens(tmp_path: Path) -> None:
    async with opened(tmp_path, silence=0.05) as (bus, watching, feed):
        watcher = await Watcher(watching).begin()
        began = watcher.token
        await tell(bus, composing(1, application="sales"))
        assert await watcher.next() == []
        assert offsets_of(began) == {0: 0}
        assert offsets_of(watcher.token) == {0: 1}
        await watcher.leave()
        assert len(feed) == 0


async def test_a_record_that_is_no_event_is_passed_over(tmp_path: Path) -> None:
    async with opened(tmp_path) as (bus, watching, _):
        watcher = await Watcher(watching).begin()
        await bus.publish(SESSIONS_EVENTS.name, b"\xff\xff\xff", key="s1")
        await tell(bus, composing(1))
        assert await watcher.numbers(1) == ids([1])
        await watcher.leave()


async def test_many_watchers_share_one_reader(tmp_path: Path) -> None:
    async with opened(tmp_path) as (bus, watching, _):
        watchers = [await Watcher(watching).begin() for _ in range(50)]
        assert len(bus._listeners[SESSIONS_EVENTS.name]) == 1  # type: ignore[attr-defined]
        await tell(bus, composing(1))
        assert [await watcher.numbers(1) for watcher in watchers] == [ids([1])] * 50
        for watcher in watchers:
            await watcher.leave()


async def test_events_come_over_grpc_and_end_with_the_server(tmp_path: Path) -> None:
    async with opened(tmp_path) as (bus, watching, feed):
        agent = FakeAgent(watching.watch)
        async with rpc_stub(agent, authenticator(*KEYS), token=HELPDESK) as ua:
            call = ua.Watch(ua_pb2.WatchRequest())
            first = await asyncio.wait_for(call.read(), 10)
            await tell(bus, composing(1), composing(2, application="sales"))
            second = await asyncio.wait_for(call.read(), 10)
            assert first.resume_token
            assert [event.event_id for event in second.events] == ["e1"]
            stale = ua.Watch(ua_pb2.WatchRequest(resume_token=token_of({0: 99})))
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await asyncio.wait_for(stale.read(), 10)
            assert caught.value.code() is grpc.StatusCode.OUT_OF_RANGE
            call.cancel()
            await until(lambda: len(feed) == 0)
