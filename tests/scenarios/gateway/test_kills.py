"""The whole node is killed (-9) while messages wait in both directions, and is started again with what it has kept.

Alice (page mode) writes to Bob (sessions), who is absent; Carol (sessions) writes to 100 (page mode), who is absent.
"""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.support.edge_under_test import DOMAIN
from tests.support.gateway_content import cpim
from tests.support.gateway_node import next_message, page_user, writes
from tests.support.gateway_process import GatewayProcess, gateway_process
from tests.support.redis_server import running_redis
from tests.support.ua_node_users import NodeUser, node_user
from tests.support.waiting import until
from wigwag.ua.endpoint.model import Received, Settled, Settlement

ALICE, BOB, THE_100 = (f"sip:{name}@{DOMAIN}" for name in ("alice", "bob", "100"))
TEXTS = [str(number) for number in range(5)]
IMDN = (
    "NS: imdn <urn:ietf:params:imdn>\r\n"
    "imdn.Message-ID: 34jk324j\r\n"
    "imdn.Disposition-Notification: positive-delivery\r\n"
)
PATIENCE = 30.0


async def wrote_while_nobody_was_there(node: GatewayProcess, directory: Path, stack: AsyncExitStack) -> NodeUser:
    """Let both write; returns Carol, who stays."""
    async with page_user(node, "alice") as alice:
        for text in TEXTS:
            asks = cpim(text.encode(), head=IMDN, sender=ALICE, recipient=BOB)
            assert await writes(alice, BOB, asks, "message/cpim") == 202
    carol = await stack.enter_async_context(node_user("carol", node, directory))
    session = await carol.opens(THE_100)
    # A session that is not open yet dies with its process.
    await until(lambda: node.open_conversations() == 1, PATIENCE)
    for text in TEXTS:
        carol.say(session, text.encode())
    await until(lambda: len(node.messages("inbound")) == len(TEXTS), PATIENCE)
    assert {state for way in ("inbound", "pager-inbound") for _, state in node.messages(way)} == {"accepted"}
    return carol


async def all_that_waited_comes(node: GatewayProcess, directory: Path) -> None:
    """Let all come back: each message is delivered once, in order, and Alice is told of each."""
    # Bob takes no message/cpim: so it is the gateway that has to tell Alice.
    types = ("text/plain",)
    async with node_user("bob", node, directory, types=types) as bob, page_user(node, "100") as page:
        await bob.hears(Received, len(TEXTS))
        assert [(await next_message(page)).body.decode() for _ in TEXTS] == TEXTS
        async with page_user(node, "alice") as alice:
            told = [(await next_message(alice)).body for _ in TEXTS]
            assert all(b"<delivered/>" in each for each in told)
        await until(lambda: {state for _, state in node.messages("inbound")} == {"delivered"}, PATIENCE)
        assert [event.body.decode() for event in bob.heard(Received)] == TEXTS


async def test_a_killed_node_delivers_what_waited(tmp_path: Path) -> None:
    async with gateway_process(tmp_path) as node, AsyncExitStack() as stack:
        await wrote_while_nobody_was_there(node, tmp_path, stack)
        node.kill()
        await node.ready()
        await all_that_waited_comes(node, tmp_path)


@pytest.mark.parametrize("empty", [False, True])
async def test_a_killed_node_delivers_what_waited_whatever_redis_has_kept(tmp_path: Path, empty: bool) -> None:
    with running_redis() as redis:
        async with gateway_process(tmp_path, redis_url=redis.url) as node, AsyncExitStack() as stack:
            carol = await wrote_while_nobody_was_there(node, tmp_path, stack)
            node.kill()
            redis.restart(empty=empty)
            await node.ready()
            await all_that_waited_comes(node, tmp_path)
            if not empty:
                await carol.hears(Settled, len(TEXTS))
                told = [(event.settlement, event.status, event.reason) for event in carol.heard(Settled)]
                assert {settlement for settlement, *_ in told} == {Settlement.DELIVERED}, told
