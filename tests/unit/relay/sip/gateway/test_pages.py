"""MESSAGEs for users whose devices take sessions only: kept for the gateway; mixed users get them where they can."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.pager import PagerEdge, pager_edge
from tests.support.sip_edge import DOMAIN, SipClient
from wigwag.database.ledger import LedgerRow, State
from wigwag.protocols.sip import Request
from wigwag.runtime.pager_events import REASON

GATEWAY = {"services": ["desk", "gateway"]}
SESSIONS: dict[str, Any] = {"methods": '"INVITE,ACK,BYE"'}


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[PagerEdge]:
    async with pager_edge(tmp_path, GATEWAY) as opened:
        yield opened


async def device(edge: PagerEdge, **says: Any) -> SipClient:
    client = SipClient(edge, "bob")
    assert (await client.register(**says)).status == 200
    return client


async def kept(edge: PagerEdge) -> list[tuple[str, str]]:
    """Return service and reason of the messages that wait."""
    return [(row.service, reason_of(row)) for row in await edge.rows()]


def reason_of(row: LedgerRow) -> str:
    return dict(row.headers)[REASON]


async def test_message_for_a_session_mode_user_is_kept_at_once(edge: PagerEdge) -> None:
    alice, bob = edge.neighbour(), await device(edge, **SESSIONS)
    await edge.sent(alice, alice.message("bob"))
    assert (alice.response().status, bob.received()) == (202, [])
    assert await kept(edge) == [("gateway", "session-mode")]


@pytest.mark.parametrize("pager", [{"services": ["desk"]}, {"services": ["desk"], "store": False}])
async def test_without_a_gateway_he_is_asked_himself(tmp_path: Path, pager: dict[str, Any]) -> None:
    async with pager_edge(tmp_path, pager) as edge:
        alice, bob = edge.neighbour(), await device(edge, **SESSIONS)
        await edge.sent(alice, alice.message("bob"))
        bob.answer(bob.incoming(), 405, "Method Not Allowed")
        await edge.settle()
        assert (alice.response().status, await kept(edge)) == (405, [])


async def test_session_mode_users_have_a_gateway_where_nobody_may_store(tmp_path: Path) -> None:
    async with pager_edge(tmp_path, {**GATEWAY, "store": False}) as edge:
        alice = edge.neighbour()
        await edge.sent(alice, alice.message("bob"))
        assert alice.response().status == 480
        await device(edge, **SESSIONS)
        await edge.sent(alice, alice.message("bob"))
        assert (alice.response().status, await kept(edge)) == (202, [("gateway", "session-mode")])


async def test_mixed_user_gets_it_by_message_where_that_is_taken(edge: PagerEdge) -> None:
    alice = edge.neighbour()
    session, page = await device(edge, **SESSIONS), await device(edge)
    await edge.sent(alice, alice.message("bob"))
    page.answer(page.incoming())
    await edge.settle()
    assert (alice.response().status, session.received(), await kept(edge)) == (200, [], [])


@pytest.mark.parametrize("status", [405, 501, 415, 488])
async def test_device_that_answers_so_takes_no_message_and_is_not_asked_again(edge: PagerEdge, status: int) -> None:
    alice, bob = edge.neighbour(), await device(edge)
    await edge.sent(alice, alice.message("bob"))
    bob.answer(bob.incoming(), status, "No")
    await edge.settle()
    assert alice.response().status == 202
    await edge.sent(alice, alice.message("bob"))
    assert (alice.response().status, bob.received()) == (202, [])
    assert await kept(edge) == [("gateway", "session-mode")] * 2


@pytest.mark.parametrize("status", [403, 486, 603, 606])
async def test_refusal_of_the_message_is_no_word_about_all_messages(edge: PagerEdge, status: int) -> None:
    alice, bob = edge.neighbour(), await device(edge)
    await edge.sent(alice, alice.message("bob"))
    bob.answer(bob.incoming(), status, "No")
    await edge.settle()
    assert (alice.response().status, await kept(edge)) == (status, [])


@pytest.mark.parametrize("status", [415, 488])
async def test_type_that_is_not_taken_is_told_to_the_sender(edge: PagerEdge, status: int) -> None:
    alice, bob = edge.neighbour(), await device(edge)
    request = alice.message("bob")
    request.set("Content-Type", "application/x-unheard-of")
    await edge.sent(alice, request)
    bob.answer(bob.incoming(), status, "No")
    await edge.settle()
    assert (alice.response().status, await kept(edge)) == (status, [])


async def test_device_that_is_away_does_not_hide_that_the_other_takes_no_message(edge: PagerEdge) -> None:
    alice = edge.neighbour()
    away, session = await device(edge), await device(edge)
    await edge.sent(alice, alice.message("bob"))
    session.answer(session.incoming(), 405, "Method Not Allowed")
    await edge.settle()
    assert alice.received() == []
    away.answer(away.incoming(), 480, "Away")
    await edge.settle()
    assert (alice.response().status, await kept(edge)) == (202, [("gateway", "session-mode")])


async def test_refusal_beside_a_delivery_is_remembered(edge: PagerEdge) -> None:
    alice = edge.neighbour()
    session, page = await device(edge), await device(edge)
    await edge.sent(alice, alice.message("bob"))
    session.answer(session.incoming(), 405, "Method Not Allowed")
    page.answer(page.incoming())
    await edge.settle()
    assert alice.response().status == 200
    await edge.sent(alice, alice.message("bob"))
    assert session.received() == []
    page.answer(page.incoming())
    await edge.settle()
    assert alice.response().status == 200


async def test_late_200_of_one_device_calls_off_what_another_takes_no_message_for(edge: PagerEdge) -> None:
    alice = edge.neighbour()
    slow, session = await device(edge), await device(edge)
    await edge.sent(alice, alice.message("bob"))
    session.answer(session.incoming(), 405, "Method Not Allowed")
    await edge.wait(10.1)
    assert (alice.response().status, await kept(edge)) == (202, [("gateway", "session-mode")])
    (row,) = await edge.rows()
    slow.answer(next(message for message in slow.received() if isinstance(message, Request)))
    await edge.settle()
    assert (await edge.row(row.id)).state is State.DELIVERED


async def test_absent_user_and_service_of_a_route_have_their_own_reasons(edge: PagerEdge) -> None:
    alice = edge.neighbour()
    await edge.sent(alice, alice.message("bob"))
    await edge.sent(alice, alice.message("desk-1"))
    assert sorted(await kept(edge)) == [("desk", "route"), ("gateway", "absent")]


async def test_message_of_a_dialog_is_not_kept_for_a_session(edge: PagerEdge) -> None:
    alice, bob = edge.neighbour(), await device(edge, **SESSIONS)
    request = alice.message("bob")
    request.set("To", f"<sip:bob@{DOMAIN}>;tag=of-a-dialog")
    await edge.sent(alice, request)
    bob.answer(bob.incoming(), 481, "No Such Dialog")
    await edge.settle()
    assert (alice.response().status, await kept(edge)) == (481, [])


async def test_database_that_is_away_is_503_with_retry_after(edge: PagerEdge) -> None:
    alice = edge.neighbour()
    await device(edge, **SESSIONS)
    edge.ledger.away = True
    await edge.sent(alice, alice.message("bob"))
    response = alice.response()
    assert (response.status, response.get("retry-after")) == (503, "5")


# Limits


async def test_too_many_that_wait_are_refused_with_the_time_to_come_back(tmp_path: Path) -> None:
    async with pager_edge(tmp_path, {**GATEWAY, "per_user": 2}) as edge:
        alice = edge.neighbour()
        for _ in range(3):
            await edge.sent(alice, alice.message("bob"))
        answers = [message.start_line for message in alice.received()]
        assert answers[:2] == ["SIP/2.0 202 Accepted"] * 2
        assert answers[2].startswith("SIP/2.0 480 ")


async def test_too_much_that_waits_is_refused_with_the_time_to_come_back(tmp_path: Path) -> None:
    async with pager_edge(tmp_path, {**GATEWAY, "per_user_bytes": 250}) as edge:
        alice = edge.neighbour()
        for octets, status in ((100, 202), (100, 202), (51, 480), (50, 202), (1, 480)):
            await edge.sent(alice, alice.message("bob", "x" * octets))
            response = alice.response()
            assert (response.status, response.get("retry-after")) == (status, "60" if status == 480 else None)
        await edge.sent(alice, alice.message("carol", "x" * 250))
        assert alice.response().status == 202


async def test_burst_is_kept_no_further_than_there_is_room_for_its_octets(tmp_path: Path) -> None:
    async with pager_edge(tmp_path, {**GATEWAY, "per_user_bytes": 250}) as edge:
        alice = edge.neighbour()
        for _ in range(5):
            alice.send(alice.message("bob", "x" * 100))
        await edge.settle()
        statuses = [message.start_line.split()[1] for message in alice.received()]
        # One that is being written may be counted twice for a moment, never not at all.
        assert 1 <= statuses.count("202") <= 2
        assert statuses.count("202") + statuses.count("480") == 5
