"""Messages that one pod accepts and another sends: nothing is lost between them, nothing is sent twice."""

from collections.abc import AsyncIterator
from pathlib import Path

from tests.support.ua_message_pods import accept, bodies, strand, two_pods
from tests.support.ua_messages import FakeOwned, record
from tests.support.waiting import until
from wigwag.api.ua.v1 import owner_pb2
from wigwag.bus.sqlite import SqliteBus
from wigwag.database.ledger import State
from wigwag.runtime.ledger_events import LedgerEvents


async def test_what_another_pod_accepts_is_durable_and_sent_by_the_owner_in_order(tmp_path: Path) -> None:
    async with two_pods(tmp_path) as (first, second, _):
        own = await second.open()
        first.sessions.others["s1"] = (own.record, "pod-2")
        ids = await accept(first, "one", "two", "three")
        await until(lambda: len(own.wire.sent) == 3)
        assert [message.message_id for message in own.wire.sent] == ids
        assert bodies(own) == [b"one", b"two", b"three"]


async def test_what_comes_twice_is_sent_once(tmp_path: Path) -> None:
    async with two_pods(tmp_path) as (first, second, _):
        own = await second.open()
        first.sessions.others["s1"] = (own.record, "pod-2")
        ids = await accept(first, "one", "two")
        await until(lambda: len(own.wire.sent) == 2)
        await first.pipeline.handover.bring([("s1", message_id) for message_id in ids])
        await second.pipeline.handover.bring([("s1", message_id) for message_id in ids])
        assert len(own.wire.sent) == 2


async def test_what_reaches_a_pod_that_has_lost_the_session_is_brought_to_its_owner(tmp_path: Path) -> None:
    async with two_pods(tmp_path) as (first, second, _):
        own = await first.open()
        await first.send(own, "one")
        second.sessions.others["s1"] = (own.record, "pod-1")
        message_id = await strand(second, "two")
        stale = second.pipeline.handover.serve(_requests(message_id))
        assert [response.acknowledged async for response in stale] == [1]
        await until(lambda: bodies(own) == [b"one", b"two"])


async def _requests(message_id: str) -> AsyncIterator[owner_pb2.DeliverRequest]:
    yield owner_pb2.DeliverRequest(first=1, items=[owner_pb2.DeliverItem(session_id="s1", ledger_id=message_id)])


async def test_a_session_that_nobody_owns_is_taken_over_for_its_message(tmp_path: Path) -> None:
    async with two_pods(tmp_path) as (first, _, _):
        first.sessions.others["s1"] = (record(), "")
        first.sessions.to_take.add("s1")
        take_over = first.sessions.take_over

        async def and_open(session_id: str) -> FakeOwned | None:
            own = await take_over(session_id)
            if own is not None:
                await first.pipeline.opened(own)
            return own

        first.sessions.take_over = and_open  # type: ignore[method-assign]
        await accept(first, "one")
        await until(lambda: bodies(first.sessions.mine["s1"]) == [b"one"])


async def test_a_message_for_a_session_that_ended_meanwhile_has_failed(tmp_path: Path) -> None:
    async with two_pods(tmp_path) as (first, _, _):
        message_id = await strand(first, "just-in-time")
        first.sessions.others["s1"] = (record(state="ended"), "")
        await first.pipeline.handover.bring([("s1", message_id)])
        await first.pipeline.edits.flush(5.0)
        assert await first.states() == [State.FAILED]


async def test_the_bus_brings_what_the_stream_could_not(tmp_path: Path) -> None:
    async with SqliteBus(tmp_path / "bus.sqlite3") as bus, two_pods(tmp_path, bus) as (first, second, _):
        publisher = LedgerEvents(bus, "pod-1")
        elsewhere = record()
        first.sessions.others["s1"] = (elsewhere, "pod-3")
        await strand(first, "one")
        events = await first.ledger.pending_events()
        await publisher.publish(events)
        await until(lambda: bus.counters.retried)
        own = await second.open()
        own.wire.sent.clear()
        first.sessions.others["s1"] = (elsewhere, "pod-2")
        await until(lambda: bus.counters.consumed == 1)
