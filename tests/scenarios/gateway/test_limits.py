"""What is above a limit is answered with 480 and Retry-After, or its sender is told later: never silence."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.edge_under_test import DOMAIN
from tests.support.gateway_node import ROUTE, answer_to, gateway_node, next_message, page_user, writes
from tests.support.sip_client import LiveSipClient
from tests.support.ua_node_users import NodeUser, node_user
from wigwag.ua.endpoint.model import Ended, Received

BOB, CAROL, THE_100 = (f"sip:{name}@{DOMAIN}" for name in ("bob", "carol", "100"))
ONE_CONVERSATION = {"conversations_per_user": 1}
BOTH_IN_SESSIONS = [{**ROUTE, "user": name} for name in ("bob", "carol")]


@asynccontextmanager
async def talking(directory: Path, **settings: Any) -> AsyncIterator[tuple[LiveSipClient, NodeUser]]:
    """Let Alice, page mode, talk to Bob, in a session; each may have one conversation. Carol is there too."""
    async with (
        gateway_node(directory, limits=ONE_CONVERSATION, **settings) as node,
        node_user("bob", node, directory) as bob,
        node_user("carol", node, directory),
        page_user(node, "alice") as alice,
    ):
        assert await writes(alice, BOB) in (200, 202)
        await bob.hears(Received)
        yield alice, bob


@pytest.mark.parametrize("recipient", [BOB, CAROL], ids=["of one conversation", "of one user"])
@pytest.mark.parametrize("limit", [{"per_user": 2}, {"per_user_bytes": 25}], ids=["count", "bytes"])
async def test_what_is_too_much_to_wait_is_answered_480_with_retry_after(
    tmp_path: Path, recipient: str, limit: dict[str, int]
) -> None:
    async with gateway_node(tmp_path, pager=limit) as node, page_user(node, "alice") as alice:
        answers = [await answer_to(alice, recipient, "ten octets") for _ in range(3)]
    assert [answer.status for answer in answers] == [202, 202, 480]
    assert int(answers[2].get("retry-after") or 0) > 0


async def test_who_waits_for_delivery_is_answered_480_with_retry_after_above_the_conversations_of_a_user(
    tmp_path: Path,
) -> None:
    routes = [{**route, "answer": "delivery"} for route in BOTH_IN_SESSIONS]
    async with talking(tmp_path, routes=routes) as (alice, _):
        answer = await answer_to(alice, CAROL)
        assert answer.status == 480
        assert int(answer.get("retry-after") or 0) > 0
        assert await writes(alice, BOB, "still") == 200


async def test_who_was_answered_202_is_told_above_the_conversations_of_a_user(tmp_path: Path) -> None:
    async with talking(tmp_path, routes=BOTH_IN_SESSIONS) as (alice, _):
        assert await writes(alice, CAROL, "one too many") == 202
        told = await next_message(alice)
        assert told.from_.uri == CAROL
        assert "“one too many”" in told.body.decode()
        assert "(480)" in told.body.decode()


async def test_a_session_above_the_conversations_of_a_user_is_answered_480_with_retry_after(tmp_path: Path) -> None:
    async with talking(tmp_path) as (_, bob):
        session = bob.call(THE_100)
        ended = await bob.hears(Ended, which=lambda event: event.session is session)
        assert ended.status == 480
