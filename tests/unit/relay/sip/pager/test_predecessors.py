"""Order of what the edge sends: nothing overtakes a message that is to be sent again (``PagerRequest.predecessor``)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.pager import Outbox, PagerEdge, arrival, pager_edge, record
from wigwag.api.events.v1.pager_pb2 import PagerOutcome
from wigwag.database.ledger import LedgerRow
from wigwag.errors import StoreError
from wigwag.runtime.pager_events import BEHIND, NOT_SENT


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[PagerEdge]:
    async with pager_edge(tmp_path) as opened:
        yield opened


async def test_message_behind_one_that_reached_nobody_is_not_sent(edge: PagerEdge) -> None:
    box = Outbox(edge)
    await box.handle(record(edge))
    bob = await edge.registered("bob")
    await box.handle(record(edge, message_id="m-2", predecessor="m-1/1"))
    await box.handle(record(edge, message_id="m-3", predecessor="m-2/1"))
    assert bob.received() == []
    for row in ("m-2/1", "m-3/1"):
        assert await box.outcome(row) == (PagerOutcome.PAGER_OUTCOME_FAILED, 480)
        assert (await box.row(row)).reason == f"{NOT_SENT}{BEHIND}"


async def test_message_behind_one_that_reached_nobody_at_another_pod_is_not_sent(edge: PagerEdge) -> None:
    await Outbox(edge, "pod-b").handle(record(edge))
    box, bob = Outbox(edge), await edge.registered("bob")
    await box.handle(record(edge, message_id="m-2", predecessor="m-1/1"))
    assert bob.received() == []
    assert await box.outcome("m-2/1") == (PagerOutcome.PAGER_OUTCOME_FAILED, 480)


@pytest.mark.parametrize("other_pod", [False, True])
@pytest.mark.parametrize("status", [200, 202, 486, 603, 480, 415])
async def test_message_behind_one_that_was_answered_is_sent(edge: PagerEdge, status: int, other_pod: bool) -> None:
    box, bob = Outbox(edge), await edge.registered("bob")
    first = box.handle(record(edge))
    bob.answer(await arrival(bob), status, "Answer")
    await first
    box = Outbox(edge, "pod-b") if other_pod else box
    second = box.handle(record(edge, message_id="m-2", predecessor="m-1/1"))
    bob.answer(await arrival(bob))
    await second


async def test_message_behind_one_that_can_never_be_sent_is_sent(edge: PagerEdge) -> None:
    box, bob = Outbox(edge), await edge.registered("bob")
    await box.handle(record(edge, body=b"x" * 1_300))
    second = box.handle(record(edge, message_id="m-2", predecessor="m-1/1"))
    bob.answer(await arrival(bob))
    await second


@pytest.mark.parametrize("other_pod", [False, True])
async def test_what_a_device_without_cpim_may_get_unwrapped_goes_before_text_but_not_before_more_cpim(
    edge: PagerEdge, other_pod: bool
) -> None:
    box, bob = Outbox(edge), await edge.registered("bob")
    first = box.handle(record(edge, content_type="Message/CPIM"))
    bob.answer(await arrival(bob), 415, "Unsupported Media Type")
    await first
    box = Outbox(edge, "pod-b") if other_pod else box
    second = box.handle(record(edge, message_id="m-2", predecessor="m-1/1", content_type="message/cpim"))
    bob.answer(await arrival(bob), 415, "Unsupported Media Type")
    await second
    await box.handle(record(edge, message_id="m-3", predecessor="m-2/1"))
    assert await box.outcome("m-3/1") == (PagerOutcome.PAGER_OUTCOME_FAILED, 480)


async def test_message_behind_one_that_is_under_way_elsewhere_waits_for_its_outcome(edge: PagerEdge) -> None:
    elsewhere, box, bob = Outbox(edge, "pod-b"), Outbox(edge), await edge.registered("bob")
    first = elsewhere.handle(record(edge))
    request = await arrival(bob)
    with pytest.raises(StoreError):
        await box.handle(record(edge, message_id="m-2", predecessor="m-1/1"))
    assert (await box.row("m-2/1")).attempt == 0
    bob.answer(request)
    await first
    second = box.handle(record(edge, message_id="m-2", predecessor="m-1/1"))
    bob.answer(await arrival(bob))
    await second


async def test_attempt_whose_outcome_nobody_tells_holds_up_nothing_for_ever(edge: PagerEdge) -> None:
    elsewhere, box, bob = Outbox(edge, "pod-b"), Outbox(edge), await edge.registered("bob")
    first = elsewhere.handle(record(edge))
    await arrival(bob)
    edge.runtime.time += 61
    second = box.handle(record(edge, message_id="m-2", predecessor="m-1/1"))
    bob.answer(await arrival(bob))
    await second
    first.cancel()


@pytest.mark.parametrize("predecessor", ["m-0/1", "m-2/1", "no such id", "\u00e9/1"])
async def test_predecessor_that_nobody_knows_holds_up_nothing(edge: PagerEdge, predecessor: str) -> None:
    box, bob = Outbox(edge), await edge.registered("bob")
    task = box.handle(record(edge, message_id="m-2", predecessor=predecessor))
    bob.answer(await arrival(bob))
    await task


async def test_how_the_message_before_ended_is_looked_up_only_if_another_pod_has_sent_it(
    edge: PagerEdge, monkeypatch: pytest.MonkeyPatch
) -> None:
    box, bob, looked_up = Outbox(edge), await edge.registered("bob"), []
    find = edge.ledger.find

    async def noted(message_id: str) -> LedgerRow | None:
        looked_up.append(message_id)
        return await find(message_id)

    monkeypatch.setattr(edge.ledger, "find", noted)
    for number in range(1, 4):
        predecessor = f"m-{number - 1}/1" if number > 1 else ""
        task = box.handle(record(edge, message_id=f"m-{number}", predecessor=predecessor))
        bob.answer(await arrival(bob))
        await task
    assert looked_up == []
