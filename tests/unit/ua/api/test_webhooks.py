import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_agent import NOW, composing, received, tell
from tests.support.http_server import HttpServer, answer, http_server
from tests.support.waiting import until
from wigwag.bus import DEAD_REASON, Bus, Earliest
from wigwag.bus.sqlite import SqliteBus
from wigwag.runtime.events import SESSIONS_EVENTS
from wigwag.ua.api.feed import TOPIC
from wigwag.ua.api.webhook_post import Poster, PostError
from wigwag.ua.api.webhooks import LONGEST, REFUSALS, TRIES, Webhooks
from wigwag.ua.config import ApplicationSettings

SECRET = "webhook-secret"
OK = answer(204, b"")


class Applications:
    """Those that are known."""

    def __init__(self, *known: ApplicationSettings) -> None:
        self.known = {each.name: each for each in known}

    @property
    def names(self) -> Sequence[str]:
        return list(self.known)

    def find(self, name: str) -> ApplicationSettings | None:
        return self.known.get(name)


def application(name: str, url: str, secret: str | None = SECRET) -> ApplicationSettings:
    return ApplicationSettings(name=name, webhook_url=url, webhook_secret=secret)


class Stage:
    """Webhooks that are called."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.now = NOW
        self.pauses: list[float] = []
        self.told: list[tuple[str, bool, str]] = []

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)

    async def dead(self) -> list[str]:
        """Return the reasons of the dead letters, once there are any."""
        await until(lambda: self.bus.counters.dead, 60)
        found = [record async for record in self.bus.replay(f"{TOPIC}.dead", Earliest())]
        return [record.headers[DEAD_REASON].decode() for record in found]


@asynccontextmanager
async def staged(path: Path, *known: ApplicationSettings) -> AsyncIterator[Stage]:
    """Run the webhooks; one event happened more than a day before."""
    published = [NOW - LONGEST - 1]
    async with SqliteBus(path / "bus.sqlite3", clock=lambda: published[0]) as bus:
        bus.declare(SESSIONS_EVENTS)
        await tell(bus, composing(0))
        published[0] = NOW
        stage = Stage(bus)
        webhooks = Webhooks(
            bus,
            Applications(*known),
            private=True,
            wall=lambda: stage.now,
            tell=lambda name, works, details: stage.told.append((name, works, details)),
            pause=stage.pause,
        )
        async with webhooks:
            yield stage


def bodies(server: HttpServer) -> list[str]:
    return [body["event_id"] for _, _, body in server.requests]


async def test_each_event_of_the_application_is_posted_once_signed(tmp_path: Path) -> None:
    async with http_server() as server, staged(tmp_path, application("helpdesk", server.url)) as stage:
        server.respond = OK
        await tell(stage.bus, received(1, "Grüße".encode()), composing(2, application="sales"), composing(3))
        await until(lambda: len(server.requests) == 2)
    line, headers, event = server.requests[0]
    body = json.dumps(event, ensure_ascii=False).encode()
    signed = hmac.new(SECRET.encode(), headers["wigwag-timestamp"].encode() + b"." + body, hashlib.sha256)
    assert line == "POST /hook HTTP/1.1"
    assert headers["wigwag-signature"] == f"v1={signed.hexdigest()}"
    assert (headers["wigwag-event-id"], headers["wigwag-timestamp"]) == ("e1", str(int(NOW)))
    assert (event["type"], event["message"]["text"]) == ("message_received", "Grüße")
    assert bodies(server) == ["e1", "e3"]
    assert stage.told == [("helpdesk", True, "takes events")]


async def test_what_is_not_taken_is_posted_again_before_what_follows_in_its_session(tmp_path: Path) -> None:
    async with http_server() as server, staged(tmp_path, application("helpdesk", server.url)) as stage:
        server.respond = answer(503, b"")
        await tell(stage.bus, *(composing(number) for number in range(1, 4)))
        await until(lambda: len(server.requests) >= 12)
        server.respond = OK
        await until(lambda: "e3" in bodies(server))
    found = bodies(server)
    assert found[:12] == ["e1"] * 12
    assert list(dict.fromkeys(found)) == ["e1", "e2", "e3"]
    assert stage.pauses[:10] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert [works for _, works, _ in stage.told] == [False, True]


async def test_one_that_is_away_delays_no_other(tmp_path: Path) -> None:
    async with http_server() as good, http_server() as bad:
        good.respond, bad.respond = OK, answer(500, b"")
        known = application("helpdesk", good.url), application("sales", bad.url)
        async with staged(tmp_path, *known) as stage:
            await tell(stage.bus, *(composing(number, application="sales") for number in range(300)))
            await tell(stage.bus, composing(1_000))
            await until(lambda: bodies(good) == ["e1000"])


@pytest.mark.parametrize("status", [400, 401, 404, 410, 422, 301])
async def test_what_is_refused_is_soon_a_dead_letter_with_the_reason(tmp_path: Path, status: int) -> None:
    async with http_server() as server, staged(tmp_path, application("helpdesk", server.url)) as stage:
        server.respond = answer(status, b"", "Location: http://127.0.0.1:1/")
        await tell(stage.bus, composing(1))
        reasons = await stage.dead()
    assert len(server.requests) == REFUSALS if status != 301 else len(server.requests) > TRIES
    assert f"answered {status}" in reasons[0]
    assert "helpdesk" in reasons[0]


async def test_what_was_not_taken_for_a_day_is_a_dead_letter(tmp_path: Path) -> None:
    async with staged(tmp_path, application("helpdesk", "http://127.0.0.1:1/")) as stage:
        await tell(stage.bus, composing(1))
        assert len(await stage.dead()) == 1
        assert LONGEST < stage.now - NOW < LONGEST + 300


async def test_a_webhook_without_a_secret_is_not_called(tmp_path: Path) -> None:
    async with http_server() as server, staged(tmp_path, application("helpdesk", server.url, None)) as stage:
        await tell(stage.bus, composing(1))
        await until(lambda: stage.told)
        assert "webhook_secret" in stage.told[0][2]
    assert not server.requests


async def test_events_from_before_a_day_are_not_posted_to_a_new_webhook(tmp_path: Path) -> None:
    async with http_server() as server, staged(tmp_path, application("helpdesk", server.url)) as stage:
        server.respond = OK
        await tell(stage.bus, composing(1))
        await until(lambda: server.requests)
    assert bodies(server) == ["e1"]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://127.0.0.1/hook", "loopback"),
        ("https://localhost/hook", "loopback"),
        ("https://[::1]/hook", "loopback"),
        ("https://10.1.2.3/hook", "private"),
        ("https://169.254.169.254/latest", "link-local"),
        ("https://[::ffff:10.0.0.1]/", "private"),
        ("https://0/", "unspecified"),
        ("http://example.com/", "https://"),
        ("ftp://example.com/", "https://"),
        ("https://", "https://"),
        ("nonsense", "https://"),
    ],
)
async def test_nobody_leads_us_inside(url: str, reason: str) -> None:
    poster = Poster(private=False, wall=lambda: NOW)
    try:
        with pytest.raises(PostError, match=reason):
            await poster.post(url, SECRET, "e1", b"{}")
    finally:
        await poster.close()


async def test_a_webhook_that_answers_a_byte_a_second_is_given_its_time_and_no_more() -> None:
    async def slowly(writer: Any) -> None:
        for letter in b"HTTP/1.1 200 OK\r\n" * 100:
            writer.write(bytes([letter]))
            await writer.drain()
            await asyncio.sleep(0.05)

    async with http_server() as server:
        server.respond = slowly
        poster = Poster(private=True, wall=lambda: NOW, patience=0.2)
        with pytest.raises(PostError, match="within"):
            await poster.post(server.url, SECRET, "e1", b"{}")
        await poster.close()
