"""The HTTP hook against a real server that answers well, badly, slowly, hugely or not at all."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.http_server import HttpServer, Writing, answer, http_server
from wigwag.errors import ConfigurationError
from wigwag.runtime import http_hook
from wigwag.runtime.http_hook import (
    HookAnswerError,
    HookError,
    HookOverloadedError,
    HookTimeoutError,
    HookUnreachableError,
    HttpHook,
)

QUESTION = {"username": "alice", "domain": "example.com"}
LONG = 30.0


class Clock:
    """Time that moves when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def server() -> AsyncIterator[HttpServer]:
    async with http_server() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def hook(server: HttpServer, clock: Clock) -> AsyncIterator[HttpHook]:
    async with HttpHook(server.url, timeout=LONG, cache=5, token="t0ken", clock=clock) as opened:
        yield opened


async def test_question_is_posted_as_json_with_the_token(server: HttpServer, hook: HttpHook) -> None:
    server.respond = answer(200, {"password": "secret"})
    assert await hook.ask(QUESTION) == {"password": "secret"}
    line, headers, body = server.requests[0]
    assert line == "POST /hook HTTP/1.1"
    assert headers["authorization"] == "Bearer t0ken"
    assert headers["content-type"] == "application/json"
    assert body == QUESTION


async def test_no_token_no_authorization(server: HttpServer) -> None:
    async with HttpHook(server.url, timeout=LONG, cache=0) as hook:
        assert await hook.ask(QUESTION) is None
    assert "authorization" not in server.requests[0][1]


@pytest.mark.parametrize(("response", "expected"), [(answer(200, {"a": 1}), {"a": 1}), (answer(404, b"no"), None)])
async def test_answers_are_kept_for_the_caches_time(
    server: HttpServer, hook: HttpHook, clock: Clock, response: bytes, expected: object
) -> None:
    server.respond = response
    assert await hook.ask(QUESTION) == expected
    clock.now = 4.9
    assert await hook.ask(dict(reversed(QUESTION.items()))) == expected
    assert len(server.requests) == 1
    clock.now = 5.0
    assert await hook.ask(QUESTION) == expected
    assert len(server.requests) == 2


async def test_other_questions_are_asked(server: HttpServer, hook: HttpHook) -> None:
    await hook.ask(QUESTION)
    await hook.ask({**QUESTION, "username": "bob"})
    assert len(server.requests) == 2


async def test_cache_of_zero_keeps_nothing(server: HttpServer) -> None:
    async with HttpHook(server.url, timeout=LONG, cache=0) as hook:
        await hook.ask(QUESTION)
        await hook.ask(QUESTION)
    assert len(server.requests) == 2


async def test_cache_is_bounded_and_forgets_the_oldest(
    server: HttpServer, hook: HttpHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_hook, "MAX_CACHED", 2)
    for number in (1, 2, 3, 4):
        await hook.ask({"number": number})
    await hook.ask({"number": 4})
    assert len(server.requests) == 4
    await hook.ask({"number": 1})
    assert len(server.requests) == 5


async def test_failures_are_not_kept(server: HttpServer, hook: HttpHook) -> None:
    server.respond = answer(500, b"")
    with pytest.raises(HookAnswerError, match="500"):
        await hook.ask(QUESTION)
    server.respond = answer(200, {"a": 1})
    assert await hook.ask(QUESTION) == {"a": 1}


class Gate:
    """Writes an answer only when the test lets it."""

    def __init__(self, response: bytes) -> None:
        self._response = response
        self.asked = asyncio.Event()
        self.open = asyncio.Event()

    async def __call__(self, writer: asyncio.StreamWriter) -> None:
        self.asked.set()
        await self.open.wait()
        writer.write(self._response)
        await writer.drain()


async def test_same_question_is_under_way_once(server: HttpServer, hook: HttpHook) -> None:
    gate = server.respond = Gate(answer(200, {"a": 1}))
    asking = [asyncio.create_task(hook.ask(QUESTION)) for _ in range(10)]
    await gate.asked.wait()
    gate.open.set()
    assert await asyncio.gather(*asking) == [{"a": 1}] * 10
    assert len(server.requests) == 1


async def test_caller_that_gives_up_does_not_take_the_answer_from_others(server: HttpServer, hook: HttpHook) -> None:
    gate = server.respond = Gate(answer(200, {"a": 1}))
    first, second = (asyncio.create_task(hook.ask(QUESTION)) for _ in range(2))
    await gate.asked.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    gate.open.set()
    assert await second == {"a": 1}


async def test_questions_under_way_are_bounded(
    server: HttpServer, hook: HttpHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_hook, "MAX_UNDER_WAY", 1)
    gate = server.respond = Gate(answer(404, b""))
    first = asyncio.create_task(hook.ask(QUESTION))
    await gate.asked.wait()
    with pytest.raises(HookOverloadedError):
        await hook.ask({"other": 1})
    gate.open.set()
    assert await first is None


async def test_closing_gives_up_what_is_under_way(server: HttpServer) -> None:
    gate = server.respond = Gate(answer(404, b""))
    async with HttpHook(server.url, timeout=LONG, cache=5) as hook:
        asking = asyncio.create_task(hook.ask(QUESTION))
        await gate.asked.wait()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def never(_writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def a_byte_at_a_time(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("respond", [never, a_byte_at_a_time])
async def test_silent_and_dripping_services_time_out(server: HttpServer, respond: bytes | Writing) -> None:
    server.respond = respond
    async with HttpHook(server.url, timeout=0.2, cache=5) as hook:
        with pytest.raises(HookTimeoutError):
            await hook.ask(QUESTION)


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"1000\r\n" + b" " * 4096 + b"\r\n")
        await writer.drain()


async def cut_off(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")


async def no_http(writer: asyncio.StreamWriter) -> None:
    writer.write(b"MSRP d93kswow 200 OK\r\n-------d93kswow$\r\n")


async def hang_up(_writer: asyncio.StreamWriter) -> None:
    """Close without a word."""


@pytest.mark.parametrize(
    ("respond", "error"),
    [
        (endless, HookAnswerError),
        (cut_off, HookUnreachableError),
        (no_http, HookUnreachableError),
        (hang_up, HookUnreachableError),
        (answer(200, b"[1]"), HookAnswerError),
        (answer(200, b'"text"'), HookAnswerError),
        (answer(200, b""), HookAnswerError),
        (answer(200, b"{"), HookAnswerError),
        (answer(200, b"\xff\xfe\xfd"), HookAnswerError),
        (answer(200, b'{"a":' * 10_000), HookAnswerError),
        (answer(200, b" " * 65_537), HookAnswerError),
        (answer(200, b"{}", "Content-Encoding: gzip"), HookAnswerError),
        (answer(204, b""), HookAnswerError),
        (answer(302, b"", "Location: /elsewhere"), HookAnswerError),
        (answer(401, b""), HookAnswerError),
        (answer(503, b""), HookAnswerError),
    ],
)
async def test_bad_answers_are_typed_errors(
    server: HttpServer, hook: HttpHook, respond: bytes | Writing, error: type[HookError]
) -> None:
    server.respond = respond
    with pytest.raises(error):
        await hook.ask(QUESTION)
    assert len(server.requests) == 1


async def test_service_that_is_away_is_unreachable(server: HttpServer) -> None:
    port = server.port
    async with HttpHook(f"http://127.0.0.1:{port}/", timeout=LONG, cache=5) as hook:
        await hook.ask(QUESTION)
    async with http_server() as gone:
        away = gone.url
    async with HttpHook(away, timeout=LONG, cache=5) as hook:
        with pytest.raises(HookUnreachableError):
            await hook.ask(QUESTION)


async def test_hook_that_is_not_open_is_unreachable() -> None:
    hook = HttpHook("http://127.0.0.1:1/", timeout=1, cache=0)
    with pytest.raises(HookUnreachableError):
        await hook.ask(QUESTION)


async def test_connection_is_used_again(server: HttpServer, hook: HttpHook) -> None:
    await hook.ask({"number": 1})
    await hook.ask({"number": 2})
    assert server.connections == 1


@pytest.mark.parametrize("url", ["", "ftp://host/", "http://", "host/path", "http://[::1/"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        HttpHook(url, timeout=1, cache=0)
