"""Pager mode, inbound: what is kept, when it is answered 202, what a late answer does (RFC 3428 section 7)."""

from collections.abc import AsyncIterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from tests.support.pager import PagerEdge, pager_edge
from tests.support.sip_edge import DOMAIN, TRUSTED, SipClient
from wigwag.database.ledger import Claim, Refusal, State
from wigwag.protocols.sip import Request, Response

BOB = f"sip:bob@{DOMAIN}"


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[PagerEdge]:
    async with pager_edge(tmp_path) as opened:
        yield opened


def with_fields(request: Request, **fields: str) -> Request:
    for name, value in fields.items():
        request.set(name.replace("_", "-"), value)
    return request


# Absent users


async def test_message_for_a_user_without_bindings_is_kept_and_answered_202(edge: PagerEdge) -> None:
    alice = edge.neighbour()
    await edge.sent(alice, with_fields(alice.message("bob", "hello"), Subject="greeting"))
    response = alice.response()
    assert (response.status, response.body) == (202, b"")
    assert "contact" not in response
    (row,) = await edge.rows()
    assert (row.recipient, row.sender, row.body, row.service) == (BOB, f"sip:alice@{DOMAIN}", b"hello", "gateway")
    assert ("Subject", "greeting") in row.headers
    assert (row.attempt, row.doubts) == (0, 0)


async def test_nothing_is_kept_unless_the_setting_says_so(tmp_path: Path) -> None:
    async with pager_edge(tmp_path, {"store": False}) as edge:
        alice = edge.neighbour()
        await edge.sent(alice, alice.message("bob"))
        assert alice.response().status == 480
        assert await edge.rows() == []


async def test_only_users_of_the_listed_domains_may_store(tmp_path: Path) -> None:
    async with pager_edge(tmp_path, {"store_domains": ["other.example"]}) as edge:
        alice = edge.neighbour()
        await edge.sent(alice, alice.message("bob"))
        assert alice.response().status == 480


async def test_nothing_is_kept_for_who_does_not_exist(edge: PagerEdge) -> None:
    alice = edge.neighbour()
    await edge.sent(alice, alice.message("nobody"))
    assert alice.response().status == 404
    assert await edge.rows() == []


async def test_message_that_no_device_answers_is_kept_after_ten_seconds(edge: PagerEdge) -> None:
    alice, bob = edge.neighbour(), await edge.registered("bob")
    await edge.sent(alice, alice.message("bob"))
    await edge.wait(9.9)
    assert alice.received() == []
    await edge.wait(0.2)
    assert alice.response().status == 202
    assert bob.received() != []


async def test_message_that_a_device_may_have_is_no_message_that_never_arrived(edge: PagerEdge) -> None:
    alice = edge.neighbour()
    await edge.registered("bob")
    await edge.sent(alice, alice.message("bob"))
    await edge.wait(10.1)
    (row,) = await edge.rows()
    assert (row.doubts, row.due) == (1, row.expires)
    edge.runtime.time += 300_000
    await edge.ledger.end_overdue()
    assert (await edge.row(row.id)).state is State.UNCONFIRMED


async def test_message_that_nobody_fetches_expires(edge: PagerEdge) -> None:
    alice = edge.neighbour()
    await edge.sent(alice, alice.message("bob"))
    (row,) = await edge.rows()
    edge.runtime.time += 300_000
    await edge.ledger.end_overdue()
    assert (await edge.row(row.id)).state is State.EXPIRED


@pytest.mark.parametrize(("status", "answer"), [(480, 202), (408, 202), (430, 202), (486, 486), (404, 404), (603, 603)])
async def test_only_what_says_that_nobody_is_there_makes_it_kept(edge: PagerEdge, status: int, answer: int) -> None:
    alice, bob = edge.neighbour(), await edge.registered("bob")
    await edge.sent(alice, alice.message("bob"))
    bob.answer(bob.incoming(), status, "Answer")
    await edge.settle()
    assert alice.response().status == answer
    assert [row.doubts for row in await edge.rows()] == ([0] if answer == 202 else [])


async def test_message_refused_by_one_device_is_not_kept_although_another_is_away(edge: PagerEdge) -> None:
    alice = edge.neighbour()
    desk, mobile = [await edge.registered("bob") for _ in range(2)]
    await edge.sent(alice, alice.message("bob"))
    desk.answer(desk.incoming(), 480, "Away")
    mobile.answer(mobile.incoming(), 486, "Busy")
    await edge.settle()
    assert alice.response().status in (480, 486)
    assert await edge.rows() == []


async def test_message_whose_connection_is_lost_is_kept(edge: PagerEdge) -> None:
    alice, bob = edge.neighbour(), await edge.registered("bob", kind="tcp")
    await edge.sent(alice, alice.message("bob"))
    bob.disconnect()
    await edge.settle()
    assert alice.response().status == 202
    assert [row.doubts for row in await edge.rows()] == [1]


async def test_message_that_is_delivered_leaves_no_trace(edge: PagerEdge) -> None:
    alice, bob = edge.neighbour(), await edge.registered("bob")
    edge.parts.pager.unsure_until = 0
    await edge.sent(alice, alice.message("bob"))
    bob.answer(bob.incoming())
    await edge.wait(40)
    assert alice.response().status == 200
    assert (await edge.rows(), edge.ledger.counters()["edits_written"]) == ([], 0)


async def test_message_in_a_dialog_is_never_kept(edge: PagerEdge) -> None:
    alice = edge.neighbour()
    await edge.sent(alice, with_fields(alice.message("bob"), To=f"<{BOB}>;tag=of-a-dialog"))
    assert alice.response().status == 480
    assert await edge.rows() == []


async def test_message_with_contact_and_record_route_makes_no_dialog(edge: PagerEdge) -> None:
    alice = edge.neighbour()
    fields = {"Contact": "<sip:alice@198.51.100.7>", "Record-Route": "<sip:198.51.100.7;lr>"}
    await edge.sent(alice, with_fields(alice.message("bob"), **fields))
    response = alice.response()
    assert (response.status, "contact" in response, "record-route" in response) == (202, False, False)
    (row,) = await edge.rows()
    assert {name for name, _ in row.headers}.isdisjoint({"Contact", "Record-Route"})


async def test_message_whose_sender_is_gone_before_it_is_kept_is_not_kept(edge: PagerEdge) -> None:
    alice = SipClient(edge, "alice", kind="tcp", host=TRUSTED)
    await edge.registered("bob")
    await edge.sent(alice, alice.message("bob"))
    alice.disconnect()
    await edge.wait(11)
    assert await edge.rows() == []


async def test_message_is_forked_kept_once_and_called_off_by_any_device(edge: PagerEdge) -> None:
    alice = edge.neighbour()
    devices = [await edge.registered("bob") for _ in range(3)]
    await edge.sent(alice, alice.message("bob"))
    requests = [device.incoming() for device in devices]
    await edge.wait(10.1)
    assert alice.response().status == 202
    (row,) = await edge.rows()
    for device, request in zip(devices, requests, strict=True):
        device.answer(request)
        await edge.settle()
    assert ((await edge.row(row.id)).state, alice.received()) == (State.DELIVERED, [])


# Identity of a message


async def test_retransmission_at_another_pod_is_the_same_row(edge: PagerEdge) -> None:
    other = PagerEdge(edge.ledger, edge.database, {}, store=edge.store, pod="pod-b")
    answers = []
    for pod in (edge, other):
        alice = pod.neighbour()
        await pod.sent(alice, alice.message("bob", branch="z9hG4bKsame", call_id="same"))
        answers.append(alice.response().status)
    assert answers == [202, 202]
    assert len(await edge.rows()) == 1


@pytest.mark.parametrize("change", [{"branch": "z9hG4bKother"}, {"branch": "z9hG4bKmore", "to": "carol"}])
async def test_another_message_is_another_row(edge: PagerEdge, change: dict[str, str]) -> None:
    for more in ({}, change):
        alice = edge.neighbour()
        fields = {"branch": "z9hG4bKsame", "call_id": "same", "to": "bob", **more}
        await edge.sent(alice, alice.message(fields.pop("to"), **fields))
    assert len(await edge.rows()) == 2


async def test_client_that_repeats_itself_gets_202_again_and_one_row_stands(edge: PagerEdge) -> None:
    alice = edge.neighbour()
    request = await edge.sent(alice, alice.message("bob"))
    await edge.sent(alice, request)
    assert [response.start_line for response in alice.received()] == ["SIP/2.0 202 Accepted"] * 2
    assert len(await edge.rows()) == 1


# When the database is away


async def test_without_the_database_it_is_503_and_never_202(edge: PagerEdge) -> None:
    alice = edge.neighbour()
    edge.ledger.away = True
    await edge.sent(alice, alice.message("bob"))
    response = alice.response()
    assert (response.status, response.get("retry-after")) == (503, "5")


async def test_database_that_is_away_while_a_device_may_answer_ends_nothing(edge: PagerEdge) -> None:
    alice, bob = edge.neighbour(), await edge.registered("bob")
    await edge.sent(alice, alice.message("bob"))
    edge.ledger.away = True
    await edge.wait(10.1)
    assert alice.received() == []
    edge.ledger.away = False
    bob.answer(next(message for message in bob.received() if isinstance(message, Request)), 480, "Away")
    await edge.settle()
    assert alice.response().status == 202


# Late answers


async def late(edge: PagerEdge) -> tuple[SipClient, SipClient, Request, str]:
    """Return sender, device, request and row of a message that was kept although a device rings."""
    alice, bob = edge.neighbour(), await edge.registered("bob")
    await edge.sent(alice, alice.message("bob"))
    await edge.wait(10.1)
    assert alice.response().status == 202
    request = next(message for message in bob.received() if isinstance(message, Request))
    (row,) = await edge.rows()
    return alice, bob, request, row.id


async def test_device_that_answers_late_has_it_and_the_copy_is_called_off(edge: PagerEdge) -> None:
    alice, bob, request, row = await late(edge)
    bob.answer(request)
    await edge.settle()
    assert alice.received() == []
    found = await edge.row(row)
    assert (found.state, found.status) == (State.DELIVERED, 200)
    claim = await edge.ledger.apply_one(Claim(id=row, owner="gateway-1", token=7))
    assert claim.refusal is Refusal.TRANSITION


async def test_late_202_is_no_delivery_but_ends_the_copy(edge: PagerEdge) -> None:
    _, bob, request, row = await late(edge)
    bob.answer(request, 202, "Accepted")
    await edge.settle()
    assert (await edge.row(row)).state is State.UNCONFIRMED


async def test_copy_that_is_delivered_already_stays_so(edge: PagerEdge) -> None:
    _, bob, request, row = await late(edge)
    claim = await edge.ledger.apply_one(Claim(id=row, owner="gateway-1", token=7))
    assert claim.done
    bob.answer(request)
    await edge.settle()
    found = await edge.row(row)
    assert (found.state, found.version) == (State.DELIVERED, 2)


async def test_late_answer_is_written_when_the_database_is_back(edge: PagerEdge) -> None:
    _, bob, request, row = await late(edge)
    edge.ledger.away = True
    bob.answer(request)
    await edge.wait(3)
    edge.ledger.away = False
    await edge.wait(1.1)
    assert (await edge.row(row)).state is State.DELIVERED


async def test_answer_while_it_is_being_kept_goes_back_and_calls_the_copy_off(edge: PagerEdge) -> None:
    alice, bob = edge.neighbour(), await edge.registered("bob")
    await edge.sent(alice, alice.message("bob"))
    edge.pass_time(10.1)  # It is being written now.
    bob.answer(next(message for message in bob.received() if isinstance(message, Request)))
    await edge.settle()
    assert alice.response().status == 200
    assert await edge.rows() == []


async def test_retransmission_that_is_delivered_after_a_pod_was_lost_calls_off_what_that_pod_kept(
    edge: PagerEdge,
) -> None:
    other = PagerEdge(edge.ledger, edge.database, {}, store=edge.store, pod="pod-b")
    alice = edge.neighbour()
    await edge.sent(alice, alice.message("bob", branch="z9hG4bKsame", call_id="same"))
    (row,) = await edge.rows()
    other.parts.pager.unsure_until = 0
    other.parts.pager.pod_lost(other.runtime.time)
    alice, bob = other.neighbour(), await other.registered("bob")
    await other.sent(alice, alice.message("bob", branch="z9hG4bKsame", call_id="same"))
    bob.answer(bob.incoming())
    await other.settle()
    assert alice.response().status == 200
    assert (await edge.row(row.id)).state is State.DELIVERED


# Expires, Date, limits


async def test_expires_bounds_how_long_a_message_waits(edge: PagerEdge) -> None:
    alice = edge.neighbour()
    await edge.sent(alice, with_fields(alice.message("bob"), Expires="60"))
    (row,) = await edge.rows()
    assert row.expires == edge.runtime.wall() + 60


async def test_expires_counts_from_date(edge: PagerEdge) -> None:
    alice, now = edge.neighbour(), edge.runtime.wall()
    request = with_fields(alice.message("bob"), Expires="60", Date=formatdate(now - 50, usegmt=True))
    await edge.sent(alice, request)
    (row,) = await edge.rows()
    assert row.expires == pytest.approx(now + 10, abs=1)


async def test_date_in_the_future_makes_a_message_no_longer_lived(edge: PagerEdge) -> None:
    alice, now = edge.neighbour(), edge.runtime.wall()
    request = with_fields(alice.message("bob"), Expires="60", Date=formatdate(now + 5000, usegmt=True))
    await edge.sent(alice, request)
    (row,) = await edge.rows()
    assert row.expires == now + 60


@pytest.mark.parametrize("fields", [{"Expires": "0"}, {"Expires": "10", "Date": "Sat, 13 Nov 2010 23:29:00 GMT"}])
async def test_message_whose_time_has_run_out_is_not_kept(edge: PagerEdge, fields: dict[str, str]) -> None:
    alice = edge.neighbour()
    await edge.sent(alice, with_fields(alice.message("bob"), **fields))
    assert alice.response().status == 480
    assert await edge.rows() == []


async def test_no_more_messages_wait_for_a_user_than_are_allowed(tmp_path: Path) -> None:
    async with pager_edge(tmp_path, {"per_user": 2}) as edge:
        alice, last = edge.neighbour(), None
        answers = []
        for _ in range(3):
            last = await edge.sent(alice, alice.message("bob"))
            answers.append(alice.response().status)
        assert answers == [202, 202, 480]
        await edge.sent(alice, alice.message("carol"))
        assert alice.response().status == 202
        assert last is not None


async def test_burst_is_kept_no_further_than_there_is_room(tmp_path: Path) -> None:
    async with pager_edge(tmp_path, {"per_user": 3}) as edge:
        alice = edge.neighbour()
        for _ in range(8):
            alice.send(alice.message("bob"))
        await edge.settle()
        statuses = [response.start_line.split()[1] for response in alice.received()]
        assert len(statuses) == 8
        assert 1 <= statuses.count("202") == len(await edge.rows()) <= 3


async def test_retransmission_of_a_kept_message_is_202_although_the_user_has_no_room(tmp_path: Path) -> None:
    async with pager_edge(tmp_path, {"per_user": 1}) as edge:
        other = PagerEdge(edge.ledger, edge.database, {"per_user": 1}, store=edge.store, pod="pod-b")
        for pod in (edge, other):
            alice = pod.neighbour()
            await pod.sent(alice, alice.message("bob", branch="z9hG4bKsame", call_id="same"))
            assert alice.response().status == 202


# Services


async def test_message_for_a_service_is_kept_and_answered_202(edge: PagerEdge) -> None:
    alice = edge.neighbour()
    await edge.sent(alice, alice.message("desk1", "help"))
    assert alice.response().status == 202
    (row,) = await edge.rows()
    assert (row.service, row.recipient, row.body) == ("desk", f"sip:desk1@{DOMAIN}", b"help")


async def test_service_that_consumes_nothing_is_404(edge: PagerEdge) -> None:
    alice = edge.neighbour()
    await edge.sent(alice, alice.message("kitchen1"))
    assert alice.response().status == 404


@pytest.mark.parametrize(("method", "status"), [("INVITE", 405), ("SUBSCRIBE", 405)])
async def test_service_takes_messages_only(edge: PagerEdge, method: str, status: int) -> None:
    alice = edge.neighbour()
    await edge.sent(alice, alice.request(method, f"sip:desk1@{DOMAIN}"))
    final: Any = [message for message in alice.received() if getattr(message, "status", 0) >= 200]
    assert [(response.status, response.get("allow")) for response in final] == [(status, "MESSAGE")]


async def test_service_is_503_without_the_database(edge: PagerEdge) -> None:
    edge.ledger.away = True
    alice = edge.neighbour()
    await edge.sent(alice, alice.message("desk1"))
    response = alice.response()
    assert (response.status, response.get("retry-after")) == (503, "5")


# What peers write


async def test_message_in_other_characters_is_kept_or_refused_and_always_answered(edge: PagerEdge) -> None:
    alice = edge.neighbour()
    for name in ("Content-Type", "Subject", "Content-Disposition", "In-Reply-To", "Priority"):
        await edge.sent(alice, with_fields(alice.message("bob"), **{name: 'text/plain;x="\udcff"'}))
        assert alice.response().status in (202, 513), name


async def test_user_is_absent_however_his_name_is_escaped(edge: PagerEdge) -> None:
    alice = edge.neighbour()
    await edge.sent(alice, alice.message(f"sip:b%6Fb@{DOMAIN}"))
    assert alice.response().status == 202
    (row,) = await edge.rows()
    assert row.recipient == BOB


async def test_device_that_is_away_is_away_whatever_else_it_says(edge: PagerEdge) -> None:
    alice, bob = edge.neighbour(), await edge.registered("bob")
    await edge.sent(alice, alice.message("bob"))
    refusal = Response.to_request(bob.incoming(), 480, "Away", to_tag="b")
    refusal.append("Via", 'SIP/2.0/UDP h;branch=z9hG4bKx, "never closed')
    bob.send(refusal)
    await edge.settle()
    assert alice.response().status == 202
