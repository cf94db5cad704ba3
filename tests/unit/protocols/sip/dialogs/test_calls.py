"""Calls from INVITE to BYE: RFC 3261 sections 9, 13 and 15."""

import pytest

from tests.support.sip_dialogs import ANSWER, OFFER, World, call, established, losing
from wigwag.errors import LocalProtocolError
from wigwag.protocols.sip import Request, build_multipart
from wigwag.protocols.sip.dialogs import (
    AnswerReceived,
    CallFailed,
    EndReason,
    InviteCancelled,
    InviteReceived,
    OfferReceived,
    SessionConfirmed,
    SessionEnded,
    SessionState,
)

CHALLENGE = ("WWW-Authenticate", 'Digest realm="test", nonce="n1", algorithm=MD5, qop="auth"')


def test_a_call_rings_is_answered_and_hung_up() -> None:
    world = World()
    alice, bob = world.agent("alice"), world.agent("bob")
    call(alice)
    bob.invite.ring(world.now)
    world.run(3.0)
    bob.invite.accept(world.now, ANSWER)
    world.run(1.0)
    alice.session.hang_up(world.now)
    world.run(40.0)
    assert world.sent() == ["INVITE", "180 INVITE", "200 INVITE", "ACK", "BYE", "200 BYE"]
    assert alice.story == ["ProvisionalReceived", "SessionConfirmed", "AnswerReceived", "SessionEnded"]
    assert bob.story == ["InviteReceived", "SessionConfirmed", "SessionEnded"]
    assert [event.reason for event in alice.heard(SessionEnded)] == [EndReason.HUNG_UP]
    assert [event.reason for event in bob.heard(SessionEnded)] == [EndReason.BYE]
    assert bob.heard(InviteReceived)[0].offer == OFFER
    assert alice.heard(AnswerReceived)[0].answer == ANSWER
    for agent in (alice, bob):
        assert not agent.dialogs.sessions
        assert not agent.dialogs.invites
        assert agent.next_timeout() is None


def test_either_side_may_hang_up() -> None:
    world, alice, bob = established()
    bob.session_now.hang_up(world.now)
    world.run()
    assert [event.reason for event in alice.heard(SessionEnded)] == [EndReason.BYE]


def test_a_refused_call_ends_its_early_session_and_is_told_with_its_response() -> None:
    world = World()
    alice, bob = world.agent("alice"), world.agent("bob")
    call(alice)
    bob.invite.ring(world.now)
    world.run()
    bob.invite.reject(world.now, 486, "Busy Here")
    world.run()
    assert alice.story == ["ProvisionalReceived", "SessionEnded", "CallFailed"]
    assert alice.heard(CallFailed)[0].response.status == 486
    assert not alice.dialogs.sessions
    assert not bob.dialogs.sessions
    with pytest.raises(LocalProtocolError):
        bob.invite.accept(world.now, ANSWER)


def test_a_call_that_nobody_answers_fails_with_408_after_64_t1() -> None:
    world = World(lost=lambda message: True)
    alice = world.agent("alice")
    world.agent("bob")
    call(alice)
    world.run(31.9)
    assert alice.events == []
    world.run(0.1)
    assert [event.response.status for event in alice.heard(CallFailed)] == [408]


def test_s29_an_invite_without_an_offer_gets_it_in_the_2xx_and_answers_in_the_ack() -> None:
    world = World()
    alice, bob = world.agent("alice"), world.agent("bob")
    call(alice, offer=None)
    assert bob.heard(InviteReceived)[0].offer is None
    bob.invite.accept(world.now, OFFER)
    world.run(0.7)
    assert alice.heard(OfferReceived)[0].offer == OFFER
    assert "ACK" not in world.sent()
    alice.session.answer(ANSWER, world.now)
    world.run()
    assert world.messages("ACK")[0].body == ANSWER
    assert world.messages("ACK")[0].content_type == "application/sdp"
    assert bob.heard(AnswerReceived)[0].answer == ANSWER
    assert bob.session.state is SessionState.CONFIRMED


def test_s29_an_offer_among_other_parts_is_found() -> None:
    world = World()
    alice, bob = world.agent("alice"), world.agent("bob")
    content_type, body = build_multipart(
        [((("Content-Type", "text/plain"),), b"hello"), ((("Content-Type", "application/sdp"),), OFFER)], "edge"
    )
    made = bytes(
        Request.create(
            "INVITE",
            bob.uri,
            [
                ("Via", "SIP/2.0/UDP alice.test;branch=z9hG4bKm"),
                ("From", "<sip:alice@alice.test>;tag=1"),
                ("To", "<sip:bob@bob.test>"),
                ("Call-ID", "m"),
                ("CSeq", "1 INVITE"),
                ("Contact", f"<{alice.uri}>"),
                ("Content-Type", content_type),
            ],
            body,
        )
    )
    alice.place.send(made)
    world.run()
    assert bob.heard(InviteReceived)[0].offer == OFFER


def test_an_offer_in_the_2xx_that_is_refused_is_acknowledged_and_ended() -> None:
    world = World()
    alice, bob = world.agent("alice"), world.agent("bob")
    call(alice, offer=None)
    bob.invite.accept(world.now, OFFER)
    world.run()
    alice.session.refuse(world.now)
    world.run()
    # Bob ends it too, for want of an answer: the two BYEs cross.
    assert world.sent("alice") == ["INVITE", "ACK", "BYE", "481 BYE"]
    assert not alice.dialogs.sessions
    assert not bob.dialogs.sessions


def test_an_offer_in_the_2xx_that_is_not_answered_before_hanging_up_is_acknowledged_first() -> None:
    world = World()
    alice, bob = world.agent("alice"), world.agent("bob")
    call(alice, offer=None)
    bob.invite.accept(world.now, OFFER)
    world.run()
    alice.session.hang_up(world.now)
    world.lost = lambda message: True
    world.run()
    assert world.sent("alice") == ["INVITE", "ACK", "BYE"]


def test_a_2xx_without_the_answer_is_acknowledged_and_ended() -> None:
    world = World()
    alice, bob = world.agent("alice"), world.agent("bob")
    call(alice)
    bob.invite.offer = None
    bob.invite.session.negotiation.exchange.send_answer(ANSWER)
    bob.invite.accept(world.now)
    world.run()
    assert world.sent("alice") == ["INVITE", "ACK", "BYE"]
    assert [event.reason for event in alice.heard(SessionEnded)] == [EndReason.NO_ANSWER]


def test_an_answer_in_a_ringing_response_is_the_answer_and_the_2xx_repeats_it() -> None:
    world = World()
    alice, bob = world.agent("alice"), world.agent("bob")
    call(alice)
    bob.invite.ring(world.now, 183, "Session Progress", description=ANSWER)
    world.run()
    bob.invite.accept(world.now)
    world.run()
    assert [event.answer for event in alice.heard(AnswerReceived)] == [ANSWER]
    assert world.messages("200 INVITE")[0].body == ANSWER
    assert alice.session.negotiation.exchange.settled


@pytest.mark.parametrize("losses", [0, 1, 3])
def test_s32_a_2xx_is_sent_again_at_t1_doubling_to_t2_until_its_ack_comes(losses: int) -> None:
    world = World(lost=losing("ACK", losses))
    alice, bob = world.agent("alice"), world.agent("bob")
    call(alice)
    bob.invite.accept(world.now, ANSWER)
    world.run(40.0)
    assert world.moments("200 INVITE") == [0.0, 0.5, 1.5, 3.5][: losses + 1]
    assert world.moments("ACK") == [0.0, 0.5, 1.5, 3.5][: losses + 1]
    assert len(bob.heard(SessionConfirmed)) == len(alice.heard(SessionConfirmed)) == 1


def test_s32_without_an_ack_the_session_is_ended_by_bye_after_64_t1() -> None:
    world = World(lost=losing("ACK", 100))
    alice, bob = world.agent("alice"), world.agent("bob")
    call(alice)
    bob.invite.accept(world.now, ANSWER)
    world.run(31.9)
    assert "BYE" not in world.sent()
    world.run(0.2)
    assert world.moments("200 INVITE") == [0.0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert world.moments("BYE") == [32.0]
    assert [event.reason for event in bob.heard(SessionEnded)] == [EndReason.NO_ACK]
    assert [event.reason for event in alice.heard(SessionEnded)] == [EndReason.BYE]


def test_s32_over_a_connection_the_2xx_is_sent_again_too() -> None:
    world = World(lost=losing("ACK", 1))
    alice, bob = world.agent("alice", reliable=True), world.agent("bob", reliable=True)
    call(alice)
    bob.invite.accept(world.now, ANSWER)
    world.run(10.0)
    assert world.moments("200 INVITE") == [0.0, 0.5]


def test_s32_an_ack_that_comes_again_or_with_another_cseq_is_ignored() -> None:
    world = World(lost=losing("ACK", 1))
    alice, bob = world.agent("alice"), world.agent("bob")
    call(alice)
    bob.invite.accept(world.now, ANSWER)
    world.run()
    wrong = world.messages("ACK")[0].copy()
    wrong.set("CSeq", "7 ACK")
    bob.take(wrong, world.now)
    assert bob.heard(SessionConfirmed) == []
    for _ in range(2):
        bob.take(world.messages("ACK")[0], world.now)
    assert len(bob.heard(SessionConfirmed)) == 1


def test_a_callee_that_hangs_up_before_the_ack_waits_for_it() -> None:
    world = World(lost=losing("ACK", 1))
    alice, bob = world.agent("alice"), world.agent("bob")
    call(alice)
    bob.invite.accept(world.now, ANSWER)
    bob.invite.session.hang_up(world.now)
    world.run(0.4)
    assert "BYE" not in world.sent()
    world.run(0.2)
    assert world.moments("BYE") == [0.5]
    assert [event.reason for event in bob.heard(SessionEnded)] == [EndReason.HUNG_UP]


def test_s33_of_two_branches_that_answer_one_is_kept_and_the_other_ended() -> None:
    world = World()
    alice, bob, carol = (world.agent(name) for name in ("alice", "bob", "carol"))
    call(alice, "sip:all@bob.test")
    bob.invite.ring(world.now)
    carol.invite.ring(world.now)
    world.run()
    bob.invite.accept(world.now, ANSWER)
    carol.invite.accept(world.now, ANSWER)
    world.run(40.0)
    assert world.sent("alice") == ["INVITE", "ACK", "ACK", "BYE"]
    assert len(alice.heard(SessionConfirmed)) == 1
    assert [event.reason for event in alice.heard(SessionEnded)] == [EndReason.ELSEWHERE]
    assert [event.reason for event in carol.heard(SessionEnded)] == [EndReason.BYE]
    assert list(alice.dialogs.sessions.values()) == [alice.session]
    assert bob.session.state is SessionState.CONFIRMED


def test_s33_a_branch_that_only_rings_is_over_when_another_is_answered() -> None:
    world = World()
    alice, bob, carol = (world.agent(name) for name in ("alice", "bob", "carol"))
    call(alice, "sip:all@bob.test")
    carol.invite.ring(world.now)
    world.run()
    bob.invite.accept(world.now, ANSWER)
    world.run()
    assert [event.reason for event in alice.heard(SessionEnded)] == [EndReason.ELSEWHERE]
    # It answers all the same: a proxy could not cancel it in time.
    carol.invite.accept(world.now, ANSWER)
    world.run()
    assert world.sent("alice")[-2:] == ["ACK", "BYE"]
    assert len(alice.heard(SessionEnded)) == 1
    assert not carol.dialogs.sessions


def test_s33_a_second_2xx_whose_ack_is_lost_is_acknowledged_again_and_ended_once() -> None:
    world = World()
    alice, bob, carol = (world.agent(name) for name in ("alice", "bob", "carol"))
    call(alice, "sip:all@bob.test")
    bob.invite.accept(world.now, ANSWER)
    world.run()
    world.lost = losing("ACK", 2)
    carol.invite.accept(world.now, ANSWER)
    world.run(40.0)
    assert world.sent("alice").count("BYE") == 1
    # Its BYE has come first, and ends what waits for the ACK.
    assert not carol.dialogs.sessions
    assert carol.next_timeout() is None


def test_s34_a_cancel_is_held_until_a_provisional_response_and_ends_in_487() -> None:
    world = World(lost=losing("INVITE", 1))
    alice, bob = world.agent("alice"), world.agent("bob")
    client = call(alice)
    client.cancel(world.now)
    world.run()
    assert world.sent() == ["INVITE"]
    world.run(0.7)
    assert world.sent() == ["INVITE", "INVITE", "100 INVITE", "CANCEL", "200 CANCEL", "487 INVITE", "ACK"]
    assert [event.status for event in bob.heard(InviteCancelled)] == [487]
    assert [event.response.status for event in alice.heard(CallFailed)] == [487]
    assert not alice.dialogs.sessions
    assert not bob.dialogs.sessions


def test_s34_a_cancel_after_the_answer_has_no_effect() -> None:
    world = World()
    alice, bob = world.agent("alice"), world.agent("bob")
    client = call(alice)
    bob.invite.accept(world.now, ANSWER)
    world.run()
    client.cancel(world.now)
    world.run(40.0)
    assert "CANCEL" not in world.sent()
    assert alice.session.state is SessionState.CONFIRMED


def test_s34_a_2xx_that_crosses_the_cancel_is_acknowledged_and_ended() -> None:
    world = World()
    alice, bob = world.agent("alice"), world.agent("bob")
    client = call(alice)
    bob.invite.ring(world.now)
    world.run()
    bob.invite.accept(world.now, ANSWER)
    client.cancel(world.now)
    world.run(40.0)
    assert world.sent("alice") == ["INVITE", "CANCEL", "ACK", "BYE"]
    assert "200 CANCEL" in world.sent("bob")
    assert [event.response.status for event in alice.heard(CallFailed)] == [487]
    assert alice.heard(SessionConfirmed) == []
    assert not alice.dialogs.sessions
    assert not bob.dialogs.sessions


def test_s34_a_cancel_of_an_unknown_invite_is_answered_481() -> None:
    world = World()
    alice, bob = world.agent("alice"), world.agent("bob")
    call(alice)
    cancel = world.messages("INVITE")[0].copy()
    cancel.set("CSeq", "1 CANCEL")
    cancel.method = "CANCEL"
    cancel.set_uri(cancel.uri)
    cancel.replace_item("via", "SIP/2.0/UDP alice.test;branch=z9hG4bKother")
    cancel.set_body(b"")
    bob.take(cancel, world.now)
    world.run()
    assert world.sent("bob")[-1] == "481 CANCEL"


def test_a_bye_instead_of_a_cancel_ends_the_early_session_and_its_invite() -> None:
    world = World()
    alice, bob = world.agent("alice"), world.agent("bob")
    call(alice)
    bob.invite.ring(world.now)
    world.run()
    early = next(iter(alice.dialogs.sessions.values()))
    bye = early.dialog.request("BYE")
    bye.insert("Via", alice.place.via("z9hG4bKbye"))
    bob.take(bye, world.now)
    assert world.sent("bob")[-2:] == ["200 BYE", "487 INVITE"]
    assert [event.reason for event in bob.heard(SessionEnded)] == [EndReason.BYE]


def test_an_invite_that_expires_is_refused() -> None:
    world = World()
    alice, bob = world.agent("alice"), world.agent("bob")
    call(alice, fields=(("Expires", "10"),))
    bob.invite.ring(world.now)
    world.run(9.9)
    assert bob.heard(InviteCancelled) == []
    world.run(0.1)
    assert [event.status for event in bob.heard(InviteCancelled)] == [487]
    assert [event.response.status for event in alice.heard(CallFailed)] == [487]


def test_a_challenge_is_answered_with_the_next_cseq_and_the_ack_has_the_same_credentials() -> None:
    world = World()
    alice, bob = world.agent("alice"), world.agent("bob")
    call(alice)
    bob.invite.reject(world.now, 401, "Unauthorized", (CHALLENGE,))
    world.run()
    bob.invite.accept(world.now, ANSWER)
    world.run()
    first, second = world.messages("INVITE")
    assert (first.cseq.number, second.cseq.number) == (1, 2)
    assert (first.call_id, first.from_.tag) == (second.call_id, second.from_.tag)
    acks = world.messages("ACK")
    assert [ack.cseq.number for ack in acks] == [1, 2]
    assert acks[1].get("authorization") == second.get("authorization")
    assert alice.session.state is SessionState.CONFIRMED
    alice.session.hang_up(world.now)
    world.run()
    assert world.messages("BYE")[0].cseq.number == 3


def test_a_2xx_from_one_who_only_claims_to_know_the_password_is_ended() -> None:
    world = World()
    alice, bob = world.agent("alice"), world.agent("bob")
    call(alice)
    bob.invite.reject(world.now, 401, "Unauthorized", (CHALLENGE,))
    world.run()
    proof = ("Authentication-Info", f'qop=auth, rspauth="{"0" * 32}", cnonce="x", nc=00000001')
    bob.invite.accept(world.now, ANSWER, (proof,))
    world.run()
    assert world.sent("alice")[-2:] == ["ACK", "BYE"]
    assert alice.heard(SessionConfirmed) == []
    assert len(alice.heard(CallFailed)) == 1
    assert not alice.dialogs.sessions


def test_a_challenge_is_not_answered_once_the_call_was_cancelled() -> None:
    world = World()
    alice, bob = world.agent("alice"), world.agent("bob")
    client = call(alice)
    client.cancel(world.now)
    bob.invite.reject(world.now, 401, "Unauthorized", (CHALLENGE,))
    world.run(1.0)
    assert [event.response.status for event in alice.heard(CallFailed)] == [401]


def test_a_call_that_comes_by_two_paths_is_taken_once() -> None:
    world = World()
    alice, bob = world.agent("alice"), world.agent("bob")
    call(alice)
    again = world.messages("INVITE")[0].copy()
    again.replace_item("via", "SIP/2.0/UDP alice.test;branch=z9hG4bKotherpath")
    bob.take(again, world.now)
    assert world.sent("bob")[-1] == "482 INVITE"
    assert bob.story == ["InviteReceived"]


@pytest.mark.parametrize(
    ("fields", "body", "status"),
    [
        ((("Require", "100rel, foo"),), None, 420),
        ((("Contact", "<sip:"),), None, 400),
        ((("Content-Type", "text/plain"),), b"hello", 415),
        ((("Record-Route", ", ".join(["<sip:p.test;lr>"] * 100)),), None, 400),
    ],
)
def test_an_invite_that_can_not_be_taken_is_refused(
    fields: tuple[tuple[str, str], ...], body: bytes | None, status: int
) -> None:
    world = World()
    alice, bob = world.agent("alice"), world.agent("bob")
    call(alice)
    bob.events.clear()
    broken = world.messages("INVITE")[0].copy()
    broken.set("Call-ID", "another")
    broken.replace_item("via", "SIP/2.0/UDP alice.test;branch=z9hG4bKbroken")
    for name, value in fields:
        broken.set(name, value)
    if body is not None:
        broken.set_body(body)
    bob.take(broken, world.now)
    assert world.sent("bob")[-1] == f"{status} INVITE"
    assert bob.events == []
    assert len(bob.dialogs.sessions) == 1


def test_there_are_no_more_sessions_than_the_limit_allows() -> None:
    world = World()
    alice = world.agent("alice")
    world.agent("bob", limit=1)
    call(alice)
    call(alice)
    world.run()
    assert world.sent("bob") == ["503 INVITE"]
    assert world.messages("503 INVITE")[0].get("retry-after") is not None


def test_a_call_that_rings_for_long_is_said_to_ring_every_minute() -> None:
    world = World()
    alice, bob = world.agent("alice"), world.agent("bob")
    call(alice)
    bob.invite.ring(world.now)
    world.run(150.0)
    bob.invite.ring(world.now, 181, "Call Is Being Forwarded")
    world.run(100.0)
    bob.invite.accept(world.now, ANSWER)
    world.run(100.0)
    assert world.moments("180 INVITE") == [0.0, 60.0, 120.0]
    assert world.moments("181 INVITE") == [150.0, 210.0]
