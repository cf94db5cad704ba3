"""Settings of the edge of a process that hosts the gateway."""

from typing import Any

import pytest

from wigwag.errors import ConfigurationError
from wigwag.gateway.rpc_agents import RpcAgents
from wigwag.node.gateway import KEEP, gateway_agents, rpc_target, with_gateway
from wigwag.node.settings import Settings
from wigwag.relay.config import RelaySettings
from wigwag.relay.sip.config import SipSettings


def completed(sip: dict[str, Any] | None = None, *, sessions: bool = True) -> SipSettings:
    return with_gateway(RelaySettings.model_validate({"sip": sip or {}}), sessions=sessions).sip


def test_edge_keeps_messages_and_leads_calls_for_the_gateway_of_its_process() -> None:
    sip = completed()
    assert (sip.pager.store, sip.pager.services, sip.pager.keep) == (True, ("gateway",), KEEP)
    assert sip.gateway.sessions == "both"


def test_what_the_settings_say_stays() -> None:
    sip = completed({"pager": {"store": False, "keep": 60.0}, "gateway": {"sessions": "page"}})
    assert (sip.pager.store, sip.pager.keep, sip.gateway.sessions) == (False, 60.0, "page")


@pytest.mark.parametrize("services", [["desk"], ["gateway", "desk"]])
def test_other_services_stay_beside_it(services: list[str]) -> None:
    assert set(completed({"pager": {"services": services}}).pager.services) == {"desk", "gateway"}


def test_calls_are_not_led_to_a_gateway_that_takes_none() -> None:
    assert completed(sessions=False).gateway.sessions == "off"


def test_everything_else_is_as_it_was() -> None:
    given = RelaySettings.model_validate({"domains": ["example.com"], "sip": {"pager": {"per_user": 5}}})
    made = with_gateway(given)
    assert (made.domains, made.sip.pager.per_user) == (("example.com",), 5)
    assert not given.sip.pager.store


@pytest.mark.parametrize(
    ("pods", "target"),
    [
        (["ua.example.com:7443"], "ua.example.com:7443"),
        (["192.0.2.1:7443"], "ipv4:192.0.2.1:7443"),
        (["192.0.2.1:7443", "192.0.2.2:7444"], "ipv4:192.0.2.1:7443,192.0.2.2:7444"),
        (["[2001:db8::1]:7443", "[2001:db8::2]:7443"], "ipv6:[2001:db8::1]:7443,[2001:db8::2]:7443"),
    ],
)
def test_pods_of_the_user_agent_are_one_target(pods: list[str], target: str) -> None:
    assert rpc_target(pods) == target


@pytest.mark.parametrize(
    "pods",
    [
        ["ua.example.com"],
        [":7443"],
        ["ua.example.com:https"],
        ["ua-0.example.com:7443", "ua-1.example.com:7443"],
        ["192.0.2.1:7443", "[2001:db8::1]:7443"],
        ["192.0.2.1:7443", "ua.example.com:7443"],
    ],
)
def test_what_is_no_address_of_a_user_agent_is_named(pods: list[str]) -> None:
    with pytest.raises(ConfigurationError, match=r"gateway\.ua"):
        rpc_target(pods)


def test_a_gateway_without_a_user_agent_says_what_is_missing() -> None:
    with pytest.raises(ConfigurationError, match=r"gateway\.ua is not set"):
        gateway_agents(Settings(), None)


async def test_a_gateway_asks_the_user_agent_that_its_settings_name() -> None:
    settings = Settings.model_validate({"gateway": {"ua": ["127.0.0.1:7443"]}})
    assert isinstance(gateway_agents(settings, None), RpcAgents)
