"""Calls of the endpoint: whatever peers do, each ends once, for the right reason."""

from collections.abc import Iterator

import pytest

from tests.support.sip_dialogs import Agent
from tests.support.sip_dialogs import call as call_from
from tests.support.ua_calls import PATH, CallRig, call_rig, sdp
from wigwag.errors import ConflictError
from wigwag.protocols.sip import SipUri, parse_uri
from wigwag.protocols.sip.dialogs import ChangeFailed, OfferReceived, SessionEnded
from wigwag.ua.endpoint.model import CallReceived, Cause, Changed, Ended, MediaWish, Opened, Ringing
from wigwag.ua.endpoint.session import ChatSession

REACHED_LATER = "msrp://b.test:2855/later;tcp"


@pytest.fixture
def rig() -> Iterator[CallRig]:
    with call_rig() as made:
        yield made


async def open_call(rig: CallRig) -> tuple[ChatSession, Agent]:
    """Return a session that the endpoint began, and its peer."""
    bob = rig.peer("bob")
    session = await rig.call()
    bob.invite.accept(rig.world.now, sdp())
    await rig.settle()
    assert rig.story == ["Opened"]
    return session, bob


async def called(rig: CallRig, offer: bytes | None = None, *, answer: bool = True) -> tuple[ChatSession, Agent]:
    """Return a session that a peer began."""
    bob = rig.peer("bob")
    call_from(bob, "sip:alice@alice.test", offer=offer)
    await rig.settle()
    session = rig.heard(CallReceived)[0].session
    assert isinstance(session, ChatSession)
    if answer:
        session.accept(MediaWish())
        await rig.settle()
    return session, bob


def ended(rig: CallRig) -> tuple[Cause, int]:
    (event,) = rig.heard(Ended)
    assert not rig.endpoint.sessions
    return event.cause, event.status


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (486, Cause.BUSY),
        (603, Cause.DECLINED),
        (488, Cause.NO_COMMON_TYPE),
        (480, Cause.NOT_FOUND),
        (404, Cause.NOT_FOUND),
        (487, Cause.CANCELLED),
    ],
)
async def test_a_refusal_after_ringing_is_told_with_its_status(rig: CallRig, status: int, cause: Cause) -> None:
    bob = rig.peer("bob")
    await rig.call()
    bob.invite.ring(rig.world.now)
    await rig.settle()
    bob.invite.reject(rig.world.now, status, "No")
    await rig.settle()
    assert rig.story == ["Ringing", "Ended"]
    assert ended(rig) == (cause, status)
    assert rig.lines[0].closed


async def test_a_branch_that_loses_does_not_end_the_call_that_another_answered(rig: CallRig) -> None:
    bob, carol = rig.peer("bob"), rig.peer("carol")
    await rig.call("sip:all@all.test")
    bob.invite.ring(rig.world.now)
    carol.invite.ring(rig.world.now)
    await rig.settle()
    carol.invite.accept(rig.world.now, sdp("msrp://c.test:2855/carol;tcp"))
    await rig.settle()
    assert [type(event) for event in rig.events if not isinstance(event, Ringing)] == [Opened]
    assert rig.lines[0].opened[0].remote.path == ("msrp://c.test:2855/carol;tcp",)


async def test_an_early_answer_of_a_branch_that_loses_is_not_taken_for_the_answer(rig: CallRig) -> None:
    bob, carol = rig.peer("bob"), rig.peer("carol")
    await rig.call("sip:all@all.test")
    bob.invite.ring(rig.world.now, 183, "Progress", description=sdp(), reliable=True)
    await rig.settle()
    carol.invite.accept(rig.world.now, sdp("msrp://c.test:2855/carol;tcp"))
    await rig.settle()
    assert [agreement.remote.path for agreement in rig.lines[0].opened] == [("msrp://c.test:2855/carol;tcp",)]


async def test_an_early_answer_counts_when_its_branch_is_the_one_that_answers(rig: CallRig) -> None:
    bob = rig.peer("bob")
    await rig.call()
    bob.invite.ring(rig.world.now, 183, "Progress", description=sdp(), reliable=True)
    await rig.settle()
    assert not rig.lines[0].opened
    bob.invite.accept(rig.world.now)
    await rig.settle()
    assert rig.story == ["Ringing", "Opened"]


async def test_an_offer_in_an_early_dialog_is_to_be_made_again_later(rig: CallRig) -> None:
    bob = rig.peer("bob")
    await rig.call()
    bob.invite.ring(rig.world.now, 183, "Progress", description=sdp(), reliable=True)
    await rig.settle()
    bob.session_now.modify(sdp(version=2), rig.world.now, method="UPDATE")
    await rig.settle()
    assert "491 UPDATE" in rig.world.sent("alice")


async def test_a_redirected_call_is_made_to_where_it_is_sent_and_a_loop_ends(rig: CallRig) -> None:
    bob, carol = rig.peer("bob"), rig.peer("carol")
    await rig.call()
    bob.invite.reject(rig.world.now, 302, "Moved", (("Contact", "<sip:carol@carol.test>"),))
    await rig.settle()
    uri = parse_uri(carol.invite.request.uri)
    assert isinstance(uri, SipUri)
    assert uri.user == "carol"
    assert carol.invite.request.to.uri == "sip:bob@bob.test"
    carol.invite.reject(rig.world.now, 302, "Moved", (("Contact", "<sip:bob@bob.test>"),))
    await rig.settle()
    assert ended(rig) == (Cause.REFUSED, 302)


async def test_a_call_that_was_redirected_can_be_answered(rig: CallRig) -> None:
    bob, carol = rig.peer("bob"), rig.peer("carol")
    await rig.call()
    bob.invite.reject(rig.world.now, 302, "Moved", (("Contact", "<sip:carol@carol.test>"),))
    await rig.settle()
    carol.invite.accept(rig.world.now, sdp())
    await rig.settle()
    assert rig.story == ["Opened"]


async def test_who_gives_up_sends_cancel_and_the_end_is_his_own(rig: CallRig) -> None:
    bob = rig.peer("bob")
    session = await rig.call()
    bob.invite.ring(rig.world.now)
    await rig.settle()
    session.end()
    await rig.settle()
    assert "CANCEL" in rig.world.sent("alice")
    assert ended(rig) == (Cause.ENDED_HERE, 487)


async def test_a_call_whose_msrp_fails_while_it_rings_is_cancelled(rig: CallRig) -> None:
    bob = rig.peer("bob")
    session = await rig.call()
    bob.invite.ring(rig.world.now)
    await rig.settle()
    session.line_failed("the relay is gone")
    await rig.settle()
    assert "487 INVITE" in rig.world.sent("bob")
    assert ended(rig) == (Cause.MEDIA_FAILED, 0)


async def test_an_answer_that_does_not_fit_ends_the_call_with_bye(rig: CallRig) -> None:
    bob = rig.peer("bob")
    await rig.call()
    bob.invite.accept(rig.world.now, sdp(types="image/png"))
    await rig.settle()
    assert rig.world.sent("alice")[-1] == "BYE"
    assert ended(rig) == (Cause.NO_COMMON_TYPE, 488)


async def test_what_comes_before_the_answer_waits(rig: CallRig) -> None:
    rig.peer("bob")
    await rig.call()
    assert rig.lines[0].waits


async def test_a_call_that_is_turned_away_is_declined_with_our_status_and_forgotten(rig: CallRig) -> None:
    session, _ = await called(rig, sdp(), answer=False)
    session.reject(486, "Busy Here")
    await rig.settle()
    assert "486 INVITE" in rig.world.sent("alice")
    assert ended(rig) == (Cause.DECLINED, 486)
    assert not rig.endpoint._dialogs


@pytest.mark.parametrize(("status", "says_when"), [(480, True), (503, True), (486, False), (603, False)])
async def test_a_call_that_is_turned_away_for_now_says_when_to_try_again(
    rig: CallRig, status: int, says_when: bool
) -> None:
    session, _ = await called(rig, sdp(), answer=False)
    session.reject(status, "No")
    await rig.settle()
    response = rig.world.messages(f"{status} INVITE")[0]
    assert ("retry-after" in response) is says_when


async def test_a_call_that_its_caller_cancels_is_forgotten(rig: CallRig) -> None:
    bob = rig.peer("bob")
    client = call_from(bob, "sip:alice@alice.test", offer=sdp())
    await rig.settle()
    rig.heard(CallReceived)[0].session.ring()
    await rig.settle()
    client.cancel(rig.world.now)
    await rig.settle()
    assert ended(rig) == (Cause.CANCELLED, 487)
    assert not rig.endpoint._dialogs


async def test_what_the_caller_sends_before_his_ack_is_expected(rig: CallRig) -> None:
    await called(rig, sdp())
    assert rig.lines[0].expected
    assert rig.story == ["CallReceived", "Opened"]


async def test_a_session_that_is_ended_before_the_ack_gets_bye_after_it(rig: CallRig) -> None:
    session, _ = await called(rig, sdp(), answer=False)
    rig.world.lost = lambda message: getattr(message, "method", "") == "ACK"
    session.accept(MediaWish())
    await rig.settle()
    session.end()
    await rig.settle()
    assert "BYE" not in rig.world.sent("alice")
    rig.world.lost = lambda message: False
    await rig.settle(5.0)
    assert "BYE" in rig.world.sent("alice")
    assert ended(rig)[0] is Cause.ENDED_HERE


async def test_whoever_knows_the_dialog_of_a_200_can_end_it_where_nobody_has_the_session(rig: CallRig) -> None:
    noted: list[str] = []

    async def note(session: ChatSession, dialog: str) -> None:
        assert "200 INVITE" not in rig.world.sent("alice")
        noted.append(dialog)

    rig.endpoint.before_answer = note
    session, bob = await called(rig, sdp(), answer=False)
    rig.world.lost = lambda message: getattr(message, "method", "") == "ACK"
    session.accept(MediaWish())
    await rig.settle()
    assert "200 INVITE" in rig.world.sent("alice")
    # As if the pod were killed.
    session.let_go()
    assert session.answering is not None
    session.answering.invite.session.let_go(rig.world.now)
    rig.world.lost = lambda message: False
    rig.endpoint.hang_up(noted[0])
    await rig.settle()
    assert "BYE" in rig.world.sent("alice")
    assert bob.heard(SessionEnded)


async def test_a_caller_without_an_offer_gets_ours_and_answers_in_his_ack(rig: CallRig) -> None:
    session, bob = await called(rig, None)
    (offered,) = bob.heard(OfferReceived)
    assert f"a=path:{PATH[0]}".encode() in offered.offer
    bob.session_now.answer(sdp(), rig.world.now)
    await rig.settle()
    assert rig.story == ["CallReceived", "Opened"]
    assert rig.lines[0].waits
    assert session.accept_types == ("text/plain",)


async def test_an_answer_in_an_ack_that_does_not_fit_ends_the_session(rig: CallRig) -> None:
    _, bob = await called(rig, None)
    bob.session_now.answer(sdp(types="image/png"), rig.world.now)
    await rig.settle()
    assert "BYE" in rig.world.sent("alice")
    assert ended(rig) == (Cause.NO_COMMON_TYPE, 488)


async def test_a_path_that_changes_is_taken_and_answered(rig: CallRig) -> None:
    _, bob = await called(rig, sdp())
    bob.session.modify(sdp(REACHED_LATER, version=2), rig.world.now)
    await rig.settle()
    assert rig.lines[0].opened[-1].remote.path == (REACHED_LATER,)
    assert rig.story[-1] == "Changed"


async def test_an_offer_that_can_not_be_taken_leaves_the_session_as_it_was(rig: CallRig) -> None:
    session, bob = await called(rig, sdp())
    bob.session.modify(sdp(types="image/png", version=2), rig.world.now)
    await rig.settle()
    assert bob.heard(ChangeFailed)[0].response.status == 488
    assert session.accept_types == ("text/plain",)
    assert not rig.heard(Ended)


async def test_the_peer_holds_and_goes_on(rig: CallRig) -> None:
    session, bob = await open_call(rig)
    bob.session.modify(sdp("msrp://b.test:2855/theirs;tcp", "a=sendonly", version=2), rig.world.now)
    await rig.settle()
    assert session.held
    bob.session.modify(None, rig.world.now)
    await rig.settle()
    offered = bob.heard(OfferReceived)[-1].offer
    assert b"recvonly" not in offered
    bob.session.answer(sdp(version=3), rig.world.now)
    await rig.settle()
    assert not session.held


async def test_a_hold_that_the_peer_refuses_changes_nothing_and_can_be_tried_again(rig: CallRig) -> None:
    session, bob = await open_call(rig)
    session.hold(on=True)
    await rig.settle()
    bob.session.refuse(rig.world.now)
    await rig.settle()
    assert len(rig.heard(Changed)) == 1
    session.hold(on=True)
    await rig.settle()
    assert b"a=sendonly" in bob.heard(OfferReceived)[-1].offer
    bob.session.answer(sdp("msrp://b.test:2855/theirs;tcp", "a=recvonly", version=2), rig.world.now)
    await rig.settle()
    assert not session.held


async def test_a_hold_while_another_change_is_under_way_follows_it(rig: CallRig) -> None:
    session, bob = await open_call(rig)
    session.hold(on=True)
    session.hold(on=False)
    await rig.settle()
    bob.session.answer(sdp("msrp://b.test:2855/theirs;tcp", "a=recvonly", version=2), rig.world.now)
    await rig.settle()
    offers = bob.heard(OfferReceived)
    assert len(offers) == 2
    assert b"a=sendonly" not in offers[-1].offer


async def test_two_changes_that_cross_are_both_made_in_the_end(rig: CallRig) -> None:
    session, bob = await open_call(rig)
    session.hold(on=True)
    bob.session.modify(sdp(REACHED_LATER, version=2), rig.world.now)

    def answers(event: object) -> None:
        if isinstance(event, OfferReceived):
            bob.session.answer(sdp(REACHED_LATER, "a=recvonly", version=3), rig.world.now)

    bob.on_event = answers
    await rig.settle(20.0)
    assert "491 INVITE" in rig.world.sent()
    assert rig.lines[0].opened[-1].remote.path == (REACHED_LATER,)
    assert rig.lines[0].opened[-1].local.direction.value == "sendonly"
    assert not rig.heard(Ended)


async def test_nothing_is_held_of_a_session_that_is_not_open(rig: CallRig) -> None:
    rig.peer("bob")
    session = await rig.call()
    with pytest.raises(ConflictError):
        session.hold(on=True)


async def test_a_path_of_ours_that_has_changed_is_told_to_the_peer(rig: CallRig) -> None:
    session, bob = await open_call(rig)
    rig.lines[0].path = ("msrp://a.test:2855/another;tcp",)
    session.line_moved(rig.lines[0].path)
    await rig.settle()
    assert b"a=path:msrp://a.test:2855/another;tcp" in bob.heard(OfferReceived)[-1].offer
