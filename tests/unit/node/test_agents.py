"""How the user agent of a node reaches the edge."""

import asyncio
import datetime
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from fastapi import APIRouter

from tests.support.fake_relay import FakeRelayModule
from wigwag.database import Database
from wigwag.database.applications import ApplicationRow, Applications
from wigwag.errors import ConfigurationError
from wigwag.node.agents import (
    LISTENER,
    KnownApplications,
    directory,
    edge_addresses,
    pod_access,
    with_internal_listeners,
)
from wigwag.node.application import Node
from wigwag.node.certificates import AUTHORITY_DAYS, RENEW_DAYS, ensure_internal_certificates
from wigwag.node.demo_data import ensure_demo_data
from wigwag.node.modules import CONSTRUCTORS, Surroundings, without_idle
from wigwag.node.rpc import advertised
from wigwag.node.settings import Settings
from wigwag.protocols.sip import parse_uri
from wigwag.protocols.sip.uri import SipUri
from wigwag.runtime.agents import pod_instance
from wigwag.store.memory import MemoryStore
from wigwag.transport.tls import client_context
from wigwag.ua.config import EdgeAddresses, PodAccess

NOW = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
ELSEWHERE = {"sip": ["sip:edge.example:5071;transport=tls"], "relay": "msrps://relay.example:2856;tcp"}


def settings_in(path: Path, **sections: Any) -> Settings:
    """Return settings with listeners of MSRP and SIP whose ports the system chooses."""
    layer = ensure_demo_data(path).layer(ports={"tls": 0}, sip_ports={"tls": 0})
    return Settings.model_validate({**layer, "node": {"data_dir": path}, "admin": {"port": 0}, **sections})


class HostedAgent(FakeRelayModule):
    """Stands where the user agent will."""

    edge: EdgeAddresses

    def __init__(self) -> None:
        super().__init__()
        self.router, self.commands = APIRouter(), []

    def hosted_by(self, surroundings: Surroundings) -> "HostedAgent":
        super().hosted_by(surroundings)
        relay: Any = surroundings.modules.get("relay")
        self.edge = edge_addresses(surroundings.settings, relay)
        return self


async def ask(port: int, context: ssl.SSLContext, text: str) -> str:
    """Send something over TLS and return what comes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="127.0.0.1")
    try:
        writer.write(text.replace("\n", "\r\n").encode())
        return (await asyncio.wait_for(reader.read(4096), 10)).decode()
    finally:
        writer.close()


def port_of(uri: str) -> int:
    return int(uri.partition("127.0.0.1:")[2].partition(";")[0])


REGISTER = f"""REGISTER sip:agents.invalid SIP/2.0
Via: SIP/2.0/TLS 127.0.0.1:9;branch=z9hG4bKa;rport
Max-Forwards: 70
From: <sip:pods@agents.invalid>;tag=a
To: <sip:pods@agents.invalid>
Call-ID: a
CSeq: 1 REGISTER
Supported: outbound
Contact: <sip:p@agents.invalid>;+sip.instance="<{pod_instance("p")}>";reg-id=1
Content-Length: 0

"""
AUTH = """MSRP a1b2c3 AUTH
To-Path: {relay}
From-Path: msrps://agents.invalid:9/s1;tcp
Fencing-Token: 7
-------a1b2c3$
"""


async def test_edge_and_user_agent_of_one_process_meet_over_mutual_tls(tmp_path: Path) -> None:
    agent = HostedAgent()
    constructors = {**CONSTRUCTORS, "ua": agent.hosted_by}
    async with Node(settings_in(tmp_path), ["relay", "ua"], constructors=constructors) as node:
        edge = agent.edge
        context = client_context(ca_file=edge.ca_file, certificate=edge.certificate)
        assert (await ask(port_of(edge.sip[0]), context, REGISTER)).startswith("SIP/2.0 200")
        answer = await ask(port_of(edge.relay), context, AUTH.format(relay=edge.relay))
        assert answer.startswith("MSRP a1b2c3 200")
        public: Any = node.modules["relay"]
        port = public.relay.listeners["tls"].port
        assert f"Use-Path: msrps://localhost:{port}/" in answer
        stranger = client_context(ca_file=edge.ca_file)
        for uri, text in ((edge.sip[0], REGISTER), (edge.relay, AUTH.format(relay=edge.relay))):
            with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
                assert await ask(port_of(uri), stranger, text)
    assert (tmp_path / "internal" / "agent.key").stat().st_mode & 0o777 == 0o600


async def test_without_a_user_agent_there_are_no_internal_listeners(tmp_path: Path) -> None:
    async with Node(settings_in(tmp_path), ["relay"]) as node:
        relay: Any = node.modules["relay"]
        assert LISTENER not in relay.relay.listeners
    assert not (tmp_path / "internal").exists()


async def test_user_agent_with_an_edge_elsewhere_uses_that(tmp_path: Path) -> None:
    agent = HostedAgent()
    edge = {**ELSEWHERE, "certificate": ["chain", "key"], "ca_file": "ca"}
    settings = settings_in(tmp_path, ua={"edge": edge})
    async with Node(settings, ["ua"], constructors={"ua": agent.hosted_by}):
        assert agent.edge == EdgeAddresses(
            sip=tuple(edge["sip"]), relay=str(edge["relay"]), certificate=("chain", "key"), ca_file="ca"
        )


@pytest.mark.parametrize(
    ("edge", "named"),
    [
        ({}, "ua.edge.sip"),
        ({**ELSEWHERE, "sip": []}, "ua.edge.sip"),
        ({**ELSEWHERE, "relay": ""}, "ua.edge.relay"),
        (ELSEWHERE, "ua.edge.certificate"),
    ],
)
def test_edge_that_is_nowhere_is_named(tmp_path: Path, edge: Mapping[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{named} is not set"):
        edge_addresses(settings_in(tmp_path, ua={"edge": edge}), None)


def test_listeners_are_added_behind_those_of_the_settings(tmp_path: Path) -> None:
    relay = with_internal_listeners(settings_in(tmp_path))
    assert [listener.name for listener in relay.listeners] == ["tls", LISTENER]
    assert [listener.kind for listener in relay.sip.listeners][-1] == "peer"
    assert {listener.host for listener in (relay.listeners[-1],)} == {"127.0.0.1"}


def test_without_sip_or_a_name_there_is_nothing_for_a_user_agent(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    for changes, named in (
        ({"sip": settings.relay.sip.model_copy(update={"listeners": ()})}, "relay.sip.listeners is empty"),
        ({"agents": ()}, "relay.agents is empty"),
        ({"listeners": (settings.relay.listeners[0].model_copy(update={"name": LISTENER}),)}, LISTENER),
    ):
        relay = settings.relay.model_copy(update=changes)
        with pytest.raises(ConfigurationError, match=named):
            with_internal_listeners(settings.model_copy(update={"relay": relay}))


def test_relay_without_listeners_hands_out_no_uris(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    relay = settings.relay.model_copy(update={"listeners": ()})
    assert with_internal_listeners(settings.model_copy(update={"relay": relay})).listeners == ()


async def test_edge_knows_applications_of_the_settings_and_those_of_the_database(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, ua={"applications": [{"name": "helpdesk", "uris": ["sip:helpdesk@example.com"]}]})
    helpdesk, sales = parse_uri("sip:helpdesk@example.com"), parse_uri("sip:sales-7@example.com")
    assert isinstance(helpdesk, SipUri)
    assert isinstance(sales, SipUri)
    async with Database(settings.database_url) as database:
        known = KnownApplications(settings, database)
        found = directory(settings, MemoryStore(), known)
        assert (found.applications.owner(helpdesk), found.applications.owner(sales)) == ("helpdesk", None)
        await Applications(database).put(ApplicationRow(name="sales", uris=("sip:sales-*@example.com",)))
        await known.reload()
        assert (found.applications.owner(helpdesk), found.applications.owner(sales)) == ("helpdesk", "sales")


async def test_application_of_the_settings_with_no_address_is_named(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, ua={"applications": [{"name": "helpdesk", "uris": ["helpdesk"]}]})
    async with Database(settings.database_url) as database:
        with pytest.raises(ConfigurationError, match=r"ua\.applications: helpdesk"):
            KnownApplications(settings, database)


def test_internal_certificates_are_renewed_before_they_end_and_when_the_name_is_another(tmp_path: Path) -> None:
    first = ensure_internal_certificates(tmp_path / "i", "agents.invalid", NOW)
    files = (first.edge, first.agent)
    before = [each.certificate.read_bytes() for each in files]
    ensure_internal_certificates(tmp_path / "i", "agents.invalid", NOW)
    assert [each.certificate.read_bytes() for each in files] == before
    ensure_internal_certificates(tmp_path / "i", "other.invalid", NOW)
    edge, agent = [each.certificate.read_bytes() for each in files]
    assert edge == before[0]
    names = x509.load_pem_x509_certificate(agent).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert list(names.value) == [x509.DNSName("other.invalid")]
    later = NOW + datetime.timedelta(days=AUTHORITY_DAYS - RENEW_DAYS + 1)
    ensure_internal_certificates(tmp_path / "i", "other.invalid", later)
    assert edge != files[0].certificate.read_bytes()


def test_user_agent_that_has_no_edge_is_left_out_unless_it_is_asked_for(tmp_path: Path) -> None:
    with_sip, everything = settings_in(tmp_path), ["relay", "ua"]
    sip = with_sip.relay.sip.model_copy(update={"listeners": ()})
    without = with_sip.model_copy(update={"relay": with_sip.relay.model_copy(update={"sip": sip})})
    assert without_idle(everything, [], with_sip) == everything
    assert without_idle(everything, ["all"], without) == ["relay"]
    assert without_idle(everything, ["relay", "ua"], without) == everything
    elsewhere = without.model_copy(update={"ua": settings_in(tmp_path, ua={"edge": ELSEWHERE}).ua})
    assert without_idle(everything, [], elsewhere) == everything


def rpc_settings(path: Path, **rpc: Any) -> Settings:
    """Return settings of one ua pod of several."""
    return settings_in(path, rpc=rpc, redis={"url": "redis://127.0.0.1:6379"})


TOKENS = [{"token": "r" * 16, "role": "read"}, {"token": "o" * 16, "role": "operate"}]


def test_ua_pods_call_each_other_with_the_token_that_may_operate(tmp_path: Path) -> None:
    access = pod_access(rpc_settings(tmp_path, tokens=TOKENS))
    assert access == PodAccess(token="o" * 16)
    with pytest.raises(ConfigurationError, match=r"^rpc\.tokens has none"):
        pod_access(rpc_settings(tmp_path, tokens=TOKENS[:1]))


def test_ua_pods_show_each_other_the_certificate_of_their_grpc(tmp_path: Path) -> None:
    pair = ("chain", "key")
    both = pod_access(rpc_settings(tmp_path, certificate=pair, client_ca="pods"))
    assert both == PodAccess(encrypted=True, ca_file="pods", certificate=pair)
    own = pod_access(rpc_settings(tmp_path, certificate=pair, ca_file="others", tokens=TOKENS))
    assert own == PodAccess(token="o" * 16, encrypted=True, ca_file="others")


def test_ua_pod_on_all_addresses_has_to_say_where_others_reach_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"rpc\.advertised_host"):
        pod_access(rpc_settings(tmp_path, host="0.0.0.0", tokens=TOKENS))
    settings = rpc_settings(tmp_path, host="0.0.0.0", tokens=TOKENS, advertised_host="10.1.2.3")
    pod_access(settings)
    assert advertised(settings.rpc, "127.0.0.1:7443") == "10.1.2.3:7443"


@pytest.mark.parametrize(
    ("rpc", "expected"),
    [
        ({}, "127.0.0.1:7443"),
        ({"advertised_host": "ua-0.pods"}, "ua-0.pods:7443"),
        ({"advertised_host": "fd00::1", "advertised_port": 443}, "[fd00::1]:443"),
    ],
)
def test_address_of_grpc_that_others_are_told(tmp_path: Path, rpc: Mapping[str, Any], expected: str) -> None:
    assert advertised(rpc_settings(tmp_path, **rpc).rpc, "127.0.0.1:7443") == expected
