"""The load generator notices what a relay does wrong: no figure may come of a run that lost or damaged something."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from bench.generator import Report, build, run
from tests.support.peers import require_peer
from tests.support.raw_client import Frame, take_frame

Fault = Callable[[int, bytes], list[bytes]]
"""What arrives in place of the body of the n-th message."""

CHALLENGES = (
    'WWW-Authenticate: Digest realm="r", nonce="n1", opaque="o", algorithm=SHA-256, qop="auth"\r\n'
    'WWW-Authenticate: Digest realm="r", nonce="n1", opaque="o", algorithm=MD5, qop="auth"\r\n'
)


@pytest.fixture(scope="module", autouse=True)
def generator() -> None:
    require_peer("gcc")
    require_peer("make")
    build()


class SmallRelay:
    """Relays between one sender and one receiver, with a fault."""

    def __init__(self, fault: Fault, status: str = "200 OK") -> None:
        self._fault = fault
        self._status = status
        self._receiver: asyncio.StreamWriter | None = None
        self._relayed = 0
        self.authorization = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = b""
        while piece := await reader.read(65536):
            data += piece
            while (frame := take_frame(data)) is not None:
                data = data[len(frame.raw) :]
                self._take(frame, writer)
        writer.close()

    def _take(self, frame: Frame, writer: asyncio.StreamWriter) -> None:
        if frame.method == "AUTH":
            self._authenticate(frame, writer)
        elif frame.method == "SEND":
            writer.write(response(frame, self._status))
            for body in self._fault(self._relayed, frame.body or b""):
                assert self._receiver is not None
                self._receiver.write(forwarded(frame, body))
            self._relayed += 1

    def _authenticate(self, frame: Frame, writer: asyncio.StreamWriter) -> None:
        self.authorization = frame.get("Authorization") or ""
        if not self.authorization:
            writer.write(response(frame, "401 Unauthorized", CHALLENGES))
            return
        self._receiver = writer
        writer.write(response(frame, "200 OK", f"Use-Path: {frame.to_path[0].replace(';', '/session;')}\r\n"))


def response(frame: Frame, status: str, fields: str = "") -> bytes:
    to_path, from_path = frame.from_path[0], frame.to_path[0]
    tid = frame.transaction_id
    return f"MSRP {tid} {status}\r\nTo-Path: {to_path}\r\nFrom-Path: {from_path}\r\n{fields}-------{tid}$\r\n".encode()


def forwarded(frame: Frame, body: bytes) -> bytes:
    paths = f"To-Path: {frame.to_path[1]}\r\nFrom-Path: {frame.to_path[0]} {frame.from_path[0]}\r\n"
    head = f"MSRP {frame.transaction_id} SEND\r\n{paths}Message-ID: {frame.get('Message-ID')}\r\n"
    byte_range = f"Byte-Range: 1-{len(body)}/{len(body)}\r\nContent-Type: text/plain\r\n\r\n"
    return (head + byte_range).encode() + body + f"\r\n-------{frame.transaction_id}$\r\n".encode()


@asynccontextmanager
async def serving(relay: SmallRelay) -> AsyncIterator[int]:
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def load(relay: SmallRelay, *options: str) -> Report:
    """Run the generator against the relay for a moment."""
    async with serving(relay) as port:
        arguments = ["--port", str(port), "--duration", "0.2", "--warm-up", "0", "--window", "4", *options]
        return await asyncio.to_thread(run, arguments)


def faultless(_: int, body: bytes) -> list[bytes]:
    return [body]


async def test_a_faultless_relay_gives_figures_and_no_error() -> None:
    report = await load(SmallRelay(faultless))
    assert report["error"] is None
    assert isinstance(report["messages"], float | int)
    assert report["messages"] > 0


def once(fault: Callable[[bytes], list[bytes]]) -> Fault:
    """Let the fault happen to the tenth message."""
    return lambda index, body: fault(body) if index == 10 else [body]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (lambda body: [], "damaged or out of order|did not arrive"),
        (lambda body: [body, body], "damaged or out of order"),
        (lambda body: [body[:-1] + b"\x00"], "damaged or out of order"),
        (lambda body: [body[:-1]], "damaged or out of order"),
        (lambda body: [b"nothing like it"], "damaged or out of order"),
    ],
    ids=["lost", "doubled", "one octet changed", "one octet missing", "another body"],
)
async def test_a_single_fault_is_noticed(fault: Callable[[bytes], list[bytes]], error: str) -> None:
    report = await load(SmallRelay(once(fault)))
    assert re.search(error, str(report["error"])), report


async def test_two_messages_in_the_wrong_order_are_noticed() -> None:
    held: list[bytes] = []

    def swap(index: int, body: bytes) -> list[bytes]:
        if index == 10:
            held.append(body)
            return []
        return [body, held.pop()] if held else [body]

    assert "out of order" in str((await load(SmallRelay(swap)))["error"])


async def test_a_refused_message_is_noticed() -> None:
    assert (await load(SmallRelay(faultless, status="481 No such session")))["error"] == "status 481"


async def test_of_two_challenges_md5_is_answered_and_opaque_comes_back() -> None:
    relay = SmallRelay(faultless)
    await load(relay)
    assert 'opaque="o"' in relay.authorization
    assert "algorithm=MD5" in relay.authorization
    assert "uri=" not in relay.authorization


async def test_uri_is_sent_when_asked_for() -> None:
    relay = SmallRelay(faultless)
    await load(relay, "--digest-uri")
    assert re.search(r'uri="msrp://127\.0\.0\.1:\d+;tcp"', relay.authorization)
