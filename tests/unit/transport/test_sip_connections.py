"""Connections that carry SIP: all four kinds, whom the certificate speaks for, frames and messages on WebSocket."""

import asyncio
import ssl
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tests.support.streams import Endpoints, Recorder, echo
from tests.support.waiting import until
from wigwag.transport.addresses import Endpoint
from wigwag.transport.channel import Channel, ChannelKind
from wigwag.transport.connector import SIP_WEBSOCKET, Outgoing
from wigwag.transport.errors import ConnectError, ConnectFailure
from wigwag.transport.listener import Listener, ListenerKind, ListenerOptions
from wigwag.transport.profiles import ProfileTable
from wigwag.transport.tls import sip_client_context
from wigwag.transport.websocket import WebSocketRules

REQUEST = b"OPTIONS sip:a@example.test SIP/2.0\r\n\r\n"


async def listen(endpoints: Endpoints, kind: ListenerKind, **options: object) -> Listener:
    arguments = {"subprotocol": "sip", "application": "sip", "text_frames": True, "whole_messages": True, **options}
    return await endpoints.listen(
        ListenerOptions(name="l", kind=kind, **arguments),  # type: ignore[arg-type]
        lambda: Recorder(echo),
    )


def outgoing(endpoints: Endpoints, kind: ChannelKind, **arguments: object) -> Outgoing:
    arguments = {
        "host": "example.test",
        "allow_private": True,
        "tls": sip_client_context(ca_file=endpoints.authority.ca_file),
        **arguments,
    }
    return Outgoing(kind=kind, **arguments)  # type: ignore[arg-type]


def endpoint(listener: Listener) -> list[Endpoint]:
    return [Endpoint(*listener.address)]


async def connected(
    endpoints: Endpoints, listener: Listener, kind: ChannelKind, **arguments: object
) -> tuple[Channel, Recorder]:
    receiver = Recorder()
    connector = endpoints.connector or endpoints.connect_with()
    channel = await connector.connect_to(endpoint(listener), receiver, outgoing(endpoints, kind, **arguments))
    assert receiver.channel is channel
    return channel, receiver


async def refused(endpoints: Endpoints, listener: Listener, kind: ChannelKind, **arguments: object) -> ConnectError:
    receiver = Recorder()
    connector = endpoints.connector or endpoints.connect_with()
    with pytest.raises(ConnectError) as caught:
        await connector.connect_to(endpoint(listener), receiver, outgoing(endpoints, kind, **arguments))
    assert connector.channels == {}
    assert connector.failures[caught.value.failure] == 1
    await asyncio.sleep(0)
    assert not receiver.is_connected
    assert not receiver.is_over
    return caught.value


@pytest.mark.parametrize("kind", ["tcp", "tls", "ws", "wss"])
async def test_a_request_and_its_answer_over_every_kind(
    endpoints: Endpoints, authority: Authority, kind: ChannelKind
) -> None:
    listener = await listen(endpoints, kind, certificates=(authority.issue("example.test"),))
    channel, receiver = await connected(endpoints, listener, kind)
    channel.send([REQUEST, REQUEST])
    await until(lambda: receiver.data == REQUEST * 2)
    assert (channel.kind, channel.application, channel.listener) == (kind, "sip", None)
    assert (await endpoints.receiver()).channel.application == "sip"
    channel.close("done")
    await until(lambda: receiver.reasons == ["done"])
    accepted = endpoints.accepted[0]
    await until(lambda: accepted.is_over)


@pytest.mark.parametrize("kind", ["ws", "wss"])
async def test_on_websocket_a_read_is_one_message(
    endpoints: Endpoints, authority: Authority, kind: ChannelKind
) -> None:
    listener = await listen(endpoints, kind, certificates=(authority.issue("example.test"),))
    channel, receiver = await connected(endpoints, listener, kind)
    messages = [b"a", "ä".encode(), b"\xff\xfe", b"x" * 125, b"x" * 126, b"x" * 65_535, b"\x80" * 65_536]
    channel.send(messages)
    await until(lambda: len(receiver.reads) == len(messages))
    assert (await endpoints.receiver()).reads == receiver.reads == messages


CERTIFICATES = [
    ({"names": ("example.test",)}, "tls", True),
    ({"names": ("host.test",), "uris": ("sip:example.test",)}, "tls", True),
    ({"names": ("example.test",), "uris": ("sip:other.test",)}, "tls", False),
    ({"names": ("*.example.test", "host.test")}, "tls", False),
    ({"names": ("host.test",), "common_name": "example.test"}, "tls", False),
    ({"names": ("host.test",)}, "wss", False),
    ({"names": ("*.test",)}, "wss", True),
]


@pytest.mark.parametrize(("contents", "kind", "welcome"), CERTIFICATES)
async def test_the_certificate_has_to_speak_for_the_domain(
    endpoints: Endpoints, authority: Authority, contents: dict[str, object], kind: ChannelKind, welcome: bool
) -> None:
    names = contents.pop("names") if "names" in (contents := dict(contents)) else ()
    pair = authority.issue(*names, file="domain", **contents)  # type: ignore[misc,arg-type]
    listener = await listen(endpoints, kind, certificates=(pair,))
    if welcome:
        await connected(endpoints, listener, kind)
    else:
        error = await refused(endpoints, listener, kind)
        assert error.failure is ConnectFailure.CERTIFICATE
        assert "the certificate speaks for somebody else" in error.detail
        if kind == "tls":
            await until(lambda: endpoints.accepted[0].is_over)


async def test_a_certificate_that_nobody_vouches_for_is_refused(endpoints: Endpoints, stranger: Authority) -> None:
    listener = await listen(endpoints, "tls", certificates=(stranger.issue("example.test"),))
    assert (await refused(endpoints, listener, "tls")).failure is ConnectFailure.CERTIFICATE


async def test_a_context_that_checks_names_itself_is_left_to_it(endpoints: Endpoints, authority: Authority) -> None:
    listener = await listen(endpoints, "tls", certificates=(authority.issue("*.example.test"),))
    error = await refused(endpoints, listener, "tls", tls=None, host="b.other.test")
    assert error.failure is ConnectFailure.CERTIFICATE
    await connected(endpoints, listener, "tls", tls=None, host="a.example.test")


async def test_our_own_certificate_is_shown_to_who_asks(endpoints: Endpoints, authority: Authority) -> None:
    listener = await listen(
        endpoints, "peer", certificates=(authority.issue("example.test"),), client_ca=authority.ca_file
    )
    context = sip_client_context(ca_file=authority.ca_file, certificate=authority.issue("us.test"))
    await connected(endpoints, listener, "tls", tls=context)
    assert (await endpoints.receiver()).channel.certificate_names == ("us.test",)


async def test_addresses_are_checked_when_they_are_connected_to(endpoints: Endpoints) -> None:
    listener = await listen(endpoints, "tcp")
    error = await refused(endpoints, listener, "tcp", allow_private=False)
    assert error.failure is ConnectFailure.FORBIDDEN
    assert listener.accepted == 0


async def test_no_address_is_no_connection(endpoints: Endpoints) -> None:
    with pytest.raises(ConnectError) as caught:
        await endpoints.connect_with().connect_to([], Recorder(), outgoing(endpoints, "tcp"))
    assert caught.value.failure is ConnectFailure.NO_ADDRESS


async def test_the_next_address_is_tried(endpoints: Endpoints) -> None:
    listener = await listen(endpoints, "tcp")
    addresses = [Endpoint("127.0.0.1", 1), *endpoint(listener)]
    channel = await endpoints.connect_with().connect_to(addresses, Recorder(), outgoing(endpoints, "tcp"))
    assert channel.remote == listener.address


async def test_a_server_that_speaks_another_subprotocol_is_no_peer(endpoints: Endpoints) -> None:
    listener = await listen(endpoints, "ws", subprotocol="msrp")
    error = await refused(endpoints, listener, "ws")
    assert error.failure is ConnectFailure.HANDSHAKE
    assert "WebSocket: server rejected WebSocket connection: HTTP 400" in error.detail


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "HTTP 404"),
        (b"SIP/2.0 400 Bad Request\r\n\r\n", "valid HTTP response"),
        (b"", "closed by the peer"),
    ],
)
async def test_what_is_no_answer_to_the_handshake_is_told(endpoints: Endpoints, answer: bytes, why: str) -> None:
    def answering(recorder: Recorder, _: bytes) -> None:
        recorder.channel.send([answer])
        recorder.channel.close()

    listener = await endpoints.listen(ListenerOptions(name="l", kind="tcp"), lambda: Recorder(answering))
    error = await refused(endpoints, listener, "ws")
    assert error.failure is ConnectFailure.HANDSHAKE
    assert why in error.detail


async def test_a_server_that_chooses_no_subprotocol_is_no_peer(endpoints: Endpoints) -> None:
    from websockets.http11 import Request
    from websockets.server import ServerProtocol

    def answering(recorder: Recorder, data: bytes) -> None:
        engine = ServerProtocol()
        engine.receive_data(data)
        (request,) = engine.events_received()
        assert isinstance(request, Request)
        assert request.headers["Host"] == f"example.test:{recorder.channel.local[1]}"
        assert request.headers["Sec-WebSocket-Protocol"] == "sip"
        assert request.path == "/sip"
        del request.headers["Sec-WebSocket-Protocol"]
        engine.send_response(engine.accept(request))
        recorder.channel.send(engine.data_to_send())

    listener = await endpoints.listen(ListenerOptions(name="l", kind="tcp"), lambda: Recorder(answering))
    error = await refused(endpoints, listener, "ws", path="/sip")
    assert error.failure is ConnectFailure.HANDSHAKE
    assert "does not speak sip" in error.detail


async def test_a_handshake_without_answer_is_given_up(endpoints: Endpoints) -> None:
    listener = await endpoints.listen(ListenerOptions(name="l", kind="tcp"))
    rules = WebSocketRules(subprotocol="sip", handshake_timeout=0.05)
    error = await refused(endpoints, listener, "ws", websocket=rules)
    assert error.failure is ConnectFailure.TIMEOUT
    await until(lambda: endpoints.accepted[0].is_over)


async def test_a_handshake_that_nobody_waits_for_any_more_ends(endpoints: Endpoints) -> None:
    listener = await endpoints.listen(ListenerOptions(name="l", kind="tcp"))
    receiver = Recorder()
    task = asyncio.create_task(
        endpoints.connect_with().connect_to(endpoint(listener), receiver, outgoing(endpoints, "ws"))
    )
    accepted = await endpoints.receiver()
    await until(lambda: accepted.data)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: accepted.is_over)
    assert not receiver.is_connected


async def test_our_pings_are_answered(endpoints: Endpoints) -> None:
    listener = await listen(endpoints, "ws")
    channel, _ = await connected(endpoints, listener, "ws")
    received = channel.bytes_received
    assert channel.ping()  # type: ignore[attr-defined]
    await until(lambda: channel.bytes_received > received)
    assert channel.ping()  # type: ignore[attr-defined]


async def test_the_servers_close_ends_the_channel(endpoints: Endpoints) -> None:
    listener = await listen(endpoints, "ws")
    _, receiver = await connected(endpoints, listener, "ws")
    (await endpoints.receiver()).channel.close("enough")
    await until(lambda: receiver.reasons == ["closed by the peer"])


def test_sip_over_websocket_is_text_where_it_can_be_and_whole() -> None:
    assert (SIP_WEBSOCKET.subprotocol, SIP_WEBSOCKET.text_frames, SIP_WEBSOCKET.whole_messages) == ("sip", True, True)


@pytest.mark.parametrize(("proto", "matched"), [("tcp", True), ("any", True), ("msrp", False), ("ws", False)])
async def test_profiles_for_msrp_leave_sip_alone(endpoints: Endpoints, proto: str, matched: bool) -> None:
    table = ProfileTable([{"id": 1, "proto": proto, "keepidle": 33}])
    listener = await endpoints.listen(
        ListenerOptions(name="l", kind="tcp", application="sip"), Recorder, profiles=lambda: table
    )
    endpoints.connect_with(profiles=table)
    channel, _ = await connected(endpoints, listener, "tcp")
    accepted = (await endpoints.receiver()).channel
    for it in (channel, accepted):
        assert (it.profile is not None) is matched
    assert (table.match("tcp", ("192.0.2.1", 1), ("192.0.2.2", 2)) is not None) is (proto != "ws")


def test_context_for_sip_wants_a_certificate_that_is_trusted(authority: Authority, tmp_path: Path) -> None:
    context = sip_client_context(ca_file=authority.ca_file)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, False)
