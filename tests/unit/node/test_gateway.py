"""Settings of the edge of a process that hosts the gateway."""

from typing import Any

import pytest

from wigwag.node.gateway import KEEP, with_gateway
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
