"""A page-mode user and a session-mode user talk through the gateway of one process."""

from pathlib import Path

from tests.support.edge_under_test import DOMAIN
from tests.support.gateway_node import next_message, page_user
from tests.support.ua_node import UserAgentNode
from tests.support.ua_node_users import node_user
from wigwag.ua.endpoint.model import CallReceived, Received, Settled, Settlement


async def test_a_message_to_a_session_mode_user_arrives_in_a_session(node: UserAgentNode, tmp_path: Path) -> None:
    async with node_user("bob", node, tmp_path) as bob, page_user(node, "alice") as alice:
        assert (await alice.register()).status == 200
        assert (await alice.message(bob.uri, "hello")).status == 202
        await bob.hears(CallReceived)
        assert (await bob.hears(Received)).body == b"hello"


async def test_an_answer_in_the_session_arrives_as_a_message_and_is_reported(
    node: UserAgentNode, tmp_path: Path
) -> None:
    async with node_user("bob", node, tmp_path) as bob, page_user(node, "alice") as alice:
        assert (await alice.register()).status == 200
        assert (await alice.message(bob.uri, "hello")).status == 202
        call = await bob.hears(CallReceived)
        await bob.hears(Received)
        bob.say(call.session, b"hi")
        came = await next_message(alice)
        assert (came.body, came.from_.uri) == (b"hi", bob.uri)
        assert (await bob.hears(Settled)).settlement is Settlement.DELIVERED


async def test_a_refused_message_is_reported_to_the_session(node: UserAgentNode, tmp_path: Path) -> None:
    async with node_user("bob", node, tmp_path) as bob, page_user(node, "alice") as alice:
        assert (await alice.register()).status == 200
        assert (await alice.message(bob.uri, "hello")).status == 202
        call = await bob.hears(CallReceived)
        bob.say(call.session, b"hi")
        await next_message(alice, 603, "Decline")
        settled = await bob.hears(Settled)
        assert (settled.settlement, settled.status, settled.reason) == (Settlement.FAILED, 403, "603 Decline")


async def test_fifty_messages_at_once_are_one_session_in_order(node: UserAgentNode, tmp_path: Path) -> None:
    async with node_user("bob", node, tmp_path) as bob, page_user(node, "alice") as alice:
        assert (await alice.register()).status == 200
        for number in range(50):
            assert (await alice.message(bob.uri, str(number))).status == 202
        await bob.hears(Received, 50)
        assert [event.body for event in bob.heard(Received)] == [str(number).encode() for number in range(50)]
        assert len(bob.heard(CallReceived)) == 1


async def test_a_session_mode_user_calls_a_page_mode_user_who_is_absent_and_comes_back(
    node: UserAgentNode, tmp_path: Path
) -> None:
    async with node_user("bob", node, tmp_path) as bob:
        session = await bob.opens(f"sip:alice@{DOMAIN}")
        for text in (b"one", b"two"):
            bob.say(session, text)
        async with page_user(node, "alice") as alice:
            assert (await alice.register()).status == 200
            assert [(await next_message(alice)).body for _ in range(2)] == [b"one", b"two"]
        await bob.hears(Settled, 2)
        assert {event.settlement for event in bob.heard(Settled)} == {Settlement.DELIVERED}


async def test_a_message_for_an_absent_user_waits_for_his_session(node: UserAgentNode, tmp_path: Path) -> None:
    async with page_user(node, "alice") as alice:
        assert (await alice.register()).status == 200
        assert (await alice.message(f"sip:bob@{DOMAIN}", "later")).status == 202
        async with node_user("bob", node, tmp_path) as bob:
            assert (await bob.hears(Received)).body == b"later"


async def test_the_sender_is_told_when_the_session_is_declined(node: UserAgentNode, tmp_path: Path) -> None:
    async with node_user("bob", node, tmp_path, answers=False) as bob, page_user(node, "alice") as alice:
        assert (await alice.register()).status == 200
        assert (await alice.message(bob.uri, "hello there")).status == 202
        (await bob.hears(CallReceived)).session.reject(603, "Decline")
        told = await next_message(alice)
        assert (told.get("content-type") or "").startswith("text/plain")
        assert "hello there" in told.body.decode()
        assert told.from_.uri == bob.uri


async def test_the_page_mode_side_is_told_once_that_the_other_has_left(node: UserAgentNode, tmp_path: Path) -> None:
    async with node_user("bob", node, tmp_path) as bob, page_user(node, "alice") as alice:
        assert (await alice.register()).status == 200
        assert (await alice.message(bob.uri, "hello")).status == 202
        call = await bob.hears(CallReceived)
        await bob.hears(Received)
        call.session.end()
        assert "has left" in (await next_message(alice)).body.decode()
        assert (await alice.message(bob.uri, "again")).status == 202
        await bob.hears(CallReceived, 2)
        assert (await bob.hears(Received, 2)).body == b"again"
