"""Channels on real sockets: bytes, back-pressure, pausing, and every way to end."""

import asyncio
import os
import socket
import struct

import pytest

from tests.support.certificates import Authority
from tests.support.streams import Endpoints, Recorder, client_tls, echo
from tests.support.waiting import until
from wigwag.transport.listener import Listener, ListenerOptions

MEBIBYTE = 1_048_576


@pytest.fixture(params=["tcp", "tls"])
def options(request: pytest.FixtureRequest, authority: Authority) -> ListenerOptions:
    certificates = (authority.issue("relay.test"),)
    return ListenerOptions(name="l", kind=request.param, certificates=certificates, close_timeout=0.2)


async def client(endpoints: Endpoints, listener: Listener) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if listener.options.kind == "tcp":
        return await endpoints.client(listener)
    return await endpoints.client(listener, client_tls(endpoints.authority), "relay.test")


async def test_bytes_arrive_both_ways_and_are_counted(endpoints: Endpoints, options: ListenerOptions) -> None:
    listener = await endpoints.listen(options, lambda: Recorder(echo))
    reader, writer = await client(endpoints, listener)
    writer.write(b"question")
    assert await reader.readexactly(8) == b"question"
    channel = (await endpoints.receiver()).channel
    assert (channel.bytes_received, channel.bytes_sent) == (8, 8)
    assert (channel.kind, channel.listener) == (options.kind, "l")
    assert channel.remote == writer.get_extra_info("sockname")
    assert channel.local == listener.address
    assert listener.channels == {channel.id: channel}


async def test_frames_of_one_send_arrive_in_order(endpoints: Endpoints, options: ListenerOptions) -> None:
    listener = await endpoints.listen(options)
    reader, _ = await client(endpoints, listener)
    channel = (await endpoints.receiver()).channel
    frames = [bytes([65 + index]) * (index * 1000) for index in range(20)]
    channel.send(frames)
    channel.send([b"end"])
    expected = b"".join(frames) + b"end"
    assert await reader.readexactly(len(expected)) == expected
    assert channel.bytes_sent == len(expected)


async def test_a_peer_that_does_not_read_pauses_the_sender_and_memory_stays_bounded(
    endpoints: Endpoints, options: ListenerOptions
) -> None:
    listener = await endpoints.listen(options)
    reader, _ = await client(endpoints, listener)
    receiver = await endpoints.receiver()
    sent = 0
    while not receiver.pauses:
        receiver.channel.send([b"x" * 10_000])
        sent += 10_000
        await asyncio.sleep(0)
        assert sent < 50 * MEBIBYTE
    assert receiver.pauses == [True]
    assert 65_536 <= receiver.channel.unsent() < 65_536 + 10_000 + 70_000
    assert len(await reader.readexactly(sent)) == sent
    await until(lambda: receiver.pauses == [True, False])
    assert receiver.channel.unsent() <= 16_384 + 70_000


async def test_paused_reading_delivers_nothing_until_resumed(endpoints: Endpoints, options: ListenerOptions) -> None:
    def pause(recorder: Recorder, _: bytes) -> None:
        recorder.channel.pause_reading()

    listener = await endpoints.listen(options, lambda: Recorder(pause))
    _, writer = await client(endpoints, listener)
    receiver = await endpoints.receiver()
    writer.write(b"1")
    await until(lambda: receiver.reads == [b"1"])
    writer.write(b"2" * 3 * MEBIBYTE)
    await _round_trips(endpoints, listener)
    assert receiver.reads == [b"1"]
    while len(receiver.data) < 1 + 3 * MEBIBYTE:
        seen = len(receiver.reads)
        receiver.channel.resume_reading()
        await until(lambda seen=seen: len(receiver.reads) > seen)  # type: ignore[misc]
        assert len(receiver.reads) == seen + 1
    assert receiver.data == b"1" + b"2" * 3 * MEBIBYTE


async def test_pausing_within_connected_holds_back_the_first_bytes(
    endpoints: Endpoints, options: ListenerOptions
) -> None:
    listener = await endpoints.listen(options, lambda: Recorder(welcome=lambda it: it.channel.pause_reading()))
    _, writer = await client(endpoints, listener)
    writer.write(b"early")
    receiver = await endpoints.receiver()
    await _round_trips(endpoints, listener)
    writer.write(b" bird")
    await _round_trips(endpoints, listener)
    assert receiver.reads == []
    receiver.channel.resume_reading()
    await until(lambda: receiver.data == b"early bird")


async def test_resuming_at_once_within_connected_loses_nothing(endpoints: Endpoints, options: ListenerOptions) -> None:
    def welcome(recorder: Recorder) -> None:
        recorder.channel.pause_reading()
        recorder.channel.resume_reading()

    listener = await endpoints.listen(options, lambda: Recorder(echo, welcome))
    reader, writer = await client(endpoints, listener)
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"hello"


async def test_close_sends_what_is_unsent_first(endpoints: Endpoints, options: ListenerOptions) -> None:
    listener = await endpoints.listen(options)
    reader, _ = await client(endpoints, listener)
    receiver = await endpoints.receiver()
    receiver.channel.send([b"x" * 60_000] * 3)
    receiver.channel.close("enough")
    receiver.channel.send([b"too late"])
    assert receiver.reasons == []
    assert await reader.read() == b"x" * 180_000
    await until(lambda: receiver.reasons == ["enough"])
    assert listener.channels == {}


async def test_what_was_sent_last_is_not_lost_to_input_that_nobody_reads(
    endpoints: Endpoints, options: ListenerOptions
) -> None:
    def refuse(recorder: Recorder, _: bytes) -> None:
        recorder.channel.pause_reading()
        recorder.channel.send([b"413"])
        recorder.channel.close("too large")

    listener = await endpoints.listen(options, lambda: Recorder(refuse))
    reader, writer = await client(endpoints, listener)
    writer.write(b"x" * 2 * MEBIBYTE)
    assert await reader.readexactly(3) == b"413"
    receiver = await endpoints.receiver()
    writer.close()
    await until(lambda: receiver.reasons == ["too large"])
    assert len(receiver.reads) == 1


async def test_close_toward_a_peer_that_never_ends_its_side_ends_by_the_timer(
    endpoints: Endpoints, options: ListenerOptions
) -> None:
    listener = await endpoints.listen(options)
    await endpoints.raw(listener) if options.kind == "tcp" else await client(endpoints, listener)
    receiver = await endpoints.receiver()
    receiver.channel.close("enough")
    await until(lambda: receiver.reasons == ["enough"])


async def test_close_toward_a_peer_that_does_not_read_ends_by_the_timer(
    endpoints: Endpoints, options: ListenerOptions
) -> None:
    listener = await endpoints.listen(options)
    await client(endpoints, listener)
    receiver = await endpoints.receiver()
    receiver.channel.send([b"x" * 20 * MEBIBYTE])
    receiver.channel.close("enough")
    await until(lambda: receiver.reasons == ["enough"])


async def test_abort_and_close_twice_tell_the_first_reason_once(endpoints: Endpoints, options: ListenerOptions) -> None:
    listener = await endpoints.listen(options)
    await client(endpoints, listener)
    receiver = await endpoints.receiver()
    receiver.channel.abort("first")
    receiver.channel.close("second")
    receiver.channel.abort("third")
    await until(lambda: receiver.is_over)
    receiver.channel.close("fourth")
    receiver.channel.abort("fifth")
    receiver.channel.pause_reading()
    receiver.channel.resume_reading()
    receiver.channel.send([b"nobody"])
    assert receiver.reasons == ["first"]
    assert receiver.channel.unsent() == 0
    assert not receiver.channel.is_open


async def test_m80_fin_right_after_a_request_is_answered_all_the_same(
    endpoints: Endpoints, options: ListenerOptions
) -> None:
    listener = await endpoints.listen(options, lambda: Recorder(echo))
    reader, writer = await client(endpoints, listener)
    writer.write(b"last question")
    if writer.can_write_eof():
        writer.write_eof()
    assert await reader.readexactly(13) == b"last question"
    writer.close()
    receiver = await endpoints.receiver()
    await until(lambda: receiver.reasons == ["closed by the peer"])


async def test_m80_reset_during_our_response_ends_cleanly(endpoints: Endpoints, options: ListenerOptions) -> None:
    listener = await endpoints.listen(options)
    _, writer = await client(endpoints, listener)
    receiver = await endpoints.receiver()
    receiver.channel.send([b"x" * 20 * MEBIBYTE])
    reset(writer.get_extra_info("socket"))
    writer.transport.abort()
    await until(lambda: receiver.is_over)
    assert receiver.reasons[0] in ("reset by the peer", "closed by the peer")


async def test_m114_tls_cut_without_close_notify_delivers_what_came_and_no_more(
    endpoints: Endpoints, authority: Authority
) -> None:
    options = ListenerOptions(name="l", kind="tls", certificates=(authority.issue("relay.test"),))
    listener = await endpoints.listen(options)
    _, writer = await client(endpoints, listener)
    writer.write(b"MSRP half a chunk")
    receiver = await endpoints.receiver()
    await until(lambda: receiver.data == b"MSRP half a chunk")
    with socket.socket(fileno=os.dup(writer.get_extra_info("socket").fileno())) as below:
        below.shutdown(socket.SHUT_WR)
    await until(lambda: receiver.is_over)
    assert receiver.data == b"MSRP half a chunk"


async def test_a_held_channel_answers_after_the_peers_fin(endpoints: Endpoints) -> None:
    listener = await endpoints.listen(
        ListenerOptions(name="l", kind="tcp"), lambda: Recorder(lambda it, _: it.channel.hold())
    )
    reader, writer = await endpoints.client(listener)
    writer.write(b"AUTH")
    writer.write_eof()
    receiver = await endpoints.receiver()
    await until(lambda: receiver.reads)
    await _round_trips(endpoints, await endpoints.listen(ListenerOptions(name="m", kind="tcp")))
    assert not receiver.is_over
    receiver.channel.send([b"200"])
    receiver.channel.release()
    assert await reader.read() == b"200"
    await until(lambda: receiver.reasons == ["closed by the peer"])


async def test_a_channel_held_for_ever_ends_after_the_peers_fin(endpoints: Endpoints) -> None:
    options = ListenerOptions(name="l", kind="tcp", close_timeout=0.1)
    listener = await endpoints.listen(options, lambda: Recorder(lambda it, _: it.channel.hold()))
    _, writer = await endpoints.client(listener)
    writer.write(b"AUTH")
    writer.write_eof()
    receiver = await endpoints.receiver()
    await until(lambda: receiver.is_over)


async def test_a_peer_that_sends_200_mebibytes_to_a_paused_channel_is_blocked(endpoints: Endpoints) -> None:
    listener = await endpoints.listen(
        ListenerOptions(name="l", kind="tcp"), lambda: Recorder(welcome=lambda it: it.channel.pause_reading())
    )
    sock = await endpoints.raw(listener)
    receiver = await endpoints.receiver()
    assert await _send_until_blocked(sock, 200) < 20 * MEBIBYTE
    assert len(receiver.reads) == 0


async def test_m79_other_connections_go_on_while_one_does_not_read(endpoints: Endpoints) -> None:
    listener = await endpoints.listen(ListenerOptions(name="l", kind="tcp"), lambda: Recorder(echo))
    await endpoints.raw(listener)
    stuck = await endpoints.receiver()
    stuck.channel.send([b"x" * 50 * MEBIBYTE])
    assert stuck.pauses == [True]
    for _ in range(20):
        reader, writer = await endpoints.client(listener)
        writer.write(b"ping")
        assert await reader.readexactly(4) == b"ping"
    assert stuck.pauses == [True]


async def test_many_connections_share_one_read_buffer_without_mixing(endpoints: Endpoints) -> None:
    listener = await endpoints.listen(ListenerOptions(name="l", kind="tcp"), lambda: Recorder(echo))
    clients = [await endpoints.client(listener) for _ in range(20)]
    for index, (_, writer) in enumerate(clients):
        writer.write(bytes([index]) * 5000)
    for index, (reader, _) in enumerate(clients):
        assert await reader.readexactly(5000) == bytes([index]) * 5000


async def test_a_receiver_that_fails_in_connected_costs_its_own_connection_only(endpoints: Endpoints) -> None:
    def fail(recorder: Recorder) -> None:
        if recorder is endpoints.accepted[0]:
            raise RuntimeError("bug")

    reports: list[str] = []
    handler = asyncio.get_running_loop().get_exception_handler()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(str(context["exception"])))
    listener = await endpoints.listen(ListenerOptions(name="l", kind="tcp"), lambda: Recorder(echo, fail))
    reader, _ = await endpoints.client(listener)
    assert await reader.read() == b""
    reader, writer = await endpoints.client(listener)
    writer.write(b"fine")
    assert await reader.readexactly(4) == b"fine"
    assert len(listener.channels) == 1
    assert reports
    asyncio.get_running_loop().set_exception_handler(handler)


def reset(sock: socket.socket) -> None:
    """Let the next close send RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def _send_until_blocked(sock: socket.socket, mebibytes: int) -> int:
    """Bytes that went out until the kernel took no more."""
    sent = 0
    for _ in range(mebibytes):
        try:
            sent += sock.send(b"x" * MEBIBYTE)
        except BlockingIOError:
            break
        await asyncio.sleep(0)
    return sent


async def _round_trips(endpoints: Endpoints, listener: Listener) -> None:
    """Several turns through the loop and the kernel: what was to be delivered has been delivered."""
    for _ in range(3):
        count = len(endpoints.accepted)
        await client(endpoints, listener)
        await endpoints.receiver(count + 1)
