"""Reliable provisional responses: RFC 3262 (S37)."""

import pytest

from tests.support.sip_dialogs import ANSWER, OFFER, Agent, World, call, losing
from wigwag.errors import LocalProtocolError
from wigwag.protocols.sip.dialogs import (
    AnswerReceived,
    CallFailed,
    InviteCancelled,
    OfferReceived,
    ProvisionalReceived,
    SessionConfirmed,
)


def called(world: World, **more: object) -> tuple[Agent, Agent]:
    alice, bob = world.agent("alice"), world.agent("bob")
    call(alice, **more)  # type: ignore[arg-type]
    return alice, bob


def test_s37_reliable_responses_that_are_demanded_are_numbered_and_acknowledged() -> None:
    world = World()
    _, bob = called(world, reliable=True)
    bob.invite.ring(world.now)
    bob.invite.ring(world.now, 183, "Session Progress")
    world.run()
    assert world.sent() == ["INVITE", "180 INVITE", "PRACK", "183 INVITE", "200 PRACK", "PRACK", "200 PRACK"]
    first, second = world.messages("180 INVITE")[0], world.messages("183 INVITE")[0]
    assert first.get("require") == "100rel"
    assert second.number("rseq") == (first.number("rseq") or 0) + 1
    assert [prack.get("rack") for prack in world.messages("PRACK")] == [
        f"{first.get('rseq')} 1 INVITE",
        f"{second.get('rseq')} 1 INVITE",
    ]


def test_s37_a_response_whose_prack_is_lost_is_sent_again_with_doubling_intervals_and_told_once() -> None:
    world = World(lost=losing("PRACK", 3))
    alice, bob = called(world, reliable=True)
    bob.invite.ring(world.now)
    world.run(60.0)
    # The PRACK is repeated by its transaction and the response by the UAS, each by its own clock.
    assert world.moments("180 INVITE") == [0.0, 0.5, 1.5, 3.5]
    assert world.moments("PRACK") == [0.0, 0.5, 1.5, 3.5]
    assert len(alice.heard(ProvisionalReceived)) == 1


def test_s37_a_response_that_is_lost_comes_and_is_acknowledged_once() -> None:
    world = World(lost=losing("180 INVITE", 3))
    alice, bob = called(world, reliable=True)
    bob.invite.ring(world.now)
    world.run(60.0)
    assert world.sent().count("PRACK") == world.sent().count("200 PRACK") == 1
    assert len(alice.heard(ProvisionalReceived)) == 1


def test_s37_without_a_prack_the_invite_is_refused_after_64_t1() -> None:
    world = World(lost=losing("PRACK", 1000))
    alice, bob = called(world, reliable=True)
    bob.invite.ring(world.now)
    world.run(31.9)
    assert bob.heard(InviteCancelled) == []
    world.run(0.2)
    assert world.moments("180 INVITE") == [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert [event.status for event in bob.heard(InviteCancelled)] == [504]
    assert [event.response.status for event in alice.heard(CallFailed)] == [504]


@pytest.mark.parametrize(
    ("rack", "status"),
    [("1 1 INVITE", 481), ("{} 2 INVITE", 481), ("{} 1 UPDATE", 481), ("{} 1", 400), ("x", 400), ("", 400)],
)
def test_s37_a_prack_of_an_unknown_response_is_refused(rack: str, status: int) -> None:
    world = World(lost=losing("PRACK", 1))
    alice, bob = called(world, reliable=True)
    bob.invite.ring(world.now)
    world.run()
    rack = rack.format(world.messages("180 INVITE")[0].get("rseq"))
    stray = next(iter(alice.dialogs.sessions.values())).dialog.request("PRACK", (("RAck", rack),))
    stray.insert("Via", alice.place.via("z9hG4bKstray"))
    bob.take(stray, world.now)
    assert world.sent("bob")[-1] == f"{status} PRACK"


def test_s37_a_response_before_which_one_is_missing_is_not_acknowledged() -> None:
    world = World()
    alice, bob = called(world, reliable=True)
    bob.invite.ring(world.now)
    world.run()
    later = world.messages("180 INVITE")[0].copy()
    later.set("RSeq", str((later.number("rseq") or 0) + 2))
    alice.take(later, world.now)
    assert world.sent().count("PRACK") == 1
    assert len(alice.heard(ProvisionalReceived)) == 1


def test_a_2xx_waits_for_the_prack_of_what_was_sent_before() -> None:
    world = World(lost=losing("PRACK", 1))
    alice, bob = called(world, reliable=True)
    bob.invite.ring(world.now, 183, "Session Progress", description=ANSWER)
    bob.invite.accept(world.now)
    world.run(0.4)
    assert "200 INVITE" not in world.sent()
    world.run(1.0)
    assert world.moments("200 INVITE") == [0.5]
    assert world.messages("200 INVITE")[0].body == b""
    assert [event.answer for event in alice.heard(AnswerReceived)] == [ANSWER]
    assert len(alice.heard(SessionConfirmed)) == len(bob.heard(SessionConfirmed)) == 1


def test_an_offer_in_a_reliable_response_is_answered_in_its_prack() -> None:
    world = World()
    alice, bob = called(world, offer=None)
    bob.invite.ring(world.now, 183, "Session Progress", description=OFFER, reliable=True)
    world.run()
    assert alice.heard(OfferReceived)[0].offer == OFFER
    assert "PRACK" not in world.sent()
    alice.heard(OfferReceived)[0].session.answer(ANSWER, world.now)
    world.run()
    assert [event.answer for event in bob.heard(AnswerReceived)] == [ANSWER]
    bob.invite.accept(world.now)
    world.run()
    assert alice.session.negotiation.exchange.settled
    assert bob.session.negotiation.exchange.settled


def test_an_offer_in_a_reliable_response_that_is_refused_ends_the_call() -> None:
    world = World()
    alice, bob = called(world, offer=None)
    bob.invite.ring(world.now, 183, "Session Progress", description=OFFER, reliable=True)
    world.run()
    alice.heard(OfferReceived)[0].session.refuse(world.now)
    world.run()
    assert [event.response.status for event in alice.heard(CallFailed)] == [487]
    assert [event.status for event in bob.heard(InviteCancelled)] == [487]


def test_an_early_session_is_changed_by_update() -> None:
    world = World()
    alice, bob = called(world)
    bob.invite.ring(world.now, 183, "Session Progress", description=ANSWER, reliable=True)
    world.run()
    early = alice.heard(AnswerReceived)[0].session
    early.modify(b"v=0 two", world.now, method="UPDATE")
    world.run()
    bob.heard(OfferReceived)[0].session.answer(b"v=0 answer two", world.now)
    world.run()
    assert [event.answer for event in alice.heard(AnswerReceived)] == [ANSWER, b"v=0 answer two"]
    bob.invite.accept(world.now)
    world.run()
    assert alice.session is early


def test_an_update_before_the_first_answer_is_refused() -> None:
    world = World()
    alice, bob = called(world)
    bob.invite.ring(world.now)
    world.run()
    early = next(iter(alice.dialogs.sessions.values()))
    with pytest.raises(LocalProtocolError):
        early.modify(b"v=0 two", world.now, method="UPDATE")


def test_what_the_peer_does_not_support_is_an_error_of_ours() -> None:
    world = World()
    alice, bob = world.agent("alice"), world.agent("bob")
    call(alice)
    bob.invite.request.set("Supported", "timer")
    with pytest.raises(LocalProtocolError):
        bob.invite.ring(world.now, reliable=True)
    bob.invite.ring(world.now)
    world.run()
    assert world.messages("180 INVITE")[0].get("rseq") is None


def test_an_unreliable_response_has_no_offer() -> None:
    world = World()
    _, bob = called(world, offer=None)
    with pytest.raises(LocalProtocolError):
        bob.invite.ring(world.now, 183, "Session Progress", description=OFFER)


def test_an_offer_in_an_unreliable_response_is_none() -> None:
    world = World()
    alice, bob = called(world, offer=None)
    bob.invite.ring(world.now)
    world.run()
    progress = world.messages("180 INVITE")[0].copy()
    progress.set_body(OFFER, "application/sdp")
    alice.take(progress, world.now)
    assert alice.heard(OfferReceived) == []
    bob.invite.accept(world.now, OFFER)
    world.run()
    assert [event.offer for event in alice.heard(OfferReceived)] == [OFFER]
