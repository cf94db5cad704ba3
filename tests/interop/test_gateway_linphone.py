"""Linphone, which takes MESSAGE and calls but no MSRP, chats with a session-mode user through the gateway."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.interop.test_gateway_sipp import IMDN
from tests.support.edge_under_test import DOMAIN
from tests.support.gateway_content import cpim
from tests.support.gateway_node import gateway_node
from tests.support.linphone import Linphone, linphone
from tests.support.ua_node import UserAgentNode
from tests.support.ua_node_users import node_user
from wigwag.ua.endpoint.model import Ended, Received, Settled, Settlement

pytestmark = pytest.mark.peer("linphone-daemon")
ALICE, BOB = f"sip:alice@{DOMAIN}", f"sip:bob@{DOMAIN}"


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[UserAgentNode]:
    async with gateway_node(tmp_path) as running:
        yield running


@asynccontextmanager
async def daemon(node: UserAgentNode) -> AsyncIterator[Linphone]:
    """Let Linphone be alice."""
    stack = ExitStack()
    try:
        yield await asyncio.to_thread(stack.enter_context, linphone(node.edge, "alice"))
    finally:
        await asyncio.to_thread(stack.close)


async def test_what_is_said_in_a_session_arrives_at_linphone_which_writes_back(
    node: UserAgentNode, tmp_path: Path
) -> None:
    async with node_user("bob", node, tmp_path) as bob, daemon(node) as alice:
        # Linphone answers the INVITE 488, so the edge leads it to the gateway.
        bob.say(await bob.opens(ALICE), b"hello from the session")
        await asyncio.to_thread(alice.wait_until_received, "hello from the session")
        settled = await bob.hears(Settled)
        assert (settled.settlement, settled.status) == (Settlement.DELIVERED, 200)
        alice.send(BOB, "hello from linphone")
        # It confirms by IMDN what nobody asked it to; what its user writes comes as well.
        await bob.hears(Received, which=lambda event: event.body.endswith(b"\r\n\r\nhello from linphone"))
        assert alice.told.count("message-received") == 1


async def test_linphone_is_called_for_nothing_once_it_has_refused_a_session(
    node: UserAgentNode, tmp_path: Path
) -> None:
    async with node_user("bob", node, tmp_path) as bob, daemon(node) as alice:
        for number in range(1, 3):
            (await bob.opens(ALICE)).end()
            await bob.hears(Ended, number)
        assert alice.log.count("\nINVITE sip:") == 1


@pytest.mark.parametrize("message_id", ["34jk324j", "8d3c1a5e-0f5b-4c58-9a1e-2b7a6f0d4c11"])
async def test_what_linphone_reads_in_cpim_it_confirms_to_the_session_that_asked_for_it(
    node: UserAgentNode, tmp_path: Path, message_id: str
) -> None:
    # Linphone compresses a notification that is not very short: that about the longer id.
    async with node_user("bob", node, tmp_path) as bob, daemon(node) as alice:
        said = cpim(b"wrapped", sender=BOB, recipient=ALICE, head=IMDN.replace("34jk324j", message_id))
        bob.say(await bob.opens(ALICE), said, "message/cpim")
        await asyncio.to_thread(alice.wait_until_received, "wrapped")
        imdn = await bob.hears(Received)
        wanted = (f"<message-id>{message_id}<".encode(), b"<delivered/>")
        assert [each in imdn.body for each in wanted] == [True, True]
        assert ("Content-Encoding: deflate" in alice.log) is (len(message_id) > 8)
