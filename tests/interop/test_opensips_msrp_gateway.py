"""The real ``opensips-cli`` with the commands of OpenSIPS's msrp_gateway, at a node with conversations."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.interop.test_opensips_msrp_ua import Script
from tests.support.edge_under_test import DOMAIN
from tests.support.gateway_node import page_user
from tests.support.ua_node import UserAgentNode, user_agent_node
from tests.support.ua_node_users import node_user
from wigwag.ua.endpoint.model import CallReceived, Received


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[UserAgentNode]:
    route = {"methods": ["MESSAGE"], "user": "bob", "action": "service", "service": "gateway"}
    async with user_agent_node(tmp_path, [], gateway={}, sip={"routes": [route]}) as node:
        yield node


async def test_sessions_are_listed_with_opensips_fields_and_ended_under_either_name(
    node: UserAgentNode, tmp_path: Path
) -> None:
    script = Script(node.node.admin_url)
    assert await script.told("msrp_gateway:list_sessions") == []
    async with node_user("bob", node, tmp_path) as bob, page_user(node, "alice") as alice:
        assert (await alice.register()).status == 200
        for number, end in enumerate(("msrp_gw_end_session", "msrp_gateway:end_session"), start=1):
            assert (await alice.message(bob.uri, "hello")).status == 202
            await bob.hears(CallReceived, number)
            await bob.hears(Received, number)
            (found,) = await script.told("msrp_gw_list_sessions")
            assert list(found) == ["key", "msg_side_to", "msg_side_ruri", "msrp_ua_session_id"]
            assert found["msg_side_to"] == found["msg_side_ruri"] == f"sip:alice@{DOMAIN}"
            assert await script.told(end, found["key"]) == "OK"
            assert await script.told("msrp_gw_list_sessions") == []
            again = await script.refused(end, found["key"])
            assert ("404" in again, "Session doesn't exist" in again) == (True, True)
