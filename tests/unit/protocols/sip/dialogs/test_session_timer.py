"""Session timers: RFC 4028 (S38)."""

import pytest

from tests.support.sip_dialogs import ANSWER, Agent, World, call, established, losing
from wigwag.protocols.sip import Request, Response, SipError
from wigwag.protocols.sip.dialogs import CallFailed, DialogState, EndReason, OfferReceived, SessionEnded
from wigwag.protocols.sip.dialogs.alarms import Alarms
from wigwag.protocols.sip.dialogs.session_timer import SessionExpires, SessionTimer


def pair(ours: int, theirs: int, *, min_se: int = 90) -> tuple[World, Agent, Agent]:
    world = World()
    alice = world.agent("alice", session_expires=ours)
    return world, alice, world.agent("bob", session_expires=theirs, min_se=min_se)


def connected(ours: int, theirs: int, *, min_se: int = 90) -> tuple[World, Agent, Agent]:
    world, alice, bob = pair(ours, theirs, min_se=min_se)
    call(alice)
    bob.invite.accept(world.now, ANSWER)
    world.run()
    return world, alice, bob


def request(**fields: str) -> Request:
    base = [("Via", "SIP/2.0/UDP a.test;branch=z9hG4bK1"), ("CSeq", "1 INVITE")]
    return Request.create("INVITE", "sip:b@b.test", [*base, *((k.replace("_", "-"), v) for k, v in fields.items())])


def timer(wanted: int = 0, min_se: int = 90) -> SessionTimer:
    return SessionTimer(Alarms(), wanted=wanted, min_se=min_se, refresh=lambda now: None, expire=lambda now: None)


def test_the_caller_refreshes_at_half_the_interval_by_update() -> None:
    world, alice, bob = connected(200, 0)
    assert world.messages("200 INVITE")[0].get("session-expires") == "200;refresher=uac"
    assert "timer" in world.messages("200 INVITE")[0].items("require")
    world.run(350.0)
    assert world.moments("UPDATE") == [100.0, 200.0, 300.0]
    assert world.messages("UPDATE")[0].get("session-expires") == "200;refresher=uac"
    assert (alice.session_now.timer.refresher, bob.session_now.timer.refresher) == (True, False)


def test_a_peer_that_takes_no_update_is_refreshed_by_the_same_offer_again() -> None:
    world, alice, bob = pair(200, 0)
    bob.dialogs.options = type(bob.dialogs.options)(allow=("INVITE", "ACK", "BYE", "CANCEL"), session_expires=0)
    call(alice)
    bob.invite.accept(world.now, ANSWER)
    world.run()

    def on_event(event: object) -> None:
        if isinstance(event, OfferReceived):
            event.session.answer(ANSWER, world.now)

    bob.on_event = on_event
    world.run(150.0)
    assert world.moments("INVITE") == [0.0, 100.0]
    assert world.messages("INVITE")[1].body == world.messages("INVITE")[0].body
    world.run(100.0)
    assert bob.heard(SessionEnded) == []


def test_s38_an_interval_that_is_too_small_is_refused_422_and_asked_for_again() -> None:
    world, alice, bob = pair(100, 0, min_se=600)
    call(alice)
    refusal = world.messages("422 INVITE")[0]
    assert refusal.get("min-se") == "600"
    second = world.messages("INVITE")[1]
    assert (second.get("session-expires"), second.get("min-se"), second.cseq.number) == ("600", "600", 2)
    assert second.call_id == world.messages("INVITE")[0].call_id
    assert alice.heard(CallFailed) == []
    bob.invite.accept(world.now, ANSWER)
    world.run()
    assert alice.session_now.timer.interval == 600
    assert len(bob.dialogs.sessions) == 1


@pytest.mark.parametrize("least", [None, "50", "x"])
def test_s38_a_422_that_does_not_say_more_is_the_end(least: str | None) -> None:
    world, alice, bob = pair(100, 0)
    call(alice)
    bob.invite.reject(world.now, 422, "Too Small", () if least is None else (("Min-SE", least),))
    world.run()
    assert [event.response.status for event in alice.heard(CallFailed)] == [422]


def test_s38_a_cancelled_call_does_not_ask_again() -> None:
    world, alice, bob = pair(100, 0)
    client = call(alice)
    client.cancel(world.now)
    bob.invite.reject(world.now, 422, "Too Small", (("Min-SE", "1000"),))
    world.run()
    assert world.sent().count("INVITE") == 1
    assert [event.response.status for event in alice.heard(CallFailed)] == [422]


def test_s38_422_after_422_comes_to_an_end() -> None:
    world, alice, bob = pair(100, 0)
    call(alice)
    for number in range(20):
        if not bob.invite._incoming.answered:
            bob.invite.reject(world.now, 422, "Too Small", (("Min-SE", str(1000 + number)),))
        world.run()
    assert world.sent().count("INVITE") == 5
    assert len(alice.heard(CallFailed)) == 1


@pytest.mark.parametrize(("interval", "at"), [(300, 268.0), (90, 60.0)])
def test_s38_without_a_refresh_the_session_ends_by_bye_before_it_expires(interval: int, at: float) -> None:
    world, alice, bob = connected(interval, 0)
    world.lost = losing("UPDATE", 1000)
    alice.session_now.timer.stop()
    world.run(at - 0.1)
    assert bob.heard(SessionEnded) == []
    world.run(0.2)
    assert [event.reason for event in bob.heard(SessionEnded)] == [EndReason.EXPIRED]
    assert world.moments("BYE") == [at]


def test_a_refresh_that_nobody_answers_ends_the_session() -> None:
    world, alice, _ = connected(200, 0)
    world.lost = losing("UPDATE", 1000)
    world.run(140.0)
    assert [event.reason for event in alice.heard(SessionEnded)] == [EndReason.GONE]
    assert world.moments("BYE") == [132.0]


def test_a_refresh_that_is_refused_is_tried_again_until_the_session_expires() -> None:
    world, alice, bob = connected(200, 0)
    bob.session_now.timer.check = _refuse  # type: ignore[method-assign]
    world.run(190.0)
    moments = world.moments("UPDATE")
    assert moments[:3] == [100.0, 134.0, 151.0]
    assert len(moments) < 10
    assert {event.reason for event in alice.heard(SessionEnded)} == {EndReason.EXPIRED}
    assert world.moments("BYE") == [168.0, 168.0] or world.moments("BYE") == [168.0]


def _refuse(request: Request) -> None:
    raise SipError("not now", status=503)


def test_a_callee_that_wants_a_timer_gets_the_caller_to_refresh() -> None:
    world, alice, _ = connected(0, 300)
    assert world.messages("INVITE")[0].get("session-expires") is None
    assert world.messages("200 INVITE")[0].get("session-expires") == "300;refresher=uac"
    assert alice.session_now.timer.refresher


def test_two_who_want_no_timer_have_none() -> None:
    world, alice, bob = connected(0, 0)
    assert world.messages("200 INVITE")[0].get("session-expires") is None
    assert alice.session_now.timer.interval == bob.session_now.timer.interval == 0


@pytest.mark.parametrize(
    ("fields", "expected", "refresher"),
    [
        ({"Session_Expires": "300"}, "300;refresher=uas", True),
        ({"Session_Expires": "300;refresher=uac", "Supported": "timer"}, "300;refresher=uac", False),
        ({"Session_Expires": "300;refresher=uas", "Supported": "timer"}, "300;refresher=uas", True),
        ({"Session_Expires": "300", "Supported": "timer"}, "300;refresher=uac", False),
        ({"Session_Expires": "300 ; Refresher=UAS", "Supported": "100rel, TIMER"}, "300;refresher=uas", True),
        ({"Session_Expires": "10"}, "90;refresher=uas", True),
        ({"Supported": "timer", "Min_SE": "4000"}, "4000;refresher=uac", False),
    ],
)
def test_roles_are_those_of_table_2(fields: dict[str, str], expected: str, refresher: bool) -> None:
    made = timer(1800)
    answer = dict(made.answer(request(**fields), 0.0))
    assert answer["Session-Expires"] == expected
    assert ("Require" in answer) == ("Supported" in fields)
    assert made.refresher == refresher


def test_one_who_does_not_support_timers_is_not_refused_for_a_proxys_interval() -> None:
    timer().check(request(Session_Expires="30"))
    with pytest.raises(SipError) as caught:
        timer().check(request(Session_Expires="30", Supported="timer"))
    assert caught.value.status == 422


@pytest.mark.parametrize("value", ["x", "", "-1", "99999999999"])
def test_an_interval_that_is_no_number_is_refused(value: str) -> None:
    with pytest.raises(SipError):
        SessionExpires.of(request(Session_Expires=value))


def test_a_2xx_with_an_absurd_interval_does_not_make_us_refresh_all_the_time() -> None:
    made = timer(1800)
    made.answered(Response.to_request(request(), 200, "OK", fields=(("Session-Expires", "1;refresher=uac"),)), 0.0)
    assert made.interval == 90


def test_a_restored_session_is_refreshed_at_once_by_its_refresher() -> None:
    world, alice, bob = established(session_expires=300)
    state = alice.session_now.to_state()
    assert (state.session_expires, state.refresher, state.update_allowed) == (300, True, True)
    alice.session_now.timer.stop()
    alice.dialogs.sessions.clear()
    alice.dialogs.restore(DialogState.from_json(state.to_json()), alice.place, world.now)
    world.run()
    assert world.sent() == ["UPDATE", "200 UPDATE"]
    assert bob.session_now.timer.interval == 300
