"""Kamailio as the relay of an application: a grant by digest, renewed in time, and sessions through it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.kamailio import PASSWORD, USERNAME, Kamailio, running_kamailio
from tests.support.peers import require_peer
from tests.support.ua_node import HOST, UserAgentNode, application, user_agent_node
from tests.support.waiting import until
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
    (received,) = await running.received("abroad", await callee(running, session.session_id))
    assert received.body == b"through kamailio"
    chat = running.module._endpoint.sessions[session.session_id]
    assert str(chat.line.path[0]).startswith(f"msrp://{HOST}:{kamailio.port}")


async def callee(running: UserAgentNode, caller: str) -> str:
    """Return the id of the session at the other end: the application talks with itself."""
    (other,) = (found for found in running.module._endpoint.sessions if found != caller)
    return str(other)


async def test_a_grant_is_renewed_and_the_session_goes_on_whatever_uri_kamailio_gives(
    node: tuple[UserAgentNode, Kamailio],
) -> None:
    running, _ = node
    session = await running.start("abroad", "sip:other@edge.example")
    await running.until_state("abroad", session.session_id, "open")
    other = await callee(running, session.session_id)
    line = running.module._endpoint.sessions[session.session_id].line
    assert line._grant._renewal is not None
    remaining = line._grant._renewal.when() - asyncio.get_running_loop().time()
    assert 1800 < remaining < 3600
    await line._renew()
    peer = running.module._endpoint.sessions[other]
    await until(lambda: peer._descriptions.agreement.remote.path == line.path)
    for one in (session.session_id, other):
        message_id = await running.send("abroad", one, f"after the renewal, from {one}")
        delivered = await running.outcome("abroad", message_id)
        assert delivered.state == message_pb2.DELIVERY_STATE_DELIVERED


async def test_a_session_survives_the_loss_of_its_connection_to_kamailio(node: tuple[UserAgentNode, Kamailio]) -> None:
    running, _ = node
    session = await running.start("abroad", "sip:other@edge.example")
    await running.until_state("abroad", session.session_id, "open")
    other = await callee(running, session.session_id)
    chat, peer = (running.module._endpoint.sessions[one] for one in (session.session_id, other))
    chat.line.client._channel.abort("a test")
    await until(lambda: chat.line.is_up and peer._descriptions.agreement.remote.path == chat.line.path)
    message_id = await running.send("abroad", session.session_id, "after the loss")
    assert (await running.outcome("abroad", message_id)).state == message_pb2.DELIVERY_STATE_DELIVERED
