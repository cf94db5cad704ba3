"""The sweeper: every state is published at least once, whatever fails meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import select

from tests.support.ledger import LIFETIME, ManualClock, RecordingPublisher, eventually, new_message
from tests.support.waiting import until
from wigwag.database import BlobStore, Database
from wigwag.database.blobs import UNFINISHED
from wigwag.database.ledger import Change, Claim, Ledger, State
from wigwag.database.tables import wigwag_blob
from wigwag.errors import BusError, DatabaseError, NotFoundError
from wigwag.runtime.ledger_sweeper import MOST_EVENTS, LedgerSweeper, SweepTimes

QUICK = SweepTimes(interval=0.01, longest_pause=0.02, publish_timeout=0.2)
NEVER_BY_ITSELF = SweepTimes(interval=3_600.0)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database(f"sqlite:///{tmp_path / 'x.db'}") as opened:
        yield opened


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def ledger(database: Database, clock: ManualClock) -> AsyncIterator[Ledger]:
    async with Ledger(database, clock=clock) as opened:
        yield opened


@pytest.fixture
def publisher() -> RecordingPublisher:
    return RecordingPublisher()


@asynccontextmanager
async def running(sweeper: LedgerSweeper) -> AsyncIterator[None]:
    task = asyncio.create_task(sweeper.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def nothing_pending(ledger: Ledger) -> bool:
    return await ledger.pending_events() == []


async def is_gone(ledger: Ledger, message_id: str) -> bool:
    return await ledger.find(message_id) is None


async def test_what_is_written_here_is_published_without_waiting_for_the_interval(
    ledger: Ledger, publisher: RecordingPublisher
) -> None:
    async with running(LedgerSweeper(ledger, publisher, holder="a", times=NEVER_BY_ITSELF)):
        await ledger.accept_one(new_message("m"))
        await until(lambda: publisher.seen() == [("m", 1, State.ACCEPTED)])
        await ledger.apply_one(Change(id="m", version=1, state=State.DELIVERED))
        await until(lambda: publisher.seen()[1:] == [("m", 2, State.DELIVERED)])
    assert len(publisher.events) == 2


async def test_more_than_one_page_is_published_in_order(ledger: Ledger, publisher: RecordingPublisher) -> None:
    messages = [new_message() for _ in range(2 * MOST_EVENTS + 5)]
    await asyncio.gather(*ledger.accept(messages))
    async with running(LedgerSweeper(ledger, publisher, holder="a", times=NEVER_BY_ITSELF)):
        await until(lambda: len(publisher.events) >= len(messages))
    assert [event.id for event in publisher.events] == [message.id for message in messages]


async def test_publisher_that_was_away_gets_everything_when_it_is_back(
    ledger: Ledger, publisher: RecordingPublisher
) -> None:
    publisher.failing, publisher.keeps = True, 3
    messages = [new_message() for _ in range(MOST_EVENTS + 20)]
    sweeper = LedgerSweeper(ledger, publisher, holder="a", times=QUICK)
    async with running(sweeper):
        await asyncio.gather(*ledger.accept(messages))
        await until(lambda: sweeper.failures >= 3)
        assert sweeper.problem == "no broker answers"
        publisher.failing = False
        await until(lambda: len(publisher.seen()) == len(messages))
        await eventually(lambda: nothing_pending(ledger))
        assert sweeper.problem is None
    assert [event_id for event_id, _, _ in publisher.seen()] == [message.id for message in messages]


async def test_publisher_that_hangs_is_asked_again(ledger: Ledger, publisher: RecordingPublisher) -> None:
    publisher.hangs = True
    sweeper = LedgerSweeper(ledger, publisher, holder="a", times=QUICK)
    async with running(sweeper):
        await ledger.accept_one(new_message("m"))
        await until(lambda: sweeper.failures)
        publisher.hangs = False
        await until(lambda: publisher.seen() == [("m", 1, State.ACCEPTED)])


async def test_event_is_published_again_when_the_mark_was_not_written(
    ledger: Ledger, publisher: RecordingPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_events: object) -> None:
        raise DatabaseError("away")

    await ledger.accept_one(new_message("m"))
    sweeper = LedgerSweeper(ledger, publisher, holder="a")
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "mark_published", away)
        with pytest.raises(DatabaseError):
            await sweeper.sweep()
    assert await sweeper.sweep()
    assert [(event.id, event.version) for event in publisher.events] == [("m", 1), ("m", 1)]
    assert not await sweeper.sweep()


async def test_state_that_comes_while_the_one_before_is_published_is_published_too(
    ledger: Ledger, publisher: RecordingPublisher
) -> None:
    async def fail() -> None:
        assert (await ledger.apply_one(Change(id="m", version=1, state=State.FAILED, status=486))).done

    publisher.meanwhile = fail
    await ledger.accept_one(new_message("m"))
    sweeper = LedgerSweeper(ledger, publisher, holder="a")
    while await sweeper.sweep():
        pass
    assert publisher.seen() == [("m", 1, State.ACCEPTED), ("m", 2, State.FAILED)]


async def test_one_of_two_sweepers_works_until_it_dies(
    ledger: Ledger, publisher: RecordingPublisher, clock: ManualClock
) -> None:
    first, second = (LedgerSweeper(ledger, publisher, holder=holder) for holder in "ab")
    await ledger.accept_one(new_message("m"))
    assert await first.sweep()
    await ledger.accept_one(new_message("n"))
    assert not await second.sweep()
    clock.now += SweepTimes().lease
    assert await second.sweep()
    assert [event.id for event in publisher.events] == ["m", "n"]


async def test_sweepers_that_both_believe_to_hold_the_lease_lose_nothing(
    ledger: Ledger, publisher: RecordingPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def always(*_arguments: object, **_options: object) -> bool:
        return True

    monkeypatch.setattr(ledger, "hold_lease", always)
    messages = [new_message() for _ in range(300)]
    async with (
        running(LedgerSweeper(ledger, publisher, holder="a", times=QUICK)),
        running(LedgerSweeper(ledger, publisher, holder="b", times=QUICK)),
    ):
        await asyncio.gather(*(ledger.accept_one(message) for message in messages))
        await asyncio.gather(
            *ledger.apply(Change(id=message.id, version=1, state=State.DELIVERED) for message in messages)
        )
        await eventually(lambda: nothing_pending(ledger))
    assert len(publisher.seen()) == 2 * len(messages)


async def test_messages_whose_time_has_come_are_ended_and_published(
    ledger: Ledger, publisher: RecordingPublisher, clock: ManualClock
) -> None:
    await asyncio.gather(*ledger.accept([new_message("sent", publish=False), new_message("waits", publish=False)]))
    await ledger.apply_one(Claim(id="sent", owner="pod", token=1))
    clock.now += LIFETIME
    sweeper = LedgerSweeper(ledger, publisher, holder="a")
    while await sweeper.sweep():
        pass
    assert set(publisher.seen()) == {("sent", 2, State.UNCONFIRMED), ("waits", 2, State.EXPIRED)}


async def test_idle_sweep_writes_nothing(ledger: Ledger, publisher: RecordingPublisher) -> None:
    await ledger.accept_one(new_message(publish=False))
    assert not await LedgerSweeper(ledger, publisher, holder="a").sweep()
    assert await ledger.hold_lease("ledger sweep", "another", seconds=10)


async def test_old_messages_are_purged_by_the_run(
    ledger: Ledger, publisher: RecordingPublisher, clock: ManualClock
) -> None:
    await ledger.accept_one(new_message("m"))
    await ledger.apply_one(Change(id="m", version=1, state=State.DELIVERED))
    times = SweepTimes(interval=0.01, keep=100, purge_interval=0.0)
    async with running(LedgerSweeper(ledger, publisher, holder="a", times=times)):
        await until(lambda: len(publisher.events) == 2)
        assert await ledger.find("m") is not None
        clock.now += 100
        await eventually(lambda: is_gone(ledger, "m"))


async def test_error_of_the_publisher_is_raised_by_a_single_sweep(
    ledger: Ledger, publisher: RecordingPublisher
) -> None:
    publisher.failing = True
    await ledger.accept_one(new_message("m"))
    with pytest.raises(BusError):
        await LedgerSweeper(ledger, publisher, holder="a").sweep()


async def test_bodies_go_with_their_messages_and_those_that_nobody_needs_go_too(
    database: Database, ledger: Ledger, publisher: RecordingPublisher, clock: ManualClock
) -> None:
    blobs = BlobStore(database, clock=clock)
    await blobs.create()
    writer = await blobs.create()
    blob = await writer.commit(expires=clock.now + 1e6)
    await ledger.accept_one(new_message("m", body=None, blob=blob.id))
    await ledger.apply_one(Change(id="m", version=1, state=State.DELIVERED))
    times = SweepTimes(interval=0.01, keep=100, purge_interval=0.0)
    async with running(LedgerSweeper(ledger, publisher, holder="a", times=times, blobs=blobs)):
        await until(lambda: len(publisher.events) == 2)
        assert (await blobs.info(blob.id)).size == 0
        clock.now += UNFINISHED
        await eventually(lambda: is_gone(ledger, "m"))
        with pytest.raises(NotFoundError):
            await blobs.info(blob.id)
        await eventually(lambda: is_swept(database))


async def is_swept(database: Database) -> bool:
    async with database.transaction() as connection:
        return (await connection.execute(select(wigwag_blob.c.id))).first() is None
