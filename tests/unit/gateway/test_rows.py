"""Attempts by MESSAGE, when two pods have the same record."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from wigwag.database import Database
from wigwag.database.ledger import Ledger, LedgerRow, NewMessage, State
from wigwag.gateway.rows import Rows


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    async with Database(f"sqlite:///{tmp_path}/wigwag.db") as database, Ledger(database, clock=time.time) as ledger:
        await ledger.accept_one(
            NewMessage(
                id="m1",
                conversation="c",
                service="gateway",
                direction="pager-inbound",
                sender="sip:a@example.com",
                recipient="sip:b@example.com",
                expires=time.time() + 60,
                content_type="text/plain",
                body=b"hello",
            )
        )
        yield ledger


async def waiting(ledger: Ledger) -> LedgerRow:
    row = await ledger.find("m1")
    assert row is not None
    return row


async def test_two_pods_with_the_same_row_make_one_attempt(ledger: Ledger) -> None:
    row = await waiting(ledger)
    pods = [Rows(ledger, time.time), Rows(ledger, lambda: time.time() + 1)]
    assert await asyncio.gather(*(pod.claim_for_page(row) for pod in pods)) == [1, 1]


async def test_what_was_given_back_is_a_second_attempt(ledger: Ledger) -> None:
    rows = Rows(ledger, time.time)
    assert await rows.claim_for_page(await waiting(ledger)) == 1
    await rows.give_back(await waiting(ledger))
    assert await rows.claim_for_page(await waiting(ledger)) == 2


@pytest.mark.parametrize("ahead", [600.0, -600.0])
async def test_an_attempt_by_message_may_follow_one_of_a_pod_with_another_clock(ledger: Ledger, ahead: float) -> None:
    other, rows = Rows(ledger, lambda: time.time() + ahead), Rows(ledger, time.time)
    assert await other.claim_for_page(await waiting(ledger)) == 1
    await other.give_back(await waiting(ledger))
    assert await rows.claim_for_page(await waiting(ledger)) == 2


async def test_an_attempt_in_a_session_may_follow_one_of_a_pod_whose_clock_is_ahead_of_the_stores(
    ledger: Ledger,
) -> None:
    rows = Rows(ledger, lambda: time.time() + 600)
    generation = round(1_000 * time.time())
    await rows.claim_for_page(await waiting(ledger))
    assert await rows.claim([("m1", time.time() + 60)], "session", generation) == {}
    await rows.give_back(await waiting(ledger))
    assert await rows.claim([("m1", time.time() + 60)], "session", generation) == {"m1": 2}
    assert await rows.claim([("m1", time.time() + 60)], "an earlier session", generation - 1) == {}


async def test_an_attempt_by_message_supersedes_a_session_that_is_over(ledger: Ledger) -> None:
    rows = Rows(ledger, time.time)
    await rows.claim([("m1", time.time() + 60)], "session", 1)
    assert await rows.claim_for_page(await waiting(ledger)) == 2


async def test_no_attempt_is_begun_with_what_went_into_a_session_meanwhile(ledger: Ledger) -> None:
    rows, row = Rows(ledger, time.time), await waiting(ledger)
    await rows.claim([("m1", time.time() + 60)], "session", 1)
    assert await rows.claim_for_page(row) is None


async def test_no_attempt_is_begun_with_what_has_its_outcome(ledger: Ledger) -> None:
    rows, row = Rows(ledger, time.time), await waiting(ledger)
    await rows.settle("m1", State.DELIVERED)
    assert await rows.claim_for_page(row) is None
