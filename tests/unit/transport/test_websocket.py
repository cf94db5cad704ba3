"""WebSocket channels against websockets' own client engine, and against hand-made frames."""

import asyncio
import logging
import os
import ssl

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.typing import Origin, Subprotocol
from websockets.uri import parse_uri

from tests.support.certificates import Authority
from tests.support.streams import Endpoints, Recorder, client_tls, echo
from tests.support.waiting import until
from wigwag.transport.listener import Listener, ListenerOptions

MASK = b"\x01\x02\x03\x04"


def rules(**options: object) -> ListenerOptions:
    return ListenerOptions(**{"name": "l", "kind": "ws", "close_timeout": 0.3, **options})  # type: ignore[arg-type]


class Client:
    """A WebSocket client on asyncio streams."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, engine: ClientProtocol) -> None:
        self.reader, self.writer, self.engine = reader, writer, engine
        self.frames: list[Frame] = []
        self.response: Response | None = None

    async def open(self) -> int:
        """The status of the handshake's answer."""
        self.engine.send_request(self.engine.connect())
        self.flush()
        while self.response is None:
            await self.step()
        return self.response.status_code

    async def step(self) -> bool:
        """Take in one read; False at the end of the stream."""
        data = await self.reader.read(65_536)
        if data:
            self.engine.receive_data(data)
        else:
            self.engine.receive_eof()
        for event in self.engine.events_received():
            if isinstance(event, Response):
                self.response = event
            elif isinstance(event, Frame):
                self.frames.append(event)
        self.flush()
        return bool(data)

    def flush(self) -> None:
        data = b"".join(self.engine.data_to_send())
        if data and not self.writer.is_closing():
            self.writer.write(data)

    async def frame(self) -> Frame:
        """The next frame."""
        while not self.frames:
            assert await self.step(), "the connection ended"
        return self.frames.pop(0)

    async def close_code(self) -> int | None:
        """The code in the server's close frame; the connection is closed then, as clients do."""
        while self.engine.close_rcvd is None and await self.step():
            pass
        self.writer.close()
        return self.engine.close_rcvd.code if self.engine.close_rcvd is not None else None


async def client(
    endpoints: Endpoints,
    listener: Listener,
    *,
    subprotocols: tuple[str, ...] = ("msrp",),
    origin: str | None = None,
    context: ssl.SSLContext | None = None,
) -> Client:
    reader, writer = await endpoints.client(listener, context, "relay.test")
    engine = ClientProtocol(
        parse_uri("ws://relay.test/"),
        origin=None if origin is None else Origin(origin),
        subprotocols=[Subprotocol(name) for name in subprotocols] or None,
        max_size=None,
    )
    return Client(reader, writer, engine)


async def opened(endpoints: Endpoints, listener: Listener, **arguments: object) -> Client:
    it = await client(endpoints, listener, **arguments)  # type: ignore[arg-type]
    assert await it.open() == 101
    return it


def frame(opcode: int, payload: bytes, *, fin: bool = True, masked: bool = True, reserved: int = 0) -> bytes:
    """A client's frame, also a wrong one."""
    first = (0x80 if fin else 0) | reserved | opcode
    size = len(payload)
    header = bytes((first, (0x80 if masked else 0) | (size if size < 126 else 126)))
    if size >= 126:
        header += size.to_bytes(2, "big")
    if not masked:
        return header + payload
    return header + MASK + bytes(byte ^ MASK[index % 4] for index, byte in enumerate(payload))


@pytest.mark.parametrize("offered", [("msrp",), ("sip", "msrp"), ("msrp", "chat")])
async def test_m117_the_subprotocol_msrp_is_chosen_among_those_offered(
    endpoints: Endpoints, offered: tuple[str, ...]
) -> None:
    listener = await endpoints.listen(rules())
    it = await opened(endpoints, listener, subprotocols=offered)
    assert it.response is not None
    assert it.response.headers.get_all("Sec-WebSocket-Protocol") == ["msrp"]
    assert "Sec-WebSocket-Extensions" not in it.response.headers
    assert (await endpoints.receiver()).channel.kind == "ws"


@pytest.mark.parametrize("offered", [(), ("sip",)])
async def test_m117_without_the_subprotocol_the_handshake_is_refused(
    endpoints: Endpoints, offered: tuple[str, ...]
) -> None:
    listener = await endpoints.listen(rules())
    it = await client(endpoints, listener, subprotocols=offered)
    assert await it.open() == 400
    assert not await it.step()
    assert listener.handshake_failures == 1
    assert not endpoints.accepted[0].is_connected
    await until(lambda: not listener.channels)


@pytest.mark.parametrize("kind", [Opcode.TEXT, Opcode.BINARY])
@pytest.mark.parametrize("body", ["grüße".encode(), b"plain"])
async def test_m118_the_type_of_a_frame_carries_no_meaning(endpoints: Endpoints, kind: Opcode, body: bytes) -> None:
    listener = await endpoints.listen(rules(), lambda: Recorder(echo))
    it = await opened(endpoints, listener)
    it.writer.write(frame(kind, body))
    answer = await it.frame()
    assert (answer.opcode, bytes(answer.data), answer.fin) == (Opcode.BINARY, body, True)


async def test_m118_all_octets_pass_in_binary_frames_of_every_length_encoding(endpoints: Endpoints) -> None:
    listener = await endpoints.listen(rules(), lambda: Recorder())
    it = await opened(endpoints, listener)
    receiver = await endpoints.receiver()
    payloads = [bytes(range(256))[:size] * times for size, times in ((125, 1), (126, 1), (256, 255), (256, 300))]
    receiver.channel.send(payloads)
    for payload in payloads:
        it.engine.send_binary(payload)
        it.flush()
        answer = await it.frame()
        assert (bytes(answer.data), answer.fin) == (payload, True)
    await until(lambda: receiver.data == b"".join(payloads))


@pytest.mark.parametrize("pieces", [(b"\xff\xfe",), (b"ok \xc3", b"("), (b"half \xc3",)])
async def test_m119_text_that_is_not_utf_8_is_closed_with_1007(endpoints: Endpoints, pieces: tuple[bytes, ...]) -> None:
    listener = await endpoints.listen(rules())
    it = await opened(endpoints, listener)
    for index, piece in enumerate(pieces):
        it.writer.write(frame(0 if index else 1, piece, fin=index == len(pieces) - 1))
    assert await it.close_code() == 1007
    receiver = await endpoints.receiver()
    await until(lambda: receiver.is_over and not listener.channels)
    assert receiver.reasons == ["1007 text is not UTF-8"]


async def test_m119_a_character_cut_by_fragments_is_text_all_the_same(endpoints: Endpoints) -> None:
    listener = await endpoints.listen(rules(), lambda: Recorder(echo))
    it = await opened(endpoints, listener)
    it.writer.write(frame(1, b"gr\xc3", fin=False) + frame(0, b"\xbc\xc3", fin=False) + frame(0, b"\x9fe"))
    receiver = await endpoints.receiver()
    await until(lambda: receiver.data == "grüße".encode())


async def test_m120_five_fragments_with_a_ping_between_are_one_chunk_and_the_pong_comes_at_once(
    endpoints: Endpoints,
) -> None:
    listener = await endpoints.listen(rules())
    it = await opened(endpoints, listener)
    it.writer.write(frame(2, b"1", fin=False) + frame(0, b"2", fin=False) + frame(9, b"are you there"))
    pong = await it.frame()
    assert (pong.opcode, bytes(pong.data)) == (Opcode.PONG, b"are you there")
    it.writer.write(frame(0, b"3", fin=False) + frame(0, b"4", fin=False) + frame(0, b"5"))
    receiver = await endpoints.receiver()
    await until(lambda: receiver.data == b"12345")


@pytest.mark.parametrize(
    "wrong",
    [
        frame(2, b"unmasked", masked=False),
        frame(2, b"reserved bit", reserved=0x40),
        frame(3, b"reserved opcode"),
        frame(9, b"x" * 126),
        frame(0, b"continues nothing"),
        frame(2, b"a", fin=False) + frame(2, b"b"),
        frame(8, b"\x03"),
    ],
    ids=["unmasked", "reserved-bit", "reserved-opcode", "ping-of-126", "lone-continuation", "interleaved", "bad-close"],
)
async def test_m122_broken_frames_are_closed_with_1002(endpoints: Endpoints, wrong: bytes) -> None:
    listener = await endpoints.listen(rules())
    it = await opened(endpoints, listener)
    it.writer.write(wrong)
    assert await it.close_code() == 1002
    receiver = await endpoints.receiver()
    await until(lambda: receiver.is_over and not listener.channels)


@pytest.mark.parametrize("fragments", [1, 3])
@pytest.mark.parametrize("kind", ["ws", "wss"])
async def test_m123_a_message_over_the_limit_is_closed_with_1009_and_not_buffered(
    endpoints: Endpoints, authority: Authority, fragments: int, kind: str
) -> None:
    options = rules(kind=kind, max_websocket_message=100_000, certificates=(authority.issue("relay.test"),))
    listener = await endpoints.listen(options)
    it = await opened(endpoints, listener, context=client_tls(authority) if kind == "wss" else None)
    for index in range(fragments):
        it.writer.write(
            bytes((0x02 if index == 0 else 0x00, 0xFF))
            + (120_000 // fragments).to_bytes(8, "big")
            + MASK
            + b"x" * (120_000 // fragments)
        )
    assert await it.close_code() == 1009
    receiver = await endpoints.receiver()
    await until(lambda: receiver.is_over and not listener.channels)
    assert len(receiver.data) <= 80_000


@pytest.mark.parametrize(
    ("origin", "status"), [("https://chat.test", 101), (None, 101), ("https://evil.test", 403), ("null", 403)]
)
async def test_m128_a_foreign_origin_is_refused_before_101(
    endpoints: Endpoints, origin: str | None, status: int
) -> None:
    listener = await endpoints.listen(rules(origins=("https://chat.test",)))
    it = await client(endpoints, listener, origin=origin)
    assert await it.open() == status
    assert listener.handshake_failures == (status != 101)


async def test_m129_an_idle_client_is_pinged_and_a_dead_one_found(endpoints: Endpoints) -> None:
    listener = await endpoints.listen(rules(ping_interval=0.2))
    living = await opened(endpoints, listener)
    dead = await opened(endpoints, listener)
    assert dead.response is not None
    for _ in range(3):
        assert (await living.frame()).opcode is Opcode.PING
    receiver = await endpoints.receiver(2)
    await until(lambda: receiver.reasons == ["no answer to a ping"])
    assert listener.ping_timeouts == 1
    assert not endpoints.accepted[0].is_over


async def test_a_client_whose_reading_is_paused_is_not_taken_for_dead(endpoints: Endpoints) -> None:
    listener = await endpoints.listen(rules(ping_interval=0.05))
    paused = await opened(endpoints, listener)
    dead = await opened(endpoints, listener)
    assert dead.response is not None
    first, second = await endpoints.receiver(1), await endpoints.receiver(2)
    first.channel.pause_reading()
    await until(lambda: second.is_over)
    assert not first.is_over
    assert not paused.writer.is_closing()


async def test_an_opening_handshake_that_takes_too_long_is_cut(endpoints: Endpoints) -> None:
    listener = await endpoints.listen(rules(handshake_timeout=0.1))
    reader, writer = await endpoints.client(listener)
    writer.write(b"GET / HTTP/1.1\r\nHost:")
    assert await reader.read() == b""
    assert (listener.handshake_failures, listener.handshake_timeouts) == (1, 1)
    assert not endpoints.accepted[0].is_connected
    assert endpoints.accepted[0].reasons == []


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"MSRP a786hjs2 AUTH\r\n\r\n", b""),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 426"),
        (b"GET / HTTP/1.1\r\nHost: " + b"a" * 20_000 + b"\r\n\r\n", b"HTTP/1.1 431"),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n", b"HTTP/1.1 414"),
    ],
)
async def test_what_is_no_websocket_handshake_is_refused(
    endpoints: Endpoints, request_bytes: bytes, status: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    listener = await endpoints.listen(rules())
    reader, writer = await endpoints.client(listener)
    writer.write(request_bytes)
    assert (await reader.read()).startswith(status)
    await until(lambda: listener.handshake_failures == 1)
    assert not endpoints.accepted[0].is_connected
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


async def test_frames_before_the_answer_to_the_handshake_cut_the_connection(endpoints: Endpoints) -> None:
    listener = await endpoints.listen(rules())
    it = await client(endpoints, listener)
    it.engine.send_request(it.engine.connect())
    it.writer.write(b"".join(it.engine.data_to_send()) + frame(8, b"") + frame(2, b"early"))
    with pytest.raises((EOFError, ConnectionResetError, AssertionError), match=r"|."):
        await it.reader.readexactly(1)
    await until(lambda: listener.handshake_failures == 1)
    assert not endpoints.accepted[0].is_connected


async def test_the_clients_close_is_echoed_and_ends_the_channel(endpoints: Endpoints) -> None:
    listener = await endpoints.listen(rules())
    it = await opened(endpoints, listener)
    it.engine.send_close(1000, "bye")
    it.flush()
    assert await it.close_code() == 1000
    assert it.engine.close_rcvd_then_sent is False
    receiver = await endpoints.receiver()
    await until(lambda: receiver.reasons == ["closed by the peer"])


@pytest.mark.parametrize("kind", ["ws", "wss"])
async def test_our_close_waits_for_the_clients(endpoints: Endpoints, authority: Authority, kind: str) -> None:
    listener = await endpoints.listen(rules(kind=kind, certificates=(authority.issue("relay.test"),)))
    it = await opened(endpoints, listener, context=client_tls(authority) if kind == "wss" else None)
    receiver = await endpoints.receiver()
    receiver.channel.send([b"last"])
    receiver.channel.close("enough")
    receiver.channel.send([b"too late"])
    assert bytes((await it.frame()).data) == b"last"
    assert await it.close_code() == 1000
    await until(lambda: receiver.reasons == ["enough"] and not listener.channels)


async def test_our_close_ends_also_when_the_client_says_nothing(endpoints: Endpoints) -> None:
    listener = await endpoints.listen(rules())
    await opened(endpoints, listener)
    receiver = await endpoints.receiver()
    receiver.channel.pause_reading()
    receiver.channel.close("enough")
    await until(lambda: receiver.reasons == ["enough"] and not listener.channels)


async def test_messages_before_the_clients_close_arrive_even_while_paused(endpoints: Endpoints) -> None:
    listener = await endpoints.listen(rules(), lambda: Recorder(lambda it, _: it.channel.pause_reading()))
    it = await opened(endpoints, listener)
    it.writer.write(frame(2, b"1") + frame(2, b"2") + frame(2, b"3") + frame(8, b"\x03\xe8"))
    receiver = await endpoints.receiver()
    for expected in ([b"1"], [b"1", b"2"], [b"1", b"2", b"3"]):
        await until(lambda expected=expected: receiver.reads == expected)  # type: ignore[misc]
        receiver.channel.resume_reading()
    await until(lambda: receiver.reasons == ["closed by the peer"])


async def test_a_flood_of_pings_from_one_who_does_not_read_takes_no_memory(endpoints: Endpoints) -> None:
    listener = await endpoints.listen(rules())
    it = await opened(endpoints, listener)
    receiver = await endpoints.receiver()
    receiver.channel.send([b"x" * 20_000_000])
    assert receiver.pauses == [True]
    unsent = receiver.channel.unsent()
    it.writer.write(frame(9, b"x" * 125) * 10_000 + frame(2, b"done"))
    await until(lambda: receiver.data == b"done")
    assert receiver.channel.unsent() <= unsent


async def test_hostile_bytes_after_the_handshake_never_reach_the_loops_error_handler(endpoints: Endpoints) -> None:
    listener = await endpoints.listen(rules())
    for _ in range(40):
        it = await opened(endpoints, listener)
        it.writer.write(os.urandom(300))
        it.writer.close()
    await until(lambda: all(receiver.is_over for receiver in endpoints.accepted) and not listener.channels)


@pytest.mark.parametrize(
    ("text_frames", "message", "opcode"),
    [
        (False, b"MSRP", Opcode.BINARY),
        (True, b"SIP/2.0 200 OK\r\n\r\n", Opcode.TEXT),
        (True, "Grüße".encode(), Opcode.TEXT),
        (True, b"\xff\x00", Opcode.BINARY),
        (True, "Grüße".encode()[:3], Opcode.BINARY),
        (True, b"x" * 70_000, Opcode.TEXT),
    ],
)
async def test_s45_what_is_utf_8_leaves_as_text_where_that_is_asked_for(
    endpoints: Endpoints, text_frames: bool, message: bytes, opcode: Opcode
) -> None:
    listener = await endpoints.listen(rules(text_frames=text_frames), lambda: Recorder(echo))
    it = await opened(endpoints, listener)
    it.writer.write(frame(2, b"go"))
    assert (await it.frame()).data == b"go"
    (await endpoints.receiver()).channel.send([message])
    sent = await it.frame()
    assert (sent.opcode, sent.data) == (opcode, message)


@pytest.mark.parametrize("opcode", [1, 2])
async def test_s45_a_message_is_delivered_whole_however_it_is_fragmented(endpoints: Endpoints, opcode: int) -> None:
    listener = await endpoints.listen(rules(whole_messages=True, max_websocket_message=20))
    it = await opened(endpoints, listener)
    text = "aäb".encode()
    pieces = [frame(opcode, text[:2], fin=False), frame(9, b"ping"), frame(0, b"", fin=False), frame(0, text[2:])]
    it.writer.write(b"".join(pieces) + frame(opcode, b"") + frame(opcode, b"next") + frame(opcode, b"half", fin=False))
    receiver = await endpoints.receiver()
    await until(lambda: receiver.reads == [text, b"next"])
    it.writer.write(frame(0, b"x" * 17))
    assert await it.close_code() == 1009
    assert receiver.reads == [text, b"next"]
