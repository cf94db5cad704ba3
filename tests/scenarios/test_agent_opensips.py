"""A script for OpenSIPS at a whole node: commands over MI, events over WebSocket, reports as it asks for them."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.scenarios.test_agent_takeover import Party
from tests.scenarios.test_agent_traces import APPLICATION, PATIENCE, alice
from tests.support.waiting import until
from tests.unit.node.test_agents import settings_in
from wigwag.node.application import Node
from wigwag.node.demo_data import DOMAIN
from wigwag.ua.endpoint.model import OutgoingMessage, Received

DESK, ALICE = f"sip:desk@{DOMAIN}", f"sip:alice@{DOMAIN}"


class Script:
    """What a script for OpenSIPS does."""

    def __init__(self, client: httpx.AsyncClient, socket: ClientConnection, party: Party) -> None:
        self._client, self._socket, self.party = client, socket, party

    async def call(self, command: str, **params: str) -> Any:
        """Call a command; returns its result."""
        request = {"jsonrpc": "2.0", "id": 1, "method": command, "params": params}
        answer = (await self._client.post("/mi", json=request)).json()
        assert "error" not in answer, answer
        return answer["result"]

    async def event(self) -> tuple[str, dict[str, str]]:
        """Return the next event."""
        async with asyncio.timeout(PATIENCE):
            frame = json.loads(await self._socket.recv())
        return frame["method"], frame["params"]


@pytest.fixture
async def script(tmp_path: Path) -> AsyncIterator[Script]:
    settings = settings_in(tmp_path, ua={"applications": [APPLICATION], "api": {"port": 0}})
    async with Node(settings, ["relay", "ua"]) as node:
        module: Any = node.modules["ua"]
        await until(lambda: module.ready()[0], timeout=PATIENCE)
        events = f"{module.url.replace('http', 'ws')}/v1/events?format=opensips"
        async with (
            alice(tmp_path, node) as party,
            httpx.AsyncClient(base_url=node.admin_url, trust_env=False) as client,
            connect(events, proxy=None) as socket,
        ):
            yield Script(client, socket, party)


async def test_a_script_starts_a_session_talks_hears_the_reports_it_asked_for_and_the_end(script: Script) -> None:
    uris = {"from_uri": DESK, "to_uri": ALICE, "ruri": ALICE}
    assert await script.call("msrp_ua_start_session", content_types="text/plain", **uris) == "OK"
    name, new = await script.event()
    assert (name, new["from_uri"], new["to_uri"]) == ("E_MSRP_SESSION_NEW", DESK, ALICE)
    about = {"session_id": new["session_id"], "mime": "text/plain"}
    (listed,) = await script.call("msrp_ua_list_sessions")
    assert (listed["session_id"], listed["type"]) == (new["session_id"], "UAC")

    # The first is delivered without a word, as the default is; the second one's report is the next event.
    await script.call("msrp_ua_send_message", **about, body="no report")
    await script.call("msrp_ua_send_message", **about, body="a report", success_report="yes")
    name, report = await script.event()
    assert (name, report["status"], report["byte_range"]) == ("E_MSRP_REPORT_RECEIVED", "000 200 OK", "1-8/8")
    heard = [await script.party.heard(Received) for _ in range(2)]
    assert [one.body for one in heard] == [b"no report", b"a report"]

    theirs = heard[0].session
    theirs.send(OutgoingMessage(message_id="from-alice", content_type="text/plain", body=b"hello"))
    name, came = await script.event()
    assert (name, came["body"], came["content_type"]) == ("E_MSRP_MSG_RECEIVED", "hello", "text/plain")
    theirs.end()
    assert await script.event() == ("E_MSRP_SESSION_END", {"session_id": new["session_id"]})
