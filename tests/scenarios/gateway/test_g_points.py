"""Where OpenSIPS's gateway is weak, point by point (reference: its modules msrp_gateway and msrp_ua, G1 to G12)."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

from tests.support.edge_under_test import DOMAIN
from tests.support.gateway_content import COMPOSING, IMDN_REQUEST
from tests.support.gateway_node import gateway_node, next_message, page_user, writes
from tests.support.ua_node import UserAgentNode
from tests.support.ua_node_users import NodeUser, node_user
from tests.support.waiting import until
from wigwag.api.events.v1.envelope_pb2 import Envelope
from wigwag.bus import Earliest
from wigwag.protocols.sip import Response
from wigwag.runtime.conversations import conversation_key
from wigwag.runtime.events import GATEWAY_EVENTS
from wigwag.ua.endpoint.model import CallReceived, Ended, EndpointSession, Received, Settled, Settlement

ALICE, BOB = f"sip:alice@{DOMAIN}", f"sip:bob@{DOMAIN}"
KEY = conversation_key(ALICE, BOB, "gateway")


def module_of(node: UserAgentNode) -> Any:
    """Return the gateway of a node."""
    return node.node.modules["gateway"]


def _is_later_than(moment: float) -> bool:
    return asyncio.get_running_loop().time() >= moment


async def called(bob: NodeUser, count: int = 1) -> EndpointSession:
    """Wait for a call, and for the first message in it."""
    session = (await bob.hears(CallReceived, count)).session
    await bob.hears(Received, which=lambda event: event.session is session)
    return session


async def test_g1_idle_time_runs_from_creation_and_from_the_last_use_of_either_side(tmp_path: Path) -> None:
    async with (
        gateway_node(tmp_path, idle_timeout=3.0) as node,
        node_user("bob", node, tmp_path) as bob,
        page_user(node, "alice") as alice,
    ):
        loop = asyncio.get_running_loop()
        begun, count = loop.time(), 0
        while loop.time() < begun + 6.0:  # Bob is silent twice as long as a session may be.
            assert await writes(alice, BOB, str(count)) == 202
            count += 1
            await bob.hears(Received, count)
            await until(partial(_is_later_than, loop.time() + 0.3), 5.0)
        assert len(bob.heard(CallReceived)) == 1
        assert not bob.heard(Ended)
        used = loop.time()
        await bob.hears(Ended)
        assert 1.0 < loop.time() - used < 20.0


async def test_g2_a_refused_message_is_reported_to_the_session(node: UserAgentNode, tmp_path: Path) -> None:
    async with node_user("bob", node, tmp_path) as bob, page_user(node, "alice") as alice:
        bob.say(await bob.opens(ALICE), b"hi")
        await next_message(alice, 486, "Busy Here")
        settled = await bob.hears(Settled)
        assert (settled.settlement, settled.status, settled.reason) == (Settlement.FAILED, 403, "486 Busy Here")


async def test_g2_a_message_that_the_session_refuses_is_told_to_its_sender(node: UserAgentNode, tmp_path: Path) -> None:
    async with node_user("bob", node, tmp_path) as bob, page_user(node, "alice") as alice:
        bob.refuses = (413, "Too Large")
        assert await writes(alice, BOB, "a long story") == 202
        told = (await next_message(alice)).body.decode()
        assert "a long story" in told
        assert "(413)" in told


async def test_g3_success_is_reported_when_a_device_has_the_message(node: UserAgentNode, tmp_path: Path) -> None:
    async with node_user("bob", node, tmp_path) as bob, page_user(node, "alice") as alice:
        bob.say(await bob.opens(ALICE), b"hi")
        came = await next_message(alice, None)
        assert not bob.heard(Settled)
        alice.send(Response.to_request(came, 200, "OK", to_tag="t"))
        assert (await bob.hears(Settled)).settlement is Settlement.DELIVERED


async def test_g3_202_is_no_success(node: UserAgentNode, tmp_path: Path) -> None:
    async with node_user("bob", node, tmp_path) as bob, page_user(node, "alice") as alice:
        session = await bob.opens(ALICE)
        first = bob.say(session, b"one")
        await next_message(alice, 202, "Accepted")
        second = bob.say(session, b"two")
        await next_message(alice)
        await bob.hears(Settled)
        assert [event.message_id for event in bob.heard(Settled)] == [second]
        assert first != second


async def test_g4_what_the_session_takes_only_within_cpim_is_wrapped(node: UserAgentNode, tmp_path: Path) -> None:
    async with node_user("bob", node, tmp_path) as bob, page_user(node, "alice") as alice:
        bob.types = ("message/cpim",)
        assert await writes(alice, BOB, "hello", Subject="Lunch") == 202
        received = await bob.hears(Received)
        assert received.content_type == "message/cpim"
        assert b"Subject: Lunch" in received.body
        assert received.body.endswith(b"hello")


async def test_g4_imdn_is_answered_for_a_device_that_can_not(node: UserAgentNode, tmp_path: Path) -> None:
    async with node_user("bob", node, tmp_path) as bob, page_user(node, "alice") as alice:
        bob.types = ("text/plain",)
        assert await writes(alice, BOB, IMDN_REQUEST, "message/cpim") == 202
        assert (await bob.hears(Received)).body == b"Hello World\n"
        told = await next_message(alice)
        assert told.get("content-type") == "message/cpim"
        assert b"<delivered/>" in told.body.replace(b" ", b"")
        assert b"34jk324j" in told.body


async def test_g4_who_writes_is_told_in_a_session_and_nobody_is_called_for_it(
    node: UserAgentNode, tmp_path: Path
) -> None:
    async with node_user("bob", node, tmp_path) as bob, page_user(node, "alice") as alice:
        bob.types = ("text/plain", "application/im-iscomposing+xml")
        assert await writes(alice, BOB, COMPOSING, "application/im-iscomposing+xml") == 202
        assert await writes(alice, BOB, "hello") == 202
        await bob.hears(Received)
        assert await writes(alice, BOB, COMPOSING, "application/im-iscomposing+xml") == 202
        assert (await bob.hears(Received, 2)).body == COMPOSING
        assert [event.body for event in bob.heard(Received)] == [b"hello", COMPOSING]


async def test_g5_a_message_in_chunks_is_one_message(node: UserAgentNode, tmp_path: Path) -> None:
    async with node_user("bob", node, tmp_path) as bob, page_user(node, "alice") as alice:
        text = b"0123456789" * 2_000
        bob.say(await bob.opens(ALICE), text)
        assert (await next_message(alice)).body == text
        assert (await bob.hears(Settled)).settlement is Settlement.DELIVERED


async def test_g5_more_than_1300_bytes_may_be_split_with_a_mark(tmp_path: Path) -> None:
    async with (
        gateway_node(tmp_path, large="split") as node,
        node_user("bob", node, tmp_path) as bob,
        page_user(node, "alice") as alice,
    ):
        text = "some words " * 100
        bob.say(await bob.opens(ALICE), text.encode())
        parts = [(await next_message(alice)).body.decode() for _ in range(3)]
        assert [part[:6] for part in parts] == ["(1/3) ", "(2/3) ", "(3/3) "]
        assert "".join(part[6:] for part in parts) == text
        assert (await bob.hears(Settled)).settlement is Settlement.DELIVERED


async def test_g6_the_queue_for_an_absent_user_is_bounded_and_says_so(tmp_path: Path) -> None:
    async with gateway_node(tmp_path, pager={"per_user": 3}) as node, page_user(node, "alice") as alice:
        answers = [await writes(alice, BOB, str(number)) for number in range(4)]
        assert answers[:3] == [202, 202, 202]
        assert answers[3] in (480, 503)
        async with node_user("bob", node, tmp_path) as bob:
            await bob.hears(Received, 3)
            assert [event.body for event in bob.heard(Received)] == [b"0", b"1", b"2"]


async def test_g7_a_session_that_could_not_be_had_takes_no_later_messages_with_it(
    node: UserAgentNode, tmp_path: Path
) -> None:
    async with node_user("bob", node, tmp_path, answers=False) as bob, page_user(node, "alice") as alice:
        assert await writes(alice, BOB, "one") == 202
        (await bob.hears(CallReceived)).session.reject(603, "Decline")
        assert "one" in (await next_message(alice)).body.decode()
        bob.takes_calls = True
        assert await writes(alice, BOB, "two") == 202
        assert (await bob.hears(Received)).body == b"two"


async def test_g8_a_second_call_takes_the_place_of_the_first(node: UserAgentNode, tmp_path: Path) -> None:
    async with node_user("bob", node, tmp_path) as bob, page_user(node, "alice") as alice:
        first, second = await bob.opens(ALICE), await bob.opens(ALICE)
        await bob.hears(Ended, which=lambda event: event.session is first)
        bob.say(second, b"hi")
        assert (await next_message(alice)).body == b"hi"
        assert await writes(alice, BOB, "you too") == 202
        assert (await bob.hears(Received)).session is second


async def test_g9_all_devices_get_the_message_and_are_one_conversation(node: UserAgentNode, tmp_path: Path) -> None:
    async with (
        node_user("bob", node, tmp_path) as bob,
        page_user(node, "alice") as phone,
        page_user(node, "alice") as tablet,
    ):
        session = await bob.opens(ALICE)
        bob.say(session, b"hi")
        both = await asyncio.gather(next_message(phone), next_message(tablet))
        assert [message.body for message in both] == [b"hi", b"hi"]
        assert await writes(phone, BOB, "from the phone") == 202
        assert await writes(tablet, BOB, "from the tablet") == 202
        await bob.hears(Received, 2)
        assert {event.session for event in bob.heard(Received)} == {session}
        assert (await bob.hears(Settled)).settlement is Settlement.DELIVERED


async def test_g10_the_event_names_all_messages_that_were_concerned(node: UserAgentNode, tmp_path: Path) -> None:
    async with node_user("bob", node, tmp_path, answers=False) as bob, page_user(node, "alice") as alice:
        for text in ("one", "two", "three"):
            assert await writes(alice, BOB, text) == 202
        (await bob.hears(CallReceived)).session.reject(603, "Decline")
        told = " ".join([(await next_message(alice)).body.decode() for _ in range(3)])
        assert all(f"“{text}”" in told for text in ("one", "two", "three")), told
        bus = module_of(node)._bus
        records = [record async for record in bus.replay(GATEWAY_EVENTS.name, Earliest())]
        envelopes = [Envelope.FromString(record.value) for record in records]
        (event,) = [each.gateway_setup_failed for each in envelopes if each.HasField("gateway_setup_failed")]
        assert (event.code, event.reason, event.remedy) == (603, "Decline", "fail")
        assert len(event.message_ids) == 3


async def test_g11_nothing_is_remembered_of_sessions_that_are_over(node: UserAgentNode, tmp_path: Path) -> None:
    async with node_user("bob", node, tmp_path) as bob, page_user(node, "alice") as alice:
        assert await writes(alice, BOB) == 202
        session = await called(bob)
        book = module_of(node).book
        assert book.known == 1
        session.end()
        await until(lambda: book.known == 0, 20.0)


async def test_g12_the_page_mode_side_is_told_that_the_other_has_left(node: UserAgentNode, tmp_path: Path) -> None:
    async with node_user("bob", node, tmp_path) as bob, page_user(node, "alice") as alice:
        assert await writes(alice, BOB) == 202
        (await called(bob)).end()
        assert "bob@" in (told := (await next_message(alice)).body.decode())
        assert "has left" in told
