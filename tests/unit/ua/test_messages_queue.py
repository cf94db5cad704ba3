"""Nothing overtakes an earlier message of its session, whatever is slow, lost, away or asked again."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import cast

import pytest

from tests.support.ledger import eventually
from tests.support.ua_message_pods import bodies, strand
from tests.support.ua_messages import FakeOwned, MessageWorld, message_world
from tests.support.waiting import until
from wigwag.database.ledger import Claim, Edit, Ledger, LedgerRow, Verdict
from wigwag.errors import DatabaseError, OverloadedError
from wigwag.ua.messages import edits
from wigwag.ua.messages.flow import Flow
from wigwag.ua.sessions.ports import OwnedSession


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[MessageWorld]:
    async with message_world(tmp_path) as made:
        yield made


def flow_of(world: MessageWorld, own: FakeOwned) -> Flow:
    return world.pipeline.delivery.flow(cast(OwnedSession, own))


def waiting(own: FakeOwned) -> list[object]:
    """Return what the endpoint has, in the order in which it leaves."""
    return [message.body for message in own.wire.on_its_way.values()]


def away() -> "asyncio.Future[Verdict]":
    """Return what a database says that is away."""
    future: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
    future.set_exception(DatabaseError("away"))
    return future


class Gate:
    """Lets nobody have what the ledger has found until it is opened."""

    def __init__(self, patches: pytest.MonkeyPatch) -> None:
        self._opened = asyncio.Event()
        self.reads = 0
        find_many = Ledger.find_many

        async def read(ledger: Ledger, message_ids: Iterable[str]) -> dict[str, LedgerRow]:
            found = await find_many(ledger, message_ids)
            self.reads += 1
            await self._opened.wait()
            return found

        patches.setattr(Ledger, "find_many", read)

    def open(self) -> None:
        self._opened.set()


async def test_what_waits_too_long_for_a_connection_keeps_its_place_before_what_came_later(world: MessageWorld) -> None:
    own = await world.open(policy={"outcome_timeout": 10.0})
    own.wire.line_is_up = False
    await world.send(own, "one")
    await until(lambda: waiting(own) == [b"one"])
    world.clock.now += 6
    await world.send(own, "two")
    await until(lambda: waiting(own) == [b"one", b"two"])
    world.clock.now += 5

    async def first_is_claimed_again() -> bool:
        return (await world.rows())[0].attempt == 2

    await eventually(first_is_claimed_again)
    await until(lambda: len(waiting(own)) == 2)
    assert waiting(own) == [b"one", b"two"]


async def test_message_whose_claim_fails_is_not_overtaken_by_one_whose_claim_does_not(world: MessageWorld) -> None:
    own = await world.open()
    own.wire.held = True
    await world.send(own, "one", "two", "three")
    apply, failed = world.ledger.apply, list[Edit]()

    def first_fails(edits: Iterable[Edit]) -> "list[asyncio.Future[Verdict]]":
        some = list(edits)
        if failed or not isinstance(some[0], Claim):
            return apply(some)
        failed.append(some.pop(0))
        return [away(), *apply(some)]

    world.ledger.apply = first_fails  # type: ignore[method-assign]
    own.wire.held = False
    await until(lambda: len(own.wire.sent) == 3)
    assert failed
    assert bodies(own) == [b"one", b"two", b"three"]


async def test_message_that_comes_again_is_sent_before_what_came_after_it(
    world: MessageWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = await world.open()
    await until(lambda: flow_of(world, own).loaded)
    await strand(world, "one", key="1")
    gate = Gate(monkeypatch)
    again = asyncio.create_task(world.send(own, "one", idempotency_key="1"))
    await until(lambda: gate.reads)
    await world.send(own, "two")
    gate.open()
    (outcome,) = await again
    assert outcome.duplicate
    await until(lambda: len(own.wire.sent) == 2)
    assert bodies(own) == [b"one", b"two"]


async def test_large_message_that_comes_again_is_sent_before_what_comes_after_it(world: MessageWorld) -> None:
    own = await world.open()
    await until(lambda: flow_of(world, own).loaded)
    body = "x" * 100_000
    writer = await world.blobs.create()
    await writer.append(body.encode())
    blob = await writer.commit(expires=world.clock() + 600.0)
    message_id = await strand(world, body, key="1", blob=blob.id)
    (again,) = await world.send(own, body, idempotency_key="1")
    assert again.duplicate
    (two,) = await world.send(own, "two")
    await until(lambda: len(own.wire.sent) == 2)
    assert [message.message_id for message in own.wire.sent] == [message_id, two.message_id]


async def test_what_comes_again_while_the_ledger_is_asked_of_it_is_not_lost_by_the_answer(
    world: MessageWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = await world.open()
    await until(lambda: flow_of(world, own).loaded)
    world.ledger.is_away = True
    (lost,) = await world.send(own, "one", idempotency_key="1")
    assert isinstance(lost.error, DatabaseError)
    gate = Gate(monkeypatch)
    world.ledger.is_away = False
    await until(lambda: gate.reads)
    (again,) = await world.send(own, "one", idempotency_key="1")
    assert again.error is None
    await world.send(own, "two")
    gate.open()
    await until(lambda: len(own.wire.sent) == 2)
    assert bodies(own) == [b"one", b"two"]


async def test_what_comes_again_while_nothing_can_be_read_keeps_nothing_from_being_sent(
    world: MessageWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = await world.open()
    await until(lambda: flow_of(world, own).loaded)
    await strand(world, "one", key="1")

    async def fails(ledger: Ledger, message_ids: Iterable[str]) -> dict[str, LedgerRow]:
        raise DatabaseError("away")

    with monkeypatch.context() as patches:
        patches.setattr(Ledger, "find_many", fails)
        (again,) = await world.send(own, "one", idempotency_key="1")
        assert isinstance(again.error, DatabaseError)
    await world.send(own, "two")
    await until(lambda: len(own.wire.sent) == 2)
    assert bodies(own) == [b"one", b"two"]


async def test_what_is_uncertain_stays_so_when_it_comes_again_to_a_ledger_that_is_full(world: MessageWorld) -> None:
    own = await world.open()
    await until(lambda: flow_of(world, own).loaded)
    find_out = world.pipeline.outbound.uncertain.find_out
    asked = asyncio.Event()

    async def later() -> None:
        if asked.is_set():
            await find_out()

    world.pipeline.outbound.uncertain.find_out = later  # type: ignore[method-assign]
    world.ledger.loses_answers = True
    (lost,) = await world.send(own, "one", idempotency_key="1")
    assert isinstance(lost.error, DatabaseError)
    world.ledger.loses_answers = False
    accept = world.ledger.accept

    def full(messages: object) -> "list[asyncio.Future[Verdict]]":
        raise OverloadedError("full")

    world.ledger.accept = full  # type: ignore[method-assign]
    with pytest.raises(OverloadedError):
        await world.send(own, "one", idempotency_key="1")
    world.ledger.accept = accept  # type: ignore[method-assign]
    await world.send(own, "two")
    asked.set()
    await until(lambda: len(own.wire.sent) == 2)
    assert bodies(own) == [b"one", b"two"]


class Weather:
    """A session whose connection, peer and database come and go."""

    def __init__(self, world: MessageWorld, own: FakeOwned, chance: random.Random) -> None:
        self._world, self._own, self._chance = world, own, chance
        self._apply = world.ledger.apply
        self.storms = True
        self.sent = 0
        world.ledger.apply = self._sometimes  # type: ignore[method-assign]

    def _sometimes(self, edits: Iterable[Edit]) -> "list[asyncio.Future[Verdict]]":
        """Do some edits, and fail to do their neighbours."""
        if not self.storms:
            return self._apply(edits)
        return [away() if self._chance.random() < 0.3 else self._apply([edit])[0] for edit in edits]

    async def send(self) -> None:
        """Send the next message; at times it was there already, accepted by a pod that was killed."""
        body = f"{self.sent:03}"
        self.sent += 1
        if self._chance.random() < 0.3:
            await strand(self._world, body, key=body)
        (outcome,) = await self._world.send(self._own, body, idempotency_key=body)
        assert outcome.error is None

    async def change(self) -> None:
        """Let something happen."""
        wire = self._own.wire
        what = self._chance.random()
        if what < 0.5:
            await self.send()
        elif what < 0.65:
            wire.line_is_up = False
        elif what < 0.7:
            wire.line_up()
        elif what < 0.8:
            wire.held = not wire.held
        else:
            self._world.clock.now += self._chance.uniform(1, 6)
            self._world.pipeline.delivery.tick()
        for _ in range(self._chance.randrange(3)):
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("seed", range(8))
async def test_messages_leave_in_the_order_of_the_ledger_whatever_comes_and_goes(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edits, "_PAUSE", 0.001)
    async with message_world(tmp_path, limits={"in_flight": 8}) as world:
        own = await world.open(policy={"outcome_timeout": 10.0})
        await until(lambda: flow_of(world, own).loaded)
        weather = Weather(world, own, random.Random(seed))
        for _ in range(80):
            await weather.change()
        weather.storms = own.wire.held = False

        def all_settled() -> bool:
            own.wire.line_up()
            for message_id in list(own.wire.on_its_way):
                world.settle(own, message_id)
            return not flow_of(world, own).known

        await until(all_settled)
        assert bodies(own) == [row.body for row in await world.rows()]
        assert len(bodies(own)) == weather.sent
