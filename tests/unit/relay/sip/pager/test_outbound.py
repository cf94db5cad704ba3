"""Pager mode, outbound: what is sent, that it is sent once, the one result of each attempt (DESIGN.md section 6)."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.pager import BOB, DESK, Outbox, PagerEdge, arrival, pager_edge, record
from tests.support.sip_edge import DOMAIN, SipClient
from tests.support.waiting import until
from wigwag.api.events.v1.pager_pb2 import PagerHeader, PagerOutcome, PagerResult
from wigwag.bus import Record, UnprocessableError
from wigwag.database.ledger import State
from wigwag.errors import DatabaseError, StoreError
from wigwag.protocols.sip import SipError
from wigwag.relay.sip.incoming import Incoming
from wigwag.relay.sip.pager.silence import LASTS
from wigwag.relay.sip.pager.turns import MOST_WAITING
from wigwag.runtime.events import PAGER_RESULTS
from wigwag.runtime.ledger_events import LedgerEvents
from wigwag.runtime.pager_events import result_of


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[PagerEdge]:
    async with pager_edge(tmp_path) as opened:
        yield opened


async def test_message_reaches_all_devices_and_200_is_delivered(edge: PagerEdge) -> None:
    box, devices = Outbox(edge), [await edge.registered("bob") for _ in range(2)]
    task = box.handle(record(edge, identity=DESK, headers=[PagerHeader(name="Subject", value="news")]))
    requests = [await arrival(device) for device in devices]
    for request in requests:
        assert (request.method, request.body, request.get("subject")) == ("MESSAGE", b"hello", "news")
        assert (request.from_.uri, request.to.uri, request.get("max-forwards")) == (DESK, BOB, "70")
        assert request.get("p-asserted-identity") == f"<{DESK}>"
        assert "contact" not in request
        assert "record-route" not in request
    devices[0].answer(requests[0])
    await task
    assert await box.outcome() == (PagerOutcome.PAGER_OUTCOME_DELIVERED, 200)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (202, PagerOutcome.PAGER_OUTCOME_ACCEPTED),
        (482, PagerOutcome.PAGER_OUTCOME_DELIVERED),
        (486, PagerOutcome.PAGER_OUTCOME_FAILED),
        (603, PagerOutcome.PAGER_OUTCOME_FAILED),
    ],
)
async def test_answer_of_the_device_is_the_outcome(edge: PagerEdge, status: int, outcome: PagerOutcome) -> None:
    box, bob = Outbox(edge), await edge.registered("bob")
    task = box.handle(record(edge))
    bob.answer(await arrival(bob), status, "Answer")
    await task
    assert await box.outcome() == (outcome, status)


async def test_device_that_does_not_answer_leaves_it_unconfirmed(edge: PagerEdge) -> None:
    box, bob = Outbox(edge), await edge.registered("bob")
    task = box.handle(record(edge))
    await arrival(bob)
    edge.pass_time(33)
    await task
    assert await box.outcome() == (PagerOutcome.PAGER_OUTCOME_UNCONFIRMED, 408)


async def timed_out(edge: PagerEdge, box: Outbox, *devices: SipClient) -> None:
    """Let a message to Bob have no answer of any device."""
    task = box.handle(record(edge))
    for device in devices:
        await arrival(device)
    edge.pass_time(33)
    await task


async def test_device_that_has_not_answered_is_not_waited_for_by_the_next_message_too(edge: PagerEdge) -> None:
    box, bob = Outbox(edge), await edge.registered("bob")
    await timed_out(edge, box, bob)
    bob.received()
    await box.handle(record(edge, message_id="m-2"))
    assert bob.received() == []
    assert await box.outcome("m-2/1") == (PagerOutcome.PAGER_OUTCOME_FAILED, 480)
    assert not result_of((await edge.ledger.pending_events())[-1]).sent


async def test_device_that_has_not_answered_is_tried_again_after_a_while(edge: PagerEdge) -> None:
    box, bob = Outbox(edge), await edge.registered("bob")
    await timed_out(edge, box, bob)
    edge.pass_time(LASTS + 1)
    bob.received()
    task = box.handle(record(edge, message_id="m-2"))
    bob.answer(await arrival(bob))
    await task
    assert await box.outcome("m-2/1") == (PagerOutcome.PAGER_OUTCOME_DELIVERED, 200)


async def test_device_that_has_not_answered_is_tried_as_soon_as_it_registers_again(edge: PagerEdge) -> None:
    box, bob = Outbox(edge), await edge.registered("bob")
    await timed_out(edge, box, bob)
    bob.received()
    assert (await bob.register()).status == 200
    task = box.handle(record(edge, message_id="m-2"))
    bob.answer(await arrival(bob))
    await task
    assert await box.outcome("m-2/1") == (PagerOutcome.PAGER_OUTCOME_DELIVERED, 200)


async def test_all_devices_are_tried_again_when_a_new_one_is_there(edge: PagerEdge) -> None:
    box, bob = Outbox(edge), await edge.registered("bob")
    await timed_out(edge, box, bob)
    bob.received()
    other = await edge.registered("bob")
    task = box.handle(record(edge, message_id="m-2"))
    await arrival(bob)
    other.answer(await arrival(other))
    await task
    assert await box.outcome("m-2/1") == (PagerOutcome.PAGER_OUTCOME_DELIVERED, 200)


async def test_user_without_devices_fails_with_480(edge: PagerEdge) -> None:
    box = Outbox(edge)
    await box.handle(record(edge))
    assert await box.outcome() == (PagerOutcome.PAGER_OUTCOME_FAILED, 480)


async def test_message_whose_time_has_run_out_is_not_sent(edge: PagerEdge) -> None:
    box, bob = Outbox(edge), await edge.registered("bob")
    late = record(edge, expires_at={"seconds": int(edge.runtime.wall()) - 1})
    await box.handle(late)
    assert await box.outcome() == (PagerOutcome.PAGER_OUTCOME_EXPIRED, 0)
    assert bob.received() == []


async def test_expiry_travels_with_the_message(edge: PagerEdge) -> None:
    box, bob = Outbox(edge), await edge.registered("bob")
    task = box.handle(record(edge, expires_at={"seconds": int(edge.runtime.wall()) + 60}))
    request = await arrival(bob)
    assert request.get("expires") == "60"
    assert "date" in request
    bob.answer(request)
    await task


# Once


async def test_record_that_comes_again_while_it_is_under_way_is_not_sent_again(edge: PagerEdge) -> None:
    box, bob = Outbox(edge), await edge.registered("bob")
    first = box.handle(record(edge))
    request = await arrival(bob)
    second = box.handle(record(edge, offset=7))
    bob.answer(request)
    await asyncio.gather(first, second)
    assert bob.received() == []
    assert await box.outcome() == (PagerOutcome.PAGER_OUTCOME_DELIVERED, 200)


async def test_record_that_comes_again_after_its_outcome_is_not_sent_again(edge: PagerEdge) -> None:
    box, bob = Outbox(edge), await edge.registered("bob")
    task = box.handle(record(edge))
    bob.answer(await arrival(bob))
    await task
    await box.handle(record(edge, offset=7))
    assert bob.received() == []
    assert (await box.row()).version == 2


async def test_after_a_kill_another_pod_sends_the_same_message(edge: PagerEdge) -> None:
    box, bob = Outbox(edge), await edge.registered("bob", port=4000)
    sent = record(edge)
    killed = box.handle(sent)
    first = await arrival(bob)
    killed.cancel()  # Nothing more is heard of this pod.
    other = PagerEdge(edge.ledger, edge.database, {}, store=edge.store, pod="pod-b")
    bob = SipClient(other, "bob", port=4000)
    other_box = Outbox(other, pod="pod-b")
    task = other_box.handle(sent)
    second = await arrival(bob)
    assert bytes(second) == bytes(first)
    bob.answer(second, 482, "Merged Request")
    await task
    assert await other_box.outcome() == (PagerOutcome.PAGER_OUTCOME_DELIVERED, 482)


async def test_device_that_is_away_after_a_kill_is_tried_again_until_it_may_count_as_unconfirmed(
    edge: PagerEdge,
) -> None:
    box, bob, sent = Outbox(edge), await edge.registered("bob"), record(edge)
    killed = box.handle(sent)
    await arrival(bob)
    killed.cancel()
    await bob.register(expires=0)
    other = Outbox(edge, pod="pod-b")
    with pytest.raises(StoreError):
        await other.handle(sent)
    assert (await box.row()).doubts == 1
    edge.runtime.time += 61
    await other.handle(sent)
    assert await box.outcome() == (PagerOutcome.PAGER_OUTCOME_UNCONFIRMED, 480)


async def test_refusal_after_a_kill_is_no_proof_that_nothing_has_arrived(edge: PagerEdge) -> None:
    box, bob = Outbox(edge), await edge.registered("bob", port=4000)
    killed = box.handle(record(edge))
    await arrival(bob)
    killed.cancel()
    other = PagerEdge(edge.ledger, edge.database, {}, store=edge.store, pod="pod-b")
    bob, other_box = SipClient(other, "bob", port=4000), Outbox(other, pod="pod-b")
    task = other_box.handle(record(edge))
    bob.answer(await arrival(bob), 486, "Busy Here")
    await task
    assert await other_box.outcome() == (PagerOutcome.PAGER_OUTCOME_UNCONFIRMED, 486)


async def test_outcome_that_comes_from_two_pods_is_told_once(edge: PagerEdge) -> None:
    box, bob = Outbox(edge), await edge.registered("bob", port=4000)
    sent = record(edge)
    slow = box.handle(sent)
    first = await arrival(bob)
    other = PagerEdge(edge.ledger, edge.database, {}, store=edge.store, pod="pod-b")
    other.runtime.clock_error = -5  # Its claim would be the older one.
    twin, other_box = SipClient(other, "bob", port=4000), Outbox(other, pod="pod-b")
    task = other_box.handle(sent)
    twin.answer(await arrival(twin))
    await task
    bob.answer(first, 486, "Busy")
    await slow
    assert await box.outcome() == (PagerOutcome.PAGER_OUTCOME_DELIVERED, 200)
    assert box.consumer.counters["too_late"] == 1


async def test_attempt_that_nobody_takes_up_again_becomes_unconfirmed(edge: PagerEdge) -> None:
    box, bob = Outbox(edge), await edge.registered("bob")
    killed = box.handle(record(edge))
    await arrival(bob)
    killed.cancel()
    edge.runtime.time += 61
    await edge.ledger.end_overdue()
    assert await box.outcome() == (PagerOutcome.PAGER_OUTCOME_UNCONFIRMED, 0)


async def test_next_attempt_is_another_message_of_the_same_call_id(edge: PagerEdge) -> None:
    box, bob = Outbox(edge), await edge.registered("bob")
    requests = []
    for attempt in (1, 2):
        task = box.handle(record(edge, attempt=attempt))
        requests.append(await arrival(bob))
        bob.answer(requests[-1], 480 if attempt == 1 else 200, "Answer")
        await task
    first, second = requests
    assert first.call_id == second.call_id
    assert first.via.branch != second.via.branch
    assert (first.cseq.number, second.cseq.number) == (1, 2)
    assert (await box.row("m-1/2")).state is State.DELIVERED


async def test_copy_of_a_message_that_came_in_carries_its_identity(edge: PagerEdge) -> None:
    box, bob = Outbox(edge), await edge.registered("bob")
    task = box.handle(record(edge, call_id="of-alice", cseq=17, from_tag="tag-a"))
    request = await arrival(bob)
    assert (request.call_id, request.cseq.number, request.from_.tag) == ("of-alice", 17, "tag-a")
    bob.answer(request)
    await task


# Order and overload


async def test_second_message_to_the_same_user_waits_for_the_first(edge: PagerEdge) -> None:
    box, bob = Outbox(edge), await edge.registered("bob")
    first = box.handle(record(edge, message_id="m-1", key="one"))
    request = await arrival(bob)
    second = box.handle(record(edge, message_id="m-2", key="two", to_uri=f"sip:bob@{DOMAIN}:5060;transport=tcp"))
    await until(lambda: edge.ledger.counters()["accepted_written"] == 2)
    assert bob.received() == []
    bob.answer(request)
    bob.answer(await arrival(bob))
    await asyncio.gather(first, second)


async def test_users_do_not_wait_for_each_other(edge: PagerEdge) -> None:
    box, bob, carol = Outbox(edge), await edge.registered("bob"), await edge.registered("carol")
    first = box.handle(record(edge, message_id="m-1"))
    request = await arrival(bob)
    second = box.handle(record(edge, message_id="m-2", to_uri=f"sip:carol@{DOMAIN}"))
    carol.answer(await arrival(carol))
    await second
    bob.answer(request)
    await first


async def test_no_more_messages_wait_for_an_address_than_may(edge: PagerEdge) -> None:
    box, bob = Outbox(edge), await edge.registered("bob")
    tasks = [box.handle(record(edge, message_id=f"m-{number}")) for number in range(MOST_WAITING + 2)]
    done, waiting = await asyncio.wait(tasks, timeout=5, return_when=asyncio.FIRST_COMPLETED)
    assert (len(done), len(waiting)) == (1, MOST_WAITING + 1)
    assert await box.outcome(f"m-{MOST_WAITING + 1}/1") == (PagerOutcome.PAGER_OUTCOME_FAILED, 503)
    for _ in waiting:
        bob.answer(await arrival(bob))
    await asyncio.gather(*tasks)


# What can't be sent


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"to_uri": "nonsense"}, 400),
        ({"to_uri": "http://example.com"}, 400),
        ({"to_uri": "sip:alice@elsewhere.example"}, 403),
        ({"to_uri": "sip:kitchen@example.com"}, 403),
        ({"to_uri": "tel:+12015550123"}, 403),
        ({"from_uri": "sip:a@b>\r\nVia: x"}, 400),
        ({"identity": "sip:a@b>\r\nVia: x"}, 400),
        ({"call_id": "x\r\nVia: SIP/2.0/UDP evil"}, 400),
        ({"headers": [PagerHeader(name="Via", value="SIP/2.0/UDP evil;branch=z9hG4bKx")]}, 400),
        ({"headers": [PagerHeader(name="Subject", value="a\r\nRoute: <sip:evil;lr>")]}, 400),
        ({"headers": [PagerHeader(name="no name", value="x")]}, 400),
        ({"content_type": "text/plain\r\n\r\nbody"}, 400),
        ({"body": b"x" * 65_537}, 413),
        ({"body": b"x" * 1_300}, 513),
    ],
)
async def test_message_that_can_not_be_sent_fails_with_the_reason(
    edge: PagerEdge, values: dict[str, Any], status: int
) -> None:
    box, bob = Outbox(edge), await edge.registered("bob")
    await box.handle(record(edge, **values))
    assert await box.outcome() == (PagerOutcome.PAGER_OUTCOME_FAILED, status)
    assert bob.received() == []


async def test_route_that_leads_outside_is_taken(tmp_path: Path) -> None:
    async with pager_edge(tmp_path, routes=[{"domain": "elsewhere.example", "action": "forward"}]) as edge:
        edge.hops.add("elsewhere.example", "203.0.113.99")
        box = Outbox(edge)
        task = box.handle(record(edge, to_uri="sip:zoe@elsewhere.example"))
        neighbour = SipClient(edge, "zoe", host="203.0.113.99", port=5060)
        request = await arrival(neighbour)
        assert request.uri == "sip:zoe@elsewhere.example"
        neighbour.answer(request)
        await task
        assert await box.outcome() == (PagerOutcome.PAGER_OUTCOME_DELIVERED, 200)


async def test_large_message_goes_over_tcp_only(edge: PagerEdge) -> None:
    box, desk, mobile = Outbox(edge), await edge.registered("bob"), await edge.registered("bob", kind="tcp")
    task = box.handle(record(edge, body=b"x" * 2_000))
    mobile.answer(await arrival(mobile))
    await task
    assert desk.received() == []
    assert await box.outcome() == (PagerOutcome.PAGER_OUTCOME_DELIVERED, 200)


@pytest.mark.parametrize(
    "values",
    [{"message_id": ""}, {"message_id": "a/b"}, {"message_id": "a b"}, {"message_id": "x" * 101}, {"attempt": 0}],
)
async def test_record_without_an_identity_belongs_to_the_dead_letters(edge: PagerEdge, values: dict[str, Any]) -> None:
    with pytest.raises(UnprocessableError):
        await Outbox(edge).handle(record(edge, **values))


async def test_bytes_that_are_no_envelope_belong_to_the_dead_letters(edge: PagerEdge) -> None:
    good = record(edge)
    bad = Record(topic=good.topic, partition=0, offset=0, key="k", value=b"\xff\xff", headers={}, time=0.0)
    with pytest.raises(UnprocessableError):
        await Outbox(edge).handle(bad)


class Blocking:
    """Refuses everything, or can't tell."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def concerns(self, aor: str) -> bool:
        return True

    async def check(self, incoming: Incoming, aor: str) -> None:
        raise self.error


# When something is away


async def test_while_bindings_can_not_be_known_the_record_is_tried_again_without_a_doubt(edge: PagerEdge) -> None:
    box = Outbox(edge)
    edge.edge.neighbours.screening = Blocking(SipError("the store is away", status=503))
    with pytest.raises(StoreError):
        await box.handle(record(edge))
    row = await box.row()
    assert (row.state, row.doubts) == (State.ACCEPTED, 0)


async def test_nothing_is_sent_before_the_attempt_is_durable(edge: PagerEdge) -> None:
    box, bob = Outbox(edge), await edge.registered("bob")
    edge.ledger.away = True
    with pytest.raises(DatabaseError):
        await box.handle(record(edge))
    assert bob.received() == []


async def test_outcome_is_written_when_the_database_is_back_and_nothing_is_sent_again(edge: PagerEdge) -> None:
    box, bob = Outbox(edge), await edge.registered("bob")
    task = box.handle(record(edge))
    request = await arrival(bob)
    edge.ledger.edits_away = True
    bob.answer(request)
    with pytest.raises(DatabaseError):
        await task
    edge.ledger.edits_away = False
    await box.handle(record(edge))
    assert bob.received() == []
    assert await box.outcome() == (PagerOutcome.PAGER_OUTCOME_DELIVERED, 200)


def test_topics_of_results_is_declared_by_who_publishes_them() -> None:
    declared: list[str] = []

    class Listening:
        def declare(self, *topics: Any) -> None:
            declared.extend(topic.name for topic in topics)

    LedgerEvents(Listening(), "pod")  # type: ignore[arg-type]
    assert PAGER_RESULTS.name in declared


# Whether anything of it left


async def result(edge: PagerEdge, row: str = "m-1/1") -> PagerResult:
    (event,) = [event for event in await edge.ledger.pending_events() if event.id == row]
    return result_of(event)


async def test_result_says_that_nothing_left_when_nobody_is_there(edge: PagerEdge) -> None:
    await Outbox(edge).handle(record(edge))
    found = await result(edge)
    assert (found.status, found.sent, found.reason) == (480, False, "Temporarily Unavailable")


@pytest.mark.parametrize(("status", "reason"), [(480, "Away"), (404, "not sent: really"), (486, "Busy")])
async def test_refusal_of_a_device_was_sent_whatever_its_words(edge: PagerEdge, status: int, reason: str) -> None:
    box, bob = Outbox(edge), await edge.registered("bob")
    task = box.handle(record(edge))
    bob.answer(await arrival(bob), status, reason)
    await task
    found = await result(edge)
    assert (found.outcome, found.status, found.sent) == (PagerOutcome.PAGER_OUTCOME_FAILED, status, True)


async def test_message_that_is_delivered_or_unconfirmed_was_sent(edge: PagerEdge) -> None:
    box, bob = Outbox(edge), await edge.registered("bob")
    task = box.handle(record(edge))
    bob.answer(await arrival(bob))
    await task
    task = box.handle(record(edge, message_id="m-2"))
    await arrival(bob)
    edge.pass_time(33)
    await task
    assert (await result(edge)).sent
    assert (await result(edge, "m-2/1")).sent


async def test_expired_message_was_not_sent(edge: PagerEdge) -> None:
    late = record(edge, expires_at={"seconds": int(edge.runtime.wall()) - 1})
    await Outbox(edge).handle(late)
    found = await result(edge)
    assert (found.outcome, found.sent) == (PagerOutcome.PAGER_OUTCOME_EXPIRED, False)


# Which devices


async def test_message_goes_to_the_devices_that_are_named(edge: PagerEdge) -> None:
    box = Outbox(edge)
    first, second = [await edge.registered("bob") for _ in range(2)]
    task = box.handle(record(edge, bindings=[second.contact]))
    second.answer(await arrival(second))
    await task
    assert ((await result(edge)).outcome, first.received()) == (PagerOutcome.PAGER_OUTCOME_DELIVERED, [])


async def test_device_that_is_registered_no_more_is_absent(edge: PagerEdge) -> None:
    await edge.registered("bob")
    await Outbox(edge).handle(record(edge, bindings=["sip:bob@192.0.2.200"]))
    found = await result(edge)
    assert (found.status, found.sent) == (480, False)


async def test_message_goes_to_no_device_that_takes_none(tmp_path: Path) -> None:
    async with pager_edge(tmp_path, {"services": ["gateway"]}) as edge:
        box, session = Outbox(edge), SipClient(edge, "bob")
        assert (await session.register(methods='"INVITE,BYE"')).status == 200
        await box.handle(record(edge))
        found = await result(edge)
        assert (found.status, found.sent, session.received()) == (405, False, [])
        page = await edge.registered("bob")
        task = box.handle(record(edge, message_id="m-2"))
        page.answer(await arrival(page))
        await task
        assert ((await result(edge, "m-2/1")).sent, session.received()) == (True, [])


async def test_answer_that_no_message_is_taken_is_remembered(tmp_path: Path) -> None:
    async with pager_edge(tmp_path, {"services": ["gateway"]}) as edge:
        box, bob = Outbox(edge), await edge.registered("bob")
        task = box.handle(record(edge))
        bob.answer(await arrival(bob), 405, "Method Not Allowed")
        await task
        assert (await result(edge)).sent
        await box.handle(record(edge, message_id="m-2"))
        found = await result(edge, "m-2/1")
        assert (found.status, found.sent) == (405, False)


async def test_row_that_names_the_gateway_does_not_hold_up_what_comes_from_there(tmp_path: Path) -> None:
    routes = [{"user": "bob", "action": "service", "service": "gateway"}]
    async with pager_edge(tmp_path, {"services": ["gateway"]}, routes=routes) as edge:
        box, bob = Outbox(edge), await edge.registered("bob")
        task = box.handle(record(edge))
        bob.answer(await arrival(bob))
        await task
        assert (await result(edge)).outcome == PagerOutcome.PAGER_OUTCOME_DELIVERED
