"""The real ``opensips-cli`` with the commands of OpenSIPS's msrp_ua, over use cases in memory."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from tests.interop.test_opensips_cli import opensips_cli
from tests.support.fake_agent import NOW, FakeAgent
from tests.unit.node.test_admin import served
from wigwag.api.ua.v1 import message_pb2, session_pb2
from wigwag.node.mi import mi_router
from wigwag.runtime.management import Commands
from wigwag.ua.api.mi import agent_commands
from wigwag.ua.config import ApplicationSettings

OSS = "sip:oss@opensips.org"
ALICE = "sip:alice@opensips.org"


class Applications:
    """One application."""

    known = ApplicationSettings(name="oss", uris=(OSS,))

    def owner(self, uri: str) -> ApplicationSettings | None:
        return self.known if uri == OSS else None

    def find(self, name: str) -> ApplicationSettings | None:
        return self.known if name == "oss" else None


class Script:
    """Somebody who calls the program."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def told(self, *words: str) -> Any:
        result = await asyncio.to_thread(opensips_cli, f"{self._url}/mi", *words)
        assert result.returncode == 0, result.stdout + result.stderr
        return json.loads(result.stdout)

    async def refused(self, *words: str) -> str:
        result = await asyncio.to_thread(opensips_cli, f"{self._url}/mi", *words)
        assert result.returncode != 0
        return result.stdout + result.stderr


@pytest.fixture
def agent() -> FakeAgent:
    return FakeAgent()


@pytest.fixture
async def script(agent: FakeAgent) -> AsyncIterator[Script]:
    commands = Commands(agent_commands(agent, Applications(), lambda: NOW + 100))
    commands.add(*_which(commands))
    async with served(routers=[mi_router(commands)]) as client:
        yield Script(str(client.base_url).rstrip("/"))


def _which(commands: Commands) -> Sequence[Any]:
    from wigwag.node.mi_core import core_commands

    return [each for each in core_commands(commands, version="1", started=0.0, now=lambda: 0.0) if each.name == "which"]


@pytest.mark.parametrize("name", ["msrp_ua_start_session", "msrp_ua:start_session"])
async def test_a_session_is_started_as_in_the_documents(agent: FakeAgent, script: Script, name: str) -> None:
    assert await script.told(name, "text/plain", OSS, ALICE, ALICE) == "OK"
    (session,) = agent.sessions.values()
    assert (session.application, session.local_uri, session.remote_uri) == ("oss", OSS, ALICE)
    assert list(session.accept_types) == ["text/plain"]


async def test_what_can_not_be_started_is_a_failure_of_500(agent: FakeAgent, script: Script) -> None:
    reason = await script.refused("msrp_ua_start_session", "text/plain", "sip:eve@opensips.org", ALICE, ALICE)
    assert "Failed to start session" in reason
    assert "500" in reason
    assert not agent.sessions


async def test_messages_are_sent_with_the_reports_that_are_asked_for(agent: FakeAgent, script: Script) -> None:
    session_id = agent.open("oss").session_id
    by_name = (f"session_id={session_id}", "mime=text/plain", "body=Hello", "success_report=yes")
    assert await script.told("msrp_ua_send_message", *by_name) == "OK"
    assert await script.told("msrp_ua_send_message", session_id, "text/html", "<p>") == "OK"
    assert await script.told("msrp_ua_send_message", session_id, "text/html", "<p>", "partial") == "OK"
    sent = [(message.content_type, message.body, message.reports) for message in agent.messages.values()]
    assert sent == [
        ("text/plain", b"Hello", reports(success=True, failure="YES")),
        ("text/html", b"<p>", reports(success=False, failure="YES")),
        ("text/html", b"<p>", reports(success=False, failure="PARTIAL")),
    ]
    assert {message.state for message in agent.messages.values()} == {message_pb2.DELIVERY_STATE_ACCEPTED}


def reports(*, success: bool, failure: str) -> message_pb2.Reports:
    return message_pb2.Reports(success=success, failure=f"FAILURE_REPORTS_{failure}")


async def test_errors_are_opensips_own(agent: FakeAgent, script: Script) -> None:
    session = agent.open("oss")
    unknown = await script.refused("msrp_ua_send_message", "f" * 32, "text/plain", "Hello")
    strange = await script.refused("msrp_ua_send_message", f"session_id={session.session_id}", "failure_report=maybe")
    empty = await script.refused("msrp_ua_send_message", session.session_id)
    assert await script.told("msrp_ua_end_session", session.session_id) == "OK"
    late = await script.refused("msrp_ua_send_message", session.session_id, "text/plain", "Hello")
    again = await script.refused("msrp_ua_end_session", session.session_id)
    assert ("404" in unknown, "Unknown session" in unknown) == (True, True)
    assert "Unacceptable value for Failure-Report" in strange
    assert ("500" in empty, "Failed to send message: body: empty" in empty) == (True, True)
    assert ("500" in late, "Failed to send message" in late) == (True, True)
    assert ("404" in again, "Unknown session" in again) == (True, True)
    assert session.state == session_pb2.SESSION_STATE_ENDED


async def test_sessions_are_listed_with_opensips_fields(agent: FakeAgent, script: Script) -> None:
    agent.open("oss", call_id="abc")
    agent.offer("oss")
    first, second = await script.told("msrp_ua_list_sessions")
    fields = ["session_id", "b2b_key", "type", "handler", "dlg_state", "peer_path", "lifetime"]
    assert list(first) == list(second) == fields
    assert (first["b2b_key"], first["type"], first["dlg_state"], first["lifetime"]) == ("abc", "UAC", 2, 43_100)
    assert (second["type"], second["dlg_state"]) == ("UAS", 0)
