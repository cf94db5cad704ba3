"""SIP users whose messages an application reports on by itself, through a real edge and relay."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.edge_under_test import DOMAIN
from tests.support.ua_node import UserAgentNode, application, caller, user_agent_node
from tests.support.ua_node_users import node_user
from wigwag.api.ua.v1 import message_pb2, ua_pb2
from wigwag.errors import ConflictError
from wigwag.ua.endpoint.model import Reported, Settled, Settlement

LATER = {"reports": "application", "content": "as_is", "accept_types": ["*"]}


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[UserAgentNode]:
    applications = [
        application("later", **LATER),
        application("direct", **LATER, way="direct"),
        application("helpdesk"),
    ]
    async with user_agent_node(tmp_path, applications, direct={"host": "127.0.0.1"}) as made:
        yield made


async def settle(node: UserAgentNode, name: str, message_id: str, state: str, **more: object) -> message_pb2.Message:
    request = ua_pb2.SettleMessageRequest(message_id=message_id, state=f"DELIVERY_STATE_{state}", **more)  # type: ignore[arg-type]
    return (await node.module.agent.settle_message(caller(name), request)).message  # type: ignore[no-any-return]


async def test_a_sender_hears_of_his_messages_what_the_application_says_and_not_before(
    node: UserAgentNode, tmp_path: Path
) -> None:
    async with node_user("alice", node, tmp_path) as alice:
        chat = await alice.opens(f"sip:later@{DOMAIN}")
        names = [alice.say(chat, text) for text in (b"one", b"two", b"three")]
        session = await node.last_session("later")
        one, two, three = await node.received("later", session.session_id, 3)
        assert alice.heard(Settled) == []
        assert (await settle(node, "later", two.message_id, "DELIVERED")).state == message_pb2.DELIVERY_STATE_DELIVERED
        await alice.hears(Settled)
        await settle(node, "later", one.message_id, "FAILED", status=413, reason="too large over there")
        await alice.hears(Settled, 2)
        await settle(node, "later", three.message_id, "EXPIRED")
        await alice.hears(Settled, 3)
        outcomes = {event.message_id: (event.settlement, event.status, event.reason) for event in alice.heard(Settled)}
        assert outcomes == {
            names[1]: (Settlement.DELIVERED, 200, ""),
            names[0]: (Settlement.FAILED, 413, "too large over there"),
            names[2]: (Settlement.UNCONFIRMED, 408, "Request Timeout"),
        }
        octets = [(event.first_octet, event.last_octet, event.total) for event in alice.heard(Reported)]
        assert octets == [(1, 3, 3), (1, 3, 3), (1, 5, 5)]
        assert chat.connected
        with pytest.raises(ConflictError):
            await settle(node, "later", two.message_id, "FAILED")


async def test_without_a_relay_who_asks_for_success_is_told_of_it_and_who_does_not_is_not(
    node: UserAgentNode, tmp_path: Path
) -> None:
    async with node_user("alice", node, tmp_path) as alice:
        chat = await alice.opens(f"sip:direct@{DOMAIN}", way="direct")
        told = alice.say(chat, b"one")
        quiet = alice.say(chat, b"two", success_report=False)
        session = await node.last_session("direct")
        for message in await node.received("direct", session.session_id, 2):
            await settle(node, "direct", message.message_id, "DELIVERED")
        await alice.hears(Settled, 2)
        await alice.hears(Reported)
        # What is sent later is answered later.
        last = alice.say(chat, b"three", success_report=False)
        await alice.hears(Settled, which=lambda event: event.message_id == last)
        assert [(event.message_id, event.status) for event in alice.heard(Reported)] == [(told, 200)]
        assert quiet in [event.message_id for event in alice.heard(Settled)]


async def test_after_the_end_of_the_session_only_the_row_changes(node: UserAgentNode, tmp_path: Path) -> None:
    async with node_user("alice", node, tmp_path) as alice:
        chat = await alice.opens(f"sip:later@{DOMAIN}")
        alice.say(chat, b"one")
        session = await node.last_session("later")
        (message,) = await node.received("later", session.session_id)
        chat.end()
        await node.until_state("later", session.session_id, "ended")
        await settle(node, "later", message.message_id, "DELIVERED")
        assert (await node.outcome("later", message.message_id)).state == message_pb2.DELIVERY_STATE_DELIVERED
        assert alice.heard(Reported) == []


async def test_what_another_application_reports_at_acceptance_can_not_be_settled(
    node: UserAgentNode, tmp_path: Path
) -> None:
    async with node_user("alice", node, tmp_path) as alice:
        chat = await alice.opens(f"sip:helpdesk@{DOMAIN}")
        alice.say(chat, b"one")
        settled = await alice.hears(Settled)
        assert settled.settlement is Settlement.DELIVERED
        session = await node.last_session("helpdesk")
        (message,) = await node.received("helpdesk", session.session_id)
        with pytest.raises(ConflictError):
            await settle(node, "helpdesk", message.message_id, "DELIVERED")
