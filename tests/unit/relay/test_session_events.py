"""What happens to sessions reaches the bus, in order, also what happened while the bus was away."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from tests.support.fake_relay import SESSION
from wigwag.api.events.v1.envelope_pb2 import Envelope
from wigwag.bus import BusError, Earliest, Message, Position
from wigwag.bus.sqlite import SqliteBus
from wigwag.relay.session_events import SessionEvents
from wigwag.relay.session_journal import SessionJournal
from wigwag.relay.views import SessionChange
from wigwag.runtime.events import RELAY_SESSIONS


class SometimesAway(SqliteBus):
    away = False

    async def publish_many(self, topic: str, messages: Sequence[Message]) -> Sequence[Position]:
        if self.away:
            raise BusError("the bus is away")
        return await super().publish_many(topic, messages)


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[SometimesAway]:
    async with SometimesAway(tmp_path / "bus.sqlite3") as opened:
        yield opened


def written(journal: SessionJournal, *changes: SessionChange) -> None:
    for change in changes:
        journal.session_changed(SESSION, change, "")


async def published(bus: SqliteBus) -> list[Envelope]:
    return [Envelope.FromString(record.value) async for record in bus.replay(RELAY_SESSIONS.name, Earliest())]


async def test_changes_are_published_in_order_with_their_pod(bus: SometimesAway) -> None:
    journal = SessionJournal("pod-1", lambda: 1_700_000_000.25)
    events = SessionEvents(bus, journal, "pod-1")
    written(journal, SessionChange.GRANTED, SessionChange.SUSPENDED, SessionChange.RESUMED)
    await events.flush()
    found = await published(bus)
    assert [envelope.event_id for envelope in found] == ["pod-1:1", "pod-1:2", "pod-1:3"]
    assert {envelope.pod for envelope in found} == {"pod-1"}
    assert found[0].occurred_at.ToNanoseconds() == 1_700_000_000_250_000_000
    assert found[0].relay_session.change.session.user == SESSION.user


async def test_changes_of_the_time_when_the_bus_was_away_are_published_afterwards(
    bus: SometimesAway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wigwag.relay.session_events.RETRY", 0.01)
    journal = SessionJournal("pod-1", lambda: 1.0)
    events = SessionEvents(bus, journal, "pod-1")
    running = asyncio.create_task(events.run())
    bus.away = True
    written(journal, SessionChange.GRANTED, SessionChange.ENDED)
    for _ in range(5):
        await asyncio.sleep(0)
    bus.away = False
    found = []
    async with asyncio.timeout(10):
        async for record in bus.replay(RELAY_SESSIONS.name, Earliest(), follow=True):
            found.append(Envelope.FromString(record.value).event_id)
            if len(found) == 2:
                break
    assert found == ["pod-1:1", "pod-1:2"]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert events.lost == 0


async def test_what_the_journal_has_forgotten_is_counted_as_lost(bus: SometimesAway) -> None:
    journal = SessionJournal("pod-1", lambda: 1.0, capacity=2)
    events = SessionEvents(bus, journal, "pod-1")
    written(journal, *[SessionChange.REFRESHED] * 5)
    await events.flush()
    assert events.lost == 1
    assert await published(bus) == []
    written(journal, SessionChange.ENDED)
    await events.flush()
    assert [envelope.event_id for envelope in await published(bus)] == ["pod-1:6"]


async def test_a_bus_that_stays_away_does_not_hold_up_the_end(bus: SometimesAway) -> None:
    journal = SessionJournal("pod-1", lambda: 1.0)
    events = SessionEvents(bus, journal, "pod-1")
    bus.away = True
    written(journal, SessionChange.GRANTED)
    async with asyncio.timeout(10):
        await events.flush(seconds=0.05)
    assert await published(bus) == []
