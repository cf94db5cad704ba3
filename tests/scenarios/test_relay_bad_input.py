"""Hostile and broken peers at the front door, while a good session's traffic goes on undisturbed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from tests.support.live_client import PATIENCE, LiveClient
from tests.support.live_relay import PASSWORDS, Clients
from tests.support.msrp import request_frame, send_frame
from tests.support.waiting import until

LARGEST_GROWTH = 12 * 2**20
"""Bytes by which bad input may raise the process's memory for good; buffers of the loop and of TLS are among them."""
PLAIN_AND_TLS = ("tcp", "tls", "ws", "wss", "tcp6")
SECRET_BODY = b"nobody may read this in a log"


@asynccontextmanager
async def good_traffic(clients: Clients) -> AsyncIterator[None]:
    """Let two clients talk while the block runs; afterwards all has arrived, in order, and nothing was reported."""
    alice, bob = await clients.join("alice", "tls"), await clients.join("bob", "tcp")
    sent: list[str] = []
    going_on = asyncio.Event()

    async def talk() -> None:
        while not going_on.is_set():
            message, status = await alice.send(alice.path_to(bob), b"all is well " * 20)
            assert status == 200
            sent.append(message)

    talking = asyncio.ensure_future(talk())
    await until(lambda: len(bob.received) > 2, PATIENCE)
    try:
        yield
        before = len(sent)
        await until(lambda: len(sent) > before + 2 or talking.done(), PATIENCE)
    finally:
        going_on.set()
        await talking
    await bob.message(sent[-1])
    assert list(bob.received) == sent
    assert all(received.body == b"all is well " * 20 for received in bob.received.values())
    assert alice.reports == []


@asynccontextmanager
async def raw(clients: Clients, kind: str = "tcp") -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a plain TCP connection to a listener, whatever it speaks."""
    reader, writer = await asyncio.open_connection("127.0.0.1", clients.node.listeners[kind]["port"])
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def until_the_end(reader: asyncio.StreamReader) -> bytes:
    """Return what the relay writes until it closes the connection."""
    answer = b""
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(PATIENCE):
            while data := await reader.read(65_536):
                answer += data
    return answer


async def poured(clients: Clients, data: bytes, kind: str = "tcp", repeat: int = 1) -> tuple[bytes, int]:
    """Write ``data`` over and over until the relay closes; returns its answer and the port it came to."""
    async with raw(clients, kind) as (reader, writer):
        port = writer.get_extra_info("sockname")[1]
        with contextlib.suppress(OSError):
            for _ in range(repeat):
                writer.write(data)
                await writer.drain()
        return await until_the_end(reader), port


def lines_about(clients: Clients, port: int) -> list[dict[str, object]]:
    """Return the log's lines that name a remote port."""
    return [line for line in clients.node.log_lines() if f"127.0.0.1:{port}" in str(line.get("remote"))]


SIP = b"OPTIONS sip:relay@example.com SIP/2.0\r\nVia: SIP/2.0/TCP a;branch=z9hG4bK1\r\nContent-Length: 0\r\n\r\n"
HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(190)
START = b"MSRP tid1a SEND\r\nTo-Path: msrp://a.invalid:1/x;tcp\r\nFrom-Path: msrp://b.invalid:1/y;tcp\r\n"
HTTP = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "repeat"),
    [
        pytest.param(bytes(range(256)) * 8, 1, id="garbage"),
        pytest.param(HTTP, 1, id="HTTP"),
        pytest.param(HELLO, 1, id="TLS ClientHello"),
        pytest.param(SIP, 1, id="SIP"),
        pytest.param(START + b"X: " + b"x" * 65_536 + b"\r\n", 1, id="header of 64 KiB"),
        pytest.param(b"x" * 65_536, 160, id="10 MiB without CRLF"),
        pytest.param(START + b"X: " + b"x" * 65_536, 160, id="header of 10 MiB"),
        pytest.param(START + b"X-Many: 1\r\n" * 10_000, 1, id="10000 headers"),
        pytest.param(b"\r\n" * 1000, 1, id="only CRLF"),
    ],
)
async def test_what_is_not_msrp_is_closed_at_once_with_one_line_in_the_log(
    clients: Clients, data: bytes, repeat: int
) -> None:
    async with good_traffic(clients):
        answer, port = await poured(clients, data, repeat=repeat)
    assert answer.count(b"MSRP ") <= 1
    assert b" 400 " in answer or not answer
    (line,) = lines_about(clients, port)
    assert line["event"] == "connection closed"
    assert line["reason"]
    assert len(str(line)) < 1000


@pytest.mark.parametrize("kind", ["tls", "wss", "peer"])
async def test_plain_bytes_at_an_encrypted_listener_are_closed(clients: Clients, kind: str) -> None:
    async with good_traffic(clients):
        answer, _ = await poured(clients, START * 3, kind)
    assert b"MSRP" not in answer


async def test_msrp_at_a_websocket_listener_without_a_handshake_is_closed(clients: Clients) -> None:
    async with good_traffic(clients):
        answer, _ = await poured(clients, START + b"\r\n", "ws")
    assert b"101" not in answer.split(b"\r\n")[0]


async def test_a_slow_head_is_cut_off_by_its_deadline(clients: Clients) -> None:
    async with good_traffic(clients), raw(clients) as (reader, writer):
        ending = asyncio.ensure_future(until_the_end(reader))
        for octet in START + b"Message-ID: " + b"m" * 10_000:
            writer.write(bytes([octet]))
            done, _ = await asyncio.wait([ending], timeout=0.1)
            if done:
                break
        assert ending.done()
        port = writer.get_extra_info("sockname")[1]
    assert "head did not arrive" in str(lines_about(clients, port)[0]["reason"])


async def test_a_slow_body_is_answered_408_and_cut_off(clients: Clients) -> None:
    bob = await clients.join("bob")
    slow = await clients.join("alice")
    head = send_frame(b"", tid="slow1", to_path=slow.path_to(bob), from_path=slow.uri, byte_range="1-1000000/1000000")
    async with good_traffic(clients):
        await slow.write(head[: head.rindex(b"\r\n-------")])
        while not slow.closed:
            with contextlib.suppress(OSError):
                await slow.write(b"x")
            await asyncio.wait([slow.reading], timeout=0.1)
    assert slow.responses["slow1"].status_code == 408


async def test_one_who_only_connects_is_cut_off(clients: Clients) -> None:
    async with good_traffic(clients):
        answer, port = await poured(clients, b"")
    assert answer == b""
    assert lines_about(clients, port)[0]["reason"] == "no successful request in time"


async def test_a_cnonce_of_2_mb_is_refused_by_the_header_limit(clients: Clients) -> None:
    authorization = b'Authorization: Digest username="alice", cnonce="' + b"c" * 2_000_000 + b'"\r\n'
    auth = b"MSRP auth1 AUTH\r\nTo-Path: %b\r\nFrom-Path: msrp://b.invalid:1/y;tcp\r\n" % clients.uri().encode()
    async with good_traffic(clients):
        answer, port = await poured(clients, auth + authorization + b"-------auth1$\r\n")
    assert answer.count(b"MSRP ") <= 1
    (line,) = lines_about(clients, port)
    assert "ccc" not in str(line)


async def test_connections_cut_in_mid_chunk_leave_an_interrupted_message_and_nothing_else(clients: Clients) -> None:
    bob = await clients.join("bob")
    async with good_traffic(clients):
        for kind in PLAIN_AND_TLS:
            await _cut_off(clients, kind, bob)
        await until(lambda: all(message.flags.endswith("+") for message in bob.received.values()), PATIENCE)
    assert len(bob.received) == len(PLAIN_AND_TLS)
    assert all("$" not in message.flags for message in bob.received.values())


async def _cut_off(clients: Clients, kind: str, receiver: LiveClient) -> None:
    """Send a part of a chunk, wait until some of it has arrived, and vanish."""
    sender = await clients.join("carol", kind)
    frame = send_frame(b"x" * 500_000, message_id=kind, to_path=sender.path_to(receiver), from_path=sender.uri)
    await sender.write(frame[:300_000])
    await until(lambda: kind in receiver.received and receiver.received[kind].octets > 65_000, PATIENCE)
    await sender.close()


async def test_a_storm_of_wrong_passwords_is_closed_after_three_each(clients: Clients) -> None:
    async with good_traffic(clients):
        strangers = {await clients.connect(kind): kind for kind in PLAIN_AND_TLS * 3}
        refusals = await asyncio.gather(*(_guess(clients, *stranger) for stranger in strangers.items()))
    # A client's AUTH is a request without credentials, one with them and one more with uri=; then it begins anew.
    assert set(refusals) == {2 + 3}
    assert all(stranger.closed for stranger in strangers)


async def _guess(clients: Clients, stranger: LiveClient, kind: str) -> int:
    """Try passwords until the connection is closed; returns how many requests were answered 401."""
    while await stranger.auth(clients.uri(kind), "alice" if kind == "tls" else "nobody", "guess-a-password"):
        pass
    return [response.status_code for response in stranger.responses.values()].count(401)


@pytest.mark.parametrize("method", ["NICKNAME", "REPORT", "FROB", "SEND"])
async def test_an_unauthenticated_request_for_nobody_is_refused_or_dropped(clients: Clients, method: str) -> None:
    async with good_traffic(clients), raw(clients) as (reader, writer):
        headers = ["Message-ID: m1", "Status: 000 200 OK"] if method == "REPORT" else ["Message-ID: m1"]
        writer.write(request_frame(method, "tid12345", headers, to_path="msrp://else.invalid:1/x;tcp"))
        answer = await until_the_end(reader)
    assert b" 200 " not in answer


async def test_an_unauthenticated_request_to_a_live_session_of_a_stranger_is_refused(clients: Clients) -> None:
    alice, stranger = await clients.join("alice"), await clients.connect()
    for method in ("NICKNAME", "FROB"):
        number = await stranger.request(method, f"{alice.use_path} msrp://else.invalid:1/x;tcp")
        assert (await stranger.answered(number)).status_code == 481
    await stranger.request(
        "REPORT", f"{alice.use_path} msrp://else.invalid:1/x;tcp", ("Message-ID: m1", "Status: 000 200")
    )
    assert (await stranger.send(alice.path))[1] == 200
    assert alice.reports == []


async def test_after_repeated_abuse_the_memory_is_bounded_and_the_log_holds_no_secrets(clients: Clients) -> None:
    async with good_traffic(clients):
        await _abuse(clients)
        before = clients.node.memory()
        for _ in range(3):
            await _abuse(clients)
        await until(lambda: clients.node.memory() < before + LARGEST_GROWTH, PATIENCE)
    assert clients.node.process.poll() is None
    text = clients.node.log.read_text()
    assert "Traceback" not in text
    secrets = [SECRET_BODY.decode(), "guess-", *PASSWORDS.values(), "response=", "cnonce", "nonce="]
    assert [secret for secret in secrets if secret in text] == []


async def _abuse(clients: Clients) -> None:
    """Everything large at once, from many connections, with a body and a password that may not be told."""
    body = send_frame(SECRET_BODY * 2000, to_path="msrp://else.invalid:1/x;tcp")
    kinds: list[Callable[[], Awaitable[object]]] = [
        lambda: poured(clients, b"x" * 65_536, repeat=160),
        lambda: poured(clients, START + b"X: " + b"x" * 65_536, repeat=160),
        lambda: poured(clients, START + b"X-Many: 1\r\n" * 10_000),
        lambda: poured(clients, body),
        lambda: poured(clients, HTTP),
    ]
    await asyncio.gather(*(kind() for kind in kinds * 4))
    stranger = await clients.connect()
    while await stranger.auth(clients.uri(), "alice", "guess-memory"):
        pass
