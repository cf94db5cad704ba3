"""Kamailio as the relay of an application: a grant by digest, renewed in time, and sessions through it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.kamailio import PASSWORD, USERNAME, Kamailio, running_kamailio
from tests.support.live_client import LiveClient, open_wire
from tests.support.peers import require_peer
from tests.support.ua_node import HOST, UserAgentNode, application, user_agent_node
from wigwag.api.ua.v1 import message_pb2

pytestmark = pytest.mark.peer("kamailio")


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[tuple[UserAgentNode, Kamailio]]:
    require_peer("kamailio", "/usr/sbin")
    with running_kamailio() as kamailio:
        relays = [{"name": "kamailio", "uri": kamailio.uri, "username": USERNAME, "password": PASSWORD}]
        applications = [
            application("abroad", way="kamailio", uris=["sip:abroad@edge.example", "sip:other@edge.example"])
        ]
        async with user_agent_node(tmp_path, applications, relays=relays) as running:
            yield running, kamailio


async def test_two_sessions_of_an_application_talk_through_kamailio(
    node: tuple[UserAgentNode, Kamailio],
) -> None:
    running, kamailio = node
    session = await running.start("abroad", "sip:other@edge.example")
    await running.until_state("abroad", session.session_id, "open")
    message_id = await running.send("abroad", session.session_id, "through kamailio")
    delivered = await running.outcome("abroad", message_id)
    assert delivered.state == message_pb2.DELIVERY_STATE_DELIVERED
    chat = running.module._endpoint.sessions[session.session_id]
    assert str(chat._line.path[0]).startswith(f"msrp://{HOST}:{kamailio.port}")
