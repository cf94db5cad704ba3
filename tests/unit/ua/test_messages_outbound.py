"""Messages of applications: durable before they are answered, in order, each with one truthful outcome."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from tests.support.ledger import START, eventually
from tests.support.ua_messages import MessageWorld, message_world
from tests.support.waiting import until
from wigwag.api.ua.v1 import message_pb2
from wigwag.database.engine import POOL_SIZE
from wigwag.database.ledger import Ledger, State
from wigwag.errors import ConflictError, DatabaseError, InvalidRequestError, OverloadedError
from wigwag.protocols.cpim import CpimMessage
from wigwag.protocols.imdn import Disposition, message_id_of, requested
from wigwag.runtime.ua_messages import message_of
from wigwag.ua.endpoint.model import Reported, Settlement
from wigwag.ua.sessions.ports import OwnedSession


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[MessageWorld]:
    async with message_world(tmp_path) as made:
        yield made


async def test_a_message_is_durable_when_it_is_answered_and_delivered_when_the_peer_says_so(
    world: MessageWorld,
) -> None:
    own = await world.open()
    (outcome,) = await world.send(own, "hello")
    row = await world.ledger.find(outcome.message_id)
    assert row is not None
    assert (row.state, row.body, outcome.state) == (State.ACCEPTED, b"hello", message_pb2.DELIVERY_STATE_ACCEPTED)
    await until(lambda: own.wire.sent)
    assert own.wire.sent[0].message_id == outcome.message_id
    world.settle(own, outcome.message_id)

    async def delivered() -> bool:
        return await world.states() == [State.DELIVERED]

    await eventually(delivered)


async def test_messages_leave_in_the_order_of_their_acceptance_however_many_there_are(world: MessageWorld) -> None:
    own = await world.open()
    bodies = [f"message {number}" for number in range(700)]
    await world.send(own, *bodies[:400])
    await world.send(own, *bodies[400:])

    def settle_all() -> bool:
        for message_id in list(own.wire.on_its_way):
            world.settle(own, message_id)
        return len(own.wire.sent) == 700

    await until(settle_all)
    assert [message.body for message in own.wire.sent] == [body.encode() for body in bodies]

    async def all_delivered() -> bool:
        return set(await world.states()) == {State.DELIVERED}

    await eventually(all_delivered)


async def test_no_more_messages_than_the_limit_are_on_their_way_at_once(tmp_path: Path) -> None:
    async with message_world(tmp_path, limits={"in_flight": 3}) as world:
        own = await world.open()
        await world.send(own, *"abcdefgh")
        await until(lambda: len(own.wire.sent) == 3)
        world.settle(own, own.wire.sent[0].message_id)
        await until(lambda: len(own.wire.sent) == 4)
        assert len(own.wire.on_its_way) == 3


async def test_more_than_may_wait_are_refused(tmp_path: Path) -> None:
    async with message_world(tmp_path, limits={"unsent": 5}) as world:
        own = await world.open(state="starting")
        await world.send(own, *"abc")
        with pytest.raises(OverloadedError):
            await world.send(own, *"def")
        assert len(await world.rows()) == 3


async def test_what_is_accepted_while_the_call_rings_is_sent_when_it_is_answered(world: MessageWorld) -> None:
    own = await world.open(state="starting", accept_types=())
    await world.send(own, "early")
    assert own.wire.sent == []
    own.record = own.record.changed(state="open", accept_types=("text/plain",))
    await world.pipeline.opened(cast(OwnedSession, own))
    await until(lambda: own.wire.sent)


async def test_what_the_peer_turns_out_not_to_take_has_failed(world: MessageWorld) -> None:
    own = await world.open(state="starting", accept_types=())
    await world.send(own, "early")
    own.record = own.record.changed(state="open", accept_types=("text/html",))
    await world.pipeline.opened(cast(OwnedSession, own))

    async def failed() -> bool:
        rows = await world.rows()
        return (rows[0].state, rows[0].status) == (State.FAILED, 415)

    await eventually(failed)
    assert own.wire.sent == []


async def test_what_comes_again_in_many_sessions_at_once_is_read_together(
    world: MessageWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = [await world.open(f"s{number}") for number in range(40)]
    for own in sessions:
        await world.send(own, "once", idempotency_key="k")
    reads = counted(monkeypatch, "find_many")
    again = await asyncio.gather(*(world.send(own, "once", idempotency_key="k") for own in sessions))
    assert all(outcome.duplicate for (outcome,) in again)
    assert len(reads) <= 2


async def test_sessions_that_are_taken_over_by_hundreds_leave_the_database_to_others(
    world: MessageWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = asyncio.Event()
    reads = counted(monkeypatch, "undelivered", gate)
    sessions = [await world.open(f"s{number}") for number in range(100)]
    await until(lambda: reads)
    assert len(reads) <= POOL_SIZE - 1
    gate.set()
    await until(lambda: all(world.pipeline.delivery.flow(cast(OwnedSession, own)).loaded for own in sessions))


def counted(monkeypatch: pytest.MonkeyPatch, name: str, gate: asyncio.Event | None = None) -> list[object]:
    """Note each call of a method of the ledger; it waits for the gate."""
    calls: list[object] = []
    method = getattr(Ledger, name)

    async def noted(ledger: Ledger, *arguments: Any, **fields: Any) -> Any:
        calls.append(fields or arguments)
        if gate is not None:
            await gate.wait()
        return await method(ledger, *arguments, **fields)

    monkeypatch.setattr(Ledger, name, noted)
    return calls


async def test_the_same_key_is_the_same_message_and_another_body_a_conflict(world: MessageWorld) -> None:
    own = await world.open()
    (first,) = await world.send(own, "once", idempotency_key="k")
    again, other = await world.send(own, "once", "another", idempotency_key="k")
    assert (again.message_id, again.duplicate) == (first.message_id, True)
    assert isinstance(other.error, ConflictError)
    await until(lambda: own.wire.sent)
    assert len(await world.rows()) == 1
    assert len(own.wire.sent) == 1


async def test_a_large_body_is_a_blob_that_is_read_as_it_is_sent(world: MessageWorld) -> None:
    own = await world.open()
    body = "x" * 100_000
    first, second = await world.send(own, body, "behind", idempotency_key="")
    await until(lambda: len(own.wire.sent) == 2)
    sent = own.wire.sent[0]
    assert not isinstance(sent.body, bytes)
    assert sent.body().read(200_000) == body.encode()
    assert [message.message_id for message in own.wire.sent] == [first.message_id, second.message_id]
    row = (await world.rows())[0]
    assert row.body is None
    assert row.blob is not None
    assert await world.blobs.size(row.blob) == 100_000


async def test_a_large_message_with_a_key_is_the_same_when_it_comes_again(world: MessageWorld) -> None:
    own = await world.open()
    body = "x" * 100_000
    (first,) = await world.send(own, body, idempotency_key="k")
    (again,) = await world.send(own, body, idempotency_key="k")
    (other,) = await world.send(own, body + "y", idempotency_key="k")
    assert (again.message_id, again.duplicate) == (first.message_id, True)
    assert isinstance(other.error, ConflictError)


@pytest.mark.parametrize(
    "fields",
    [
        {"content_type": "text"},
        {"content_type": "text/plain\r\nTo-Path: msrp://evil"},
        {"content_type": "image/png"},
        {"idempotency_key": "a\nb"},
        {"cpim_headers": [message_pb2.CpimHeader(name="Subject", value="a\r\nTo: <sip:x@y>")]},
        {"cpim_headers": [message_pb2.CpimHeader(name="From", value="<sip:x@y>")]},
        {"cpim_headers": [message_pb2.CpimHeader(name="imdn.Message-ID", value="1")]},
        {"cpim_headers": [message_pb2.CpimHeader(name="NS", value="no uri")]},
    ],
)
async def test_what_cannot_be_said_is_refused_and_its_neighbours_are_not(
    world: MessageWorld, fields: dict[str, Any]
) -> None:
    own = await world.open(accept_wrapped_types=("text/plain",))
    (bad,) = await world.send(own, "bad", **fields)
    (good,) = await world.send(own, "good")
    assert isinstance(bad.error, InvalidRequestError)
    assert good.error is None
    assert len(await world.rows()) == 1


async def test_a_message_larger_than_the_peer_takes_is_refused(world: MessageWorld) -> None:
    own = await world.open(max_size=10)
    (outcome,) = await world.send(own, "12345678901")
    assert isinstance(outcome.error, InvalidRequestError)


async def test_a_message_that_asks_for_notifications_is_wrapped_and_has_the_same_id(world: MessageWorld) -> None:
    own = await world.open()
    asks = message_pb2.Notifications(positive_delivery=True, display=True)
    header = message_pb2.CpimHeader(name="Subject", value="grüße")
    (outcome,) = await world.send(own, "hello", notifications=asks, cpim_headers=[header])
    await until(lambda: own.wire.sent)
    sent = own.wire.sent[0]
    assert sent.content_type == "message/cpim"
    assert isinstance(sent.body, bytes)
    message = CpimMessage.parse(sent.body)
    assert message_id_of(message) == outcome.message_id == sent.message_id
    assert requested(message) == {Disposition.POSITIVE_DELIVERY, Disposition.DISPLAY}
    assert (message.body, message.content_type, message.subject) == (b"hello", "text/plain", "grüße")
    assert message.sender is not None
    assert message.sender.uri == own.record.local_uri


@pytest.mark.parametrize(
    ("settlement", "status", "state"),
    [
        (Settlement.FAILED, 413, State.FAILED),
        (Settlement.FAILED, 415, State.FAILED),
        (Settlement.UNCONFIRMED, 0, State.UNCONFIRMED),
    ],
)
async def test_what_the_endpoint_says_is_the_state(
    world: MessageWorld, settlement: Settlement, status: int, state: State
) -> None:
    own = await world.open()
    (outcome,) = await world.send(own, "hello")
    await until(lambda: own.wire.sent)
    world.settle(own, outcome.message_id, settlement, status)

    async def settled() -> bool:
        row = (await world.rows())[0]
        return (row.state, row.status) == (state, status or None)

    await eventually(settled)


async def test_what_was_never_sent_has_failed_when_the_session_ends(world: MessageWorld) -> None:
    own = await world.open(held=True)
    own.wire.held = True
    await world.send(own, "one", "two")
    del world.sessions.mine["s1"]
    await world.pipeline.ended(cast(OwnedSession, own), "ended_by_peer")

    async def failed() -> bool:
        return await world.states() == [State.FAILED, State.FAILED]

    await eventually(failed)
    assert "ended_by_peer" in (await world.rows())[0].reason


async def test_outcomes_that_the_database_misses_are_written_when_it_is_back(world: MessageWorld) -> None:
    own = await world.open()
    outcomes = await world.send(own, "one", "two")
    await until(lambda: len(own.wire.sent) == 2)
    world.ledger.is_away = True
    for outcome in outcomes:
        world.settle(own, outcome.message_id)
    await until(lambda: world.pipeline.edits.failures)
    world.ledger.is_away = False

    async def delivered() -> bool:
        return await world.states() == [State.DELIVERED, State.DELIVERED]

    await eventually(delivered)


async def test_a_message_whose_commit_nobody_heard_of_is_sent_all_the_same(world: MessageWorld) -> None:
    own = await world.open()
    await until(lambda: world.pipeline.delivery.flow(cast(OwnedSession, own)).loaded)
    world.ledger.loses_answers = True
    (outcome,) = await world.send(own, "hello", idempotency_key="k")
    assert isinstance(outcome.error, DatabaseError)
    world.ledger.loses_answers = False
    await until(lambda: own.wire.sent)
    (again,) = await world.send(own, "hello", idempotency_key="k")
    assert again.duplicate
    assert len(own.wire.sent) == 1


async def test_a_message_that_was_not_committed_is_not_sent(world: MessageWorld) -> None:
    own = await world.open()
    world.ledger.is_away = True
    (outcome,) = await world.send(own, "lost", idempotency_key="k")
    assert isinstance(outcome.error, DatabaseError)
    world.ledger.is_away = False
    await until(lambda: not world.pipeline.outbound.uncertain)
    (again,) = await world.send(own, "lost", idempotency_key="k")
    assert not again.duplicate
    await until(lambda: own.wire.sent)
    assert len(own.wire.sent) == 1


async def test_a_message_without_an_outcome_in_time_is_unconfirmed_and_withdrawn(world: MessageWorld) -> None:
    own = await world.open(policy={"outcome_timeout": 10.0})
    await world.send(own, "hello")
    await until(lambda: own.wire.sent)
    world.clock.now += 11

    async def unconfirmed() -> bool:
        return await world.states() == [State.UNCONFIRMED]

    await eventually(unconfirmed)
    assert own.wire.on_its_way == {}


async def test_a_message_that_waits_for_a_connection_does_so_until_it_expires(world: MessageWorld) -> None:
    own = await world.open(policy={"outcome_timeout": 10.0, "message_expires": 100.0})
    own.wire.line_is_up = False
    await world.send(own, "hello")
    await until(lambda: own.wire.unsent)
    own.wire.held = True
    world.clock.now += 11

    async def given_back() -> bool:
        row = (await world.rows())[0]
        return (row.state, row.doubts) == (State.ACCEPTED, 0)

    await eventually(given_back)
    world.clock.now += 100
    await world.ledger.end_overdue()
    assert await world.states() == [State.EXPIRED]
    own.wire.held = False
    flow = world.pipeline.delivery.flow(cast(OwnedSession, own))
    await until(lambda: not flow.known)
    assert own.wire.sent == []


async def test_a_message_whose_time_has_passed_is_refused(world: MessageWorld) -> None:
    from google.protobuf.timestamp_pb2 import Timestamp

    own = await world.open()
    (outcome,) = await world.send(own, "late", expires_at=Timestamp(seconds=int(START) - 1))
    assert isinstance(outcome.error, InvalidRequestError)


async def test_a_pod_that_takes_over_sends_again_under_the_same_ids_in_order(tmp_path: Path) -> None:
    async with message_world(tmp_path, pod="pod-1") as first:
        own = await first.open()
        outcomes = await first.send(own, "one", "two")
        await until(lambda: len(own.wire.sent) == 2)
        own.wire.held = True
        outcomes += await first.send(own, "three")
    async with message_world(tmp_path, pod="pod-2") as second:
        taken = await second.open(token=2)
        await until(lambda: len(taken.wire.sent) == 3)
        assert [message.message_id for message in taken.wire.sent] == [outcome.message_id for outcome in outcomes]
        # Whoever sent it before may have got it through: only what never left can fail.
        for outcome in outcomes:
            second.settle(taken, outcome.message_id, Settlement.FAILED, 0)

        async def settled() -> bool:
            return await second.states() == [State.UNCONFIRMED, State.UNCONFIRMED, State.FAILED]

        await eventually(settled)


def whole(own: Any, message_id: str, status: int, last: int = 5) -> Reported:
    return Reported(
        session=own.chat, message_id=message_id, status=status, reason="", first_octet=1, last_octet=last, total=5
    )


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, [(200, 3), (413, 5)]),
        ({"reports": message_pb2.Reports(success=True)}, [(200, 3), (200, 5), (413, 5)]),
        ({"reports": message_pb2.Reports(failure=message_pb2.FAILURE_REPORTS_NO)}, []),
        ({"reports": message_pb2.Reports(failure=message_pb2.FAILURE_REPORTS_PARTIAL)}, [(413, 5)]),
    ],
)
async def test_the_reports_are_told_that_the_application_asked_for(
    world: MessageWorld, asked: dict[str, Any], told: list[tuple[int, int]]
) -> None:
    own = await world.open()
    (outcome,) = await world.send(own, "hello", **asked)
    await until(lambda: own.wire.sent)
    for status, last in ((200, 3), (200, 5), (413, 5)):
        world.pipeline.receive(cast(OwnedSession, own), whole(own, outcome.message_id, status, last))
    assert [(report.status, report.last_octet) for report in world.events.of("report")] == told
    row = await world.ledger.find(outcome.message_id)
    assert row is not None
    expected = asked.get("reports", message_pb2.Reports())
    assert message_of(row).reports.success == expected.success
    assert message_of(row).HasField("reports") == bool(asked)


async def test_an_unknown_wish_for_reports_is_refused(world: MessageWorld) -> None:
    own = await world.open()
    unknown = message_pb2.Reports()
    unknown.ParseFromString(b"\x10\x09")
    (outcome,) = await world.send(own, "hello", reports=unknown)
    assert str(outcome.error) == "reports: failure is one of yes, no and partial"


async def test_a_reference_is_told_with_the_message_and_changes_nothing_about_which_it_is(world: MessageWorld) -> None:
    own = await world.open()
    (first,) = await world.send(own, "hello", idempotency_key="k", reference="gw:1")
    (again,) = await world.send(own, "hello", idempotency_key="k", reference="gw:2")
    assert (again.message_id, again.duplicate, again.error) == (first.message_id, True, None)
    (row,) = await world.rows()
    assert message_of(row).reference == "gw:1"


@pytest.mark.parametrize("reference", ["x" * 129, "a b", "a\tb", "ü", "\x7f"])
async def test_a_reference_that_can_not_be_told_is_refused(world: MessageWorld, reference: str) -> None:
    own = await world.open()
    (outcome,) = await world.send(own, "hello", reference=reference)
    assert isinstance(outcome.error, InvalidRequestError)
    assert str(outcome.error).startswith("reference: ")
