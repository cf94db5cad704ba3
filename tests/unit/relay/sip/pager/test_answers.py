"""Answers that wait for what becomes of a MESSAGE, where the route asks for it (RFC 3428 section 7, RFC 4320)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.pager import PagerEdge, pager_edge
from tests.support.sip_edge import SipClient
from wigwag.database.ledger import Change, Outcome, State
from wigwag.protocols.sip import Request
from wigwag.relay.sip.pager import answers
from wigwag.runtime.pager_events import message_of

ROUTES = [
    {"user": "helpdesk", "action": "service", "service": "desk", "answer": "delivery"},
    {"user": "bob", "action": "location", "answer": "delivery"},
]
PATIENCE = 25.0


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[PagerEdge]:
    async with pager_edge(tmp_path, {"services": ["desk", "gateway"]}, routes=ROUTES) as opened:
        yield opened


async def waiting(edge: PagerEdge, to: str = "helpdesk") -> tuple[SipClient, str]:
    """Return a sender that waits, and the id of his message."""
    alice = edge.neighbour()
    await edge.sent(alice, alice.message(to))
    assert alice.received() == []
    (row,) = await edge.rows()
    return alice, row.id


async def end(edge: PagerEdge, message_id: str, state: State, status: int | None = None, reason: str = "") -> None:
    """Let a message end, and the edge look at it."""
    change = Change(id=message_id, version=1, state=state, status=status, reason=reason)
    assert (await edge.ledger.apply_one(change)).done
    await edge.wait(0.3)


async def test_sender_hears_of_the_delivery(edge: PagerEdge) -> None:
    alice, message_id = await waiting(edge)
    await edge.wait(5)
    assert alice.received() == []
    await end(edge, message_id, State.DELIVERED, 200)
    response = alice.response()
    assert (response.status, response.body, "contact" in response) == (200, b"", False)


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome(State.DELIVERED, 200, ""), 200),
        (Outcome(State.DISPLAYED, None, ""), 200),
        (Outcome(State.FAILED, 486, "Busy Here"), 486),
        (Outcome(State.FAILED, 413, ""), 413),
        (Outcome(State.FAILED, 0, ""), 480),
        (Outcome(State.FAILED, None, ""), 480),
        (Outcome(State.FAILED, 408, "Request Timeout"), 480),
        (Outcome(State.FAILED, 407, "Proxy Authentication Required"), 480),
        (Outcome(State.FAILED, 200, "odd"), 480),
        (Outcome(State.FAILED, 1_000, "odd"), 480),
        (Outcome(State.UNCONFIRMED, 408, ""), 202),
        (Outcome(State.EXPIRED, None, ""), 480),
    ],
)
def test_every_outcome_has_an_answer(outcome: Outcome, status: int) -> None:
    found, reason = answers.answer_to(outcome)
    assert found == status
    assert reason


async def test_sender_hears_of_the_failure(edge: PagerEdge) -> None:
    alice, message_id = await waiting(edge)
    await end(edge, message_id, State.FAILED, 415, "Unsupported Media Type")
    response = alice.response()
    assert response.start_line == "SIP/2.0 415 Unsupported Media Type"
    assert "retry-after" not in response


@pytest.mark.parametrize("status", [480, 503])
async def test_sender_hears_when_to_try_again_what_failed_for_now(edge: PagerEdge, status: int) -> None:
    alice, message_id = await waiting(edge)
    await end(edge, message_id, State.FAILED, status, "Later")
    assert int(alice.response().get("retry-after") or 0) > 0


async def test_sender_is_answered_202_before_he_gives_up(edge: PagerEdge) -> None:
    alice, message_id = await waiting(edge)
    await edge.wait(PATIENCE - 0.5)
    assert alice.received() == []
    await edge.wait(1)
    assert alice.response().status == 202
    await end(edge, message_id, State.DELIVERED)
    assert alice.received() == []


async def test_repetitions_meanwhile_are_absorbed(edge: PagerEdge) -> None:
    alice = edge.neighbour()
    request = await edge.sent(alice, alice.message("helpdesk"))
    for _ in range(3):
        await edge.sent(alice, request)
    assert alice.received() == []
    (row,) = await edge.rows()
    await end(edge, row.id, State.DELIVERED)
    assert alice.response().status == 200


async def test_repetition_at_another_pod_is_answered_alike(edge: PagerEdge) -> None:
    other = PagerEdge(edge.ledger, edge.database, {}, ROUTES, store=edge.store, pod="pod-b")
    senders = []
    for pod in (edge, other):
        alice = pod.neighbour()
        await pod.sent(alice, alice.message("helpdesk", branch="z9hG4bKsame", call_id="same"))
        senders.append(alice)
    (row,) = await edge.rows()
    await end(edge, row.id, State.DELIVERED)
    await other.wait(0.3)
    assert [alice.response().status for alice in senders] == [200, 200]


async def test_message_says_until_when_its_sender_waits(edge: PagerEdge) -> None:
    _, message_id = await waiting(edge)
    message = message_of(await edge.row(message_id))
    assert message.answered_by.ToMicroseconds() / 1e6 == pytest.approx(edge.runtime.wall() + PATIENCE, abs=0.1)
    assert not {"Pager-Reason", "Pager-Answered-By"}.intersection(header.name for header in message.headers)


async def test_message_of_another_row_says_nothing_of_it(edge: PagerEdge) -> None:
    alice = edge.neighbour()
    await edge.sent(alice, alice.message("carol"))
    assert alice.response().status == 202
    (row,) = await edge.rows()
    assert not message_of(row).HasField("answered_by")


async def test_sender_to_an_absent_user_waits_too(edge: PagerEdge) -> None:
    alice, message_id = await waiting(edge, "bob")
    await end(edge, message_id, State.DELIVERED)
    assert alice.response().status == 200


async def test_sender_waits_from_the_arrival_of_his_message_not_from_its_keeping(edge: PagerEdge) -> None:
    alice = edge.neighbour()
    await edge.registered("bob")
    await edge.sent(alice, alice.message("bob"))
    await edge.wait(24.5)
    assert alice.received() == []
    await edge.wait(1)
    assert alice.response().status == 202


async def test_device_that_answers_late_answers_the_sender(edge: PagerEdge) -> None:
    alice, bob = edge.neighbour(), await edge.registered("bob")
    await edge.sent(alice, alice.message("bob"))
    await edge.wait(12)
    assert alice.received() == []
    bob.answer(next(message for message in bob.received() if isinstance(message, Request)))
    await edge.wait(15)
    assert alice.response().status == 200


async def test_no_more_wait_than_may(edge: PagerEdge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MOST", 1)
    alice, _ = await waiting(edge)
    second = await edge.sent(alice, alice.message("helpdesk"))
    response = alice.response()
    assert (response.status, response.call_id) == (202, second.call_id)
    last = (await edge.rows())[-1]
    assert not message_of(last).HasField("answered_by")


async def test_database_that_is_away_meanwhile_costs_nothing_but_time(edge: PagerEdge) -> None:
    alice, message_id = await waiting(edge)
    edge.ledger.away = True
    await edge.wait(2)
    assert alice.received() == []
    edge.ledger.away = False
    await end(edge, message_id, State.DELIVERED)
    assert alice.response().status == 200


async def test_nothing_is_asked_when_nobody_waits(edge: PagerEdge, monkeypatch: pytest.MonkeyPatch) -> None:
    alice = edge.neighbour()
    await edge.sent(alice, alice.message("carol"))
    monkeypatch.setattr(edge.ledger, "outcomes", None)
    await edge.wait(1)
    assert alice.response().status == 202
