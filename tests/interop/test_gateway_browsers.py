"""JsSIP and SIP.js chat in sessions, with MSRP over WebSocket (RFC 7977), with a user who has MESSAGE only."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.interop.test_ua_browsers import chatting, path_in
from tests.support.edge_under_test import DOMAIN
from tests.support.gateway_node import next_message, page_user, writes
from tests.support.node_client import CLIENTS, NodeClient
from tests.support.peers import require_node_peers
from tests.support.ua_node import UserAgentNode, user_agent_node

pytestmark = pytest.mark.peer("node")
ALICE, BOB = f"sip:alice@{DOMAIN}", f"sip:bob@{DOMAIN}"
ROUTE = {"methods": ["MESSAGE"], "user": "alice", "action": "service", "service": "gateway"}


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[UserAgentNode]:
    """A node with the gateway, at which alice, whose page it is, is a session-mode user."""
    require_node_peers()
    async with user_agent_node(tmp_path, [], gateway={}, sip={"routes": [ROUTE]}) as running:
        yield running


async def hears(alice: NodeClient, text: str) -> None:
    """Wait for a message in the session; a SEND without a body is none."""
    while (heard := (await alice.event("msrp_message"))["text"]) != text:
        assert heard == ""


async def says(alice: NodeClient, path: str, text: str) -> None:
    alice.do("msrp_send", path=path, text=text)
    assert (await alice.event("msrp_sent"))["status"] == 200


@pytest.mark.parametrize("kind", CLIENTS)
async def test_a_page_calls_a_page_mode_user_and_both_write(node: UserAgentNode, kind: str) -> None:
    async with page_user(node, "bob") as bob, chatting(kind, node) as alice:
        alice.do("invite", to=BOB)
        path = path_in((await alice.event("accepted"))["sdp"])
        await says(alice, path, "Füße, 日本語, 🙂")
        came = await next_message(bob)
        assert (came.body.decode(), came.from_.uri) == ("Füße, 日本語, 🙂", ALICE)
        assert (await alice.event("msrp_report"))["status"].startswith("000 200")
        assert await writes(bob, ALICE, "hello, page") == 202
        await hears(alice, "hello, page")
        alice.do("hangup")
        assert "has left" in (await next_message(bob)).body.decode()


@pytest.mark.parametrize("kind", CLIENTS)
async def test_a_page_is_called_for_a_message_and_answers_in_the_session(node: UserAgentNode, kind: str) -> None:
    async with page_user(node, "bob") as bob, chatting(kind, node) as alice:
        assert await writes(bob, ALICE, "hello, page") == 202
        invited = await alice.event("invited")
        assert invited["from"] == BOB
        alice.do("answer")
        await hears(alice, "hello, page")
        path = path_in(invited["sdp"])
        await says(alice, path, "hello, phone")
        assert (await next_message(bob)).body == b"hello, phone"
        assert (await alice.event("msrp_report"))["status"].startswith("000 200")
        await says(alice, path, "and again")
        await next_message(bob, 603, "Decline")
        assert (await alice.event("msrp_report"))["status"] == "000 403 603 Decline"
        alice.do("hangup")
        await alice.event("ended")


@pytest.mark.parametrize("kind", CLIENTS)
async def test_a_page_that_declines_is_told_to_the_page_mode_user(node: UserAgentNode, kind: str) -> None:
    async with page_user(node, "bob") as bob, chatting(kind, node) as alice:
        assert await writes(bob, ALICE, "hello, page") == 202
        await alice.event("invited")
        alice.do("reject", status=603)
        notice = (await next_message(bob)).body.decode()
        assert ("hello, page" in notice, "was declined" in notice) == (True, True)
