"""An operator's service is told that something waits for an absent user, so that it may wake his device."""

from pathlib import Path
from typing import Any

from tests.support.edge_under_test import DOMAIN
from tests.support.gateway_node import gateway_node, next_message, page_user, writes
from tests.support.http_server import HttpServer, answer, http_server
from tests.support.ua_node import UserAgentNode
from tests.support.ua_node_users import node_user
from tests.support.waiting import until
from wigwag.runtime.names import GATEWAY_WAKE_CALLS
from wigwag.ua.endpoint.model import Settled

ALICE, CAROL = f"sip:alice@{DOMAIN}", f"sip:carol@{DOMAIN}"


def woken(service: HttpServer) -> list[str]:
    """Return who was to be woken, by the token of the settings."""
    return [body["address"] for _, headers, body in service.requests if headers["authorization"] == "Bearer push"]


def counted(node: UserAgentNode, outcome: str) -> float:
    """Return what the metric says."""
    gateway: Any = node.node.modules["gateway"]
    (value,) = (
        reading.value
        for reading in gateway.readings()
        if reading.metric is GATEWAY_WAKE_CALLS and reading.attributes == {"outcome": outcome}
    )
    return float(value)


async def test_who_is_absent_is_woken_once_for_what_waits_at_once_from_either_side(tmp_path: Path) -> None:
    async with (
        http_server() as service,
        gateway_node(tmp_path, wake_url=service.url, wake_token="push") as node,
        node_user("bob", node, tmp_path) as bob,
        page_user(node, "alice") as alice,
    ):
        service.respond = answer(200, {})
        session = await bob.opens(CAROL)
        bob.say(session, b"from a session")
        await until(lambda: woken(service) == [CAROL])
        assert await writes(alice, CAROL, "by MESSAGE") == 202
        await alice.register(expires=0)
        bob.say(await bob.opens(ALICE), b"to another one")
        await until(lambda: woken(service) == [CAROL, ALICE])


async def test_a_service_that_fails_costs_no_message_anything(tmp_path: Path) -> None:
    async with (
        http_server() as service,
        gateway_node(tmp_path, wake_url=service.url) as node,
        node_user("bob", node, tmp_path) as bob,
    ):
        service.respond = answer(500, b"broken")
        bob.say(await bob.opens(ALICE), b"hello")
        await until(lambda: counted(node, "failed") == 1)
        assert counted(node, "told") == 0
        async with page_user(node, "alice") as alice:
            assert (await next_message(alice)).body == b"hello"
            await bob.hears(Settled)
