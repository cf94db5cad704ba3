"""``/v1/messages`` and ``wigwag messages``: what became of messages, never what they say."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.ledger import ManualClock, new_message
from tests.unit.node.test_admin import served
from wigwag.database import Database
from wigwag.database.ledger import Change, Ledger, State
from wigwag.errors import DatabaseError
from wigwag.node.cli_messages import _rows
from wigwag.node.client import AdminClient
from wigwag.node.messages_api import messages_router


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    async with (
        Database(f"sqlite:///{tmp_path / 'ledger.sqlite3'}") as database,
        Ledger(database, clock=ManualClock()) as opened,
    ):
        yield opened


async def get(ledger: Ledger, path: str, **query: Any) -> tuple[int, Any]:
    async with served(routers=[messages_router(ledger)]) as client:
        answer = await client.get(path, params=query)
    return answer.status_code, answer.json()


async def test_message_is_shown_without_its_body(ledger: Ledger) -> None:
    await ledger.accept_one(new_message("m-1/1", body=b"a secret"))
    await ledger.apply_one(Change(id="m-1/1", version=1, state=State.FAILED, status=486, reason="Busy"))
    status, found = await get(ledger, "/v1/messages/m-1/1")
    assert status == 200
    assert (found["id"], found["state"], found["status"], found["octets"]) == ("m-1/1", "failed", 486, 8)
    assert "secret" not in str(found)


async def test_message_that_is_not_there_is_404(ledger: Ledger) -> None:
    assert (await get(ledger, "/v1/messages/m-2"))[0] == 404


async def test_messages_without_an_outcome_are_listed_by_recipient_a_page_at_a_time(ledger: Ledger) -> None:
    for number in range(3):
        await ledger.accept_one(new_message(f"bob-{number}"))
    await ledger.accept_one(new_message("carol-1", recipient="sip:carol@example.com"))
    await ledger.apply_one(Change(id="bob-0", version=1, state=State.DELIVERED))
    _, page = await get(ledger, "/v1/messages", recipient="sip:bob@example.com", limit=1)
    assert [row["id"] for row in page["messages"]] == ["bob-1"]
    _, rest = await get(ledger, "/v1/messages", recipient="sip:bob@example.com", after=page["next"])
    assert ([row["id"] for row in rest["messages"]], rest["next"]) == (["bob-2"], None)
    _, everybody = await get(ledger, "/v1/messages")
    assert [row["id"] for row in everybody["messages"]] == ["bob-1", "bob-2", "carol-1"]


async def test_position_that_no_database_counts_to_is_named(ledger: Ledger) -> None:
    assert (await get(ledger, "/v1/messages", after=2**63 - 1)) == (200, {"messages": [], "next": None})
    status, problem = await get(ledger, "/v1/messages", after=2**63)
    assert (status, problem["detail"].partition(":")[0]) == (422, "after")


async def test_conversation_is_listed_with_what_has_an_outcome(ledger: Ledger) -> None:
    message = new_message("bob-1")
    await ledger.accept_one(message)
    await ledger.apply_one(Change(id="bob-1", version=1, state=State.DELIVERED))
    _, page = await get(ledger, "/v1/messages", conversation=message.conversation)
    assert [(row["id"], row["state"]) for row in page["messages"]] == [("bob-1", "delivered")]


async def test_without_the_database_it_is_503(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*args: Any, **more: Any) -> Any:
        raise DatabaseError("the database is away")

    for name in ("find", "undelivered"):
        monkeypatch.setattr(ledger, name, fails)
    assert (await get(ledger, "/v1/messages"))[0] == 503
    assert (await get(ledger, "/v1/messages/m-1"))[0] == 503


class Pages(AdminClient):
    """A node with five messages."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def get(self, path: str, **query: Any) -> Any:
        after, limit = query["after"], query["limit"]
        self.asked.append((after, limit))
        rows = [{"position": number} for number in range(after + 1, 6)][: min(limit, 2)]
        return {"messages": rows, "next": rows[-1]["position"] if rows and rows[-1]["position"] < 5 else None}


@pytest.mark.parametrize(("most", "found"), [(10, 5), (3, 3), (2, 2)])
def test_command_asks_for_pages_until_it_has_enough(most: int, found: int) -> None:
    assert [row["position"] for row in _rows(Pages(), most)] == list(range(1, found + 1))
