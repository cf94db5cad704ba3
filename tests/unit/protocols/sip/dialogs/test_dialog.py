"""Dialogs: RFC 3261 section 12, and DialogState."""

import json
from dataclasses import replace

import pytest

from tests.support.sip_dialogs import ANSWER, Place, World, call, established
from wigwag.errors import LocalProtocolError
from wigwag.protocols.sip import Request, Response, SipError
from wigwag.protocols.sip.dialogs import (
    Body,
    Dialog,
    DialogState,
    EndReason,
    RequestReceived,
    SessionEnded,
    SessionState,
)

ROUTES = "<sip:p1.test;lr>, <sip:p2.test;lr>"


def invite(**fields: str) -> Request:
    base = {
        "Via": "SIP/2.0/UDP alice.test;branch=z9hG4bK1",
        "From": '"Alice" <sip:alice@test>;tag=a',
        "To": "<sip:bob@test>",
        "Call-ID": "one",
        "CSeq": "5 INVITE",
        "Contact": "<sip:alice@alice.test>",
    }
    return Request.create("INVITE", "sip:bob@test", [*(base | fields).items()])


def success(**fields: str) -> Response:
    made = {"Contact": "<sip:bob@bob.test>", "Record-Route": ROUTES, "Allow": "INVITE, UPDATE"} | fields
    return Response.to_request(invite(), 200, "OK", to_tag="b", fields=tuple(made.items()))


def of_response(**fields: str) -> Dialog:
    return Dialog.of_response(invite(), success(**fields), "sip:alice@alice.test")


def of_request(**fields: str) -> Dialog:
    return Dialog.of_request(invite(**fields), "b", "sip:bob@bob.test")


def test_the_callers_route_set_is_record_route_backwards_and_the_callees_forwards() -> None:
    caller, callee = of_response(), of_request(**{"Record-Route": ROUTES})
    assert caller.request("BYE").get_all("route") == ["<sip:p2.test;lr>", "<sip:p1.test;lr>"]
    assert callee.request("BYE").get_all("route") == ["<sip:p1.test;lr>", "<sip:p2.test;lr>"]
    assert caller.request("BYE").uri == "sip:bob@bob.test"


def test_a_strict_router_is_put_in_the_request_uri_and_the_target_at_the_end() -> None:
    caller = of_response(**{"Record-Route": "<sip:p1.test;lr>, <sip:p2.test;method=INVITE;x=1?Subject=no>"})
    made = caller.request("BYE")
    assert made.uri == "sip:p2.test;x=1"
    assert made.get_all("route") == ["<sip:p1.test;lr>", "<sip:bob@bob.test>"]


def test_requests_have_both_tags_the_call_id_and_rising_cseqs() -> None:
    caller = of_response()
    first, second = caller.request("INFO"), caller.request("MESSAGE", body=Body(b"hi", "text/plain"))
    assert (first.from_.tag, first.to.tag, first.call_id) == ("a", "b", "one")
    assert first.from_.display_name == "Alice"
    assert (first.cseq.number, second.cseq.number) == (6, 7)
    assert second.body == b"hi"
    assert second.content_type == "text/plain"


def test_only_requests_that_refresh_the_target_have_a_contact() -> None:
    caller = of_response()
    assert caller.request("INVITE").get("contact") == "<sip:alice@alice.test>"
    assert caller.request("UPDATE").get("contact") == "<sip:alice@alice.test>"
    assert caller.request("BYE").get("contact") is None


def test_a_peer_without_a_tag_is_addressed_without_one() -> None:
    callee = of_request(From="<sip:old@test>")
    assert callee.id == ("one", "b", "")
    assert callee.request("BYE").get("to") == "<sip:old@test>"


def test_an_invite_without_contact_makes_no_dialog() -> None:
    request = invite()
    request.remove("contact")
    with pytest.raises(SipError):
        Dialog.of_request(request, "b", "sip:bob@bob.test")


def test_the_2xx_gives_an_early_dialog_its_route_set_anew() -> None:
    caller = of_response()
    caller.confirm(success(**{"Record-Route": "<sip:p9.test;lr>", "Contact": "<sip:bob@new.test>"}))
    made = caller.request("BYE")
    assert made.get_all("route") == ["<sip:p9.test;lr>"]
    assert made.uri == "sip:bob@new.test"


def test_header_fields_of_a_contact_are_not_in_the_request_uri() -> None:
    assert of_response(Contact="<sip:bob@bob.test?Subject=x>").request("BYE").uri == "sip:bob@bob.test"


def test_a_sips_call_makes_a_secure_dialog() -> None:
    request = invite()
    request.set_uri("sips:bob@test")
    assert Dialog.of_request(request, "b", "sips:bob@bob.test").secure
    assert not of_request().secure


def test_cseq_numbers_end_where_the_rfc_ends_them() -> None:
    caller = Dialog(replace(of_response().to_state(), local_cseq=2**31 - 1))
    with pytest.raises(LocalProtocolError):
        caller.request("INFO")


def test_s08_a_request_within_the_dialog_is_given_to_its_session_and_answered_by_the_user() -> None:
    world, alice, bob = established()
    statuses: list[int] = []
    alice.session_now.request(
        "MESSAGE", lambda response, now: statuses.append(response.status), world.now, body=Body(b"hi", "text/plain")
    )
    world.run()
    received = bob.heard(RequestReceived)[0]
    assert received.request.request.body == b"hi"
    received.request.respond(200, "OK", world.now)
    world.run()
    assert statuses == [200]


def test_s08_a_request_with_a_wrong_tag_is_answered_481() -> None:
    world, alice, bob = established()
    stray = alice.session_now.dialog.request("MESSAGE")
    stray.set("To", "<sip:bob@bob.test>;tag=wrong")
    stray.insert("Via", alice.place.via("z9hG4bKstray"))
    bob.take(stray, world.now)
    assert world.sent("bob") == ["481 MESSAGE"]


def test_s08_a_lower_cseq_is_answered_500_and_a_gap_is_allowed() -> None:
    world, alice, bob = established()
    for number, branch in ((50, "z9hG4bKa"), (49, "z9hG4bKb")):
        made = alice.session_now.dialog.request("MESSAGE", cseq=number)
        made.insert("Via", alice.place.via(branch))
        bob.take(made, world.now)
    assert world.sent("bob") == ["500 MESSAGE"]
    assert [event.request.request.cseq.number for event in bob.heard(RequestReceived)] == [50]


def test_a_method_that_is_not_allowed_is_answered_405() -> None:
    world, alice, _ = established()
    alice.session_now.request("SUBSCRIBE", lambda response, now: None, world.now)
    world.run()
    assert world.sent("bob") == ["405 SUBSCRIBE"]
    assert "MESSAGE" in (world.messages("405 SUBSCRIBE")[0].get("allow") or "")


@pytest.mark.parametrize("status", [408, 481])
def test_a_peer_that_does_not_know_the_dialog_ends_it(status: int) -> None:
    world, alice, bob = established()
    alice.session_now.request("INFO", lambda response, now: None, world.now)
    world.run()
    bob.heard(RequestReceived)[0].request.respond(status, "Gone", world.now)
    world.run()
    assert [event.reason for event in alice.heard(SessionEnded)] == [EndReason.GONE]
    assert "BYE" in world.sent("alice")


def test_requests_that_wait_when_the_session_ends_are_answered_487() -> None:
    world, alice, bob = established()
    alice.session_now.request("INFO", lambda response, now: None, world.now)
    world.run()
    alice.session_now.hang_up(world.now)
    world.run()
    assert world.sent("bob") == ["487 INFO", "200 BYE"] or world.sent("bob") == ["200 BYE", "487 INFO"]
    bob.heard(RequestReceived)[0].request.respond(200, "OK", world.now)
    world.run()
    assert "200 INFO" not in world.sent()


def test_requests_that_nobody_answers_are_bounded() -> None:
    world, alice, bob = established()
    for _ in range(70):
        alice.session_now.request("INFO", lambda response, now: None, world.now)
        world.run()
    assert world.sent("bob").count("500 INFO") == 6
    assert len(bob.heard(RequestReceived)) == 64


def test_a_session_is_restored_elsewhere_and_goes_on() -> None:
    world, alice, bob = established()
    state = DialogState.from_json(bob.session_now.to_state().to_json())
    assert state == bob.session_now.to_state()
    bob.dialogs.sessions.clear()
    restored = bob.dialogs.restore(state, bob.place, world.now)
    assert restored.negotiation.exchange.local == ANSWER
    restored.request("INFO", lambda response, now: None, world.now)
    world.run()
    assert world.messages("INFO")[0].cseq.number == state.local_cseq + 1001
    alice.session_now.hang_up(world.now)
    world.run()
    assert restored.state is SessionState.TERMINATED


@pytest.mark.parametrize(
    "text",
    ["[]", "{}", "no json", '{"call_id": 1}'],
)
def test_what_is_no_stored_dialog_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        DialogState.from_json(text)


def test_a_field_of_a_later_version_is_left_out_and_one_of_a_wrong_type_refused() -> None:
    stored = json.loads(of_response().to_state().to_json())
    assert DialogState.from_json(json.dumps(stored | {"later": 1})) == of_response().to_state()
    for name, value in (("local_cseq", "1"), ("route_set", [1]), ("secure", 1), ("remote_cseq", "x"), ("route_set", 7)):
        with pytest.raises(ValueError):
            DialogState.from_json(json.dumps(stored | {name: value}))


def test_an_early_session_is_not_hung_up() -> None:
    world = World()
    alice, bob = world.agent("alice"), world.agent("bob")
    call(alice)
    with pytest.raises(LocalProtocolError):
        bob.invite.session.hang_up(world.now)


@pytest.mark.parametrize("method", ["INVITE", "ACK", "CANCEL", "BYE", "PRACK", "UPDATE"])
def test_what_a_session_sends_by_itself_is_not_sent_for_its_user(method: str) -> None:
    world, alice, _ = established()
    with pytest.raises(LocalProtocolError):
        alice.session_now.request(method, lambda response, now: None, world.now)
    assert world.sent() == []


def test_a_session_that_is_over_sends_nothing() -> None:
    world, alice, _ = established()
    session = alice.session_now
    session.hang_up(world.now)
    with pytest.raises(LocalProtocolError):
        session.request("INFO", lambda response, now: None, world.now)


def test_requests_go_another_way_when_the_one_before_is_gone() -> None:
    world, alice, _ = established()
    alice.dialogs.move(alice.place, Place(world, "alice", reliable=True))
    alice.session_now.request("INFO", lambda response, now: None, world.now)
    assert world.messages("INFO")[0].via.host == "alice.test"
    assert alice.session_now.way.wire.reliable
