"""JsSIP and SIP.js call applications and are called, with MSRP over WebSocket through our relay (RFC 7977)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.edge_under_test import DOMAIN
from tests.support.node_client import CLIENTS, NodeClient, PeerClient, registered
from tests.support.peers import require_node_peers
from tests.support.ua_node import UserAgentNode, application, user_agent_node
from wigwag.api.ua.v1 import message_pb2, session_pb2

pytestmark = pytest.mark.peer("node")
SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=message 9 TCP/TLS/MSRP *\r\n"
    "a=accept-types:message/cpim text/plain\r\na=path:{path}\r\na=setup:active\r\n"
)


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[UserAgentNode]:
    require_node_peers()
    async with user_agent_node(tmp_path, [application("echo", greeting="welcome")]) as running:
        yield running


@asynccontextmanager
async def chatting(kind: str, node: UserAgentNode) -> AsyncIterator[NodeClient]:
    """A client that has registered, and AUTHed at the relay over secure WebSocket."""
    async with registered(kind, node.edge, "alice", transport="wss", sdp=SDP) as client:
        await enter_relay(client, node)
        yield client


async def enter_relay(client: PeerClient, node: UserAgentNode) -> None:
    """Let a client AUTH at the relay."""
    uri = f"msrps://localhost:{node.relay['wss']};ws"
    password = node.edge.users["alice"]
    client.do("msrp_open", url=f"wss://localhost:{node.relay['wss']}/", relay=uri, user="alice", password=password)
    await client.event("msrp_opened")


def path_in(sdp: str) -> str:
    return next(line for line in sdp.splitlines() if line.startswith("a=path:")).removeprefix("a=path:").strip()


async def both_ways(client: PeerClient, node: UserAgentNode, session_id: str, path: str, *, name: str = "echo") -> None:
    """Talk: the page hears the application, which is told so, and the other way."""
    message_id = await node.send(name, session_id, "hello, page")
    while (await client.event("msrp_message"))["text"] != "hello, page":
        continue
    assert (await node.outcome(name, message_id)).state == message_pb2.DELIVERY_STATE_DELIVERED
    client.do("msrp_send", path=path, text="hello, application")
    assert (await client.event("msrp_sent"))["status"] == 200
    (received,) = await node.received(name, session_id)
    assert received.body == b"hello, application"


@pytest.mark.parametrize("kind", CLIENTS)
async def test_a_page_calls_an_application_and_hangs_up(node: UserAgentNode, kind: str) -> None:
    async with chatting(kind, node) as alice:
        alice.do("invite", to=f"sip:echo@{DOMAIN}")
        path = path_in((await alice.event("accepted"))["sdp"])
        session = await node.last_session("echo")
        await node.until_state("echo", session.session_id, "open")
        await both_ways(alice, node, session.session_id, path)
        alice.do("hangup")
        ended = await node.until_state("echo", session.session_id, "ended")
        assert ended.end_cause == session_pb2.END_CAUSE_ENDED_BY_PEER


@pytest.mark.parametrize("kind", CLIENTS)
async def test_an_application_calls_a_page_and_hangs_up(node: UserAgentNode, kind: str) -> None:
    async with chatting(kind, node) as alice:
        session = await node.start("echo", f"sip:alice@{DOMAIN}")
        path = path_in((await alice.event("invited"))["sdp"])
        alice.do("answer")
        await node.until_state("echo", session.session_id, "open")
        await both_ways(alice, node, session.session_id, path)
        await node.end("echo", session.session_id)
        await alice.event("ended")


@pytest.mark.parametrize("kind", CLIENTS)
async def test_a_page_that_refuses_is_busy(node: UserAgentNode, kind: str) -> None:
    async with chatting(kind, node) as alice:
        session = await node.start("echo", f"sip:alice@{DOMAIN}")
        await alice.event("invited")
        alice.do("reject", status=486)
        ended = await node.until_state("echo", session.session_id, "ended")
        assert (ended.end_cause, ended.sip_status) == (session_pb2.END_CAUSE_BUSY, 486)
