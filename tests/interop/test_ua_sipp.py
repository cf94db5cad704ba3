"""SIPp calls applications and is called by them; a small endpoint of the tests has its MSRP."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from google.protobuf import duration_pb2

from tests.support.edge_under_test import DOMAIN
from tests.support.live_client import LiveClient, open_wire
from tests.support.msrp import request_frame
from tests.support.msrp_peer import listening_peer
from tests.support.sipp import SippAgent, SippResult, run_sipp, sipp_agent
from tests.support.sipp_scripts import acknowledge, expect, invited, optional, pause, request, response, say, sdp, write
from tests.support.ua_node import HOST, UserAgentNode, application, user_agent_node, wait_for
from tests.support.waiting import until
from wigwag.api.ua.v1 import message_pb2, session_pb2
from wigwag.protocols.msrp import MsrpUri

pytestmark = pytest.mark.peer("sipp")
OWN_PATH = "msrp://127.0.0.1:2855/alice;tcp"
BYE = [request("BYE", 9), expect("200")]
TALK = 1500
"""Milliseconds for which SIPp lets a session stand."""


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[UserAgentNode]:
    applications = [
        application("echo", greeting="welcome"),
        application("near", way="direct"),
        application("busy", answer="reject", reject_status=486),
        application("slow", answer="ask", answer_timeout=30.0),
    ]
    async with user_agent_node(tmp_path, applications, direct={"host": HOST}) as running:
        yield running


def calling(node: UserAgentNode, script: str, peer: str, **keys: str) -> "asyncio.Task[SippResult]":
    """Let SIPp call an application, beside."""
    keys = {"path": OWN_PATH, "setup": "active", **keys}
    run = partial(run_sipp, script, node.edge, "alice", peer=peer, transport="tcp")
    return asyncio.create_task(asyncio.to_thread(lambda: run(**cast(Any, keys))))


def answered(*more: str, offer: str = "", answer: str = "") -> list[str]:
    """Return the steps of a call until its ACK."""
    return [*invited(offer or sdp(*more)), expect("200", routes=True), acknowledge(2, answer)]


async def behind_relay(node: UserAgentNode, user: str) -> LiveClient:
    """Return an endpoint that has AUTHed at our relay, by digest."""
    wire = await open_wire("tcp", HOST, node.relay["tcp"], None)
    client = LiveClient(wire, f"msrp://{user}.invalid:9/own;tcp")
    return await client.authenticate(node.relay_uri("tcp"), user, node.edge.users[user])


async def test_sipp_calls_an_application_and_hangs_up(node: UserAgentNode, tmp_path: Path) -> None:
    script = write(tmp_path, "call", answered(), pause(300), BYE)
    (await calling(node, script, "echo")).expect_success()
    session = await node.last_session("echo")
    ended = await node.until_state("echo", session.session_id, "ended")
    assert ended.end_cause == session_pb2.END_CAUSE_ENDED_BY_PEER


async def test_an_endpoint_behind_our_relay_talks_with_an_application(node: UserAgentNode, tmp_path: Path) -> None:
    endpoint = await behind_relay(node, "alice")
    script = write(tmp_path, "call", answered(), pause(TALK), BYE)
    call = calling(node, script, "echo", path=endpoint.path)
    session = await node.last_session("echo")
    await node.until_state("echo", session.session_id, "open")
    message_id = await node.send("echo", session.session_id, "hello alice")
    heard = await endpoint.message(message_id)
    assert heard.body == b"hello alice"
    # From-Path is in the order of the way back.
    back = " ".join(map(str, heard.head.from_path))
    report = request_frame(
        "REPORT", "rep1x", (f"Message-ID: {message_id}", "Byte-Range: 1-11/11", "Status: 000 200 OK"),
        to_path=back, from_path=endpoint.uri,
    )  # fmt: skip
    await endpoint.write(report)
    delivered = await node.outcome("echo", message_id)
    assert delivered.state == message_pb2.DELIVERY_STATE_DELIVERED
    assert (await endpoint.send(back, b"hello application"))[1] == 200
    (received,) = await node.received("echo", session.session_id)
    assert received.body == b"hello application"
    (await call).expect_success()
    assert b"welcome" in [one.body for one in endpoint.received.values()]
    await endpoint.close()


async def test_messages_pass_directly_when_the_caller_listens(node: UserAgentNode, tmp_path: Path) -> None:
    async with listening_peer() as peer:
        script = write(tmp_path, "call", answered(), pause(TALK), BYE)
        call = calling(node, script, "near", path=peer.uri, setup="passive")
        session = await node.last_session("near")
        await node.until_state("near", session.session_id, "open")
        message_id = await node.send("near", session.session_id, "hello")
        assert await peer.texts(1) == [b"hello"]
        assert (await node.outcome("near", message_id)).state == message_pb2.DELIVERY_STATE_DELIVERED
        assert (await peer.say(b"hello yourself"))[1] == 200
        (received,) = await node.received("near", session.session_id)
        assert received.body == b"hello yourself"
        (await call).expect_success()


async def test_a_caller_without_an_offer_answers_in_his_ack(node: UserAgentNode, tmp_path: Path) -> None:
    async with listening_peer() as peer:
        late = [
            *invited(""),
            expect("200", routes=True, log="a=setup:.*"),
            acknowledge(2, sdp()),
        ]
        call = calling(node, write(tmp_path, "late", late, pause(TALK), BYE), "near", path=peer.uri, setup="passive")
        session = await node.last_session("near")
        await node.until_state("near", session.session_id, "open")
        await node.send("near", session.session_id, "hello")
        assert await peer.texts(1) == [b"hello"]
        (await call).expect_success()


async def test_an_answer_in_the_ack_without_a_common_type_ends_with_bye(node: UserAgentNode, tmp_path: Path) -> None:
    wrong = sdp().replace("message/cpim text/plain", "image/png")
    late = [*invited(""), expect("200", routes=True), acknowledge(2, wrong), expect("BYE"), response("200 OK")]
    (await calling(node, write(tmp_path, "late", late), "near")).expect_success()
    session = await node.last_session("near")
    ended = await node.until_state("near", session.session_id, "ended")
    assert ended.end_cause == session_pb2.END_CAUSE_NO_COMMON_TYPE


async def test_messages_follow_a_path_that_a_reinvite_changes(node: UserAgentNode, tmp_path: Path) -> None:
    async with listening_peer("first") as first, listening_peer("second") as second:
        moved = [
            pause(700),
            request("INVITE", 3, sdp(path="[later]", version=2)),
            optional("100"),
            expect("200"),
            acknowledge(3),
        ]
        script = write(tmp_path, "moves", answered(), moved, pause(TALK), BYE)
        call = calling(node, script, "near", path=first.uri, later=second.uri, setup="passive")
        session = await node.last_session("near")
        await node.until_state("near", session.session_id, "open")
        await node.send("near", session.session_id, "before")
        assert await first.texts(1) == [b"before"]
        await second.connected()
        after = await node.send("near", session.session_id, "after")
        assert await second.texts(1) == [b"after"]
        assert (await node.outcome("near", after)).state == message_pb2.DELIVERY_STATE_DELIVERED
        (await call).expect_success()


async def test_what_is_said_while_the_caller_holds_is_sent_when_he_goes_on(node: UserAgentNode, tmp_path: Path) -> None:
    async with listening_peer() as peer:
        held = [
            pause(300),
            request("INVITE", 3, sdp("a=sendonly", version=2)),
            optional("100"),
            expect("200", log="a=recvonly"),
            acknowledge(3),
            pause(1000),
            request("INVITE", 4, sdp(version=3)),
            optional("100"),
            expect("200"),
            acknowledge(4),
        ]
        script = write(tmp_path, "holds", answered(), held, pause(TALK), BYE)
        call = calling(node, script, "near", path=peer.uri, setup="passive")
        session = await node.last_session("near")
        await node.until_state("near", session.session_id, "open")
        await until_held(node, session.session_id, on=True)
        message_id = await node.send("near", session.session_id, "patience")
        assert not [one for connection in peer.connections for one in connection.received.values() if one.body]
        await until_held(node, session.session_id, on=False)
        assert await peer.texts(1) == [b"patience"]
        assert (await node.outcome("near", message_id)).state == message_pb2.DELIVERY_STATE_DELIVERED
        (await call).expect_success()


async def until_held(node: UserAgentNode, session_id: str, *, on: bool) -> None:
    async def look() -> bool:
        return (await node.session("near", session_id)).held is on

    await wait_for(look, "hold" if on else "end of the hold")


async def test_a_caller_who_gives_up_is_answered_487(node: UserAgentNode, tmp_path: Path) -> None:
    steps = [
        request("INVITE", 1, sdp(), inside=False),
        optional("100"),
        expect("407", auth=True),
        acknowledge(1, refused=True),
        request("INVITE", 2, sdp(), inside=False, auth=True),
        optional("100"),
        expect("180"),
        request("CANCEL", 2, inside=False).replace("branch=[branch]", "branch=[branch-3]"),
        expect("200"),
        expect("487"),
        acknowledge(2, refused=True).replace("branch=[branch-3]", "branch=[branch-6]"),
    ]
    (await calling(node, write(tmp_path, "cancels", steps), "slow")).expect_success()
    session = await node.last_session("slow")
    ended = await node.until_state("slow", session.session_id, "ended")
    assert ended.end_cause == session_pb2.END_CAUSE_CANCELLED


async def test_an_application_that_takes_no_calls_refuses_them_as_it_is_told_to(
    node: UserAgentNode, tmp_path: Path
) -> None:
    steps = [*invited(sdp()), expect("486"), acknowledge(2, refused=True)]
    (await calling(node, write(tmp_path, "busy", steps), "busy")).expect_success()


async def test_an_offer_without_a_common_type_is_refused_with_488(node: UserAgentNode, tmp_path: Path) -> None:
    wrong = sdp().replace("message/cpim text/plain", "image/png")
    steps = [*invited(wrong), expect("488", log="Warning:.*"), acknowledge(2, refused=True)]
    (await calling(node, write(tmp_path, "wrong", steps), "near")).expect_success()


async def test_a_session_timer_that_the_caller_refreshes_is_answered(node: UserAgentNode, tmp_path: Path) -> None:
    timer = "Session-Expires: 90;refresher=uac\n      Supported: timer"
    steps = [
        *invited(sdp(), timer),
        expect("200", routes=True, log="Session-Expires: 90;refresher=uac"),
        acknowledge(2),
        pause(200),
        request("UPDATE", 3, extra=timer),
        expect("200", log="Session-Expires: 90;refresher=uac"),
        request("INVITE", 4, sdp(), extra=timer),
        optional("100"),
        expect("200", log="Session-Expires: 90;refresher=uac"),
        acknowledge(4),
        pause(200),
    ]
    (await calling(node, write(tmp_path, "timer", steps, BYE), "near")).expect_success()


# SIPp is called


def taken(directory: Path, *steps: Any, ring: bool = True) -> str:
    """Write what answers a call: rings, accepts, then does more."""
    begin = [expect("INVITE", routes=True, log="a=path:.*")]
    begin += [response("180 Ringing", tag=True)] if ring else []
    return write(directory, "taken", begin, response("200 OK", sdp(), tag=True), expect("ACK"), *steps)


async def called(node: UserAgentNode, application: str, **more: Any) -> session_pb2.Session:
    return await node.start(application, f"sip:bob@{DOMAIN}", **more)


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        ("486 Busy Here", session_pb2.END_CAUSE_BUSY),
        ("603 Decline", session_pb2.END_CAUSE_DECLINED),
        ("488 Not Acceptable Here", session_pb2.END_CAUSE_NO_COMMON_TYPE),
        ("480 Temporarily Unavailable", session_pb2.END_CAUSE_NOT_FOUND),
    ],
)
async def test_a_phone_that_rings_and_refuses_ends_the_session_with_its_status(
    node: UserAgentNode, tmp_path: Path, status: str, cause: int
) -> None:
    script = write(
        tmp_path, "refuses", expect("INVITE"), response("180 Ringing", tag=True), response(status, tag=True),
        expect("ACK"), say("done"),
    )  # fmt: skip
    async with phone(node, script) as bob:
        session = await called(node, "near")
        ended = await node.until_state("near", session.session_id, "ended")
        assert (ended.end_cause, ended.sip_status) == (cause, int(status[:3]))
        await asyncio.to_thread(bob.wait_for, "done")


@asynccontextmanager
async def phone(node: UserAgentNode, script: str, **keys: str) -> AsyncIterator[SippAgent]:
    """Let SIPp be the phone of bob, registered over TCP."""
    stack = ExitStack()
    try:
        yield await asyncio.to_thread(
            stack.enter_context, sipp_agent(node.edge, "bob", script, transport="tcp", **cast(Any, keys))
        )
    finally:
        await asyncio.to_thread(stack.close)


async def test_a_phone_that_listens_is_called_and_the_application_hangs_up(node: UserAgentNode, tmp_path: Path) -> None:
    async with listening_peer() as peer:
        script = taken(tmp_path, expect("BYE"), response("200 OK"), say("ended"))
        async with phone(node, script, path=peer.uri, setup="passive") as bob:
            session = await called(node, "near")
            await node.until_state("near", session.session_id, "open")
            message_id = await node.send("near", session.session_id, "hello bob")
            assert await peer.texts(1) == [b"hello bob"]
            assert (await node.outcome("near", message_id)).state == message_pb2.DELIVERY_STATE_DELIVERED
            await node.end("near", session.session_id)
            await asyncio.to_thread(bob.wait_for, "ended")
        ended = await node.session("near", session.session_id)
        assert ended.end_cause == session_pb2.END_CAUSE_ENDED_HERE


@pytest.mark.parametrize(("application", "early"), [("near", True), ("near", False), ("echo", True), ("echo", False)])
async def test_a_phone_that_connects_may_be_faster_than_its_answer(
    node: UserAgentNode, tmp_path: Path, application: str, early: bool
) -> None:
    # Our relay speaks TLS, so that is what we offer behind it.
    relayed = application == "echo"
    own = f"msrp{'s' * relayed}://127.0.0.1:9/theirs;tcp"
    slow = [expect("INVITE", routes=True, log="a=path:.*"), response("180 Ringing", tag=True), pause(800)]
    rest = [
        response("200 OK", sdp(tls=relayed), tag=True),
        expect("ACK"),
        expect("BYE"),
        response("200 OK"),
        say("ended"),
    ]
    script = write(tmp_path, "connects", slow, rest)
    async with phone(node, script, path=own, setup="active") as bob:
        session = await called(node, application)
        if not early:
            await node.until_state(application, session.session_id, "open")
        path = await offered_path(bob)
        endpoint = await connect_to(node, path.split()[0], own)
        assert (await endpoint.send(path, b"first"))[1] == 200
        (received,) = await node.received(application, session.session_id)
        assert received.body == b"first"
        message_id = await node.send(application, session.session_id, "second")
        assert (await endpoint.message(message_id)).body == b"second"
        await node.end(application, session.session_id)
        await asyncio.to_thread(bob.wait_for, "ended")
        await endpoint.close()


async def offered_path(bob: SippAgent) -> str:
    """Wait for the path in the offer that a phone got."""
    found: list[str] = []

    def look() -> bool:
        found[:] = [line.partition("a=path:")[2] for line in bob.log if "a=path:" in line]
        return bool(found)

    await until(look)
    return found[0].strip("] \r\n")


async def connect_to(node: UserAgentNode, hop: str, own: str) -> LiveClient:
    """Connect to a relay or an endpoint."""
    uri = MsrpUri.parse(hop)
    tls = ssl.create_default_context(cafile=node.ca_file) if uri.secure else None
    assert uri.port is not None
    return LiveClient(await open_wire("tls" if tls else "tcp", HOST, uri.port, tls, "localhost"), own)


async def test_a_phone_that_nobody_answers_is_cancelled(node: UserAgentNode) -> None:
    async with phone(node, "ring") as bob:
        session = await called(node, "near", timeout=duration_pb2.Duration(seconds=1))
        await asyncio.to_thread(bob.wait_for, "cancelled")
        ended = await node.until_state("near", session.session_id, "ended")
        assert ended.end_cause == session_pb2.END_CAUSE_TIMEOUT


async def test_a_phone_that_moves_elsewhere_is_followed(node: UserAgentNode, tmp_path: Path) -> None:
    moved = "Contact: <sip:carol@edge.example>"
    redirect = response("302 Moved Temporarily", tag=True).replace(
        "Contact: <sip:[user]@[local_ip]:[local_port];transport=[transport]>", moved
    )
    script = write(tmp_path, "moved", expect("INVITE"), redirect, expect("ACK"), say("done"))
    async with phone(node, script):
        session = await called(node, "near")
        ended = await node.until_state("near", session.session_id, "ended")
        # Carol has no phone.
        assert (ended.end_cause, ended.sip_status) == (session_pb2.END_CAUSE_NOT_FOUND, 480)
