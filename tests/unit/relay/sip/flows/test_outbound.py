"""Next hops over real sockets and a name server: which way, whom TLS believes, which addresses are open."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import cast

import pytest

from tests.support.certificates import Authority
from tests.support.name_server import NameServer
from tests.support.processes import free_port
from tests.support.sip_edge import EdgeUnderTest, SipClient
from tests.support.streams import Endpoints, Recorder
from tests.support.waiting import until
from wigwag.protocols.sip import Request, Response, SipError, SipUri, parse_datagram, parse_uri
from wigwag.relay.sip.config import SipListenerSettings
from wigwag.relay.sip.flows.listening import SipListeners
from wigwag.relay.sip.flows.next_hops import Candidate
from wigwag.relay.sip.flows.outbound import Outbound, spoken
from wigwag.relay.sip.incoming import Incoming
from wigwag.relay.sip.ports import Decision
from wigwag.relay.sip.proxy.forwarding import Forwarding
from wigwag.relay.sip.proxy.targets import next_hop_targets
from wigwag.transport.admission import Admission
from wigwag.transport.errors import ConnectError, ConnectFailure
from wigwag.transport.listener import Listener, ListenerKind, ListenerOptions
from wigwag.transport.name_service import NameService
from wigwag.transport.profiles import ProfileTable
from wigwag.transport.sip_locations import SipLocations
from wigwag.transport.tls import sip_client_context

RECORDS = (
    "inside.test. 60 IN A 10.1.2.3",
    "far.test. 60 IN A 192.88.99.9",
    "far.test. 60 IN AAAA 2600::1",
    "mixed.test. 60 IN A 192.88.99.9",
    "mixed.test. 60 IN A 127.0.0.1",
    "nothing.test. 60 IN TXT nothing",
)
"""Addresses that are nobody's, and some that nobody may have us send to."""


class World:
    """An edge with real next hops.

    Args:
        server: The name server.
        endpoints: Makes listeners.
        hosts: An empty hosts file.
        limits: Of ``relay.sip.limits``.
    """

    def __init__(self, server: NameServer, endpoints: Endpoints, hosts: Path, **limits: int) -> None:
        self.server = server
        row = {"action": "forward", "next_hops": ["sip:fail.test"], "allow_private": True}
        self.edge = EdgeUnderTest({"limits": limits, "routes": [{**row, "domain": "row.test"}]})
        settings = self.edge.settings.sip
        now = self.edge.runtime.now
        names = NameService(nameserver=server.address, hosts=hosts, timeout=2.0)
        context = sip_client_context(ca_file=endpoints.authority.ca_file)
        self.endpoints = endpoints
        self.connector = endpoints.connect_with()
        self.outbound = Outbound(
            settings,
            edge=lambda: self.edge.edge,
            locations=SipLocations(names, choose=lambda most: most, transports=spoken(settings), clock=now),
            connector=self.connector,
            tls=lambda: context,
            own=["192.88.99.77"],
            now=now,
        )
        self.edge.edge.proxy.next_hops = self.outbound

    async def listen(self, kind: ListenerKind = "tcp", status: int = 200, **options: object) -> Listener:
        """A server that answers every request."""

        def answer(recorder: Recorder, data: bytes) -> None:
            request = parse_datagram(data)
            if isinstance(request, Request):
                recorder.channel.send([bytes(Response.to_request(request, status, "Reason", to_tag="uas"))])

        listening = ListenerOptions(name="uas", kind=kind, application="sip", **options)  # type: ignore[arg-type]
        return await self.endpoints.listen(listening, lambda: Recorder(answer))

    async def ways(self, uri: str, *, allow_private: bool = True, near: str = "", octets: int = 0) -> list[Candidate]:
        parsed = cast("SipUri", parse_uri(uri))
        return await self.outbound.candidates(parsed, allow_private=allow_private, near=near, octets=octets)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("authority"))


@pytest.fixture
async def world(authority: Authority, tmp_path: Path) -> AsyncIterator[World]:
    hosts = tmp_path / "hosts"
    hosts.touch()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(NameServer(*RECORDS))
        endpoints = Endpoints(authority)
        stack.push_async_callback(endpoints.close)
        world = World(server, endpoints, hosts, outbound_connections=2)
        stack.push_async_callback(world.outbound.close)
        yield world


@pytest.mark.parametrize(
    ("uri", "status"),
    [
        ("sip:inside.test", 403),
        ("sip:127.0.0.1", 403),
        ("sip:[::1]:5070;transport=tcp", 403),
        ("sip:[::ffff:10.0.0.1];transport=tcp", 403),
        ("sip:[2600::1]", 480),
        ("sip:169.254.169.254:80;transport=tcp", 403),
        ("sip:0.0.0.0", 403),
        ("sip:192.88.99.77", 403),
        ("sip:far.test;maddr=10.0.0.1", 403),
        ("sip:nothing.test", 404),
        ("sip:missing.test", 404),
        ("sip:far.test;transport=sctp", 480),
        ("sips:far.test;transport=udp", 480),
        ("sip:broken.test", 503),
    ],
)
async def test_what_nobody_may_make_us_send_to(world: World, uri: str, status: int) -> None:
    with pytest.raises(SipError) as caught:
        await world.ways(uri, allow_private=False)
    assert caught.value.status == status


async def test_forbidden_address_beside_an_open_one_falls_out(world: World) -> None:
    assert [way.host for way in await world.ways("sip:mixed.test", allow_private=False)] == ["192.88.99.9"]


async def test_network_of_a_dialog_stays_open_and_no_other(world: World) -> None:
    ways = await world.ways("sip:inside.test", allow_private=False, near="10.1.2.0/24")
    assert ways == [Candidate("udp", "10.1.2.3", 5060, "")]
    with pytest.raises(SipError):
        await world.ways("sip:inside.test", allow_private=False, near="10.1.3.0/24")


async def test_datagram_goes_from_a_socket_of_the_same_family_only(world: World) -> None:
    assert [way.host for way in await world.ways("sip:far.test")] == ["192.88.99.9"]
    assert {way.host for way in await world.ways("sip:far.test;transport=tcp")} == {"192.88.99.9", "2600::1"}


async def test_large_request_goes_by_tcp_unless_the_host_takes_none(world: World) -> None:
    assert [way.transport for way in await world.ways("sip:10.9.9.9", octets=1300)] == ["udp"]
    ways = await world.ways("sip:10.9.9.9", octets=1301)
    assert [way.transport for way in ways] == ["tcp", "udp"]
    world.outbound.failed(ways[0], None)
    assert [way.transport for way in await world.ways("sip:10.9.9.9", octets=1301)] == ["udp", "tcp"]
    world.edge.runtime.time += 31
    assert [way.transport for way in await world.ways("sip:10.9.9.9", octets=1301)] == ["tcp", "udp"]


async def test_sips_is_never_sent_without_tls(world: World) -> None:
    ways = await world.ways("sips:far.test", octets=5000)
    assert {way.transport for way in ways} == {"tls"}
    assert {way.server_name for way in ways} == {"far.test"}


async def test_one_connection_serves_all_who_ask_for_it_at_once(world: World) -> None:
    listener = await world.listen()
    (way,) = await world.ways(f"sip:127.0.0.1:{listener.address[1]};transport=tcp")
    flows = await asyncio.gather(*(world.outbound.connect(way) for _ in range(10)))
    assert set(map(id, flows)) == {id(world.outbound.flow(way))}
    assert world.connector.attempts == 1


async def test_who_gives_up_waiting_leaves_the_connection_to_the_others(world: World) -> None:
    listener = await world.listen()
    (way,) = await world.ways(f"sip:127.0.0.1:{listener.address[1]};transport=tcp")
    first = asyncio.create_task(world.outbound.connect(way))
    second = asyncio.create_task(world.outbound.connect(way))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).is_open


async def test_connection_that_was_lost_is_opened_again(world: World) -> None:
    listener = await world.listen()
    (way,) = await world.ways(f"sip:127.0.0.1:{listener.address[1]};transport=tcp")
    await world.outbound.connect(way)
    for channel in list(listener.channels.values()):
        channel.abort("restart")
    await until(lambda: world.outbound.flow(way) is None)
    assert world.outbound.flows == {}
    assert (await world.outbound.connect(way)).is_open


async def test_too_many_connections_cost_the_one_that_was_silent_for_longest(world: World) -> None:
    ways = []
    for _ in range(3):
        listener = await world.listen()
        ways += await world.ways(f"sip:127.0.0.1:{listener.address[1]};transport=tcp")
        world.edge.runtime.time += 1
        await world.outbound.connect(ways[-1])
    assert list(world.outbound.flows) == ways[1:]
    await until(lambda: len(world.connector.channels) == 2)


async def test_refused_connection_is_told_to_everybody_who_waits(world: World) -> None:
    way = Candidate("tcp", "127.0.0.1", 1, "")
    outcomes = await asyncio.gather(*(world.outbound.connect(way) for _ in range(3)), return_exceptions=True)
    assert [cast("ConnectError", outcome).failure for outcome in outcomes] == [ConnectFailure.REFUSED] * 3
    assert world.outbound.failures == 1


@pytest.mark.parametrize(("name", "stands"), [("hop.test", True), ("other.test", False)])
async def test_certificate_has_to_speak_for_the_domain_of_the_uri(world: World, name: str, *, stands: bool) -> None:
    certificates = (world.endpoints.authority.issue(name, file=name),)
    listener = await world.listen("tls", certificates=certificates)
    way = Candidate("tls", "127.0.0.1", listener.address[1], "hop.test")
    if stands:
        assert (await world.outbound.connect(way)).is_open
        return
    with pytest.raises(ConnectError) as caught:
        await world.outbound.connect(way)
    assert caught.value.failure is ConnectFailure.CERTIFICATE


async def test_connection_of_one_domain_does_not_serve_another_at_the_same_address(world: World) -> None:
    certificates = (world.endpoints.authority.issue("hop.test", file="hop"),)
    listener = await world.listen("tls", certificates=certificates)
    way = Candidate("tls", "127.0.0.1", listener.address[1], "hop.test")
    await world.outbound.connect(way)
    assert world.outbound.flow(Candidate("tls", "127.0.0.1", listener.address[1], "evil.test")) is None


async def test_message_fails_over_from_a_dead_server_to_one_that_lives_as_dns_says(world: World) -> None:
    listener = await world.listen()
    port = listener.address[1]
    world.server.add(
        f"_sip._tcp.fail.test. 60 IN SRV 1 1 {port} dead.fail.test.",
        f"_sip._tcp.fail.test. 60 IN SRV 2 1 {port} alive.fail.test.",
        "dead.fail.test. 60 IN A 127.0.0.2",
        "alive.fail.test. 60 IN A 127.0.0.1",
    )
    alice = SipClient(world.edge, "alice")
    for number in range(2):
        request = alice.message(f"sip:eve{number}@row.test")
        alice.send(request)
        alice.send(alice.authenticated(request, alice.response()))
        await world.edge.settle()
        await until(lambda: len(world.edge.socket.sent[alice.remote]) == alice._read + 1)
        assert alice.response().status == 200
    # The second one knew better than to try it first.
    assert world.outbound.failures == 1
    assert world.connector.attempts == 2


async def test_datagram_to_a_port_where_nobody_listens_goes_to_the_next_hop_at_once(world: World) -> None:
    edge, sip = world.edge.edge, world.edge.settings.sip
    listeners = SipListeners(
        sip.model_copy(update={"listeners": (SipListenerSettings(name="udp", kind="udp", port=0),)}),
        admission=Admission(),
        profiles=ProfileTable,
        reuse_port=False,
        edge=lambda: edge,
    )
    async with AsyncExitStack() as stack:
        await listeners.open(stack)
        listeners.serve()
        edge.addresses = {"udp": listeners.addresses[0]}
        edge.sockets = {"udp": (listeners.datagrams[0], listeners.addresses[0])}
        dead, living = free_port(), _Server()
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: living, local_addr=("127.0.0.1", 0)
        )
        stack.callback(transport.close)
        ports = [dead, transport.get_extra_info("sockname")[1]]
        hops = tuple(cast("SipUri", parse_uri(f"sip:127.0.0.1:{port}")) for port in ports)
        alice = SipClient(world.edge, "alice", kind="tcp")
        server = edge.transactions.receive_request(alice.message("sip:eve@far.test"), alice.flow, 0.0)  # type: ignore[arg-type]
        assert server is not None
        incoming = Incoming(server.request, alice.flow, server)  # type: ignore[arg-type]
        decision = Decision(action="forward", next_hops=hops, allow_private=True)
        Forwarding(edge.proxy, incoming, server, next_hop_targets(incoming, decision), None).start(edge.now())
        await until(lambda: alice.connection.written)
    assert alice.response().status == 200


class _Server(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        request = parse_datagram(data)
        assert isinstance(request, Request)
        self.transport.sendto(bytes(Response.to_request(request, 200, "OK", to_tag="uas")), addr)
