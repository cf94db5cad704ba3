"""Both directions, with every end that a message can have, and users who come back after everything was restarted."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.edge_under_test import DOMAIN
from tests.support.gateway_content import cpim
from tests.support.gateway_node import gateway_node, next_message, page_user, writes
from tests.support.ua_node import UserAgentNode
from tests.support.ua_node_users import NodeUser, node_user
from tests.support.waiting import until
from wigwag.ua.endpoint.model import CallReceived, Received, Settled, Settlement

ALICE, BOB = f"sip:alice@{DOMAIN}", f"sip:bob@{DOMAIN}"


async def outcome(bob: NodeUser) -> tuple[Settlement, int]:
    """Return what the session-mode user is told."""
    settled = await bob.hears(Settled)
    return settled.settlement, settled.status


# MESSAGE -> session


async def test_to_a_session_delivered(node: UserAgentNode, tmp_path: Path) -> None:
    async with node_user("bob", node, tmp_path) as bob, page_user(node, "alice") as alice:
        assert await writes(alice, BOB, "hello") == 202
        assert (await bob.hears(Received)).body == b"hello"


@pytest.mark.parametrize(("status", "words"), [(603, "was declined"), (486, "is busy"), (404, "no such user")])
async def test_to_a_session_that_is_refused(tmp_path: Path, status: int, words: str) -> None:
    async with (
        gateway_node(tmp_path, setup={"busy": "fail", "absent": "fail"}) as node,
        node_user("bob", node, tmp_path, answers=False) as bob,
        page_user(node, "alice") as alice,
    ):
        assert await writes(alice, BOB, "hello") == 202
        (await bob.hears(CallReceived)).session.reject(status, "No")
        assert words in (await next_message(alice)).body.decode()


async def test_to_a_session_that_nobody_answers_in_time(tmp_path: Path) -> None:
    async with (
        gateway_node(tmp_path, ringing=1.0, setup={"absent": "fail"}) as node,
        node_user("bob", node, tmp_path, answers=False) as bob,
        page_user(node, "alice") as alice,
    ):
        assert await writes(alice, BOB, "hello") == 202
        await bob.hears(CallReceived)
        assert "was not delivered" in (await next_message(alice)).body.decode()


@pytest.mark.parametrize(("status", "words"), [(415, "can't show it"), (413, "too large"), (403, "was declined")])
async def test_to_a_session_whose_peer_refuses_the_message(
    node: UserAgentNode, tmp_path: Path, status: int, words: str
) -> None:
    async with node_user("bob", node, tmp_path) as bob, page_user(node, "alice") as alice:
        bob.refuses = (status, "No")
        assert await writes(alice, BOB, "hello") == 202
        assert words in (await next_message(alice)).body.decode()


async def test_to_a_session_that_takes_no_such_type(node: UserAgentNode, tmp_path: Path) -> None:
    async with node_user("bob", node, tmp_path) as bob, page_user(node, "alice") as alice:
        bob.types = ("text/plain",)
        assert await writes(alice, BOB, b"{}", "application/json") == 202
        assert "can't show it (415)" in (await next_message(alice)).body.decode()


async def test_to_somebody_who_does_not_exist(node: UserAgentNode) -> None:
    async with page_user(node, "alice") as alice:
        assert await writes(alice, f"sip:nobody@{DOMAIN}", "hello") == 404


async def test_to_an_absent_user_whose_time_runs_out(node: UserAgentNode) -> None:
    async with page_user(node, "alice") as alice:
        assert await writes(alice, BOB, "hello", Expires="1") == 202
        assert "could not be reached in time" in (await next_message(alice)).body.decode()


# Session -> MESSAGE


async def test_from_a_session_delivered(node: UserAgentNode, tmp_path: Path) -> None:
    async with node_user("bob", node, tmp_path) as bob, page_user(node, "alice") as alice:
        bob.say(await bob.opens(ALICE), b"hi")
        assert (await next_message(alice)).body == b"hi"
        assert (await outcome(bob))[0] is Settlement.DELIVERED


@pytest.mark.parametrize(("status", "told"), [(603, 403), (415, 415), (413, 413), (404, 403), (400, 400)])
async def test_from_a_session_refused(node: UserAgentNode, tmp_path: Path, status: int, told: int) -> None:
    async with node_user("bob", node, tmp_path) as bob, page_user(node, "alice") as alice:
        bob.say(await bob.opens(ALICE), b"hi")
        await next_message(alice, status, "No")
        assert await outcome(bob) == (Settlement.FAILED, told)


async def test_from_a_session_in_which_more_is_said_than_may_be(tmp_path: Path) -> None:
    async with (
        gateway_node(tmp_path, large="refuse") as node,
        node_user("bob", node, tmp_path) as bob,
        page_user(node, "alice"),
    ):
        bob.say(await bob.opens(ALICE), b"x" * 3_000)
        assert await outcome(bob) == (Settlement.FAILED, 413)


async def test_from_a_session_a_type_that_is_not_passed(tmp_path: Path) -> None:
    async with (
        gateway_node(tmp_path, unknown_types="refuse") as node,
        node_user("bob", node, tmp_path) as bob,
        page_user(node, "alice"),
    ):
        bob.say(await bob.opens(ALICE), b"{}", "application/json")
        assert await outcome(bob) == (Settlement.FAILED, 415)


async def test_from_a_session_to_a_device_that_takes_no_cpim(node: UserAgentNode, tmp_path: Path) -> None:
    async with node_user("bob", node, tmp_path) as bob, page_user(node, "alice") as alice:
        asks = (
            "NS: imdn <urn:ietf:params:imdn>\r\n"
            "imdn.Message-ID: 34jk324j\r\n"
            "imdn.Disposition-Notification: positive-delivery\r\n"
        )
        bob.say(await bob.opens(ALICE), cpim(b"hi", head=asks, sender=BOB, recipient=ALICE), "message/cpim")
        assert (await next_message(alice, 415, "No")).get("content-type") == "message/cpim"
        assert (await next_message(alice)).body == b"hi"
        assert await outcome(bob) == (Settlement.DELIVERED, 200)
        told = await bob.hears(Received)
        assert (told.content_type, b"<delivered/>" in told.body) == ("message/cpim", True)
        assert len(bob.heard(Settled)) == 1


# Everything restarted


async def test_users_who_come_back_after_a_restart_of_everything_get_what_waited(tmp_path: Path) -> None:
    async with gateway_node(tmp_path) as node, page_user(node, "alice") as alice:
        for text in ("one", "two"):
            assert await writes(alice, BOB, text) == 202
    async with gateway_node(tmp_path) as node, node_user("bob", node, tmp_path) as bob:
        await bob.hears(Received, 2)
        assert [event.body for event in bob.heard(Received)] == [b"one", b"two"]
        session = bob.heard(CallReceived)[0].session
        for said in (b"three", b"four"):
            bob.say(session, said)
        await until(lambda: waiting(tmp_path) >= 2, 20.0)
    async with gateway_node(tmp_path) as node, page_user(node, "alice") as alice:
        assert [(await next_message(alice)).body for _ in range(2)] == [b"three", b"four"]


def waiting(directory: Path) -> int:
    """Return how many messages of sessions have no outcome in the ledger."""
    with closing(sqlite3.connect(directory / "data" / "wigwag.sqlite3")) as database:
        query = "SELECT count(*) FROM wigwag_ledger WHERE state = 'accepted' AND direction = 'inbound'"
        found: int = database.execute(query).fetchone()[0]
    return found
