"""The edges: what belongs to sessions, limits, lost connections, peers that break the rules."""

import pytest

from tests.support.sip_dialogs import ANSWER, OFFER, World, call, established
from wigwag.errors import LocalProtocolError, OverloadedError
from wigwag.protocols.sip import Request, SipError
from wigwag.protocols.sip.dialogs import (
    AnswerReceived,
    Call,
    CallFailed,
    ChangeFailed,
    OfferReceived,
    ProvisionalReceived,
    SessionConfirmed,
    SessionState,
)
from wigwag.protocols.sip.dialogs.client import MOST_FORKS


def test_requests_of_sessions_are_told_from_others() -> None:
    world, alice, bob = established()
    inside = alice.session_now.dialog.request("MESSAGE")
    assert bob.dialogs.concerns(inside)
    outside = inside.copy()
    outside.set("To", "<sip:bob@bob.test>")
    assert not bob.dialogs.concerns(outside)
    assert world.sent() == []


@pytest.mark.parametrize("method", ["BYE", "PRACK", "UPDATE", "INFO"])
def test_a_request_that_belongs_in_a_dialog_and_names_none_is_answered_481(method: str) -> None:
    world, alice, bob = established()
    stray = alice.session_now.dialog.request(method)
    stray.set("To", "<sip:bob@bob.test>")
    stray.insert("Via", alice.place.via("z9hG4bKstray"))
    bob.take(stray, world.now)
    assert world.sent("bob") == [f"481 {method}"]


def test_a_prack_once_the_call_is_answered_is_refused() -> None:
    world, alice, bob = established()
    stray = alice.session_now.dialog.request("PRACK", (("RAck", "1 1 INVITE"),))
    stray.insert("Via", alice.place.via("z9hG4bKstray"))
    bob.take(stray, world.now)
    assert world.sent("bob") == ["481 PRACK"]


def test_there_are_no_more_calls_out_than_the_limit_allows() -> None:
    world = World()
    alice, bob = world.agent("alice", limit=1), world.agent("bob")
    call(alice)
    bob.invite.ring(world.now)
    world.run()
    with pytest.raises(OverloadedError):
        call(alice)


def test_when_no_transaction_is_left_calls_fail_and_requests_are_answered_503() -> None:
    world = World()
    alice, bob = world.agent("alice"), world.agent("bob")
    alice.transactions._limit = bob.transactions._limit = 1
    call(alice)
    call(alice)
    assert [event.response.status for event in alice.heard(CallFailed)] == [503]
    another = world.messages("INVITE")[0].copy()
    another.replace_item("via", alice.place.via("z9hG4bKanother"))
    bob.take(another, world.now)
    assert world.sent("bob") == ["503 INVITE"]


def test_a_call_whose_connection_is_lost_fails_with_503() -> None:
    world = World()
    alice = world.agent("alice", reliable=True)
    world.agent("bob")
    call(alice)
    alice.transactions.wire_lost(alice.place, "reset", world.now)
    assert [event.response.status for event in alice.heard(CallFailed)] == [503]


def test_no_more_branches_than_the_cap_are_followed() -> None:
    world = World()
    alice, bob = world.agent("alice"), world.agent("bob")
    call(alice)
    bob.invite.ring(world.now)
    world.run()
    for kind in ("180 INVITE", "200 INVITE"):
        for number in range(2 * MOST_FORKS):
            forked = world.messages("180 INVITE")[0].copy()
            forked.start_line = f"SIP/2.0 {kind.split()[0]} So"
            forked.status = int(kind.split()[0])
            forked.set("To", f"<sip:bob@bob.test>;tag={kind[0]}{number}")
            forked.set_body(ANSWER, "application/sdp")
            alice.take(forked, world.now)
        if kind == "180 INVITE":
            assert len(alice.dialogs.sessions) == MOST_FORKS
    assert len(alice.heard(SessionConfirmed)) == 1
    assert len(alice.dialogs.sessions) == 1


@pytest.mark.parametrize("name", ["Contact", "Record-Route"])
def test_a_response_that_no_dialog_can_be_made_of_makes_none(name: str) -> None:
    world = World()
    alice, bob = world.agent("alice"), world.agent("bob")
    call(alice)
    bob.invite.ring(world.now, fields=((name, "<sip:"),) if name != "Contact" else ())
    world.lost = lambda message: True
    broken = world.messages("180 INVITE")[0].copy()
    broken.set(name, "<sip:")
    broken.set("To", "<sip:bob@bob.test>;tag=other")
    alice.take(broken, world.now)
    assert alice.heard(ProvisionalReceived)[-1].session is None
    broken.start_line = "SIP/2.0 200 OK"
    broken.status = 200
    alice.take(broken, world.now)
    assert [event.response.status for event in alice.heard(CallFailed)] == [200]
    assert not alice.dialogs.sessions


def test_a_2xx_to_an_update_without_the_answer_changes_nothing() -> None:
    world, alice, bob = established()

    def accept_silently(event: object) -> None:
        if isinstance(event, OfferReceived):
            event.session.negotiation._owed = None

    bob.on_event = accept_silently
    alice.session_now.modify(b"v=0 two", world.now, method="UPDATE")
    world.run()
    (server,) = [s for s in bob.transactions.servers.values() if s.key.startswith("UPDATE")]
    bob.dialogs.incoming(server, server.request).respond(200, "OK", world.now)
    world.run()
    assert len(alice.heard(ChangeFailed)) == 1
    assert alice.session_now.negotiation.exchange.local == OFFER
    assert alice.session_now.negotiation.exchange.settled


def test_a_session_interval_that_is_too_small_for_a_reinvite_is_asked_for_again() -> None:
    world, alice, bob = established(session_expires=100)
    alice.session_now.modify(b"v=0 two", world.now)
    world.run()
    bob.session_now.refuse(world.now, 422, "Too Small", (("Min-SE", "500"),))
    world.run()
    assert world.messages("INVITE")[1].get("session-expires") == "500;refresher=uac"
    bob.session_now.answer(ANSWER, world.now)
    world.run()
    assert alice.session_now.timer.interval == bob.session_now.timer.interval == 500


def test_a_new_offer_in_a_prack_is_answered_in_its_response() -> None:
    world = World()
    alice, bob = world.agent("alice"), world.agent("bob")
    call(alice)
    bob.invite.ring(world.now, 183, "So", description=ANSWER, reliable=True)
    world.lost = lambda message: isinstance(message, Request) and message.method == "PRACK"
    world.run()
    prack = world.messages("PRACK")[0].copy()
    prack.set_body(b"v=0 two", "application/sdp")
    bob.take(prack, world.now)
    assert [event.offer for event in bob.heard(OfferReceived)] == [b"v=0 two"]
    with pytest.raises(LocalProtocolError):
        bob.invite.accept(world.now)
    bob.heard(OfferReceived)[0].session.answer(b"v=0 answer two", world.now)
    assert world.messages("200 PRACK")[0].body == b"v=0 answer two"
    bob.invite.accept(world.now)


def test_a_call_is_accepted_once_with_one_description() -> None:
    world = World()
    alice, bob = world.agent("alice"), world.agent("bob")
    call(alice)
    with pytest.raises(LocalProtocolError):
        bob.invite.accept(world.now)
    bob.invite.ring(world.now, 183, "So", description=ANSWER, reliable=True)
    world.run()
    with pytest.raises(LocalProtocolError):
        bob.invite.accept(world.now, ANSWER)
    bob.invite.accept(world.now)
    for again in (bob.invite.accept, bob.invite.reject):
        with pytest.raises(LocalProtocolError):
            again(world.now)
    bob.invite.ring(world.now)
    world.run()
    assert world.sent("bob") == ["183 INVITE", "200 PRACK", "200 INVITE"]
    assert len(alice.heard(AnswerReceived)) == 1


def test_a_reinvite_before_the_ack_is_refused_500() -> None:
    world = World()
    alice, bob = world.agent("alice"), world.agent("bob")
    call(alice)
    world.lost = lambda message: isinstance(message, Request) and message.method == "ACK"
    bob.invite.accept(world.now, ANSWER)
    world.run()
    assert bob.dialogs.sessions
    alice.session.modify(b"v=0 two", world.now)
    world.run()
    assert world.sent("bob")[-1] == "500 INVITE"
    with pytest.raises(LocalProtocolError):
        bob.session_now.modify(b"v=0 three", world.now)
    assert bob.session_now.state is SessionState.ACCEPTED


def test_route_fields_of_a_call_are_sent_with_every_attempt() -> None:
    world = World()
    alice = world.agent("alice")
    world.agent("bob")
    call(alice, routes=("<sip:edge.test;lr>",))
    assert world.messages("INVITE")[0].get_all("route") == ["<sip:edge.test;lr>"]


def test_a_call_to_what_is_no_uri_is_an_error_of_ours() -> None:
    world = World()
    alice = world.agent("alice")
    made = Call(uri="no uri", from_address=f"<{alice.uri}>", contact=alice.uri, offer=OFFER)
    with pytest.raises((LocalProtocolError, SipError)):
        alice.dialogs.call(made, alice.place, world.now)
    assert world.sent() == []
