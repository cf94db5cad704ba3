"""What operators see and do at the gateway of one process: REST, gRPC, MI, events, archive, metrics."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import httpx
import pytest
from websockets.asyncio.client import connect

from tests.support.edge_under_test import DOMAIN
from tests.support.gateway_node import next_message, page_user
from tests.support.ua_node import UserAgentNode, user_agent_node, wait_for
from tests.support.ua_node_users import node_user
from wigwag.api.gateway.v1 import conversation_pb2, gateway_pb2, gateway_pb2_grpc
from wigwag.ua.endpoint.model import CallReceived, Received, Settled

ALICE, BOB = (f"sip:{name}@{DOMAIN}" for name in ("alice", "bob"))
OPEN = conversation_pb2.CONVERSATION_STATE_OPEN


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[UserAgentNode]:
    route = {"methods": ["MESSAGE"], "user": "bob", "action": "service", "service": "gateway"}
    archive = {"domains": [{"domain": DOMAIN, "bodies": True}]}
    async with user_agent_node(tmp_path, [], gateway={"archive": archive}, sip={"routes": [route]}) as node:
        yield node


@pytest.fixture
async def rest(node: UserAgentNode) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=node.node.admin_url, trust_env=False) as client:
        yield client


@pytest.fixture
async def rpc(node: UserAgentNode) -> AsyncIterator[gateway_pb2_grpc.GatewayServiceStub]:
    async with grpc.aio.insecure_channel(node.node.rpc_target) as channel:
        yield gateway_pb2_grpc.GatewayServiceStub(channel)


async def listed(rest: httpx.AsyncClient, most: int, **query: Any) -> list[dict[str, Any]]:
    """Return messages once so many of them are over."""
    found: list[dict[str, Any]] = []

    async def look() -> bool:
        answer = await rest.get("/v1/gateway/messages", params=query)
        assert answer.status_code == 200, answer.text
        found[:] = answer.json()["messages"]
        return len([each for each in found if each["state"] != "accepted"]) >= most

    await wait_for(look, "messages")
    return found


async def test_conversation_and_its_messages_are_shown_and_ended(
    node: UserAgentNode, rest: httpx.AsyncClient, rpc: gateway_pb2_grpc.GatewayServiceStub, tmp_path: Path
) -> None:
    watching = rpc.Watch(gateway_pb2.WatchRequest())
    beginning = await anext(aiter(watching))
    async with node_user("bob", node, tmp_path) as bob, page_user(node, "alice") as alice:
        assert (await alice.register()).status == 200
        assert (await alice.message(bob.uri, "hello")).status == 202
        call = await bob.hears(CallReceived)
        await bob.hears(Received)
        bob.say(call.session, b"hi")
        await next_message(alice)
        await bob.hears(Settled)
        from_alice, from_bob = await listed(rest, 2, address=BOB.upper().replace("SIP:BOB", "sip:bob"))
        assert (from_alice["origin"], from_alice["way"], from_alice["state"]) == ("page", "session", "delivered")
        assert (from_bob["origin"], from_bob["way"], from_bob["state"]) == ("session", "page", "delivered")
        assert from_alice["conversation"] == from_bob["conversation"]
        assert (from_alice["status"], from_bob["status"]) == (200, 200)

        now = await rpc.GetMessage(gateway_pb2.GetMessageRequest(message_id=from_alice["message_id"]))
        assert [(hop.service, hop.direction) for hop in now.hops] == [("gateway", "pager-inbound"), ("ua", "outbound")]
        assert (
            now.pod
            == (await rpc.GetMessage(gateway_pb2.GetMessageRequest(message_id=from_bob["message_id"]))).pod
            != ""
        )
        there = (await rest.get(f"/v1/gateway/messages/{from_bob['message_id']}")).json()
        assert [hop["direction"] for hop in there["hops"]] == ["inbound", "pager-outbound"]

        (open_one,) = (await rpc.ListConversations(gateway_pb2.ListConversationsRequest(address=ALICE))).conversations
        assert (open_one.state, open_one.page, open_one.session) == (OPEN, ALICE, BOB)
        mi = {"jsonrpc": "2.0", "id": 1, "method": "msrp_gw_list_sessions"}
        (in_mi,) = (await rest.post("/mi", json=mi)).json()["result"]
        assert in_mi["msg_side_to"] == ALICE
        assert in_mi["msrp_ua_session_id"] == open_one.session_id
        ended = (await rest.post(f"/v1/gateway/conversations/{open_one.key}/end")).json()
        assert (ended["state"], ended["reason"]) == ("closed", "ended by an operator")
        again = {"jsonrpc": "2.0", "id": 1, "method": "msrp_gateway:end_session", "params": [open_one.key]}
        assert (await rest.post("/mi", json=again)).json()["error"]["message"] == "Session doesn't exist"
    told = [response.events[0].conversation_changed.state async for response in first_of(watching, 2)]
    assert told == [OPEN, conversation_pb2.CONVERSATION_STATE_CLOSED]
    watching.cancel()
    replayed = rpc.Watch(gateway_pb2.WatchRequest(resume_token=beginning.resume_token))
    events = [response async for response in first_of(replayed, 2, skip=1)]
    assert [response.events[0].conversation_changed.key for response in events] == [open_one.key] * 2
    replayed.cancel()


async def first_of(responses: Any, most: int, skip: int = 0) -> AsyncIterator[gateway_pb2.WatchResponse]:
    number = 0
    async with asyncio.timeout(20):
        async for response in responses:
            number += 1
            if number > skip:
                yield response
            if number == skip + most:
                return


async def test_archive_keeps_what_the_domain_wants_and_purge_removes_what_one_user_said(
    node: UserAgentNode, rest: httpx.AsyncClient, rpc: gateway_pb2_grpc.GatewayServiceStub, tmp_path: Path
) -> None:
    async with page_user(node, "alice") as alice:
        assert (await alice.register()).status == 200
        async with node_user("bob", node, tmp_path) as bob:
            assert (await alice.message(bob.uri, "a secret")).status == 202
            await bob.hears(Received)
            (message,) = await listed(rest, 1)
            conversation = message["conversation"]
            await rest.post(f"/v1/gateway/conversations/{conversation}/end")

        async def archived() -> bool:
            found = await rpc.GetMessage(gateway_pb2.GetMessageRequest(message_id=message["message_id"]))
            return bool(found.body == b"a secret")

        await wait_for(archived, "body in the archive")
        assert (await alice.message(BOB, "waits")).status == 202
        purged = (await rest.post("/v1/gateway/purge", json={"address": ALICE})).json()
        assert purged["ended"] == 1
        assert purged["removed"] >= 3
        now = (await rest.get(f"/v1/gateway/messages/{message['message_id']}")).json()
        assert (now["base64"], now["message"]["state"], now["message"]["has_body"]) == (None, "delivered", False)
        told = await next_message(alice)
        assert b"was not delivered" in told.body

        async def purged_all() -> bool:
            again = await rest.post("/v1/gateway/purge", json={"address": ALICE})
            return bool(again.json()["left"] == 0)

        await wait_for(purged_all, "the notice's outcome")
        states = {each["state"] for each in await listed(rest, 2, address=BOB)}
        assert "failed" in states


async def test_failed_setup_is_told_as_opensips_tells_it(
    node: UserAgentNode, rest: httpx.AsyncClient, tmp_path: Path
) -> None:
    socket = f"{node.module.url.replace('http', 'ws')}/v1/events?format=opensips"
    async with (
        node_user("bob", node, tmp_path, answers=False) as bob,
        page_user(node, "alice") as alice,
        rest.stream("GET", "/v1/gateway/events", params={"format": "opensips"}) as stream,
        connect(socket, proxy=None) as web_socket,
        asyncio.timeout(20),
    ):
        lines = stream.aiter_lines()
        assert (await anext(lines)).startswith("id: ")
        assert (await alice.register()).status == 200
        assert (await alice.message(bob.uri, "hello")).status == 202
        (await bob.hears(CallReceived)).session.reject(603, "Decline")
        async for line in lines:
            if line.startswith("data: "):
                break
        told = json.loads(line.removeprefix("data: "))
        assert json.loads(await web_socket.recv()) == told
    assert told["method"] == "E_MSRP_GW_SETUP_FAILED"
    params = told["params"]
    assert (params["from_uri"], params["to_uri"], params["ruri"]) == (BOB, ALICE, ALICE)
    assert (params["code"], params["reason"], params["remedy"]) == (603, "Decline", "fail")
    assert len(params["message_ids"]) == 1


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/gateway/conversations?address=nobody", "address: "),
        ("/v1/gateway/conversations?page_token=%21", "page_token: "),
        ("/v1/gateway/messages?page_token=x", "page_token: "),
        ("/v1/gateway/messages?page_size=5000", "page_size: "),
        ("/v1/gateway/messages?since=yesterday", "since: "),
        ("/v1/gateway/messages?conversation=%00", "conversation: "),
        ("/v1/gateway/events?resume_token=%21", "resume_token: "),
    ],
)
async def test_bad_input_is_named(rest: httpx.AsyncClient, path: str, field: str) -> None:
    answer = await rest.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert answer.json()["detail"].startswith(field)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
async def test_a_time_that_has_no_name_in_utc_is_a_time(rest: httpx.AsyncClient, moment: str) -> None:
    for field in ("since", "before"):
        answer = await rest.get("/v1/gateway/messages", params={field: moment})
        assert (answer.status_code, answer.json()) == (200, {"messages": [], "next_page_token": ""})


async def test_what_is_not_there_is_404_and_pages_have_an_end(
    rest: httpx.AsyncClient, rpc: gateway_pb2_grpc.GatewayServiceStub
) -> None:
    for path in ("/v1/gateway/conversations/nobody", "/v1/gateway/messages/nothing"):
        assert (await rest.get(path)).status_code == 404
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await rpc.GetMessage(gateway_pb2.GetMessageRequest(message_id="nothing"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert (await rest.get("/v1/gateway/messages")).json() == {"messages": [], "next_page_token": ""}


async def test_readings_and_details_tell_what_was_done(
    node: UserAgentNode, rest: httpx.AsyncClient, tmp_path: Path
) -> None:
    async with node_user("bob", node, tmp_path) as bob, page_user(node, "alice") as alice:
        assert (await alice.register()).status == 200
        assert (await alice.message(bob.uri, "hello")).status == 202
        await bob.hears(Received)
        await listed(rest, 1)
        await wait_for(lambda: shows(rest, "messages", origin="page", outcome="delivered"), "reading")
        assert await shows(rest, "sessions", outcome="begun")
        assert await shows(rest, "conversations", change="opened")
        assert await shows(rest, "archived")
    details = (await rest.get("/readyz")).json()["services"]["gateway"]
    assert (details["ready"], details["consuming"], details["user_agent"]) == (True, True, "reached")


async def shows(rest: httpx.AsyncClient, name: str, **attributes: str) -> bool:
    """Tell whether a counter of the gateway is 1."""
    lines = (await rest.get("/metrics")).text.splitlines()
    wanted = [f'{key}="{value}"' for key, value in attributes.items()]
    return any(
        line.startswith(f"wigwag_gateway_{name}_total{{")
        and line.endswith(" 1.0")
        and all(each in line for each in wanted)
        for line in lines
    )
