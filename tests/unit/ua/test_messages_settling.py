"""Messages whose senders are told by the application: what it says is durable, then reported as they asked."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from tests.support.ledger import eventually
from tests.support.ua_messages import Answer, FakeOwned, FakeStream, MessageWorld, message_world
from tests.support.waiting import until
from tests.unit.ua.test_messages_inbound import notifications, wrapped
from wigwag.api.ua.v1 import message_pb2, ua_pb2
from wigwag.database.ledger import Claim, LedgerRow, State
from wigwag.errors import ConflictError, InvalidRequestError
from wigwag.protocols.imdn import Disposition, Status
from wigwag.protocols.msrp import FailureReport
from wigwag.ua.endpoint.model import OutgoingReport
from wigwag.ua.messages.settling import checked_outcome
from wigwag.ua.sessions.ports import FinalState, OwnedSession

POLICY = {"reports": "application", "content": "as_is", "accept_types": ("*",), "message_expires": 60.0}
DELIVERED = FinalState(State.DELIVERED)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[MessageWorld]:
    async with message_world(tmp_path) as made:
        yield made


async def come(world: MessageWorld, own: FakeOwned, **asked: Any) -> LedgerRow:
    """Let a message come; returns its row."""
    answer = world.arrive(own, b"hello", **asked)
    await until(lambda: answer.given)
    assert answer.given == [200]
    return (await world.rows())[-1]


async def test_a_message_stays_accepted_after_its_answer_and_nothing_is_reported(world: MessageWorld) -> None:
    own = await world.open(policy=POLICY)
    await come(world, own, success_report=True)
    await world.pipeline.edits.flush(5.0)
    assert await world.states() == [State.ACCEPTED]
    assert own.wire.reports == []


async def test_what_the_application_says_is_in_the_ledger_and_reported(world: MessageWorld) -> None:
    own = await world.open(policy=POLICY)
    row = await come(world, own, success_report=True)
    settled = await world.pipeline.settle(row, DELIVERED)
    assert own.wire.reports == [OutgoingReport(message_id="msrp1", octets=5, status=200)]
    (stored,) = await world.rows()
    assert (stored.state, stored.version) == (settled.state, settled.version) == (State.DELIVERED, 2)


@pytest.mark.parametrize(
    ("outcome", "status", "comment"),
    [
        (FinalState(State.FAILED), 403, ""),
        (FinalState(State.FAILED, 413, "too large there"), 413, "too large there"),
        (FinalState(State.UNCONFIRMED), 408, ""),
        (FinalState(State.EXPIRED, 0, "nobody came"), 408, "nobody came"),
    ],
)
async def test_a_failure_is_reported_with_its_status_and_comment(
    world: MessageWorld, outcome: FinalState, status: int, comment: str
) -> None:
    own = await world.open(policy=POLICY)
    row = await come(world, own)
    await world.pipeline.settle(row, outcome)
    assert own.wire.reports == [OutgoingReport(message_id="msrp1", octets=5, status=status, comment=comment)]
    (stored,) = await world.rows()
    assert (stored.state, stored.status, stored.reason) == (outcome.state, status, comment)


@pytest.mark.parametrize(
    ("success", "failure", "state", "reported"),
    [
        (True, FailureReport.YES, State.DELIVERED, True),
        (False, FailureReport.YES, State.DELIVERED, False),
        (True, FailureReport.YES, State.FAILED, True),
        (False, FailureReport.PARTIAL, State.FAILED, True),
        (True, FailureReport.NO, State.FAILED, False),
        (True, FailureReport.NO, State.DELIVERED, True),
    ],
)
async def test_a_sender_is_told_what_he_asked_for_only(
    world: MessageWorld, success: bool, failure: FailureReport, state: State, reported: bool
) -> None:
    own = await world.open(policy=POLICY)
    row = await come(world, own, success_report=success, failure_report=failure)
    await world.pipeline.settle(row, FinalState(state))
    assert bool(own.wire.reports) is reported


async def test_the_same_once_more_is_reported_once_more_and_something_else_is_refused(world: MessageWorld) -> None:
    own = await world.open(policy=POLICY)
    row = await come(world, own, success_report=True)
    for _ in range(2):
        await world.pipeline.settle(row, DELIVERED)
    (again,) = await world.rows()
    await world.pipeline.settle(again, DELIVERED)
    assert len(own.wire.reports) == 3
    for stale in (row, again):
        with pytest.raises(ConflictError, match="delivered already"):
            await world.pipeline.settle(stale, FinalState(State.FAILED))
    assert len(own.wire.reports) == 3
    assert (again.state, again.version) == (State.DELIVERED, 2)


async def test_nothing_is_reported_that_the_ledger_does_not_hold(
    world: MessageWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = await world.open(policy=POLICY)
    row = await come(world, own, success_report=True)
    world.ledger.is_away = True
    with pytest.raises(Exception, match="away"):
        await world.pipeline.settle(row, DELIVERED)
    assert own.wire.reports == []


async def test_a_message_that_somebody_has_claimed_can_be_settled(world: MessageWorld) -> None:
    own = await world.open(policy=POLICY)
    row = await come(world, own)
    await world.ledger.apply_one(Claim(id=row.id, owner="gateway-1", token=99, until=world.clock.now + 300))
    await world.pipeline.settle(row, FinalState(State.FAILED))
    assert len(own.wire.reports) == 1


async def test_a_message_that_the_sweep_ended_is_reported_when_it_is_settled_as_that(world: MessageWorld) -> None:
    own = await world.open(policy=POLICY)
    row = await come(world, own)
    world.clock.now += 61
    assert await world.ledger.end_overdue() == 1
    assert own.wire.reports == []
    with pytest.raises(ConflictError, match="expired already"):
        await world.pipeline.settle(row, DELIVERED)
    await world.pipeline.settle(row, FinalState(State.EXPIRED))
    assert [report.status for report in own.wire.reports] == [408]


async def test_of_a_session_that_is_over_only_the_row_changes(world: MessageWorld) -> None:
    own = await world.open(policy=POLICY)
    row = await come(world, own, success_report=True)
    del world.sessions.mine["s1"]
    await world.pipeline.settle(row, DELIVERED)
    assert await world.states() == [State.DELIVERED]
    assert own.wire.reports == []


async def test_the_end_of_a_session_leaves_what_came_to_the_application(world: MessageWorld) -> None:
    own = await world.open(policy=POLICY)
    await come(world, own)
    await world.pipeline.ended(cast(OwnedSession, own), "bye")
    await until(lambda: not world.pipeline.delivery.flows())
    assert await world.states() == [State.ACCEPTED]


async def test_whoever_takes_the_session_over_settles_it(tmp_path: Path) -> None:
    async with message_world(tmp_path, pod="pod-1") as first:
        own = await first.open(policy=POLICY)
        await come(first, own, success_report=True)
    async with message_world(tmp_path, pod="pod-2") as second:
        taken = await second.open(token=2, policy=POLICY)
        await until(lambda: second.pipeline.delivery.flow(cast(OwnedSession, taken)).loaded)
        (row,) = await second.rows()
        assert row.state is State.ACCEPTED
        await second.pipeline.settle(row, DELIVERED)
        assert taken.wire.reports == [OutgoingReport(message_id="msrp1", octets=5, status=200)]


async def test_whoever_takes_the_session_over_reports_what_its_owner_may_not_have_come_to(tmp_path: Path) -> None:
    async with message_world(tmp_path, pod="pod-1") as first:
        own = await first.open(policy=POLICY)
        for number, seconds in enumerate((31.0, 1.0, 0.0)):
            row = await come(first, own, message_id=f"msrp{number}", success_report=True)
            if seconds:
                await first.pipeline.settle(row, DELIVERED)
                first.clock.now += seconds
    async with message_world(tmp_path, pod="pod-2") as second:
        second.clock.now = first.clock.now
        taken = second.sessions.add(own.record, token=2, **POLICY)
        await second.pipeline.taken_over(cast(OwnedSession, taken))
        await until(lambda: taken.wire.reports)
        assert taken.wire.reports == [OutgoingReport(message_id="msrp1", octets=5, status=200)]


async def test_a_message_that_comes_again_after_its_outcome_is_answered_and_reported_again(world: MessageWorld) -> None:
    own = await world.open(policy=POLICY)
    row = await come(world, own, success_report=True)
    again = world.arrive(own, b"hello", success_report=True)
    await until(lambda: again.given)
    assert own.wire.reports == []
    await world.pipeline.settle(row, DELIVERED)
    again = world.arrive(own, b"hello", success_report=True)
    await until(lambda: again.given)
    assert (again.given, len(own.wire.reports)) == ([200], 2)
    assert await world.states() == [State.DELIVERED]


async def test_a_report_is_about_all_octets_that_came_with_their_wrapping(world: MessageWorld) -> None:
    own = await world.open(policy={"reports": "application"})
    body = wrapped(Disposition.POSITIVE_DELIVERY)
    answer = world.arrive(own, body, "message/cpim", success_report=True)
    await until(lambda: answer.given)
    assert notifications(own) == []
    (row,) = await world.rows()
    assert row.body == b"hello"
    await world.pipeline.settle(row, DELIVERED)
    assert own.wire.reports == [OutgoingReport(message_id="msrp1", octets=len(body), status=200)]
    assert [notice.status for notice in notifications(own)] == [Status.DELIVERED]


async def test_a_large_message_is_settled_like_others(world: MessageWorld) -> None:
    own = await world.open(policy=POLICY)
    answer = Answer()
    stream = FakeStream(world, own, total=300_000, answer=answer)
    stream.begin()
    stream.piece(b"x" * 300_000)
    stream.end()
    await until(lambda: answer.given)
    (row,) = await world.rows()
    await world.pipeline.settle(row, FinalState(State.FAILED))
    assert own.wire.reports == [OutgoingReport(message_id="stream", octets=300_000, status=403)]


async def test_what_is_reported_at_acceptance_and_what_is_the_applications_own_can_not_be_settled(
    world: MessageWorld,
) -> None:
    own = await world.open()
    answer = world.arrive(own, b"hello", success_report=True)
    await until(lambda: answer.given)

    async def delivered() -> bool:
        return await world.states() == [State.DELIVERED]

    await eventually(delivered)
    await world.send(own, "mine")
    for row in await world.rows():
        with pytest.raises(ConflictError):
            await world.pipeline.settle(row, DELIVERED)
    assert own.wire.reports == []


@pytest.mark.parametrize(
    ("state", "status", "reason", "field"),
    [
        (message_pb2.DELIVERY_STATE_UNSPECIFIED, 0, "", "state"),
        (message_pb2.DELIVERY_STATE_ACCEPTED, 0, "", "state"),
        (message_pb2.DELIVERY_STATE_DISPLAYED, 0, "", "state"),
        (message_pb2.DELIVERY_STATE_DELIVERED, 403, "", "status"),
        (message_pb2.DELIVERY_STATE_FAILED, 200, "", "status"),
        (message_pb2.DELIVERY_STATE_FAILED, 1000, "", "status"),
        (message_pb2.DELIVERY_STATE_FAILED, 403, "a\r\nb", "reason"),
        (message_pb2.DELIVERY_STATE_FAILED, 403, "x" * 256, "reason"),
    ],
)
def test_what_can_not_be_said_is_refused(
    state: message_pb2.DeliveryState, status: int, reason: str, field: str
) -> None:
    with pytest.raises(InvalidRequestError, match=f"^{field}: "):
        checked_outcome(ua_pb2.SettleMessageRequest(message_id="m", state=state, status=status, reason=reason))
