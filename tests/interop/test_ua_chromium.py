"""A page in a real browser chats with applications: SIP and MSRP over secure WebSocket (RFC 7118, RFC 7977)."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.interop.test_ua_browsers import SDP, both_ways, enter_relay, path_in
from tests.support.chromium import PageClient, chromium_client
from tests.support.edge_under_test import DOMAIN
from tests.support.node import clean_environment
from tests.support.node_client import registration_of
from tests.support.peers import require_peer
from tests.support.processes import free_port
from tests.support.ua_node import UserAgentNode, application, user_agent_node
from wigwag.api.ua.v1 import message_pb2, session_pb2

pytestmark = pytest.mark.peer("chromium")
EXAMPLE = Path(__file__).parents[2] / "examples" / "echo_bot.py"
KEY = "example-key-0123456789"


@asynccontextmanager
async def stage(tmp_path: Path, **ua: Any) -> AsyncIterator[tuple[UserAgentNode, PageClient]]:
    """A node, and a page of alice that has registered there and AUTHed at its relay; no other page may connect."""
    require_peer("chromium")
    page = ("localhost", free_port())
    applications = [application("desk", greeting="welcome"), application("echo", answer="ask")]
    async with user_agent_node(tmp_path, applications, origins=[f"http://{page[0]}:{page[1]}"], **ua) as node:
        certificate = str(node.certificate)
        async with (
            chromium_client(node.edge, "alice", certificate, sdp=SDP, page=page) as alice,
            registration_of(alice),
        ):
            await enter_relay(alice, node)
            yield node, alice


async def test_a_page_talks_to_an_application_calls_it_is_called_and_refuses(tmp_path: Path) -> None:
    async with stage(tmp_path) as (node, alice):
        alice.do("invite", to=f"sip:desk@{DOMAIN}")
        path = path_in((await alice.event("accepted"))["sdp"])
        session = await node.last_session("desk")
        await node.until_state("desk", session.session_id, "open")
        await both_ways(alice, node, session.session_id, path, name="desk")
        alice.do("hangup")
        ended = await node.until_state("desk", session.session_id, "ended")
        assert ended.end_cause == session_pb2.END_CAUSE_ENDED_BY_PEER

        called = await node.start("desk", f"sip:alice@{DOMAIN}")
        path = path_in((await alice.event("invited"))["sdp"])
        alice.do("answer")
        await node.until_state("desk", called.session_id, "open")
        await both_ways(alice, node, called.session_id, path, name="desk")
        await node.end("desk", called.session_id)
        await alice.event("ended")

        refused = await node.start("desk", f"sip:alice@{DOMAIN}")
        await alice.event("invited")
        alice.do("reject", status=486)
        assert (await node.until_state("desk", refused.session_id, "ended")).end_cause == session_pb2.END_CAUSE_BUSY


@asynccontextmanager
async def echo_bot(node: UserAgentNode) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the example, once it waits for calls."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(EXAMPLE),
        node.node.rpc_target,
        KEY,
        env=clean_environment({}),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        assert await said(process) == "waiting for calls"
        yield process
    finally:
        process.kill()
        await process.communicate()


async def said(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), 30)).decode().rstrip("\n")


async def test_a_page_chats_with_the_echo_bot(tmp_path: Path) -> None:
    api = {"port": 0, "keys": [{"application": "echo", "key": KEY}]}
    async with stage(tmp_path, api=api) as (node, alice), echo_bot(node) as bot:
        alice.do("invite", to=f"sip:echo@{DOMAIN}")
        path = path_in((await alice.event("accepted"))["sdp"])
        assert await said(bot) == f"sip:alice@{DOMAIN} is here"
        for text in ("hello", "Füße, 日本語, 🙂", "x" * 10_000):
            alice.do("msrp_send", path=path, text=text)
            assert (await alice.event("msrp_sent"))["status"] == 200
            while (heard := (await alice.event("msrp_message"))["text"]) == "":
                continue
            assert heard == f"you said: {text}"
        session = await node.last_session("echo")
        messages = await node.received("echo", session.session_id, 3)
        assert {message.direction for message in messages} == {message_pb2.MESSAGE_DIRECTION_INBOUND}
        alice.do("hangup")
        assert await said(bot) == f"sip:alice@{DOMAIN} has left: ended_by_peer"
