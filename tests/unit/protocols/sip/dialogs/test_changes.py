"""re-INVITE and UPDATE: RFC 3261 section 14, RFC 3311, RFC 6337."""

import pytest

from tests.support.sip_dialogs import ANSWER, OFFER, Agent, World, brief, established, losing
from wigwag.errors import LocalProtocolError
from wigwag.protocols.sip import Message, Request, SipError
from wigwag.protocols.sip.dialogs import (
    AnswerReceived,
    ChangeFailed,
    EndReason,
    IncomingRequest,
    OfferReceived,
    OfferRequested,
    OfferState,
    OfferWithdrawn,
    SessionEnded,
)

OFFER_TWO, ANSWER_TWO = b"v=0 offer two", b"v=0 answer two"


def answering(agent: Agent, world: World) -> None:
    """Let an agent answer every offer at once."""

    def on_event(event: object) -> None:
        if isinstance(event, OfferReceived):
            event.session.answer(ANSWER_TWO, world.now)

    agent.on_event = on_event


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_change_is_offered_and_answered(method: str) -> None:
    world, alice, bob = established()
    answering(bob, world)
    alice.session_now.modify(OFFER_TWO, world.now, method="INVITE" if method == "INVITE" else "UPDATE")
    world.run(40.0)
    assert [event.offer for event in bob.heard(OfferReceived)] == [OFFER_TWO]
    assert [event.answer for event in alice.heard(AnswerReceived)] == [ANSWER_TWO]
    assert world.sent("alice") == ["INVITE", "ACK"] if method == "INVITE" else ["UPDATE"]
    assert bob.session_now.negotiation.exchange.remote == OFFER_TWO


def test_a_refused_change_leaves_what_was_agreed_on() -> None:
    world, alice, bob = established()
    alice.session_now.modify(OFFER_TWO, world.now)
    world.run()
    bob.session_now.refuse(world.now)
    world.run()
    assert [event.response.status for event in alice.heard(ChangeFailed)] == [488]
    for agent, local in ((alice, OFFER), (bob, ANSWER)):
        assert agent.session_now.negotiation.exchange.local == local
        assert agent.session_now.negotiation.exchange.settled


def test_a_reinvite_without_an_offer_asks_for_one() -> None:
    world, alice, bob = established()
    alice.session_now.modify(None, world.now)
    world.run()
    assert len(bob.heard(OfferRequested)) == 1
    bob.session_now.answer(OFFER_TWO, world.now)
    world.run()
    alice.session_now.answer(ANSWER_TWO, world.now)
    world.run()
    assert [event.answer for event in bob.heard(AnswerReceived)] == [ANSWER_TWO]
    assert world.messages("ACK")[0].body == ANSWER_TWO


def test_an_update_without_an_offer_is_answered_at_once() -> None:
    world, alice, _ = established()
    alice.session_now.modify(None, world.now, method="UPDATE")
    world.run()
    assert world.sent() == ["UPDATE", "200 UPDATE"]


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_change_gives_the_peer_another_target(method: str) -> None:
    world, alice, bob = established()
    answering(bob, world)
    world.agents["other"] = alice
    alice.session_now.dialog.local_target = "sip:alice@other.test"
    alice.session_now.modify(OFFER_TWO, world.now, method="INVITE" if method == "INVITE" else "UPDATE")
    world.run()
    bob.session_now.request("INFO", lambda response, now: None, world.now)
    world.run()
    assert world.messages("INFO")[0].uri == "sip:alice@other.test"


def test_s35_changes_that_cross_are_refused_491_and_the_owner_of_the_call_id_waits_longer() -> None:
    world, alice, bob = established()
    answering(alice, world)
    answering(bob, world)
    alice.session_now.modify(OFFER_TWO, world.now)
    bob.session_now.modify(OFFER_TWO, world.now)
    world.run()
    assert world.sent().count("491 INVITE") == 2
    with pytest.raises(LocalProtocolError):
        alice.session_now.modify(OFFER_TWO, world.now)
    world.run(5.0)
    last = {sender: at for at, sender, message in world.log if brief(message) == "INVITE"}
    assert 2.1 <= last["alice"] <= 4.0
    assert 0.0 < last["bob"] <= 2.0
    assert len(alice.heard(AnswerReceived)) == len(bob.heard(AnswerReceived)) == 1


def test_s35_an_update_that_crosses_an_offer_is_refused_491() -> None:
    world, alice, bob = established()
    alice.session_now.modify(OFFER_TWO, world.now)
    bob.session_now.modify(OFFER_TWO, world.now, method="UPDATE")
    world.run()
    assert "491 UPDATE" in world.sent("alice")


def test_a_change_that_is_refused_at_once_leaves_the_peers_target() -> None:
    world, alice, bob = established()
    alice.session_now.modify(OFFER_TWO, world.now)
    bob.session_now.dialog.local_target = "sip:bob@elsewhere.test"
    bob.session_now.modify(OFFER_TWO, world.now, method="UPDATE")
    world.run()
    assert "491 UPDATE" in world.sent("alice")
    alice.session_now.request("INFO", lambda response, now: None, world.now)
    world.run()
    assert world.messages("INFO")[0].uri == bob.uri


def test_a_second_offer_before_the_first_is_answered_is_refused_500() -> None:
    world, alice, bob = established()
    alice.session_now.modify(OFFER_TWO, world.now)
    world.run()
    for method, branch in (("UPDATE", "z9hG4bKu"), ("INVITE", "z9hG4bKi")):
        second = world.messages("INVITE")[0].copy()
        second.method = method
        second.set_uri(second.uri)
        second.set("CSeq", f"{second.cseq.number + 1} {method}")
        second.replace_item("via", alice.place.via(branch))
        bob.take(second, world.now)
        refusal = world.messages(f"500 {method}")[0]
        assert 0 <= int(refusal.get("retry-after")) <= 10


def test_a_cancelled_reinvite_is_refused_and_withdrawn() -> None:
    world, alice, bob = established()
    session = alice.session_now
    session.modify(OFFER_TWO, world.now)
    world.run()
    cancel = world.messages("INVITE")[0].copy()
    cancel.method = "CANCEL"
    cancel.set_uri(cancel.uri)
    cancel.set("CSeq", f"{cancel.cseq.number} CANCEL")
    cancel.set_body(b"")
    bob.take(cancel, world.now)
    world.run()
    assert len(bob.heard(OfferWithdrawn)) == 1
    assert [event.response.status for event in alice.heard(ChangeFailed)] == [487]
    assert bob.session_now.negotiation.exchange.state is OfferState.STABLE


def test_the_2xx_of_a_reinvite_without_an_ack_ends_the_session() -> None:
    world, alice, bob = established()
    answering(bob, world)
    world.lost = losing("ACK", 100)
    alice.session_now.modify(OFFER_TWO, world.now)
    world.run(32.1)
    assert [event.reason for event in bob.heard(SessionEnded)] == [EndReason.NO_ACK]


def test_a_reinvite_that_nobody_answers_ends_the_session() -> None:
    world, alice, _ = established()

    def lost(message: Message) -> bool:
        return isinstance(message, Request) and message.method == "INVITE"

    world.lost = lost
    alice.session_now.modify(OFFER_TWO, world.now)
    world.run(32.1)
    assert [event.reason for event in alice.heard(SessionEnded)] == [EndReason.GONE]


def test_a_bye_while_a_reinvite_waits_refuses_it() -> None:
    world, alice, bob = established()
    alice.session_now.modify(OFFER_TWO, world.now)
    world.run()
    alice.session_now.hang_up(world.now)
    world.run()
    assert sorted(world.sent("bob")) == ["200 BYE", "487 INVITE"]
    assert not bob.dialogs.invites


def test_a_2xx_to_a_reinvite_of_a_session_that_is_over_is_acknowledged() -> None:
    world, alice, bob = established()
    alice.session_now.modify(OFFER_TWO, world.now)
    world.run()
    world.lost = losing("BYE", 1)
    alice.session_now.hang_up(world.now)
    bob.session_now.answer(ANSWER_TWO, world.now)
    world.run()
    assert world.sent("alice")[-1] == "ACK"


def test_nothing_can_be_answered_that_was_not_asked() -> None:
    world, alice, _ = established()
    with pytest.raises(LocalProtocolError):
        alice.session_now.answer(ANSWER, world.now)
    with pytest.raises(LocalProtocolError):
        alice.session_now.refuse(world.now)


def test_a_change_may_require_no_unknown_extension() -> None:
    world, alice, bob = established()
    made = alice.session_now.dialog.request("UPDATE", (("Require", "foo"),))
    made.insert("Via", alice.place.via("z9hG4bKr"))
    bob.take(made, world.now)
    assert world.messages("420 UPDATE")[0].get("unsupported") == "foo"


def test_a_reinvite_that_only_rings_is_cancelled_after_three_minutes() -> None:
    world, alice, bob = established(session_expires=0)
    alice.session_now.modify(OFFER_TWO, world.now)
    world.run(179.9)
    assert "CANCEL" not in world.sent()
    world.run(0.2)
    assert world.moments("CANCEL") == [180.0]
    assert len(bob.heard(OfferWithdrawn)) == len(alice.heard(ChangeFailed)) == 1
    alice.session_now.modify(OFFER_TWO, world.now)


def test_a_reinvite_that_rings_when_the_session_ends_is_cancelled() -> None:
    world, alice, _ = established(session_expires=0)
    alice.session_now.modify(OFFER_TWO, world.now)
    world.run(1.0)
    world.lost = lambda message: True
    alice.session_now.hang_up(world.now)
    world.run(100.0)
    assert "CANCEL" in world.sent()
    assert not alice.transactions.clients


def test_an_update_that_the_peer_does_not_take_after_all_is_followed_by_a_reinvite() -> None:
    world, _, bob = established(session_expires=120)
    answering(bob, world)
    bob.session_now.incoming._dispatch = _not_implemented  # type: ignore[method-assign]
    world.run(61.0)
    assert world.sent("alice")[:2] == ["UPDATE", "INVITE"]


def _not_implemented(incoming: IncomingRequest, now: float) -> None:
    raise SipError("Not Implemented", status=501)


def test_a_challenge_to_a_reinvite_is_answered_with_the_next_cseq_of_the_dialog() -> None:
    world, alice, bob = established()
    alice.session_now.modify(OFFER_TWO, world.now)
    world.run()
    challenge = ("Proxy-Authenticate", 'Digest realm="test", nonce="n", algorithm=MD5, qop="auth"')
    bob.session_now.refuse(world.now, 407, "Proxy Authentication Required", (challenge,))
    world.run()
    bob.session_now.answer(ANSWER_TWO, world.now)
    world.run()
    first, second = world.messages("INVITE")
    assert second.cseq.number == first.cseq.number + 1
    assert world.messages("ACK")[-1].get("proxy-authorization") == second.get("proxy-authorization") is not None
    assert [event.answer for event in alice.heard(AnswerReceived)] == [ANSWER_TWO]
