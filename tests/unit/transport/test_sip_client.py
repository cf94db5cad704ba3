"""The client shell on real sockets: every transport, lost connections, other addresses, large messages."""

import itertools
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

import pytest

from tests.support.certificates import Authority
from tests.support.sip_agent import IDENTITY
from tests.support.sip_server import ScriptedSipServer, ok
from tests.support.streams import Endpoints
from tests.support.waiting import until
from wigwag.errors import ConfigurationError
from wigwag.protocols.sip import Request, Response
from wigwag.protocols.sip.digest import Account, DigestClient
from wigwag.protocols.sip.transactions import SipTimers
from wigwag.protocols.sip.user_agent import AgentOptions, MessageReceived, Transport
from wigwag.transport.addresses import Endpoint
from wigwag.transport.errors import ConnectError, TransportError
from wigwag.transport.sip_client import (
    Delivery,
    RegistrationError,
    SipClient,
    SipClientOptions,
    UnansweredError,
)
from wigwag.transport.sip_servers import SipLocation, SipServer
from wigwag.transport.tls import sip_client_context

BOB = "sip:bob@example.com"
FAST = SipClientOptions(first_wait=0.02, longest_wait=0.05)
IMPATIENT = AgentOptions(timers=SipTimers(t1=0.02, t2=0.08))


@dataclass
class Bench:
    """Makes servers and clients, and closes them."""

    authority: Authority
    endpoints: Endpoints
    servers: list[ScriptedSipServer] = field(default_factory=list)
    clients: list[SipClient] = field(default_factory=list)
    received: list[MessageReceived] = field(default_factory=list)
    changes: list[bool] = field(default_factory=list)

    async def server(self, *kinds: str) -> ScriptedSipServer:
        """A server that answers everything 200."""
        self.servers.append(await ScriptedSipServer(ok, self.authority).start(*kinds))
        return self.servers[-1]

    def client(
        self,
        transport: Transport,
        *servers: ScriptedSipServer,
        options: SipClientOptions = FAST,
        name: str = "example.test",
    ) -> SipClient:
        """A client of servers that stand for the addresses of one."""
        locations = [
            SipLocation(transport=transport, endpoint=Endpoint("127.0.0.1", server.port), server_name=name)
            for server in servers
        ]

        async def locate() -> Sequence[SipLocation]:
            return locations

        context = sip_client_context(ca_file=self.authority.ca_file)
        client = SipClient(
            IDENTITY,
            DigestClient(lambda _: Account("alice", "secret"), secrets.token_bytes),
            locate=locate,
            connector=self.endpoints.connect_with(context=context),
            random=secrets.token_bytes,
            wall=time.time,
            on_message=self.received.append,
            on_change=self.changes.append,
            options=options,
        )
        self.clients.append(client)
        return client

    async def close(self) -> None:
        for client in self.clients:
            await client.close()
        for server in self.servers:
            await server.close()


@pytest.fixture
async def bench(authority: Authority, endpoints: Endpoints) -> AsyncIterator[Bench]:
    bench = Bench(authority, endpoints)
    yield bench
    await bench.close()


def incoming(contact: str, text: str = "hello", branch: str = "a") -> Request:
    fields = [
        ("Via", f"SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bK{branch}"),
        ("Max-Forwards", "70"),
        ("From", "<sip:bob@example.com>;tag=b"),
        ("To", "<sip:alice@example.com>"),
        ("Call-ID", branch),
        ("CSeq", "1 MESSAGE"),
        ("Content-Type", "text/plain"),
    ]
    return Request.create("MESSAGE", contact, fields, text.encode())


@pytest.mark.parametrize("transport", ["UDP", "TCP", "TLS", "WS", "WSS"])
async def test_messages_go_and_come_over_every_transport(bench: Bench, transport: Transport) -> None:
    server = await bench.server(transport.lower())
    client = bench.client(transport, server)
    await client.start()
    sent = await client.send_message(BOB, "text/plain", b"hello")
    assert (sent.delivery, sent.response.status) == (Delivery.DELIVERED, 200)
    assert server.methods() == ["REGISTER", "MESSAGE"]
    assert server.requests[0].via.transport == transport
    server.peers[0].send(incoming(server.requests[0].addresses("contact")[0].uri))
    await until(lambda: server.responses)
    assert server.responses[0].status == 200
    assert [message.body for message in bench.received] == [b"hello"]
    await client.close()
    assert server.requests[-1].get("expires") == "0"


async def test_websocket_client_has_a_made_up_name(bench: Bench) -> None:
    server = await bench.server("ws")
    await bench.client("WS", server).start()
    request = server.requests[0]
    assert request.via.host.endswith(".invalid")
    assert request.addresses("contact")[0].uri.endswith(".invalid;transport=ws")


async def test_certificate_of_somebody_else_is_not_believed(bench: Bench) -> None:
    server = await bench.server("tls")
    with pytest.raises(ConnectError, match="somebody else"):
        await bench.client("TLS", server, name="other.test").start()
    assert server.requests == []


async def test_lost_connection_is_got_back_and_registered_again(bench: Bench) -> None:
    server = await bench.server("tcp")
    client = bench.client("TCP", server)
    await client.start()
    channel = server.peers[0].channel
    assert channel is not None
    channel.abort()
    await until(lambda: len(server.requests) == 2)
    first, second = server.requests
    assert (second.method, second.call_id, second.cseq.number) == ("REGISTER", first.call_id, 2)
    assert (await client.send_message(BOB, "text/plain", b"again")).delivery is Delivery.DELIVERED


async def test_message_under_way_when_the_connection_is_lost_is_sent_again_as_the_same(bench: Bench) -> None:
    server = await bench.server("tcp")
    numbers = itertools.count()

    def lose_the_first(request: Request) -> Response | None:
        channel = server.peers[-1].channel
        if request.method != "MESSAGE" or next(numbers) or channel is None:
            return ok(request)
        channel.abort()
        return None

    server.script = lose_the_first
    client = bench.client("TCP", server)
    await client.start()
    sent = await client.send_message(BOB, "text/plain", b"hello")
    assert (sent.delivery, sent.again) == (Delivery.DELIVERED, True)
    one, two = (request for request in server.requests if request.method == "MESSAGE")
    assert (one.call_id, one.cseq, one.from_.tag, one.via.branch) == (
        two.call_id,
        two.cseq,
        two.from_.tag,
        two.via.branch,
    )


async def test_482_to_what_was_sent_again_means_that_it_is_there(bench: Bench) -> None:
    server = await bench.server("tcp")
    numbers = itertools.count()

    def lose_the_first(request: Request) -> Response | None:
        channel = server.peers[-1].channel
        if request.method != "MESSAGE" or channel is None:
            return ok(request)
        if next(numbers) == 0:
            channel.abort()
            return None
        return Response.to_request(request, 482, "Loop Detected")

    server.script = lose_the_first
    client = bench.client("TCP", server)
    await client.start()
    assert (await client.send_message(BOB, "text/plain", b"hello")).delivery is Delivery.DELIVERED


async def test_dead_address_is_passed_over(bench: Bench) -> None:
    dead, living = await bench.server("tcp"), await bench.server("tcp")
    await dead.close()
    client = bench.client("TCP", dead, living)
    await client.start()
    assert living.methods() == ["REGISTER"]


async def test_overloaded_address_is_left_for_the_next(bench: Bench) -> None:
    busy, idle = await bench.server("tcp"), await bench.server("tcp")
    busy.script = lambda request: (
        Response.to_request(request, 503, "Service Unavailable") if request.method == "MESSAGE" else ok(request)
    )
    client = bench.client("TCP", busy, idle)
    await client.start()
    assert (await client.send_message(BOB, "text/plain", b"hello")).delivery is Delivery.DELIVERED
    assert idle.methods() == ["REGISTER", "MESSAGE"]


async def test_no_address_is_an_error(bench: Bench) -> None:
    with pytest.raises(TransportError, match="no address"):
        await bench.client("TCP").start()


async def test_wrong_password_ends_it_at_once(bench: Bench) -> None:
    server = await bench.server("tcp")
    challenge = ("WWW-Authenticate", 'Digest realm="r", nonce="n", qop="auth"')
    server.script = lambda request: Response.to_request(request, 401, "Unauthorized", fields=[challenge])
    with pytest.raises(RegistrationError) as caught:
        await bench.client("TCP", server, server).start()
    assert caught.value.failure.is_final
    assert len(server.requests) == 2


async def test_registrar_that_refuses_later_for_good_ends_it(bench: Bench) -> None:
    server = await bench.server("tcp")
    client = bench.client("TCP", server)
    await client.start()
    server.script = lambda request: Response.to_request(request, 403, "Forbidden")
    channel = server.peers[0].channel
    assert channel is not None
    channel.abort()
    with pytest.raises(RegistrationError, match="403 Forbidden"):
        await client.wait_lost()
    with pytest.raises(RegistrationError):
        await client.send_message(BOB, "text/plain", b"hello")


async def test_registrar_that_is_overloaded_is_asked_again(bench: Bench) -> None:
    server = await bench.server("tcp")
    client = bench.client("TCP", server)
    await client.start()
    numbers = itertools.count()
    server.script = lambda request: (
        Response.to_request(request, 503, "Service Unavailable") if next(numbers) < 3 else ok(request)
    )
    channel = server.peers[0].channel
    assert channel is not None
    channel.abort()
    await until(lambda: len(server.requests) == 5)
    assert (await client.send_message(BOB, "text/plain", b"hello")).delivery is Delivery.DELIVERED


async def test_s05_large_message_goes_over_tcp_beside_udp(bench: Bench) -> None:
    server = await bench.server("udp", "tcp")
    client = bench.client("UDP", server)
    await client.start()
    for size in (10, 2000, 3000):
        assert (await client.send_message(BOB, "text/plain", b"x" * size)).delivery is Delivery.DELIVERED
    transports = [request.via.transport for request in server.requests]
    assert transports == ["UDP", "UDP", "TCP", "TCP"]
    assert len(server.peers) == 2


async def test_s05_large_message_without_tcp_is_not_sent(bench: Bench) -> None:
    server = await bench.server("udp")
    client = bench.client("UDP", server)
    await client.start()
    with pytest.raises(TransportError):
        await client.send_message(BOB, "text/plain", b"x" * 2000)
    assert server.methods() == ["REGISTER"]


async def test_s04_silence_is_told_and_not_sent_again(bench: Bench) -> None:
    server = await bench.server("udp")
    client = bench.client("UDP", server, options=replace(FAST, register=False, agent=IMPATIENT))
    await client.start()
    server.script = lambda request: None
    with pytest.raises(UnansweredError, match="no answer"):
        await client.send_message(BOB, "text/plain", b"hello")
    assert len({bytes(request) for request in server.requests}) == 1


@pytest.mark.parametrize(
    ("status", "delivery"), [(202, Delivery.ACCEPTED), (404, Delivery.REFUSED), (302, Delivery.REFUSED)]
)
async def test_final_response_tells_what_became_of_a_message(bench: Bench, status: int, delivery: Delivery) -> None:
    server = await bench.server("tcp")
    server.script = lambda request: Response.to_request(request, status, "Reason")
    client = bench.client("TCP", server, options=replace(FAST, register=False))
    await client.start()
    assert (await client.send_message(BOB, "text/plain", b"hello")).delivery is delivery


async def test_broken_bytes_end_the_connection_and_it_is_got_back(bench: Bench) -> None:
    server = await bench.server("tcp")
    await bench.client("TCP", server).start()
    channel = server.peers[0].channel
    assert channel is not None
    channel.send([b"MESSAGE sip:alice@example.com SIP/2.0\r\nContent-Length: many\r\n\r\n"])
    await until(lambda: len(server.requests) == 2)


async def test_connection_is_kept_alive_and_stays(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wigwag.transport.sip_flow_keeper.STREAM_INTERVAL", 0.05)
    server = await bench.server("tcp")
    await bench.client("TCP", server).start()
    await until(lambda: server.pings >= 3)
    assert server.methods() == ["REGISTER"]


async def test_udp_flow_is_kept_alive_by_stun(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wigwag.transport.sip_flow_keeper.DATAGRAM_INTERVAL", 0.05)
    monkeypatch.setattr("wigwag.protocols.sip.user_agent.keep_alive.PATIENCE", 2.0)
    server = await bench.server("udp")
    await bench.client("UDP", server).start()
    await until(lambda: server.keep_alives() >= 3, timeout=15)
    assert server.methods() == ["REGISTER"]


@pytest.mark.parametrize(("transport", "what"), [("TCP", "STREAM_INTERVAL"), ("UDP", "DATAGRAM_INTERVAL")])
async def test_server_that_falls_silent_is_left_and_found_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, transport: Transport, what: str
) -> None:
    monkeypatch.setattr(f"wigwag.transport.sip_flow_keeper.{what}", 0.05)
    monkeypatch.setattr("wigwag.protocols.sip.user_agent.keep_alive.PATIENCE", 0.05)
    dead, living = await bench.server(transport.lower()), await bench.server(transport.lower())
    client = bench.client(transport, dead, living)
    await client.start()
    await until(lambda: dead.pings + dead.keep_alives() >= 2)
    dead.fall_silent()
    await until(lambda: len(bench.changes) >= 2)
    assert bench.changes[:2] == [True, False]


async def test_websocket_is_kept_alive_by_pings(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wigwag.transport.sip_flow_keeper.STREAM_INTERVAL", 0.02)
    server = await bench.server("ws")
    await bench.client("WS", server).start()
    channel = server.peers[0].channel
    assert channel is not None
    before = channel.bytes_received
    await until(lambda: channel.bytes_received > before + 12)
    assert server.methods() == ["REGISTER"]


async def test_datagrams_of_strangers_are_not_taken(bench: Bench) -> None:
    server, stranger = await bench.server("udp"), await bench.server("udp")
    await bench.client("UDP", server).start()
    via = server.requests[0].via
    stranger._datagrams[0].send(bytes(incoming("sip:alice@192.0.2.7", branch="evil")), (via.host, via.port or 0))
    server.peers[0].send(incoming("sip:alice@192.0.2.7", branch="good"))
    await until(lambda: server.responses)
    assert [message.call_id for message in bench.received] == ["good"]
    assert stranger.responses == []


async def test_unregistering_waits_no_longer_than_a_server_is_worth(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wigwag.transport.sip_link.FAREWELL", 0.05)
    server = await bench.server("udp")
    client = bench.client("UDP", server)
    await client.start()
    server.script = lambda request: None
    await client.close()
    await until(lambda: server.requests[-1].get("expires") == "0")


@pytest.mark.parametrize(
    ("text", "transport", "host", "port", "path"),
    [
        ("udp:127.0.0.1", "udp", "127.0.0.1", None, "/"),
        ("tcp:sip.example.com:5070", "tcp", "sip.example.com", 5070, "/"),
        ("TLS:[2001:db8::1]:5061", "tls", "2001:db8::1", 5061, "/"),
        ("ws://localhost:8088/sip", "ws", "localhost", 8088, "/sip"),
        ("wss://example.com", "wss", "example.com", None, "/"),
    ],
)
def test_server_is_read(text: str, transport: str, host: str, port: int | None, path: str) -> None:
    server = SipServer.parse(text)
    assert (server.transport, server.host, server.port, server.path) == (transport, host, port, path)
    assert replace(SipServer.parse(str(server)), path=path) == server


@pytest.mark.parametrize("text", ["", "example.com", "sctp:h", "tcp:", "tcp:h:0", "tcp:h:70000", "tcp:a b", "tcp:u@h"])
def test_text_that_names_no_server_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="no server"):
        SipServer.parse(text)
