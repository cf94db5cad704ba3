"""Server location for SIP (RFC 3263) against a name server: transports, order, failover, who is left alone."""

import asyncio
import time
from pathlib import Path

import pytest

from tests.support.name_server import NameServer
from wigwag.transport import sip_locations
from wigwag.transport.errors import ConnectError, ConnectFailure
from wigwag.transport.name_service import NameService
from wigwag.transport.sip_locations import LONGEST_MARK, MOST_LOCATIONS, Location, SipLocations, SipTransport

ALL: tuple[SipTransport, ...] = ("udp", "tcp", "tls", "ws", "wss")

EXAMPLE = (
    'example.test. 60 IN NAPTR 50 50 "s" "SIPS+D2T" "" _sips._tcp.example.test.',
    'example.test. 60 IN NAPTR 50 60 "s" "SIP+D2T" "" _sip._tcp.example.test.',
    'example.test. 60 IN NAPTR 50 70 "s" "SIP+D2U" "" _sip._udp.example.test.',
    "_sips._tcp.example.test. 60 IN SRV 0 1 5071 server1.example.test.",
    "_sip._tcp.example.test. 60 IN SRV 0 1 5070 server1.example.test.",
    "_sip._tcp.example.test. 60 IN SRV 1 2 5070 server2.example.test.",
    "_sip._udp.example.test. 60 IN SRV 0 1 5069 server2.example.test.",
    "server1.example.test. 60 IN A 192.0.2.1",
    "server2.example.test. 60 IN A 192.0.2.2",
)
"""After the example of RFC 3263 section 4.1."""


class World:
    """The locations that a name server leads to."""

    def __init__(
        self,
        server: NameServer,
        tmp_path: Path,
        *,
        transports: tuple[SipTransport, ...] = ("udp", "tcp", "tls"),
        hosts: str = "",
        timeout: float = 5.0,
    ) -> None:
        self.now = 1000.0
        self.server = server
        (tmp_path / "hosts").write_text(hosts)
        self.locations = SipLocations(
            NameService(nameserver=server.address, hosts=tmp_path / "hosts"),
            choose=lambda total: total,
            transports=transports,
            timeout=timeout,
            clock=lambda: self.now,
        )

    async def locate(self, host: str = "example.test", port: int | None = None, **arguments: object) -> list[str]:
        found = await self.locations.locate(host, port, **arguments)  # type: ignore[arg-type]
        secure = [location.transport in ("tls", "wss") for location in found]
        assert [location.server_name for location in found] == [host.rstrip(".") if it else None for it in secure]
        return [f"{location.transport} {location.address} {location.port}" for location in found]

    async def failure(self, host: str = "example.test", port: int | None = None, **arguments: object) -> ConnectError:
        with pytest.raises(ConnectError) as caught:
            await self.locations.locate(host, port, **arguments)  # type: ignore[arg-type]
        return caught.value


NUMERIC = [
    (("192.0.2.9", None, None, False), "udp 192.0.2.9 5060"),
    (("192.0.2.9", None, None, True), "tls 192.0.2.9 5061"),
    (("192.0.2.9", 6000, None, False), "udp 192.0.2.9 6000"),
    (("192.0.2.9", None, "TCP", False), "tcp 192.0.2.9 5060"),
    (("192.0.2.9", None, "tcp", True), "tls 192.0.2.9 5061"),
    (("192.0.2.9", None, "tls", False), "tls 192.0.2.9 5061"),
    (("192.0.2.9", None, "ws", False), "ws 192.0.2.9 80"),
    (("192.0.2.9", None, "ws", True), "wss 192.0.2.9 443"),
    (("192.0.2.9", 8443, "wss", False), "wss 192.0.2.9 8443"),
    (("[2001:db8::9]", None, None, False), "udp 2001:db8::9 5060"),
]


@pytest.mark.parametrize(("uri", "expected"), NUMERIC)
async def test_a_numeric_host_asks_nobody(
    tmp_path: Path, uri: tuple[str, int | None, str | None, bool], expected: str
) -> None:
    host, port, transport, secure = uri
    async with NameServer() as server:
        world = World(server, tmp_path, transports=ALL)
        assert await world.locate(host, port, transport=transport, secure=secure) == [expected]
        assert server.questions == []


async def test_naptr_chooses_the_transports_in_the_domains_order(tmp_path: Path) -> None:
    async with NameServer(*EXAMPLE) as server:
        assert await World(server, tmp_path).locate() == [
            "tls 192.0.2.1 5071", "tcp 192.0.2.1 5070", "tcp 192.0.2.2 5070", "udp 192.0.2.2 5069",
        ]  # fmt: skip
        assert server.questions[0] == "example.test. NAPTR"


async def test_transports_that_are_not_spoken_are_passed_over(tmp_path: Path) -> None:
    async with NameServer(*EXAMPLE) as server:
        assert await World(server, tmp_path, transports=("udp", "ws")).locate() == ["udp 192.0.2.2 5069"]


async def test_sips_keeps_only_what_is_secure(tmp_path: Path) -> None:
    async with NameServer(*EXAMPLE) as server:
        assert await World(server, tmp_path).locate(secure=True) == ["tls 192.0.2.1 5071"]


async def test_only_the_lowest_usable_order_of_naptr_counts(tmp_path: Path) -> None:
    async with NameServer(
        'example.test. 60 IN NAPTR 10 10 "s" "SIP+D2S" "" _sip._sctp.example.test.',
        'example.test. 60 IN NAPTR 20 10 "u" "SIP+D2U" "!.*!sip:x!" .',
        'example.test. 60 IN NAPTR 30 20 "S" "sip+d2u" "" _sip._udp.elsewhere.test.',
        'example.test. 60 IN NAPTR 30 10 "s" "SIP+D2T" "" _sip._tcp.elsewhere.test.',
        'example.test. 60 IN NAPTR 40 10 "s" "SIPS+D2T" "" _sips._tcp.elsewhere.test.',
        "_sip._udp.elsewhere.test. 60 IN SRV 0 0 5060 a.elsewhere.test.",
        "_sip._tcp.elsewhere.test. 60 IN SRV 0 0 5060 a.elsewhere.test.",
        "_sips._tcp.elsewhere.test. 60 IN SRV 0 0 5061 a.elsewhere.test.",
        "a.elsewhere.test. 60 IN A 192.0.2.3",
    ) as server:
        assert await World(server, tmp_path).locate() == ["tcp 192.0.2.3 5060", "udp 192.0.2.3 5060"]


async def test_without_naptr_the_srv_records_of_each_transport_are_looked_for(tmp_path: Path) -> None:
    async with NameServer(*EXAMPLE[3:]) as server:
        assert await World(server, tmp_path, transports=("tcp", "udp", "tls")).locate() == [
            "tcp 192.0.2.1 5070", "tcp 192.0.2.2 5070", "udp 192.0.2.2 5069", "tls 192.0.2.1 5071",
        ]  # fmt: skip


@pytest.mark.parametrize("label", ["_sip._ws", "_sips._ws"])
async def test_websocket_has_srv_records_too(tmp_path: Path, label: str) -> None:
    async with NameServer(f"{label}.example.test. 60 IN SRV 0 0 8080 a.test.", "a.test. 60 IN A 192.0.2.3") as server:
        kind = "ws" if label == "_sip._ws" else "wss"
        assert await World(server, tmp_path, transports=ALL).locate(transport=kind) == [f"{kind} 192.0.2.3 8080"]


@pytest.mark.parametrize(
    ("transport", "secure", "expected"),
    [
        (None, False, "udp 192.0.2.7 5060"),
        (None, True, "tls 192.0.2.7 5061"),
        ("tcp", False, "tcp 192.0.2.7 5060"),
        ("tls", False, "tls 192.0.2.7 5061"),
    ],
)
async def test_without_srv_it_is_the_host_at_the_transports_port(
    tmp_path: Path, transport: str | None, secure: bool, expected: str
) -> None:
    async with NameServer("plain.test. 60 IN A 192.0.2.7") as server:
        assert await World(server, tmp_path).locate("plain.test.", transport=transport, secure=secure) == [expected]


async def test_a_transport_that_is_asked_for_leaves_naptr_out(tmp_path: Path) -> None:
    async with NameServer(*EXAMPLE) as server:
        assert await World(server, tmp_path).locate(transport="udp") == ["udp 192.0.2.2 5069"]
        assert not any("NAPTR" in question for question in server.questions)


async def test_a_port_leaves_srv_out(tmp_path: Path) -> None:
    async with NameServer(
        "example.test. 60 IN A 192.0.2.7", "example.test. 60 IN AAAA 2001:db8::7", *EXAMPLE
    ) as server:
        assert await World(server, tmp_path).locate(port=7000) == ["udp 2001:db8::7 7000", "udp 192.0.2.7 7000"]
        assert sorted(server.questions) == ["example.test. A", "example.test. AAAA"]


async def test_a_name_in_the_hosts_file_asks_nobody(tmp_path: Path) -> None:
    async with NameServer(*EXAMPLE) as server:
        world = World(server, tmp_path, hosts="192.0.2.8 example.test")
        assert await world.locate() == ["udp 192.0.2.8 5060"]
        assert await world.locate("localhost", secure=True) == ["tls 127.0.0.1 5061", "tls ::1 5061"]
        assert server.questions == []


async def test_a_service_that_is_not_offered_has_no_address(tmp_path: Path) -> None:
    async with NameServer("_sip._udp.example.test. 60 IN SRV 0 0 0 .", "example.test. 60 IN A 192.0.2.7") as server:
        assert (await World(server, tmp_path).failure()).failure is ConnectFailure.NO_ADDRESS


async def test_a_target_that_cannot_be_resolved_leaves_the_others(tmp_path: Path) -> None:
    async with NameServer(
        "_sip._udp.example.test. 60 IN SRV 0 0 5060 a.broken.test.",
        "_sip._udp.example.test. 60 IN SRV 1 0 5060 b.test.",
        "_sip._udp.example.test. 60 IN SRV 2 0 5060 nobody.test.",
        "b.test. 60 IN A 192.0.2.3",
    ) as server:
        assert await World(server, tmp_path).locate() == ["udp 192.0.2.3 5060"]


@pytest.mark.parametrize(
    ("host", "failure"),
    [
        ("nobody.test", ConnectFailure.NO_ADDRESS),
        ("a.silent.test", ConnectFailure.RESOLUTION),
        ("a.broken.test", ConnectFailure.RESOLUTION),
        ("a..test", ConnectFailure.RESOLUTION),
        ("", ConnectFailure.NO_ADDRESS),
    ],
)
async def test_a_name_without_answer_fails_with_its_reason_in_time(
    tmp_path: Path, host: str, failure: ConnectFailure
) -> None:
    async with NameServer() as server:
        assert (await World(server, tmp_path, timeout=0.3).failure(host)).failure is failure


async def test_servers_that_do_not_answer_about_naptr_are_asked_about_srv(tmp_path: Path) -> None:
    class Deaf(NameServer):
        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            if bytes.fromhex("0000230001") not in data:
                super().datagram_received(data, addr)

    async with Deaf(*EXAMPLE[3:]) as server:
        assert (await World(server, tmp_path, timeout=2.0).locate())[0] == "udp 192.0.2.2 5069"


@pytest.mark.parametrize(
    ("transport", "secure", "transports"),
    [
        ("udp", True, ALL),
        ("sctp", False, ALL),
        ("tls-sctp", True, ALL),
        ("ws", False, ("udp", "tcp", "tls")),
        (None, True, ("udp", "tcp")),
        ("tcp", True, ("udp", "tcp")),
    ],
)
async def test_a_transport_that_is_not_spoken_is_an_error_before_any_question(
    tmp_path: Path, transport: str | None, secure: bool, transports: tuple[SipTransport, ...]
) -> None:
    async with NameServer(*EXAMPLE) as server:
        world = World(server, tmp_path, transports=transports)
        assert (await world.failure(transport=transport, secure=secure)).failure is ConnectFailure.TRANSPORT
        assert server.questions == []


async def test_hostile_zones_cost_a_bounded_number_of_questions_and_little_time(tmp_path: Path) -> None:
    records = [
        f"_sip._{transport}.example.test. 60 IN SRV 0 65535 5060 t{number}.example.test."
        for transport in ("udp", "tcp")
        for number in range(1000)
    ]
    records += [f"t{n}.example.test. 60 IN A 192.0.2.{n % 250}" for n in range(1000)]
    naptr = [f'example.test. 60 IN NAPTR 1 1 "s" "SIP+D2U" "" _sip._udp.n{n}.example.test.' for n in range(500)]
    async with NameServer(*records, *naptr) as server:
        world = World(server, tmp_path)
        started = time.process_time()
        await world.failure()
        # NAPTR over UDP and then TCP, SRV of some, AAAA and A of the host
        assert len(server.questions) <= 2 + sip_locations.MOST_SERVICES + 2
        assert len(await world.locate(transport="udp")) <= MOST_LOCATIONS
        assert len(server.questions) <= 30
        assert time.process_time() - started < 5


# -- failover ----------------------------------------------------------------------------------------------------------

FIRST, SECOND = Location("tcp", "192.0.2.1", 5070), Location("tcp", "192.0.2.2", 5070)


async def test_one_that_failed_is_tried_last_until_its_time(tmp_path: Path) -> None:
    async with NameServer(*EXAMPLE) as server:
        world = World(server, tmp_path)
        assert await world.locations.locate("example.test", transport="tcp") == [FIRST, SECOND]
        world.locations.mark_failed(FIRST, world.now + 30)
        assert await world.locations.locate("example.test", transport="tcp") == [SECOND, FIRST]
        world.locations.mark_failed(SECOND, world.now + 10)
        assert await world.locations.locate("example.test", transport="tcp") == [SECOND, FIRST]
        world.now += 10
        assert await world.locations.locate("example.test", transport="tcp") == [SECOND, FIRST]
        world.now += 20
        assert await world.locations.locate("example.test", transport="tcp") == [FIRST, SECOND]


async def test_one_that_answered_is_as_good_as_before(tmp_path: Path) -> None:
    async with NameServer(*EXAMPLE) as server:
        world = World(server, tmp_path)
        world.locations.mark_failed(FIRST, world.now + 30)
        world.locations.mark_reached(FIRST)
        world.locations.mark_reached(SECOND)
        assert await world.locations.locate("example.test", transport="tcp") == [FIRST, SECOND]


async def test_one_that_asked_to_be_left_alone_is(tmp_path: Path) -> None:
    async with NameServer(*EXAMPLE) as server:
        world = World(server, tmp_path)
        world.locations.mark_unavailable(FIRST, world.now + 30)
        world.locations.mark_failed(FIRST, world.now + 1)
        assert await world.locations.locate("example.test", transport="tcp") == [SECOND]
        world.locations.mark_unavailable(SECOND, world.now + 20)
        error = await world.failure(transport="tcp")
        assert (error.failure, error.retry_after) == (ConnectFailure.UNAVAILABLE, 20)
        world.now += 20
        assert await world.locations.locate("example.test", transport="tcp") == [SECOND]
        world.now += 10
        assert await world.locations.locate("example.test", transport="tcp") == [FIRST, SECOND]


async def test_a_server_is_the_same_whatever_domain_led_to_it(tmp_path: Path) -> None:
    async with NameServer("a.test. 60 IN A 192.0.2.1", "b.test. 60 IN A 192.0.2.1") as server:
        world = World(server, tmp_path)
        (location,) = await world.locations.locate("a.test", 5061, transport="tls")
        world.locations.mark_unavailable(location, world.now + 5)
        assert (await world.failure("b.test", 5061, transport="tls")).failure is ConnectFailure.UNAVAILABLE
        assert await world.locate("b.test", 5061, transport="tcp") == ["tcp 192.0.2.1 5061"]


async def test_nobody_is_left_alone_for_more_than_an_hour(tmp_path: Path) -> None:
    async with NameServer() as server:
        world = World(server, tmp_path)
        world.locations.mark_unavailable(Location("udp", "192.0.2.1", 5060), world.now + 1e9)
        assert (await world.failure("192.0.2.1")).retry_after == LONGEST_MARK


async def test_marks_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sip_locations, "MOST_MARKS", 2)
    async with NameServer() as server:
        world = World(server, tmp_path)
        for number in (1, 2, 3):
            world.locations.mark_unavailable(Location("udp", f"192.0.2.{number}", 5060), world.now + 5)
        assert await world.locate("192.0.2.1") == ["udp 192.0.2.1 5060"]
        for number in (2, 3):
            assert (await world.failure(f"192.0.2.{number}")).failure is ConnectFailure.UNAVAILABLE


async def test_many_who_look_for_the_same_domain_ask_once(tmp_path: Path) -> None:
    async with NameServer(*EXAMPLE) as server:
        world = World(server, tmp_path)
        await asyncio.gather(*(world.locate() for _ in range(50)))
        assert len(server.questions) == len(set(server.questions)) == 8
