"""Events of sessions: in order, again until the bus has them, within bounds."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.waiting import until
from wigwag.api.events.v1.envelope_pb2 import Envelope
from wigwag.api.ua.v1 import event_pb2, session_pb2
from wigwag.bus import Message, RecordTooLargeError, Topic
from wigwag.errors import BusError
from wigwag.ua.messages import eventlog
from wigwag.ua.messages.eventlog import EventLog


class FakeBus:
    """A bus that can be away."""

    def __init__(self) -> None:
        self.taken: list[event_pb2.Event] = []
        self.is_away = False
        self.largest = 1_000_000
        self.failures: list[Exception] = []
        """What is raised, once each, when one event is published alone."""

    def declare(self, *topics: Topic) -> None:
        pass

    async def publish_many(self, topic: str, messages: Sequence[Message]) -> Sequence[Any]:
        if self.is_away:
            raise BusError("away")
        if any(len(message.value) > self.largest for message in messages):
            raise RecordTooLargeError("too large")
        if self.failures and len(messages) == 1:
            raise self.failures.pop(0)
        self.taken += [Envelope.FromString(message.value).session_event.event for message in messages]
        return []


def event(number: int, **what: Any) -> event_pb2.Event:
    what = what or {"session_changed": session_pb2.Session(session_id="s1", subject=str(number))}
    return event_pb2.Event(event_id=str(number), session_id="s1", **what)


@asynccontextmanager
async def log_over(bus: FakeBus) -> AsyncIterator[EventLog]:
    log = EventLog(bus, "pod-1")  # type: ignore[arg-type] # what it uses of it
    async with log.publishing():
        yield log


async def test_events_are_published_in_order_with_the_session_as_key() -> None:
    bus = FakeBus()
    async with log_over(bus) as log:
        for number in range(1_000):
            log.tell(event(number))
        await log.flush(5.0)
    assert [told.event_id for told in bus.taken] == [str(number) for number in range(1_000)]


async def test_while_the_bus_is_away_what_is_of_the_moment_is_dropped_and_the_rest_waits() -> None:
    bus = FakeBus()
    bus.is_away = True
    async with log_over(bus) as log:
        for number in range(1_500):
            log.tell(event(number))
        log.tell(event(1_500, composing=event_pb2.Composing(active=True)))
        assert log.counters["dropped"] == 1
        bus.is_away = False
        await until(lambda: len(bus.taken) == 1_500)
    assert [told.event_id for told in bus.taken] == [str(number) for number in range(1_500)]


async def test_an_event_that_fits_no_record_does_not_hold_up_the_others() -> None:
    bus = FakeBus()
    bus.largest = 1_000
    async with log_over(bus) as log:
        log.tell(event(0))
        log.tell(event(1, session_changed=session_pb2.Session(subject="x" * 2_000)))
        log.tell(event(2))
        await until(lambda: len(bus.taken) == 2)
    assert log.counters["dropped"] == 1


@pytest.mark.parametrize("failure", [BusError("away"), AssertionError("the client's")])
async def test_events_keep_their_order_when_the_bus_is_away_while_they_are_published_one_by_one(
    failure: Exception,
) -> None:
    bus = FakeBus()
    bus.largest, bus.failures = 1_000, [failure]
    async with log_over(bus) as log:
        log.tell(event(0, session_changed=session_pb2.Session(subject="x" * 2_000)))
        for number in range(1, 4):
            log.tell(event(number))
        await until(lambda: len(bus.taken) == 3)
    assert [told.event_id for told in bus.taken] == ["1", "2", "3"]


async def test_what_is_told_when_the_pod_is_about_to_end_is_published_before_it_does() -> None:
    bus = FakeBus()
    async with log_over(bus) as log:
        log.tell(event(0))
    assert [told.event_id for told in bus.taken] == ["0"]


async def test_a_bus_that_is_away_keeps_no_pod_from_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eventlog, "_CLOSING", 0.01)
    bus = FakeBus()
    bus.is_away = True
    async with asyncio.timeout(5), log_over(bus) as log:
        log.tell(event(0))
    assert len(log) == 1
