"""MESSAGEs go out one at a time to each address, keep their identity, and end in one outcome."""

import dataclasses

import pytest

from tests.support.sip_agent import IDENTITY, AgentRig
from wigwag.protocols.sip import Response, SipError
from wigwag.protocols.sip.user_agent import Identity, Unanswered, fits_datagram

CHALLENGE = ("WWW-Authenticate", 'Digest realm="r", nonce="n", algorithm=SHA-256, qop="auth"')
BOB = "sip:bob@example.com"


def statuses(rig: AgentRig) -> list[int | str]:
    return [each.status if isinstance(each, Response) else each.reason for each in rig.outcomes]


def test_message_has_what_rfc_3428_wants_and_no_contact() -> None:
    rig = AgentRig()
    rig.send(BOB, "hällo", ("Expires", "60"))
    request = rig.request()
    assert (request.method, request.uri, request.to.uri) == ("MESSAGE", BOB, BOB)
    assert request.from_.uri == "sip:alice@example.com"
    assert (request.content_type, request.body.decode()) == ("text/plain", "hällo")
    assert request.get("max-forwards") == "70"
    assert request.get("expires") == "60"
    assert "contact" not in request


def test_s01_final_response_is_the_outcome() -> None:
    rig = AgentRig()
    rig.send(BOB)
    request = rig.request()
    rig.answer(request, 100, "Trying")
    assert rig.outcomes == []
    rig.answer(request, 202, "Accepted")
    assert statuses(rig) == [202]


def test_s04_unanswered_message_ends_after_32_seconds() -> None:
    rig = AgentRig("UDP")
    rig.send(BOB)
    rig.pass_time(31.9)
    assert rig.outcomes == []
    assert len(set(rig.wire.sent)) == 1
    rig.pass_time(0.2)
    (outcome,) = rig.outcomes
    assert isinstance(outcome, Unanswered)
    assert outcome.timed_out


def test_s05_large_message_does_not_fit_a_datagram() -> None:
    messages = AgentRig("UDP").agent.messages
    assert fits_datagram(messages.request(BOB, "text/plain", b"x" * 300))
    assert not fits_datagram(messages.request(BOB, "text/plain", b"x" * 1300))


def test_s05_message_that_fits_is_below_1300_octets_with_credentials() -> None:
    rig = AgentRig("UDP")
    size = next(
        size for size in range(1300, 0, -1) if fits_datagram(rig.agent.messages.request(BOB, "text/plain", b"x" * size))
    )
    rig.send(BOB, "x" * size)
    rig.answer(rig.request(), 401, "Unauthorized", ("WWW-Authenticate", CHALLENGE[1].replace('"n"', f'"{"n" * 82}"')))
    (data,) = rig.wire.sent
    assert b"Authorization" in data
    assert 1100 < len(data) <= 1300


def test_s09_second_message_waits_for_the_first_to_the_same_address() -> None:
    rig = AgentRig()
    rig.send(BOB, "one")
    rig.send("sip:bob@EXAMPLE.com", "two")
    rig.send("sip:carol@example.com", "three")
    first, third = rig.requests()
    assert [first.body, third.body] == [b"one", b"three"]
    rig.answer(first, 200, "OK")
    second = rig.request()
    assert second.body == b"two"
    rig.answer(second, 486, "Busy Here")
    assert statuses(rig) == [200, 486]


def test_s09_refused_unanswered_and_cut_off_messages_let_the_next_one_go() -> None:
    rig = AgentRig()
    for number in range(3):
        rig.send(BOB, str(number))
    rig.answer(rig.request(), 404, "Not Found")
    rig.pass_time(33)
    rig.agent.flow_lost(rig.flow, "cut", rig.now)
    assert statuses(rig) == [404, "no answer within 32 seconds", "cut"]


def test_messages_that_waited_for_a_flow_that_is_lost_are_told_at_once() -> None:
    rig = AgentRig()
    for number in range(3):
        rig.send(BOB, str(number))
    rig.agent.flow_lost(rig.flow, "cut", rig.now)
    assert statuses(rig) == ["cut"] * 3
    assert len(rig.requests()) == 1
    rig.send(BOB, "later")
    assert rig.request().body == b"later"


def test_challenge_is_answered_with_the_same_message() -> None:
    rig = AgentRig()
    rig.send(BOB)
    first = rig.request()
    rig.answer(first, 407, "Proxy Authentication Required", ("Proxy-Authenticate", CHALLENGE[1]))
    second = rig.request()
    assert (second.call_id, second.from_.tag, second.body) == (first.call_id, first.from_.tag, first.body)
    assert second.cseq.number == first.cseq.number + 1
    assert second.via.branch != first.via.branch
    assert len(second.get_all("via")) == 1
    assert "proxy-authorization" in second
    rig.answer(second, 200, "OK")
    assert statuses(rig) == [200]


def test_credentials_go_with_the_next_message_unasked() -> None:
    rig = AgentRig()
    rig.send(BOB)
    rig.answer(rig.request(), 401, "Unauthorized", CHALLENGE)
    rig.answer(rig.request(), 200, "OK")
    rig.send(BOB)
    assert "nc=00000002" in (rig.request().get("authorization") or "")


def test_redirection_is_not_followed() -> None:
    rig = AgentRig()
    rig.send(BOB)
    rig.answer(rig.request(), 302, "Moved Temporarily", ("Contact", "<sip:bob@192.0.2.66>"))
    assert rig.requests() == []
    assert statuses(rig) == [302]


def test_server_that_does_not_know_the_password_is_not_believed() -> None:
    rig = AgentRig()
    rig.send(BOB)
    rig.answer(rig.request(), 401, "Unauthorized", CHALLENGE)
    rig.answer(rig.request(), 200, "OK", ("Authentication-Info", f'qop=auth, rspauth="{"0" * 64}"'))
    assert statuses(rig) == ["the server claims to know the password and does not"]


def test_message_sent_again_over_another_flow_is_the_same_message() -> None:
    rig = AgentRig()
    message = rig.agent.messages.request(BOB, "text/plain", b"hello")
    for _ in range(2):
        rig.agent.messages.send(message, rig.flow, lambda *_: None, rig.now)
        rig.agent.flow_lost(rig.flow, "cut", rig.now)
    first, second = rig.requests()
    assert (first.call_id, first.cseq, first.from_.tag) == (second.call_id, second.cseq, second.from_.tag)
    assert first.via.branch == second.via.branch


@pytest.mark.parametrize(
    "to", ["", "bob", "mailto:bob@example.com", "sip:bob@example.com?subject=x", "sip:a b@c", "sip:"]
)
def test_text_that_is_no_address_is_refused(to: str) -> None:
    with pytest.raises(SipError):
        AgentRig().agent.messages.request(to, "text/plain", b"")


@pytest.mark.parametrize("to", ["sip:bob@example.com;transport=tcp", "sips:bob@example.com", "tel:+12015550123"])
def test_every_kind_of_address_can_be_written_to(to: str) -> None:
    rig = AgentRig()
    rig.send(to)
    assert rig.request().uri == to


@pytest.mark.parametrize("aor", ["sip:example.com", "tel:+12015550123", "alice", "mailto:alice@example.com"])
def test_address_of_record_is_a_sip_uri_with_a_user(aor: str) -> None:
    with pytest.raises(SipError):
        Identity.of(aor)


def test_display_name_is_quoted() -> None:
    rig = AgentRig(identity=dataclasses.replace(IDENTITY, display_name='Al "the" Ice'))
    rig.send(BOB)
    assert rig.request().from_.display_name == 'Al "the" Ice'
