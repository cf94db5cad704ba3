"""A binding is made, refreshed before it ends, adapted to the registrar and removed."""

import dataclasses

import pytest

from tests.support.sip_agent import IDENTITY, INSTANCE, AgentRig
from wigwag.protocols.sip import Request
from wigwag.protocols.sip.user_agent import (
    AgentOptions,
    Identity,
    Registered,
    RegistrationFailed,
    Transport,
    Unregistered,
)

CONTACT = "<sip:alice@192.0.2.7:5099;transport=tcp>"


def registered(expires: int = 600) -> AgentRig:
    rig = AgentRig()
    rig.register()
    rig.answer(rig.request(), 200, "OK", ("Contact", f"{CONTACT};expires={expires}"))
    return rig


def test_register_names_user_device_and_flow() -> None:
    rig = AgentRig()
    rig.register()
    request = rig.request()
    assert (request.method, request.uri) == ("REGISTER", "sip:example.com")
    assert request.from_.uri == request.to.uri == "sip:alice@example.com"
    assert request.from_.tag
    assert request.to.tag is None
    (contact,) = request.addresses("contact")
    assert contact.uri == "sip:alice@192.0.2.7:5099;transport=tcp"
    assert contact.parameters == {"+sip.instance": f'"<{INSTANCE}>"', "reg-id": "1"}
    assert (request.get("supported"), request.get("expires")) == ("path, outbound", "600")
    assert (request.via.transport, request.via.sent_by) == ("TCP", "192.0.2.7:5099")


@pytest.mark.parametrize(
    ("aor", "transport", "contact"),
    [
        ("sip:alice@example.com", "UDP", "sip:alice@192.0.2.7:5099"),
        ("sip:alice@example.com", "TLS", "sip:alice@192.0.2.7:5099;transport=tls"),
        ("sips:alice@example.com", "TLS", "sips:alice@192.0.2.7:5099"),
        ("sip:alice@example.com", "WSS", "sip:alice@192.0.2.7:5099;transport=ws"),
        ("sips:alice@example.com", "WSS", "sips:alice@192.0.2.7:5099;transport=ws"),
    ],
)
def test_contact_says_by_which_transport_and_as_securely_as_the_address(
    aor: str, transport: Transport, contact: str
) -> None:
    rig = AgentRig(transport, identity=Identity.of(aor))
    rig.register()
    assert rig.request().addresses("contact")[0].uri == contact


def test_device_without_a_name_does_not_claim_to_know_outbound() -> None:
    rig = AgentRig(identity=dataclasses.replace(IDENTITY, instance=""))
    rig.register()
    request = rig.request()
    assert request.addresses("contact")[0].parameters == {}
    assert request.get("supported") == "path"


def test_success_tells_what_was_granted() -> None:
    rig = AgentRig()
    rig.register()
    fields = (("Contact", f"<sip:other@192.0.2.9>;expires=5, {CONTACT};expires=300"), ("Flow-Timer", "90"))
    rig.answer(rig.request(), 200, "OK", *fields, ("Require", "outbound"))
    assert rig.events == [Registered(expires=300, flow_timer=90, outbound=True)]


@pytest.mark.parametrize(
    ("fields", "expires"),
    [
        ([("Contact", CONTACT), ("Expires", "120")], 120),
        ([("Expires", "120")], 120),
        ([], 600),
        ([("Contact", f"{CONTACT};expires=soon")], 600),
        ([("Contact", "<broken")], 600),
        ([("Contact", f"{CONTACT};expires=0")], 1),
    ],
)
def test_time_granted_is_found_wherever_it_stands(fields: list[tuple[str, str]], expires: int) -> None:
    rig = AgentRig()
    rig.register()
    rig.answer(rig.request(), 200, "OK", *fields)
    assert rig.events == [Registered(expires=expires, flow_timer=None, outbound=False)]


def refresh(rig: AgentRig) -> Request:
    due = rig.agent.registration.next_timeout()
    assert due is not None
    rig.pass_time(due - rig.now)
    return rig.request()


def test_binding_is_refreshed_before_it_ends_and_not_at_once() -> None:
    rig = registered(expires=600)
    rig.pass_time(399)
    assert rig.requests() == []
    request = refresh(rig)
    assert 400 <= rig.now <= 500
    rig.answer(request, 200, "OK", ("Expires", "60"))
    began = rig.now
    refresh(rig)
    assert 40 <= rig.now - began <= 50


def test_all_requests_have_one_call_id_and_rising_numbers() -> None:
    rig = AgentRig()
    rig.register()
    first = rig.request()
    rig.answer(first, 401, "Unauthorized", ("WWW-Authenticate", 'Digest realm="r", nonce="n", qop="auth"'))
    second = rig.request()
    rig.answer(second, 200, "OK")
    third = refresh(rig)
    assert len({request.call_id for request in (first, second, third)}) == 1
    assert len({request.from_.tag for request in (first, second, third)}) == 1
    assert len({request.via.branch for request in (first, second, third)}) == 3
    assert [request.cseq.number for request in (first, second, third)] == [1, 2, 3]
    assert "authorization" in third


def test_s27_wrong_password_is_final_after_one_attempt() -> None:
    rig = AgentRig()
    rig.register()
    for _ in range(2):
        rig.answer(rig.request(), 401, "Unauthorized", ("WWW-Authenticate", 'Digest realm="r", nonce="n", qop="auth"'))
    assert rig.requests() == []
    (failed,) = rig.events
    assert failed == RegistrationFailed(status=401, reason="Unauthorized")
    assert isinstance(failed, RegistrationFailed)
    assert failed.is_final


def test_s39_longer_interval_is_asked_for_after_423() -> None:
    rig = AgentRig(options=AgentOptions(expires=60))
    rig.register()
    rig.answer(rig.request(), 423, "Interval Too Brief", ("Min-Expires", "300"))
    request = rig.request()
    assert (request.get("expires"), request.cseq.number) == ("300", 2)


@pytest.mark.parametrize("least", ["60", "30", "soon", "99999999999"])
def test_423_that_does_not_help_is_a_failure(least: str) -> None:
    rig = AgentRig(options=AgentOptions(expires=60))
    rig.register()
    rig.answer(rig.request(), 423, "Interval Too Brief", ("Min-Expires", least))
    assert rig.events == [RegistrationFailed(status=423, reason="Interval Too Brief")]


def test_first_hop_without_outbound_gets_a_plain_contact() -> None:
    rig = AgentRig()
    rig.register()
    rig.answer(rig.request(), 439, "First Hop Lacks Outbound Support")
    request = rig.request()
    assert "reg-id" not in request.addresses("contact")[0].parameters
    rig.answer(request, 439, "First Hop Lacks Outbound Support")
    assert isinstance(rig.events[0], RegistrationFailed)


def test_overloaded_registrar_says_when_to_come_again() -> None:
    rig = AgentRig()
    rig.register()
    rig.answer(rig.request(), 503, "Service Unavailable", ("Retry-After", "17 (maintenance);duration=60"))
    (failed,) = rig.events
    assert failed == RegistrationFailed(status=503, reason="Service Unavailable", retry_after=17)
    assert isinstance(failed, RegistrationFailed)
    assert not failed.is_final


def test_silence_and_a_lost_connection_are_told_apart() -> None:
    silent, cut = AgentRig(), AgentRig()
    silent.register()
    silent.pass_time(33)
    cut.register()
    cut.agent.flow_lost(cut.flow, "reset by the peer", 1.0)
    assert [getattr(rig.events[0], "status", None) for rig in (silent, cut)] == [408, 503]


def test_service_route_leads_later_requests() -> None:
    rig = AgentRig()
    rig.register()
    rig.answer(rig.request(), 200, "OK", ("Service-Route", "<sip:edge;lr>"), ("Service-Route", "<sip:core;lr>"))
    rig.send("sip:bob@example.com")
    assert rig.request().items("route") == ["<sip:edge;lr>", "<sip:core;lr>"]


def test_binding_is_removed_at_the_end() -> None:
    rig = registered()
    rig.agent.registration.stop(rig.now)
    request = rig.request()
    assert request.get("expires") == "0"
    rig.answer(request, 200, "OK")
    assert rig.events[1:] == [Unregistered()]
    rig.pass_time(1000)
    assert rig.requests() == []


def test_nothing_is_removed_that_was_never_made() -> None:
    rig = AgentRig()
    assert not rig.agent.registration.stop(rig.now)
    assert rig.requests() == []


def test_lost_flow_ends_the_refreshing_and_a_new_one_begins_it() -> None:
    rig = registered()
    rig.agent.flow_lost(rig.flow, "cut", rig.now)
    rig.pass_time(1000)
    assert rig.requests() == []
    rig.register()
    assert rig.request().cseq.number == 2


def test_answer_from_a_flow_that_was_given_up_changes_nothing() -> None:
    rig = AgentRig()
    rig.register()
    request = rig.request()
    rig.agent.registration.flow_lost(rig.flow)
    rig.answer(request, 200, "OK")
    assert rig.events == []
    assert rig.agent.registration.next_timeout() is None
