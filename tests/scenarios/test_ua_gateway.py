"""The gateway as an application of the user agent, through a real edge: it calls as whomever it names."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.edge_under_test import DOMAIN
from tests.support.ua_node import UserAgentNode, user_agent_node
from tests.support.ua_node_users import node_user
from wigwag.api.ua.v1 import message_pb2, session_pb2, ua_pb2
from wigwag.errors import InvalidRequestError
from wigwag.runtime.agents import GATEWAY
from wigwag.ua.applications.builtin import gateway_application
from wigwag.ua.endpoint.model import CallReceived, Received
from wigwag.ua.ports import Caller

OPERATOR = Caller("")
STRANGER = "sip:eve@elsewhere.example"


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[UserAgentNode]:
    made = gateway_application(idle_timeout=60.0, max_duration=600.0, message_bytes=65_536)
    async with user_agent_node(tmp_path, [], builtin=[made]) as node:
        yield node


async def start(node: UserAgentNode, from_uri: str, to_uri: str) -> session_pb2.Session:
    request = ua_pb2.StartSessionRequest(
        application=GATEWAY, from_uri=from_uri, to_uri=to_uri, from_display_name="Somebody"
    )
    started: ua_pb2.StartSessionResponse = await node.module.agent.start_session(OPERATOR, request)
    return started.session


@pytest.mark.parametrize("from_uri", [f"sip:alice@{DOMAIN}", STRANGER, "tel:+4930123456"])
async def test_a_user_is_called_by_whomever_the_gateway_names(
    node: UserAgentNode, tmp_path: Path, from_uri: str
) -> None:
    async with node_user("bob", node, tmp_path) as bob:
        session = await start(node, from_uri, bob.uri)
        call = await bob.hears(CallReceived)
        assert (call.from_uri, call.display_name) == (from_uri, "Somebody")
        opened = await node.until_state("", session.session_id, "open")
        assert (opened.local_uri, opened.remote_uri) == (from_uri, bob.uri)
        message = ua_pb2.OutboundMessage(
            session_id=session.session_id, content_type="text/plain", body=b"hello", reference="gw:1"
        )
        (outcome,) = await node.module.agent.send_messages(OPERATOR, [message])
        assert outcome.error is None
        assert (await bob.hears(Received)).body == b"hello"
        told = await node.outcome("", outcome.message_id, "delivered")
        assert told.reference == "gw:1"
        bob.say(call.session, b"\x00raw", "application/octet-stream")
        (came,) = await node.received("", session.session_id)
        assert (came.content_type, came.body) == ("application/octet-stream", b"\x00raw")
        assert came.state == message_pb2.DELIVERY_STATE_ACCEPTED


async def test_it_has_to_name_somebody(node: UserAgentNode) -> None:
    for nobody in ("", "nobody", "mailto:a@b.example"):
        with pytest.raises(InvalidRequestError, match=r"^from_uri: "):
            await start(node, nobody, f"sip:bob@{DOMAIN}")
