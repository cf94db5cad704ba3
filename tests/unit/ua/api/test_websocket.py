import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.support.fake_agent import FakeAgent, composing, received, tell
from tests.support.ua_api import HELPDESK, KEYS, READER, SALES, web_client
from tests.support.waiting import until
from wigwag.bus import Bus
from wigwag.bus.sqlite import SqliteBus
from wigwag.errors import StoreError
from wigwag.runtime.resume_tokens import token_of
from wigwag.ua.api.feed import Bounds, EventFeed
from wigwag.ua.api.watching import Watching
from wigwag.ua.config import ApiKeySettings

BEARER = {"Authorization": f"Bearer {HELPDESK}"}


class Stage:
    """A server with events."""

    def __init__(self, bus: Bus, feed: EventFeed, agent: FakeAgent, url: str) -> None:
        self.bus, self.feed, self.agent, self.url = bus, feed, agent, url

    def connect(self, query: str = "", **options: Any) -> connect:
        return connect(f"{self.url}/v1/events{query}", proxy=None, **options)


@asynccontextmanager
async def staged(path: Path, *keys: ApiKeySettings, waiting: Bounds | None = None, **api: Any) -> AsyncIterator[Stage]:
    async with SqliteBus(path / "bus.sqlite3") as bus, EventFeed(bus) as feed:
        watching = Watching(bus, feed, waiting=waiting) if waiting else Watching(bus, feed)
        agent = FakeAgent(watching.watch)
        async with web_client(agent, *keys, **api) as client:
            yield Stage(bus, feed, agent, str(client.base_url).replace("http:", "ws:").rstrip("/"))


async def frame(socket: ClientConnection) -> dict[str, Any]:
    content = json.loads(await asyncio.wait_for(socket.recv(), 10))
    assert isinstance(content, dict)
    return content


async def begun(socket: ClientConnection) -> str:
    """Return the token with which the stream begins."""
    first = await frame(socket)
    assert first.keys() == {"resume_token"}
    token: str = first["resume_token"]
    return token


async def read_to_its_end(socket: ClientConnection) -> tuple[list[dict[str, Any]], int]:
    """Return the frames that come until the server closes, and its close code."""
    frames = []
    try:
        while True:
            frames.append(await frame(socket))
    except ConnectionClosed as error:
        return frames, error.rcvd.code if error.rcvd is not None else 1006


async def closed(socket: ClientConnection) -> int:
    return (await read_to_its_end(socket))[1]


async def asked(socket: ClientConnection, command: str, **fields: Any) -> dict[str, Any]:
    await socket.send(json.dumps({"id": "r1", "command": command, **fields}))
    reply = await frame(socket)
    assert reply.pop("id") == "r1"
    return reply


async def test_events_come_with_tokens_by_which_a_client_comes_back(tmp_path: Path) -> None:
    async with staged(tmp_path, *KEYS) as stage:
        async with stage.connect(additional_headers=BEARER) as socket:
            await begun(socket)
            await tell(stage.bus, received(1, b"Hello"), composing(2, application="sales"))
            told = await frame(socket)
        await tell(stage.bus, composing(3))
        async with stage.connect(f"?resume_token={told['resume_token']}", additional_headers=BEARER) as socket:
            await begun(socket)
            again = await frame(socket)
    assert (told["event"]["type"], told["event"]["message"]["text"]) == ("message_received", "Hello")
    assert (again["event"]["event_id"], again["event"]["composing"]["active"]) == ("e3", False)


@pytest.mark.parametrize("way", ["header", "subprotocol", "frame"])
async def test_a_client_says_who_he_is_in_one_of_three_ways(tmp_path: Path, way: str) -> None:
    options: dict[str, Any] = {}
    if way == "header":
        options["additional_headers"] = BEARER
    if way == "subprotocol":
        options["subprotocols"] = ["wigwag.events.v1", f"wigwag.bearer.{HELPDESK}"]
    async with staged(tmp_path, *KEYS) as stage, stage.connect(**options) as socket:
        if way == "frame":
            await socket.send(json.dumps({"authenticate": HELPDESK}))
        await begun(socket)
        assert socket.subprotocol == ("wigwag.events.v1" if way == "subprotocol" else None)
    assert [caller.application for caller in stage.agent.callers] == ["helpdesk"]


@pytest.mark.parametrize("first", [{"authenticate": "wrong-key-0123456789"}, {"authenticate": 3}, {"command": "end"}])
async def test_who_is_not_known_is_sent_away(tmp_path: Path, first: dict[str, Any]) -> None:
    async with staged(tmp_path, *KEYS) as stage, stage.connect() as socket:
        await socket.send(json.dumps(first))
        assert await closed(socket) == 4401
    assert not stage.agent.callers


async def test_a_wrong_header_is_no_reason_to_ask_again(tmp_path: Path) -> None:
    wrong = {"Authorization": "Bearer wrong"}
    async with staged(tmp_path, *KEYS) as stage, stage.connect(additional_headers=wrong) as socket:
        assert await closed(socket) == 4401


@pytest.mark.parametrize("text", ["", "[]", "3", "{", "[" * 50_000, "\x00"])
async def test_a_frame_that_makes_no_sense_ends_the_connection(tmp_path: Path, text: str) -> None:
    async with staged(tmp_path) as stage, stage.connect() as socket:
        await begun(socket)
        await socket.send(text)
        assert await closed(socket) == 4400


async def test_octets_and_giant_frames_end_it_too(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        async with stage.connect() as socket:
            await begun(socket)
            await socket.send(b"{}")
            assert await closed(socket) == 4400
        async with stage.connect() as socket:
            await begun(socket)
            await socket.send("x" * 1_100_000)
            assert await closed(socket) == 1009


async def test_web_pages_of_other_origins_are_sent_away(tmp_path: Path) -> None:
    async with staged(tmp_path, *KEYS, origins=("https://desk.example.com",)) as stage:
        options: dict[str, Any] = {"subprotocols": ["wigwag.events.v1", f"wigwag.bearer.{HELPDESK}"]}
        async with stage.connect(origin="https://evil.example", **options) as socket:
            assert await closed(socket) == 4421
        async with stage.connect(origin="https://desk.example.com", **options) as socket:
            await begun(socket)


async def test_who_is_let_in_without_a_key_can_not_name_one_later(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage, stage.connect() as socket:
        await socket.send(json.dumps({"authenticate": HELPDESK}))
        assert await closed(socket) == 4400


async def test_a_token_of_another_log_is_told_apart_from_none(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        async with stage.connect(f"?resume_token={token_of({0: 99})}") as socket:
            assert await closed(socket) == 4410
        async with stage.connect("?resume_token=nonsense") as socket:
            assert await closed(socket) == 4400
        async with stage.connect("?format=morse") as socket:
            assert await closed(socket) == 4400


async def test_a_reader_is_told_events_and_may_not_send(tmp_path: Path) -> None:
    async with staged(tmp_path, *KEYS) as stage:
        session = stage.agent.open()
        async with stage.connect(additional_headers={"Authorization": f"Bearer {READER}"}) as socket:
            await begun(socket)
            reply = await asked(socket, "send_message", session_id=session.session_id, text="Hello")
            other = await asked(socket, "end", session_id=session.session_id)
        async with stage.connect("?application=sales", additional_headers=BEARER) as socket:
            assert await closed(socket) == 4403
    assert (reply["error"]["status"], other["error"]["type"]) == (403, "/v1/problems/not-authorized")


async def test_a_whole_chat_over_one_connection(tmp_path: Path) -> None:
    async with staged(tmp_path, *KEYS) as stage, stage.connect(additional_headers=BEARER) as socket:
        await begun(socket)
        started = await asked(socket, "start_session", to_uri="sip:bob@example.com", idempotency_key="k")
        session_id = started["result"]["session_id"]
        sent = await asked(socket, "send_message", session_id=session_id, text="Hello")
        typing = await asked(socket, "composing", session_id=session_id, active=True)
        shown = await asked(socket, "displayed", message_id=sent["result"]["message_id"])
        settled = await asked(socket, "settle", message_id=sent["result"]["message_id"], state="expired")
        offered = stage.agent.offer().session_id
        answered = await asked(socket, "answer", session_id=offered)
        rejected = await asked(socket, "reject", session_id=stage.agent.offer().session_id, sip_status=486)
        held = await asked(socket, "hold", session_id=offered, hold=True)
        ended = await asked(socket, "end", session_id=session_id)
    assert sent["result"]["state"] == "accepted"
    assert (answered["result"]["state"], held["result"]["state"], ended["result"]["state"]) == ("open", "open", "ended")
    assert settled["result"]["state"] == "expired"
    assert typing == shown == rejected == {"result": {}}


@pytest.mark.parametrize(
    ("command", "fields", "field"),
    [
        ("no_such", {}, "command"),
        ("send_message", {"text": "a"}, "session_id"),
        ("send_message", {"session_id": 3, "text": "a"}, "session_id"),
        ("send_message", {"session_id": "a", "text": "a", "base64": "YQ=="}, "text"),
        ("start_session", {"to_uri": "sip:bob@example.com", "timeout": 0}, "timeout"),
        ("composing", {"session_id": "a"}, "active"),
        ("end", {"session_id": "a", "why": "so"}, "why"),
    ],
)
async def test_a_command_that_makes_no_sense_is_answered_with_the_field(
    tmp_path: Path, command: str, fields: dict[str, Any], field: str
) -> None:
    async with staged(tmp_path) as stage, stage.connect() as socket:
        await begun(socket)
        reply = await asked(socket, command, **fields)
        assert (await asked(socket, "end", session_id="f" * 32))["error"]["status"] == 404
    assert (reply["error"]["status"], reply["error"]["errors"][0]["field"]) == (422, field)


async def test_commands_of_a_session_keep_their_order_and_others_pass_them(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage, stage.connect() as socket:
        await begun(socket)
        first, second = stage.agent.open().session_id, stage.agent.open().session_id
        stage.agent.gate.clear()
        for number in range(20):
            fields = {"command": "send_message", "session_id": first, "text": str(number)}
            await socket.send(json.dumps({"id": number, **fields}))
        await socket.send(json.dumps({"id": "quick", "command": "composing", "session_id": second, "active": True}))
        assert (await frame(socket))["id"] == "quick"
        stage.agent.gate.set()
        assert [(await frame(socket))["id"] for _ in range(20)] == list(range(20))
    assert [message.body for message in stage.agent.messages.values()] == [b"%d" % number for number in range(20)]


async def test_what_is_away_is_an_error_of_the_command_only(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage, stage.connect() as socket:
        await begun(socket)
        stage.agent.failure = StoreError("away")
        assert (await asked(socket, "end", session_id="a"))["error"]["type"] == "/v1/problems/unavailable"
        stage.agent.failure = RuntimeError("secret")
        bug = await asked(socket, "end", session_id="a")
        assert (bug["error"]["status"], "secret" in str(bug)) == (500, False)


async def test_who_does_not_read_is_cut_off_and_comes_back_where_he_was(tmp_path: Path) -> None:
    async with staged(tmp_path, *KEYS, waiting=Bounds(50, 5_000_000)) as stage:
        async with stage.connect(additional_headers=BEARER, max_queue=1) as slow:
            token = await begun(slow)
            await until(lambda: len(stage.feed) == 1)
            for number in range(400):
                await tell(stage.bus, received(number, b"x" * 60_000))
            await until(lambda: len(stage.feed) == 0)
            frames, code = await read_to_its_end(slow)
            numbers = [told["event"]["event_id"] for told in frames]
            token = next((told["resume_token"] for told in reversed(frames) if "resume_token" in told), token)
        assert code == 4429
        async with stage.connect(f"?resume_token={token}", additional_headers=BEARER) as again:
            await begun(again)
            while len(numbers) < 400:
                event_id = (await frame(again))["event"]["event_id"]
                if event_id not in numbers:
                    numbers.append(event_id)
    assert numbers == [f"e{number}" for number in range(400)]


async def test_another_application_is_told_nothing(tmp_path: Path) -> None:
    sales = {"Authorization": f"Bearer {SALES}"}
    async with staged(tmp_path, *KEYS) as stage, stage.connect(additional_headers=sales) as socket:
        await begun(socket)
        await tell(stage.bus, received(1, b"secret"), composing(2, application="sales"))
        assert (await frame(socket))["event"]["event_id"] == "e2"
