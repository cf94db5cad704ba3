"""SIPp writes by MESSAGE to a session-mode user, and the other way, and is called by the gateway itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.interop.test_ua_sipp import connect_to, offered_path, phone
from tests.support.edge_under_test import DOMAIN
from tests.support.gateway_content import cpim, notification
from tests.support.gateway_node import ROUTE, gateway_node, next_message, page_user, writes
from tests.support.ledger import eventually
from tests.support.sipp import SCENARIOS, SippAgent, SippResult, run_sipp, sipp_agent
from tests.support.sipp_scripts import expect, response, say, sdp, write
from tests.support.ua_node import UserAgentNode, user_agent_node
from tests.support.ua_node_users import NodeUser, node_user
from tests.support.waiting import until
from wigwag.ua.endpoint.model import CallReceived, Received, Settled, Settlement

pytestmark = pytest.mark.peer("sipp")
ALICE, BOB = f"sip:alice@{DOMAIN}", f"sip:bob@{DOMAIN}"
IMDN: Final = (
    "NS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: 34jk324j\r\n"
    "imdn.Disposition-Notification: positive-delivery\r\nDateTime: 2026-11-26T07:00:00Z\r\n"
)
FAIL: Final = {"busy": "fail", "absent": "fail"}


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[UserAgentNode]:
    async with gateway_node(tmp_path) as running:
        yield running


def message(directory: Path, text: str = "hello [call_number]", content_type: str = "text/plain") -> str:
    """Write the scenario of a MESSAGE that is answered 202; returns its name."""
    scenario = (SCENARIOS / "message.xml").read_text().replace('response="200"', 'response="202"')
    lines = text.replace("\r\n", "\n").replace("\n", "\n      ")
    scenario = scenario.replace("text/plain", content_type).replace("[text] [call_number]", lines)
    file = directory / "page.xml"
    file.write_text(scenario)
    return str(file.with_suffix(""))


async def send(node: UserAgentNode, script: str, **more: Any) -> SippResult:
    """Let SIPp be alice and write to bob."""
    return await asyncio.to_thread(lambda: run_sipp(script, node.edge, "alice", peer="bob", **more))


@asynccontextmanager
async def pager(node: UserAgentNode, script: str, *, transport: str = "udp") -> AsyncIterator[SippAgent]:
    """Let SIPp be alice's device, which takes MESSAGE and no calls."""
    stack = ExitStack()
    agent = sipp_agent(node.edge, "alice", script, transport=transport, features=';methods="MESSAGE"')
    try:
        yield await asyncio.to_thread(stack.enter_context, agent)
    finally:
        await asyncio.to_thread(stack.close)


def answering(directory: Path, status: str) -> str:
    """Write the scenario that answers each MESSAGE so; returns its name."""
    return write(directory, "answers", expect("MESSAGE"), say("came"), response(status, tag=True))


# MESSAGE -> session


async def test_what_sipp_writes_is_taken_with_202_and_arrives_in_a_session(node: UserAgentNode, tmp_path: Path) -> None:
    async with node_user("bob", node, tmp_path) as bob:
        (await send(node, message(tmp_path))).expect_success()
        assert (await bob.hears(Received)).body.strip() == b"hello 1"


async def test_fifty_messages_of_sipp_in_a_second_are_one_session(node: UserAgentNode, tmp_path: Path) -> None:
    async with node_user("bob", node, tmp_path) as bob:
        (await send(node, message(tmp_path), calls=50, rate=50)).expect_success(50)
        await bob.hears(Received, 50)
        texts = {event.body.strip() for event in bob.heard(Received)}
        assert texts == {f"hello {number}".encode() for number in range(1, 51)}
        assert (len(bob.heard(Received)), len(bob.heard(CallReceived))) == (50, 1)


# Session -> MESSAGE


async def says(bob: NodeUser, text: bytes, content_type: str = "text/plain") -> None:
    bob.say(await bob.opens(ALICE), text, content_type)


async def test_what_sipp_answers_200_is_reported_as_delivered(node: UserAgentNode, tmp_path: Path) -> None:
    async with node_user("bob", node, tmp_path) as bob, pager(node, "receive") as alice:
        await says(bob, b"hi")
        settled = await bob.hears(Settled)
        assert (settled.settlement, settled.status) == (Settlement.DELIVERED, 200)
        assert alice.log.count("received hi") == 1


@pytest.mark.parametrize(
    ("status", "told"),
    [("603 Decline", 403), ("415 Unsupported Media Type", 415), ("513 Message Too Large", 413), ("404 Not Found", 403)],
)
async def test_what_sipp_refuses_is_reported_with_its_status_as_comment(
    node: UserAgentNode, tmp_path: Path, status: str, told: int
) -> None:
    async with node_user("bob", node, tmp_path) as bob, pager(node, answering(tmp_path, status)):
        await says(bob, b"{}", "application/json")
        settled = await bob.hears(Settled)
        assert (settled.settlement, settled.status, settled.reason) == (Settlement.FAILED, told, status)


async def test_what_sipp_accepts_with_202_is_delivered_when_its_notification_says_so(
    node: UserAgentNode, tmp_path: Path
) -> None:
    accepts = answering(tmp_path, "202 Accepted")
    async with node_user("bob", node, tmp_path) as bob, pager(node, accepts) as alice:
        await says(bob, cpim(b"hi", sender=BOB, recipient=ALICE, head=IMDN), "message/cpim")
        await asyncio.to_thread(alice.wait_for, "came")
        assert not bob.heard(Settled)
        imdn = cpim(notification(), "message/imdn+xml", sender=ALICE, recipient=BOB)
        (await send(node, message(tmp_path, imdn.decode(), "message/cpim"))).expect_success()
        assert (await bob.hears(Settled)).settlement is Settlement.DELIVERED
        assert b"<delivered/>" in (await bob.hears(Received)).body


async def test_what_sipp_never_answers_is_reported_with_408(tmp_path: Path) -> None:
    sip = {"routes": [ROUTE], "timers": {"t1": 0.03}}
    silent = write(tmp_path, "silent", expect("MESSAGE"), say("came"))
    async with (
        user_agent_node(tmp_path, [], gateway={}, sip=sip) as node,
        node_user("bob", node, tmp_path) as bob,
        pager(node, silent, transport="tcp") as alice,
    ):
        await says(bob, b"hi")
        await asyncio.to_thread(alice.wait_for, "came")
        settled = await bob.hears(Settled)
        assert (settled.settlement, settled.status) == (Settlement.UNCONFIRMED, 408)
        assert alice.log.count("came") == 1


async def test_sipp_that_never_answers_holds_up_nobody_else(tmp_path: Path) -> None:
    sip = {"routes": [ROUTE], "timers": {"t1": 0.1}, "pager": {"in_flight": 8}}
    silent = write(tmp_path, "silent", expect("MESSAGE"), say("came"))
    async with (
        user_agent_node(tmp_path, [], gateway={}, sip=sip) as node,
        node_user("bob", node, tmp_path) as bob,
        pager(node, silent) as alice,
        page_user(node, "carol") as carol,
    ):
        talk = await bob.opens(ALICE)
        for number in range(30):
            bob.say(talk, b"%d" % number)
        await until_asked_for(node, 30)
        bob.say(await bob.opens(f"sip:carol@{DOMAIN}"), b"hi")
        await asyncio.to_thread(alice.wait_for, "came")
        assert (await carol.received(30.0)).body == b"hi"


async def until_asked_for(node: UserAgentNode, count: int) -> None:
    """Wait until the edge was asked to send so many messages of bob's."""

    async def look() -> bool:
        kept = (await rest.get("/v1/messages", params={"limit": 1_000})).json()["messages"]
        return len([message for message in kept if message["service"] == "ua" and message["attempt"]]) >= count

    async with httpx.AsyncClient(base_url=node.node.admin_url, trust_env=False) as rest:
        await eventually(look)


# SIPp is called by the gateway


@asynccontextmanager
async def waiting(tmp_path: Path, **gateway: Any) -> AsyncIterator[UserAgentNode]:
    """Run a node at which senders to bob wait for what becomes of their messages."""
    route = {**ROUTE, "answer": "delivery"}
    async with user_agent_node(tmp_path, [], gateway={"setup": FAIL, **gateway}, sip={"routes": [route]}) as node:
        yield node


def refusing(directory: Path, status: str) -> str:
    """Write the scenario that rings and refuses; returns its name."""
    steps = [response("180 Ringing", tag=True), response(status, tag=True), expect("ACK"), say("done")]
    return write(directory, "refuses", expect("INVITE"), *steps)


@pytest.mark.parametrize("status", ["486 Busy Here", "488 Not Acceptable Here", "603 Decline"])
async def test_a_sender_who_waits_is_answered_as_sipp_has_answered_the_invite(tmp_path: Path, status: str) -> None:
    async with (
        waiting(tmp_path) as node,
        phone(node, refusing(tmp_path, status), features=';methods="INVITE,ACK,CANCEL,BYE"') as bob,
        page_user(node, "alice") as alice,
    ):
        assert await writes(alice, BOB) == int(status[:3])
        await asyncio.to_thread(bob.wait_for, "done")


async def test_sipp_that_takes_no_sessions_gets_what_it_was_called_for_by_message(tmp_path: Path) -> None:
    either = ['<recv request="MESSAGE" optional="true" next="page"/>', expect("INVITE")]
    refuses = [response("488 Not Acceptable Here", tag=True), '<recv request="ACK" next="end"/>']
    takes = ['<label id="page"/>', response("200 OK", tag=True), say("taken"), '<label id="end"/>', say("over")]
    async with (
        waiting(tmp_path) as node,
        phone(node, write(tmp_path, "pages", either, refuses, takes)) as bob,
        page_user(node, "alice") as alice,
    ):
        assert await writes(alice, BOB) == 200
        await asyncio.to_thread(bob.wait_for, "over", 2)
        assert bob.log.count("taken") == 1


async def test_a_sender_who_waits_is_answered_480_when_sipp_only_rings(tmp_path: Path) -> None:
    async with (
        waiting(tmp_path, ringing=1.0) as node,
        phone(node, "ring") as bob,
        page_user(node, "alice") as alice,
    ):
        assert await writes(alice, BOB) == 480
        await asyncio.to_thread(bob.wait_for, "cancelled")


async def test_a_sender_who_does_not_wait_is_told_by_a_message_that_sipp_has_declined(
    node: UserAgentNode, tmp_path: Path
) -> None:
    async with phone(node, refusing(tmp_path, "603 Decline")), page_user(node, "alice") as alice:
        assert await writes(alice, BOB, "see you") == 202
        notice = (await next_message(alice)).body.decode()
        assert ("see you" in notice, "was declined" in notice) == (True, True)


async def test_messages_pass_both_ways_in_a_session_that_sipp_accepts(node: UserAgentNode, tmp_path: Path) -> None:
    # Our relay speaks TLS; SIPp has the signalling, a small endpoint of the tests its MSRP.
    own = "msrps://127.0.0.1:9/theirs;tcp"
    accepts = [response("180 Ringing", tag=True), response("200 OK", sdp(tls=True), tag=True), expect("ACK")]
    ends = [expect("BYE"), response("200 OK"), say("ended")]
    script = write(tmp_path, "accepts", expect("INVITE", routes=True, log="a=path:.*"), accepts, ends)
    async with phone(node, script, path=own, setup="active") as bob, page_user(node, "alice") as alice:
        assert await writes(alice, BOB, "hello") == 202
        path = await offered_path(bob)
        endpoint = await connect_to(node, path.split()[0], own)
        assert (await endpoint.send(path, b"hi"))[1] == 200
        assert (await next_message(alice)).body == b"hi"
        await until(lambda: any(one.body == b"hello" for one in endpoint.received.values()))
        await hang_up(node)
        await asyncio.to_thread(bob.wait_for, "ended")
        await endpoint.close()


async def hang_up(node: UserAgentNode) -> None:
    """Let an operator end the only conversation."""
    async with httpx.AsyncClient(base_url=node.node.admin_url, trust_env=False) as rest:
        (conversation,) = (await rest.get("/v1/gateway/conversations")).json()["conversations"]
        ended = await rest.post(f"/v1/gateway/conversations/{conversation['key']}/end")
        assert ended.json()["state"] == "closed"
