"""One trace shows a message from an application's call to the SIP user's REPORT, another one a message that came."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from websockets.asyncio.client import connect

from tests.scenarios.test_agent_takeover import Party, connector
from tests.support.otlp_receiver import OtlpReceiver, otlp_receiver, plain
from tests.support.waiting import until
from tests.unit.node.test_agents import settings_in
from wigwag.api.ua.v1 import message_pb2, ua_pb2, ua_pb2_grpc
from wigwag.node.application import Node
from wigwag.node.demo_data import DOMAIN, ensure_demo_data
from wigwag.protocols.msrp import MsrpUri
from wigwag.protocols.sip.digest import Account
from wigwag.protocols.sip.user_agent import Identity
from wigwag.runtime.traceparent import HEADER
from wigwag.transport.tls import client_context
from wigwag.ua.endpoint.media import RelayWay
from wigwag.ua.endpoint.model import Ended, OutgoingMessage, Received, Settled

PATIENCE = 20.0
APPLICATION = {"name": "desk", "uris": [f"sip:desk@{DOMAIN}"]}
TRACE, CALLER = secrets.token_hex(16), secrets.token_hex(8)
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"
KEY = "k" * 20
BEARER = {"Authorization": f"Bearer {KEY}"}


@asynccontextmanager
async def running(path: Path, receiver: OtlpReceiver, ratio: float, **api: Any) -> AsyncIterator[Node]:
    """Run relay, edge and user agent in one process, which exports to the receiver."""
    telemetry = {"otlp_endpoint": receiver.endpoint, "sample_ratio": ratio}
    settings = settings_in(path, ua={"applications": [APPLICATION], "api": {"port": 0, **api}}, telemetry=telemetry)
    async with Node(settings, ["relay", "ua"]) as node:
        await until(lambda: node.modules["ua"].ready()[0], timeout=PATIENCE)
        yield node


@asynccontextmanager
async def alice(path: Path, node: Node) -> AsyncIterator[Party]:
    """Register a SIP user who accepts what comes."""
    relay: Any = node.modules["relay"]
    data = ensure_demo_data(path)
    account = Account("alice", data.passwords["alice"])
    tls = client_context(ca_file=str(data.certificates.authority))
    way = RelayWay(
        uri=MsrpUri.parse(f"msrps://localhost:{relay.relay.listeners['tls'].port};tcp"),
        connector=connector(tls),
        username=account.username,
        password=data.passwords["alice"],
        own_host="alice.invalid",
    )
    sip = next(port for name, _, port in relay.sip.addresses() if "tls" in name)
    party = Party(Identity.of(f"sip:alice@{DOMAIN}", instance="urn:x:1"), sip, way, tls, account)
    await party.side.start()
    try:
        yield party
    finally:
        await party.endpoint.close()
        await party.side.close()


@asynccontextmanager
async def stage(path: Path, receiver: OtlpReceiver, ratio: float) -> AsyncIterator[tuple[Any, Party]]:
    """Yield what an application calls, and a SIP user."""
    async with (
        running(path, receiver, ratio) as node,
        alice(path, node) as party,
        grpc.aio.insecure_channel(node.rpc_target) as channel,
    ):
        yield ua_pb2_grpc.UaServiceStub(channel), party


class Keyed:
    """A stub whose calls show the application's key."""

    def __init__(self, stub: Any) -> None:
        self._stub = stub

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._stub, name)
        return lambda request: method(request, metadata=[("authorization", f"Bearer {KEY}")])


def keyed(channel: grpc.aio.Channel) -> Keyed:
    """Return what calls as the application."""
    return Keyed(ua_pb2_grpc.UaServiceStub(channel))


async def chat(agent: Any, party: Party) -> str:
    """Start a session with the SIP user; returns its id."""
    request = ua_pb2.StartSessionRequest(application="desk", to_uri=f"sip:alice@{DOMAIN}")
    session_id = (await agent.StartSession(request)).session.session_id
    return str(session_id)


def message(session_id: str) -> ua_pb2.OutboundMessage:
    return ua_pb2.OutboundMessage(session_id=session_id, content_type="text/plain", body=b"hello")


async def delivered(agent: Any, message_id: str) -> None:
    """Wait until a message is delivered."""
    async with asyncio.timeout(PATIENCE):
        while True:
            found = await agent.GetMessage(ua_pb2.GetMessageRequest(message_id=message_id))
            if found.message.state == message_pb2.DELIVERY_STATE_DELIVERED:
                return
            await asyncio.sleep(0.05)


def trace(spans: Sequence[Span], trace_id: str) -> dict[str, Span]:
    """Return the spans of a trace by name."""
    return {span.name: span for span in spans if span.trace_id.hex() == trace_id}


def chain(found: dict[str, Span], *names: str) -> None:
    """Hold that each of these is the parent of the next."""
    for above, below in pairwise(names):
        assert found[below].parent_span_id == found[above].span_id, f"{below} is not below {above}"


async def test_one_trace_from_the_call_of_an_application_to_the_report_of_the_sip_user(tmp_path: Path) -> None:
    async with otlp_receiver() as receiver:
        # Nothing begins here: whoever calls has decided.
        async with stage(tmp_path, receiver, 0.0) as (agent, party):
            session_id = await chat(agent, party)
            traceparent = f"00-{TRACE}-{CALLER}-01"
            request = ua_pb2.SendMessageRequest(message=message(session_id))
            answer = await agent.SendMessage(request, metadata=[(HEADER, traceparent)])
            received = await party.heard(Received)
            await delivered(agent, answer.message_id)
        found = trace(receiver.spans(), TRACE)
    assert received.traceparent == ""
    assert not [name for name, _ in received.fields if name.lower() == HEADER]
    assert found["wigwag.rpc.serve"].parent_span_id.hex() == CALLER
    chain(found, "wigwag.rpc.serve", "wigwag.ua.accept", "wigwag.ua.deliver", "wigwag.ua.send", "wigwag.relay.send")
    chain(found, "wigwag.ua.accept", "wigwag.ledger.publish")
    assert plain(found["wigwag.ua.send"].attributes)["msrp.status"] == 200
    assert plain(found["wigwag.ua.deliver"].attributes)["msrp.message_id"] == answer.message_id


def whole_way(spans: Sequence[Span], above: str) -> dict[str, Span]:
    """Return the spans of the caller's trace, below his own one by one."""
    found = trace(spans, TRACE)
    assert found[above].parent_span_id.hex() == CALLER
    chain(found, above, "wigwag.ua.accept", "wigwag.ua.deliver", "wigwag.ua.send", "wigwag.relay.send")
    chain(found, "wigwag.ua.accept", "wigwag.ledger.publish")
    assert plain(found["wigwag.ua.send"].attributes)["msrp.status"] == 200
    return found


async def by_rest(url: str, session_id: str) -> str:
    """Send a message, traced, with the key; returns its id."""
    async with httpx.AsyncClient(base_url=url, headers=BEARER) as client:
        path = f"/v1/sessions/{session_id}/messages"
        answer = await client.post(path, json={"text": "hello"}, headers={HEADER: TRACEPARENT})
        return str(answer.raise_for_status().json()["message_id"])


async def by_websocket(url: str, session_id: str, headers: dict[str, str], **fields: str) -> str:
    """Likewise, over WebSocket."""
    command = {"id": 1, "command": "send_message", "session_id": session_id, "text": "hello", **fields}
    async with connect(f"{url.replace('http', 'ws')}/v1/events", additional_headers=BEARER | headers) as socket:
        await socket.send(json.dumps(command))
        async for text in socket:
            frame = json.loads(text)
            if frame.get("id") == 1:
                return str(frame["result"]["message_id"])
    raise AssertionError("no reply")


async def test_one_trace_from_a_request_to_the_report_of_the_sip_user(tmp_path: Path) -> None:
    async with otlp_receiver() as receiver:
        async with (
            running(tmp_path, receiver, 0.0, keys=[{"application": "desk", "key": KEY}]) as node,
            alice(tmp_path, node) as party,
            grpc.aio.insecure_channel(node.rpc_target) as channel,
        ):
            agent: Any = keyed(channel)
            message_id = await by_rest(node.modules["ua"].url, await chat(agent, party))  # type: ignore[attr-defined]
            await party.heard(Received)
            await delivered(agent, message_id)
        spans = receiver.spans()
    attributes = plain(whole_way(spans, "wigwag.http.serve")["wigwag.http.serve"].attributes)
    assert attributes["http.route"] == "/v1/sessions/{session_id}/messages"
    assert (attributes["http.request.method"], attributes["http.response.status_code"]) == ("POST", 201)
    assert {span.trace_id.hex() for span in spans} == {TRACE}


@pytest.mark.parametrize("of_the_command", [True, False])
async def test_one_trace_from_a_command_to_the_report_of_the_sip_user(tmp_path: Path, of_the_command: bool) -> None:
    async with otlp_receiver() as receiver:
        async with (
            running(tmp_path, receiver, 0.0, keys=[{"application": "desk", "key": KEY}]) as node,
            alice(tmp_path, node) as party,
            grpc.aio.insecure_channel(node.rpc_target) as channel,
        ):
            agent: Any = keyed(channel)
            headers, fields = ({}, {HEADER: TRACEPARENT}) if of_the_command else ({HEADER: TRACEPARENT}, {})
            url = node.modules["ua"].url  # type: ignore[attr-defined]
            message_id = await by_websocket(url, await chat(agent, party), headers, **fields)
            await party.heard(Received)
            await delivered(agent, message_id)
        spans = receiver.spans()
    attributes = plain(whole_way(spans, "wigwag.websocket.serve")["wigwag.websocket.serve"].attributes)
    assert (attributes["wigwag.command"], attributes["http.response.status_code"]) == ("send_message", 200)


async def test_nobody_traces_who_is_not_known(tmp_path: Path) -> None:
    async with otlp_receiver() as receiver:
        keys = [{"application": "desk", "key": KEY}]
        async with (
            running(tmp_path, receiver, 0.0, keys=keys) as node,
            grpc.aio.insecure_channel(node.rpc_target) as channel,
        ):
            url = node.modules["ua"].url  # type: ignore[attr-defined]
            async with httpx.AsyncClient(base_url=url, headers={HEADER: TRACEPARENT}) as client:
                assert (await client.get("/v1/sessions")).status_code == 401
                assert (await client.get("/v1/openapi.json")).status_code == 200
                assert (await client.get("/v1/sessions", headers=BEARER)).status_code == 200
            with pytest.raises(grpc.aio.AioRpcError, match="UNAUTHENTICATED"):
                await ua_pb2_grpc.UaServiceStub(channel).ListSessions(
                    ua_pb2.ListSessionsRequest(),
                    metadata=[(HEADER, TRACEPARENT), ("authorization", "Bearer unknown")],
                )
        assert [span.name for span in receiver.spans()] == ["wigwag.http.serve"]


async def test_one_trace_from_the_send_of_a_sip_user_to_the_event(tmp_path: Path) -> None:
    async with otlp_receiver() as receiver:
        async with stage(tmp_path, receiver, 1.0) as (agent, party):
            await agent.SendMessage(ua_pb2.SendMessageRequest(message=message(await chat(agent, party))))
            theirs = (await party.heard(Received)).session
            theirs.send(OutgoingMessage(message_id="from-alice", content_type="text/plain", body=b"hello yourself"))
            await party.heard(Settled)
        spans = receiver.spans()
    (came,) = [span for span in spans if span.name == "wigwag.ua.receive"]
    found = trace(spans, came.trace_id.hex())
    chain(found, "wigwag.relay.send", "wigwag.ua.receive", "wigwag.ledger.publish")
    assert plain(found["wigwag.relay.send"].attributes)["msrp.message_id"] == "from-alice"


async def test_what_a_sip_user_names_as_a_trace_is_not_gone_on_with(tmp_path: Path) -> None:
    async with otlp_receiver() as receiver:
        async with stage(tmp_path, receiver, 0.0) as (agent, party):
            await agent.SendMessage(ua_pb2.SendMessageRequest(message=message(await chat(agent, party))))
            theirs = (await party.heard(Received)).session
            forged = (("Traceparent", f"00-{TRACE}-{CALLER}-01"),)
            theirs.send(
                OutgoingMessage(message_id="from-alice", content_type="text/plain", body=b"hello", fields=forged)
            )
            await party.heard(Settled)
        assert receiver.spans() == []


async def test_sessions_messages_and_calls_are_counted(tmp_path: Path) -> None:
    async with otlp_receiver() as receiver, stage(tmp_path, receiver, 0.0) as (agent, party):
        session_id = await chat(agent, party)
        answer = await agent.SendMessage(ua_pb2.SendMessageRequest(message=message(session_id)))
        await party.heard(Received)
        await delivered(agent, answer.message_id)
        await agent.EndSession(ua_pb2.EndSessionRequest(session_id=session_id))
        await party.heard(Ended)
    # What a process has counted leaves it when it ends.
    assert receiver.value("wigwag.ua.sessions.started") == receiver.value("wigwag.ua.sessions.opened") == 1
    assert receiver.value("wigwag.ua.sessions.ended", cause="ended_here") == 1
    assert receiver.value("wigwag.ua.messages", direction="outbound", outcome="delivered") == 1
    assert receiver.value("wigwag.ua.calls", method="send_messages", status="OK") == 1
