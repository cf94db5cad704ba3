"""What the gateway asks of the user agent, in the same process and by gRPC, of a real one behind a real edge."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.edge_under_test import DOMAIN
from tests.support.ua_node import UserAgentNode, user_agent_node
from tests.support.ua_node_users import NodeUser, node_user
from wigwag.api.ua.v1 import message_pb2, session_pb2, ua_pb2
from wigwag.errors import ConflictError, InvalidRequestError, NotFoundError, OverloadedError
from wigwag.gateway.ports import Agents
from wigwag.gateway.rpc_agents import RpcAgents
from wigwag.node.gateway_agents import DirectAgents
from wigwag.runtime.agents import GATEWAY
from wigwag.ua.applications.builtin import gateway_application
from wigwag.ua.endpoint.model import CallReceived, Ended, EndpointSession, Opened, Received, Settled, Settlement

ALICE = f"sip:alice@{DOMAIN}"
DELIVERED = message_pb2.DELIVERY_STATE_DELIVERED
FAILED = message_pb2.DELIVERY_STATE_FAILED


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[UserAgentNode]:
    made = gateway_application(idle_timeout=60.0, max_duration=600.0, message_bytes=65_536)
    async with user_agent_node(tmp_path, [], builtin=[made], sip={"gateway": {"sessions": "both"}}) as node:
        yield node


@pytest.fixture(params=["direct", "rpc"])
async def agents(request: pytest.FixtureRequest, node: UserAgentNode) -> AsyncIterator[Agents]:
    async with AsyncExitStack() as stack:
        if request.param == "direct":
            yield DirectAgents(node.module.agent)
        else:
            yield await stack.enter_async_context(RpcAgents(node.node.rpc_target))


@pytest.fixture
async def bob(node: UserAgentNode, tmp_path: Path) -> AsyncIterator[NodeUser]:
    async with node_user("bob", node, tmp_path) as user:
        yield user


def call(to_uri: str, key: str = "k#1") -> ua_pb2.StartSessionRequest:
    return ua_pb2.StartSessionRequest(application=GATEWAY, from_uri=ALICE, to_uri=to_uri, idempotency_key=key)


def said(session_id: str, text: str, **more: Any) -> ua_pb2.OutboundMessage:
    values: dict[str, Any] = {"content_type": "text/plain", "idempotency_key": text, **more}
    return ua_pb2.OutboundMessage(session_id=session_id, body=text.encode(), **values)


async def chat(agents: Agents, node: UserAgentNode, bob: NodeUser) -> tuple[str, EndpointSession]:
    """Call bob; returns the session on both sides."""
    session = await agents.start(call(bob.uri))
    await node.until_state("", session.session_id, "open")
    return session.session_id, (await bob.hears(Opened)).session


async def test_the_same_key_calls_once(agents: Agents, node: UserAgentNode, bob: NodeUser) -> None:
    session_id, _ = await chat(agents, node, bob)
    again = await agents.start(call(bob.uri))
    assert (again.session_id, len(bob.heard(CallReceived))) == (session_id, 1)
    found = await agents.session(session_id)
    assert (found.local_uri, found.remote_uri, found.application) == (ALICE, bob.uri, GATEWAY)
    with pytest.raises(ConflictError):
        await agents.start(call(f"sip:carol@{DOMAIN}"))


async def test_messages_arrive_in_order_and_the_same_key_is_the_same_message(
    agents: Agents, node: UserAgentNode, bob: NodeUser
) -> None:
    session_id, _ = await chat(agents, node, bob)
    texts = [str(number) for number in range(50)]
    handed = await agents.send([said(session_id, text, reference=f"gw:{text}") for text in texts])
    assert [each.error for each in handed] == [None] * 50
    await bob.hears(Received, 50)
    assert [event.body.decode() for event in bob.heard(Received)] == texts
    (again,) = await agents.send([said(session_id, "7", reference="another")])
    assert (again.message_id, again.duplicate) == (handed[7].message_id, True)
    assert (await node.outcome("", handed[7].message_id, "delivered")).reference == "gw:7"
    assert await agents.send([]) == []


async def test_what_is_refused_says_why_and_does_not_hold_up_the_others(
    agents: Agents, node: UserAgentNode, bob: NodeUser
) -> None:
    session_id, _ = await chat(agents, node, bob)
    messages = [
        said(session_id, "a"),
        said(session_id, "b", content_type="no type"),
        said("0" * 32, "c"),
        said(session_id, "d", reference="two words"),
        said(session_id, "e"),
    ]
    handed = await agents.send(messages)
    wanted = [type(None), InvalidRequestError, NotFoundError, InvalidRequestError, type(None)]
    assert [type(each.error) for each in handed] == wanted
    assert [bool(each.message_id) for each in handed] == [True, False, False, False, True]
    await bob.hears(Received, 2)


async def test_a_message_is_settled_once_and_told_again(agents: Agents, node: UserAgentNode, bob: NodeUser) -> None:
    session_id, his = await chat(agents, node, bob)
    names = [bob.say(his, text) for text in (b"one", b"two")]
    one, two = await node.received("", session_id, 2)
    for _ in range(2):
        await agents.settle(one.message_id, DELIVERED)
    await agents.settle(two.message_id, FAILED, status=415, reason="not over there")
    await bob.hears(Settled, 2)
    told = {event.message_id: (event.settlement, event.status, event.reason) for event in bob.heard(Settled)}
    assert told == {names[0]: (Settlement.DELIVERED, 200, ""), names[1]: (Settlement.FAILED, 415, "not over there")}
    with pytest.raises(ConflictError):
        await agents.settle(one.message_id, FAILED)
    with pytest.raises(NotFoundError):
        await agents.settle("nobody", DELIVERED)
    with pytest.raises(InvalidRequestError):
        await agents.settle(one.message_id, message_pb2.DELIVERY_STATE_DISPLAYED)


async def test_a_session_that_is_over_stays_so(agents: Agents, node: UserAgentNode, bob: NodeUser) -> None:
    session_id, his = await chat(agents, node, bob)
    bob.say(his, b"one")
    (one,) = await node.received("", session_id)
    await agents.end(session_id)
    await bob.hears(Ended)
    await node.until_state("", session_id, "ended")
    await agents.end(session_id)
    await agents.end("0" * 32)
    (late,) = await agents.send([said(session_id, "late")])
    assert isinstance(late.error, ConflictError)
    await agents.settle(one.message_id, DELIVERED)
    assert (await node.outcome("", one.message_id)).state == DELIVERED
    assert (await agents.session(session_id)).state == session_pb2.SESSION_STATE_ENDED


async def test_a_call_for_somebody_absent_is_offered_and_taken(
    agents: Agents, node: UserAgentNode, bob: NodeUser
) -> None:
    his = bob.call(f"sip:carol@{DOMAIN}")
    offered = await node.last_session("")
    assert (offered.application, offered.state) == (GATEWAY, session_pb2.SESSION_STATE_OFFERED)
    assert (offered.remote_uri, offered.local_uri) == (bob.uri, f"sip:carol@{DOMAIN}")
    await agents.answer(offered.session_id, {"conversation": "k"})
    await bob.hears(Opened)
    found = await node.until_state("", offered.session_id, "open")
    assert dict(found.labels) == {"conversation": "k"}
    with pytest.raises(ConflictError):
        await agents.answer(offered.session_id, {})
    assert his.max_size == 65_536
    bob.say(his, b"for carol")
    (came,) = await node.received("", offered.session_id)
    assert came.body == b"for carol"


async def test_a_call_is_turned_away(agents: Agents, node: UserAgentNode, bob: NodeUser) -> None:
    bob.call(f"sip:carol@{DOMAIN}")
    offered = await node.last_session("")
    await agents.reject(offered.session_id, 480, "Nobody is there")
    assert (await bob.hears(Ended)).status == 480
    for absent in (agents.reject("0" * 32, 480, "x"), agents.answer("0" * 32, {}), agents.session("0" * 32)):
        with pytest.raises(NotFoundError):
            await absent


async def test_a_user_agent_that_is_away_is_overloaded(node: UserAgentNode) -> None:
    async with RpcAgents("127.0.0.1:1", deadline=0.5) as away:
        with pytest.raises(OverloadedError):
            await away.session("0" * 32)
        (handed,) = await away.send([said("0" * 32, "x")])
    assert isinstance(handed.error, OverloadedError)
