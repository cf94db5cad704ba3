"""Names: SRV order, address families, the hosts file, and servers that don't answer."""

from pathlib import Path
from random import Random

import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest
from dns.rdtypes.IN.SRV import SRV

from tests.support.name_server import NameServer
from wigwag.transport.addresses import Endpoint
from wigwag.transport.errors import ConnectError, ConnectFailure
from wigwag.transport.resolver import Resolver
from wigwag.transport.service_records import in_order


def resolver(server: NameServer, tmp_path: Path, *, timeout: float = 5.0, hosts: str = "") -> Resolver:
    (tmp_path / "hosts").write_text(hosts)
    return Resolver(choose=lambda total: total, timeout=timeout, nameserver=server.address, hosts=tmp_path / "hosts")


async def test_numeric_hosts_ask_nobody(tmp_path: Path) -> None:
    async with NameServer() as server:
        names = resolver(server, tmp_path)
        assert await names.endpoints("192.0.2.1", 9000, secure=True) == [Endpoint("192.0.2.1", 9000)]
        assert await names.endpoints("[2001:db8::1]", None, secure=True) == [Endpoint("2001:db8::1", 2855)]
        assert await names.endpoints("localhost", 1, secure=True) == [Endpoint("127.0.0.1", 1), Endpoint("::1", 1)]
        assert server.questions == []


async def test_with_a_port_only_addresses_are_asked_for_and_families_alternate(tmp_path: Path) -> None:
    records = [f"relay.test. 60 IN A 192.0.2.{n}" for n in (1, 2)] + ["relay.test. 60 IN AAAA 2001:db8::1"]
    async with NameServer(*records) as server:
        found = await resolver(server, tmp_path).endpoints("relay.test", 9000, secure=True)
        assert found[0] == Endpoint("2001:db8::1", 9000)
        assert {endpoint.address for endpoint in found[1:]} == {"192.0.2.1", "192.0.2.2"}
        assert not any("SRV" in question for question in server.questions)


@pytest.mark.parametrize(("secure", "port"), [(True, 1111), (False, 2222)])
async def test_without_a_port_srv_decides(tmp_path: Path, secure: bool, port: int) -> None:
    async with NameServer(
        "_msrps._tcp.relay.test. 60 IN SRV 10 0 1111 a.relay.test.",
        "_msrp._tcp.relay.test. 60 IN SRV 10 0 2222 a.relay.test.",
        "_msrps._tcp.relay.test. 60 IN SRV 20 0 3333 b.relay.test.",
        "a.relay.test. 60 IN A 192.0.2.1",
        "b.relay.test. 60 IN A 192.0.2.2",
    ) as server:
        found = await resolver(server, tmp_path).endpoints("relay.test", None, secure=secure)
        assert found == [Endpoint("192.0.2.1", port)] + ([Endpoint("192.0.2.2", 3333)] if secure else [])


async def test_without_srv_the_port_is_2855(tmp_path: Path) -> None:
    async with NameServer("relay.test. 60 IN A 192.0.2.1") as server:
        found = await resolver(server, tmp_path).endpoints("relay.test.", None, secure=True)
        assert found == [Endpoint("192.0.2.1", 2855)]


async def test_a_service_that_is_not_offered_has_no_address(tmp_path: Path) -> None:
    async with NameServer("_msrps._tcp.relay.test. 60 IN SRV 0 0 0 .", "relay.test. 60 IN A 192.0.2.1") as server:
        with pytest.raises(ConnectError) as caught:
            await resolver(server, tmp_path).endpoints("relay.test", None, secure=True)
        assert caught.value.failure is ConnectFailure.NO_ADDRESS


@pytest.mark.parametrize(
    ("host", "failure"),
    [
        ("nobody.test", ConnectFailure.NO_ADDRESS),
        ("silent.test", ConnectFailure.RESOLUTION),
        ("broken.test", ConnectFailure.RESOLUTION),
        ("a" * 64 + ".test", ConnectFailure.RESOLUTION),
        ("a..test", ConnectFailure.RESOLUTION),
        ("\udcff.test", ConnectFailure.RESOLUTION),
        ("a b.test", ConnectFailure.NO_ADDRESS),
        ("", ConnectFailure.NO_ADDRESS),
    ],
)
@pytest.mark.parametrize("port", [None, 2855])
async def test_a_name_without_answer_fails_with_its_reason_in_time(
    tmp_path: Path, host: str, failure: ConnectFailure, port: int | None
) -> None:
    async with NameServer() as server:
        with pytest.raises(ConnectError) as caught:
            await resolver(server, tmp_path, timeout=0.3).endpoints(host, port, secure=True)
        assert caught.value.failure is failure


async def test_one_family_is_enough_when_the_other_gets_an_error(tmp_path: Path) -> None:
    async with NameServer("four.test. 60 IN A 192.0.2.4") as server:
        assert await resolver(server, tmp_path).endpoints("four.test", 1, secure=False) == [Endpoint("192.0.2.4", 1)]


async def test_the_hosts_file_comes_first(tmp_path: Path) -> None:
    hosts = "# comment\n\n192.0.2.7 relay relay.test # here\n2001:db8::7 RELAY.TEST\nnonsense relay.test\n"
    async with NameServer("relay.test. 60 IN A 192.0.2.1") as server:
        found = await resolver(server, tmp_path, hosts=hosts).endpoints("Relay.test", 1, secure=False)
        assert found == [Endpoint("192.0.2.7", 1), Endpoint("2001:db8::7", 1)]
        assert server.questions == []


async def test_answers_are_kept_for_their_time(tmp_path: Path) -> None:
    async with NameServer("relay.test. 60 IN A 192.0.2.1", "relay.test. 60 IN AAAA 2001:db8::1") as server:
        names = resolver(server, tmp_path)
        first = await names.endpoints("relay.test", 1, secure=False)
        asked = len(server.questions)
        assert await names.endpoints("relay.test", 1, secure=False) == first
        assert len(server.questions) == asked


def srv(priority: int, weight: int, target: str) -> SRV:
    text = f"{priority} {weight} 2855 {target}."
    record = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.SRV, text)
    assert isinstance(record, SRV)
    return record


def targets(records: list[SRV]) -> list[str]:
    return [record.target.to_text(omit_final_dot=True) for record in records]


def test_priorities_are_never_mixed_and_weights_share_the_load() -> None:
    random = Random(1)
    records = [srv(20, 100, "late"), srv(10, 30, "heavy"), srv(10, 10, "light"), srv(10, 0, "spare")]
    first = {"heavy": 0, "light": 0, "spare": 0}
    for _ in range(4000):
        order = targets(in_order(records, lambda total: random.randint(0, total)))
        assert sorted(order[:3]) == ["heavy", "light", "spare"]
        assert order[3] == "late"
        first[order[0]] += 1
    assert 2 < first["heavy"] / first["light"] < 4
    assert 0 < first["spare"] < 300


def test_records_without_weight_are_all_returned() -> None:
    assert sorted(targets(in_order([srv(0, 0, "a"), srv(0, 0, "b")], lambda total: total))) == ["a", "b"]
    assert in_order([], lambda total: total) == []
