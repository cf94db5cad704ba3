"""MESSAGEs into sessions: one call, order, nothing twice, whoever is killed and whatever comes late or again."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import pytest

from tests.support.gateway_content import COMPOSING
from tests.support.gateway_world import ALICE, BOB, ENDED, OPEN, GatewayWorld, Killed, refused
from tests.support.waiting import until
from wigwag.api.ua.v1 import session_pb2
from wigwag.bus import Position
from wigwag.database.ledger import LedgerRow, State
from wigwag.errors import OverloadedError, ServiceError
from wigwag.gateway.rows import Rows
from wigwag.runtime.events import PAGER_INBOUND, SESSIONS_EVENTS

DECLINED = session_pb2.END_CAUSE_DECLINED
BUSY = session_pb2.END_CAUSE_BUSY
LOST = session_pb2.END_CAUSE_POD_LOST
BY_PEER = session_pb2.END_CAUSE_ENDED_BY_PEER


async def talking(world: GatewayWorld, *texts: str) -> session_pb2.Session:
    """Let Alice write, and Bob take the call."""
    for text in texts or ("first",):
        await world.writes(text)
    await world.run()
    await world.opens(world.last_call)
    await world.run()
    return world.last_call


async def test_many_messages_at_once_are_one_call_and_keep_their_order(world: GatewayWorld) -> None:
    session = await talking(world, "one", "two", "three")
    assert len(set(world.agents.made("start"))) == 1
    assert await world.handed(session) == ["one", "two", "three"]


async def test_a_message_that_is_delivered_there_is_delivered(world: GatewayWorld) -> None:
    session = await talking(world)
    await world.answers("m1")
    await world.run()
    assert await world.state("m1") == (State.DELIVERED, 200)
    assert session.state == OPEN


async def test_messages_that_were_claimed_and_not_handed_on_are_handed_on_by_the_next_pod(world: GatewayWorld) -> None:
    for text in ("one", "two", "three"):
        await world.writes(text)
    await world.run()
    await world.opens(world.last_call)
    world.agents.failures["send"] = [Killed()]
    await world.killed()
    assert await world.handed(world.last_call) == []
    await world.run()
    assert await world.handed(world.last_call) == ["one", "two", "three"]


async def test_messages_that_were_handed_on_before_a_kill_and_never_acknowledged_are_so_once_more_and_are_the_same(
    world: GatewayWorld,
) -> None:
    for text in ("one", "two"):
        await world.writes(text)
    await world.run()
    await world.opens(world.last_call)
    world.agents.after["send"] = [Killed()]
    await world.killed()
    await world.run()
    assert await world.handed(world.last_call) == ["one", "two"]
    assert world.agents.made("send") == [world.last_call.session_id] * 2


async def test_a_message_that_was_handed_on_before_a_kill_is_not_said_again_though_the_peer_takes_another_type_by_now(
    world: GatewayWorld,
) -> None:
    session = await talking(world, "one")
    world.start_pod()
    session.accept_types[:], session.accept_wrapped_types[:] = ["message/cpim"], ["*"]
    await world.writes("two")
    await world.run()
    assert world.agents.made("start") == [session.session_id]
    one, two = await world.handed(session)
    assert (one, two.rpartition("\n")[2]) == ("one", "two")
    for message_id in ("m1", "m2"):
        await world.answers(message_id)
    await world.run()
    assert [await world.state(message_id) for message_id in ("m1", "m2")] == [(State.DELIVERED, 200)] * 2


async def failing_at(world: GatewayWorld, text: str, error: Exception) -> session_pb2.Session:
    """Let a message come at which ua fails, after one that was delivered; its record is handled once and given up."""
    session = await talking(world, "one")
    await world.answers("m1")
    await world.run()
    await world.writes(text)
    world.agents.fails_at[text.encode()] = error
    with pytest.raises(type(error)):
        await world.run()
    return session


async def test_a_message_at_which_ua_has_failed_is_tried_again_after_its_record_was_given_up(
    world: GatewayWorld,
) -> None:
    session = await failing_at(world, "two", ServiceError("INTERNAL"))
    world.agents.fails_at.clear()
    await world.later(30.0)
    assert await world.handed(session) == ["one", "two"]


async def test_a_message_at_which_ua_always_fails_is_told_so_and_lets_the_next_pass(world: GatewayWorld) -> None:
    session = await failing_at(world, "two", ServiceError("INTERNAL"))
    await world.writes("three")
    for _ in range(20):
        with suppress(ServiceError):
            await world.later(301.0)
    assert await world.state("m2") == (State.FAILED, 500)
    assert await world.handed(session) == ["one", "three"]


async def test_a_message_that_ua_may_have_is_not_given_back(world: GatewayWorld) -> None:
    session = await failing_at(world, "two", OverloadedError("no answer"))
    assert (await world.row("m2")).owner == session.session_id


async def test_that_somebody_writes_fails_no_more_once_ua_has_it_though_a_killed_pod_was_not_told_so(
    world: GatewayWorld,
) -> None:
    await talking(world)
    world.agents.after["send"] = [Killed()]
    message_id = await world.writes(COMPOSING, content_type="application/im-iscomposing+xml")
    await world.killed()
    world.clock.now += 600.0
    await world.run()
    await world.answers(message_id)
    await world.run()
    assert await world.state(message_id) == (State.DELIVERED, 200)


async def test_messages_that_ua_has_acknowledged_are_not_handed_on_again_when_their_conversation_is_looked_at(
    world: GatewayWorld,
) -> None:
    session = await talking(world)
    await world.again(PAGER_INBOUND.name)
    assert world.agents.made("send") == [session.session_id]


async def test_a_record_that_comes_again_calls_nobody_when_its_message_has_its_outcome(world: GatewayWorld) -> None:
    session = await talking(world)
    await world.answers("m1")
    await world.ends(session, BY_PEER)
    await world.run()
    await world.again(PAGER_INBOUND.name, 0)
    assert world.agents.made("start") == [session.session_id]


async def test_a_record_that_comes_again_is_one_message_to_devices(world: GatewayWorld) -> None:
    await world.registers(ALICE, params=';methods="MESSAGE"')
    await world.writes(sender=BOB, recipient=ALICE)
    await world.run()
    await world.again(PAGER_INBOUND.name)
    assert [(each.message_id, each.attempt) for each in world.asked()] == [("m1", 1)]


async def test_a_message_that_went_along_with_the_first_one_is_not_sent_again_for_its_own_record(
    world: GatewayWorld,
) -> None:
    await world.registers(ALICE, params=';methods="MESSAGE"')
    for text in ("one", "two", "three"):
        await world.writes(text, sender=BOB, recipient=ALICE)
    await world.run()
    assert [(each.message_id, each.attempt) for each in world.asked()] == [("m1", 1), ("m2", 1), ("m3", 1)]


async def test_messages_that_went_along_with_the_first_one_are_not_looked_for_each_by_its_own_record(
    world: GatewayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await talking(world)
    looks: list[str] = []
    waiting = Rows.waiting

    async def counted(rows: Rows, conversation: str, direction: str) -> list[LedgerRow]:
        looks.append(conversation)
        return await waiting(rows, conversation, direction)

    monkeypatch.setattr(Rows, "waiting", counted)
    texts = [f"text {number}" for number in range(8)]
    for text in texts:
        await world.writes(text)
    await world.run(assignment=1)
    assert await world.handed(session) == ["first", *texts]
    assert len(looks) == 1


async def test_messages_that_come_together_are_claimed_and_handed_on_together(
    world: GatewayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.in_groups = True
    session = await talking(world)
    claimed: list[list[str]] = []
    claim = Rows.claim

    async def counted(rows: Rows, wanted: Iterable[tuple[str, float]], owner: str, token: int) -> dict[str, int]:
        found = await claim(rows, wanted, owner, token)
        claimed.append(list(found))
        return found

    monkeypatch.setattr(Rows, "claim", counted)
    sends = len(world.agents.made("send"))
    for text in ("one", "two", "three"):
        await world.writes(text)
    await world.run()
    assert await world.handed(session) == ["first", "one", "two", "three"]
    assert claimed == [["m2", "m3", "m4"]]
    assert len(world.agents.made("send")) == sends + 1


async def test_a_group_in_which_a_message_comes_again_hands_on_each_once(world: GatewayWorld) -> None:
    world.in_groups = True
    session = await talking(world)
    await world.writes("one")
    await world.publish()
    record = [each for each in world.bus.records if each.topic == PAGER_INBOUND.name][-1]
    await world.consuming.handle(record)
    await world.writes("two")
    await world.publish()
    await world.bus.publish(record.topic, record.value, key=record.key)
    await world.run()
    assert await world.handed(session) == ["first", "one", "two"]


async def test_what_was_not_sent_waits_again_once_those_before_it_have_their_outcome(world: GatewayWorld) -> None:
    world.in_groups = True
    await talking(world, "one", "two")
    await world.answers("m1")
    await world.answers("m2", State.FAILED, 0)
    published, publish = [], world.bus.publish

    async def watched(topic: str, value: bytes, **more: Any) -> Position:
        if topic == PAGER_INBOUND.name:
            published.append((await world.row("m1")).state)
        return await publish(topic, value, **more)

    world.bus.publish = watched  # type: ignore[method-assign]
    await world.run()
    assert published == [State.DELIVERED]


async def test_a_call_that_can_never_be_made_fails_its_message_and_the_next_begins_anew(world: GatewayWorld) -> None:
    world.agents.failures["start"] = [refused("request_uri: no such scheme")]
    await world.writes()
    await world.run()
    assert await world.state("m1") == (State.FAILED, 400)
    assert (await world.conversation()).state == "closed"
    await talking(world, "again")
    assert await world.handed(world.last_call) == ["again"]


async def test_a_call_that_the_user_agent_has_lost_is_made_again(world: GatewayWorld) -> None:
    await world.writes("one")
    await world.run()
    del world.agents.sessions[world.last_call.session_id]
    await world.later(11.0)
    assert len(set(world.agents.made("start"))) == 2
    await world.opens(world.last_call)
    await world.run()
    assert await world.handed(world.last_call) == ["one"]


async def test_a_call_whose_end_nobody_told_is_made_again(world: GatewayWorld) -> None:
    await world.writes("one")
    await world.run()
    session = world.last_call
    session.state = ENDED
    session.ended_at.FromMicroseconds(round(world.clock() * 1e6))
    await world.later(11.0)
    await world.later(11.0)
    await world.opens(world.last_call)
    await world.run()
    assert world.last_call is not session
    assert await world.handed(world.last_call) == ["one"]


async def test_messages_that_came_back_from_a_session_go_before_those_that_came_later(world: GatewayWorld) -> None:
    session = await talking(world, "one", "two")
    world.held = {SESSIONS_EVENTS.name}
    await world.ends(session, BY_PEER)
    await world.writes("three")
    await world.run()
    await world.answers("m1", State.FAILED)
    await world.answers("m2", State.FAILED)
    world.held = set()
    await world.run()
    assert world.last_call is not session
    await world.opens(world.last_call)
    await world.run()
    assert await world.handed(world.last_call) == ["one", "two", "three"]


async def test_what_waits_goes_on_when_what_was_in_the_earlier_session_has_arrived_there(world: GatewayWorld) -> None:
    session = await talking(world, "one")
    await world.ends(session, BY_PEER)
    await world.run()
    await world.writes("two")
    await world.run()
    assert world.last_call is session
    await world.answers("m1")
    await world.run()
    await world.opens(world.last_call)
    await world.run()
    assert await world.handed(world.last_call) == ["two"]
    assert await world.state("m1") == (State.DELIVERED, 200)


async def test_late_news_of_an_earlier_session_takes_nothing_back(world: GatewayWorld) -> None:
    session = await talking(world, "one")
    await world.ends(session, BY_PEER)
    await world.answers("m1", State.FAILED)
    await world.run()
    await world.opens(world.last_call)
    await world.run()
    attempt = (await world.row("m1")).attempt
    failed = next(
        number
        for number, each in enumerate(world.bus.of(SESSIONS_EVENTS.name))
        if each.session_event.event.message_changed.reference == "m1"
        and each.session_event.event.message_changed.session_id == session.session_id
        and each.session_event.event.message_changed.version > 1
    )
    await world.again(SESSIONS_EVENTS.name, failed)
    row = await world.row("m1")
    assert (row.attempt, row.owner) == (attempt, world.last_call.session_id)
    assert await world.handed(world.last_call) == ["one"]


async def test_a_session_that_others_have_replaced_meanwhile_stays(world: GatewayWorld) -> None:
    session = await talking(world, "one")
    await world.answers("m1")
    await world.run()
    pod, consuming = world.gateway, world.consuming
    world.start_pod()
    newer = await world.calls()
    await world.run()
    await world.opens(newer)
    await world.run()
    session.state = ENDED
    world.gateway, world.consuming = pod, consuming  # It still believes in the first one.
    await world.writes("two")
    await world.run()
    assert await world.handed(newer) == ["two"]
    assert (await world.conversation()).session_id == newer.session_id


async def test_a_pod_that_gets_a_partition_back_looks_at_what_others_have_left(world: GatewayWorld) -> None:
    await world.registers(BOB, params=';methods="MESSAGE"')
    await world.writes("one")
    await world.run(assignment=1)
    await world.sends()
    pod = (world.gateway, world.consuming, world.waking)
    world.start_pod()
    await world.writes("two")
    await world.run()
    await world.sends(-1, State.FAILED, 480, sent=False)
    world.gateway, world.consuming, world.waking = pod
    world.clock.now += 5.0
    await world.writes("three")
    await world.run(assignment=2)
    assert [each.message_id for each in world.asked()] == ["m1", "m2", "m2", "m3"]


async def test_messages_fail_with_the_status_of_a_call_that_was_declined(world: GatewayWorld) -> None:
    await world.writes("one")
    await world.run()
    await world.ends(world.last_call, DECLINED, 603)
    await world.run()
    assert await world.state("m1") == (State.FAILED, 603)
    assert [list(each.message_ids) for each in world.failures()] == [["m1"]]


async def test_who_takes_a_message_neither_way_is_not_asked_for_ever(world: GatewayWorld) -> None:
    await world.registers(BOB)
    await world.writes("one", reason="session-mode")
    await world.run()
    no_common_type = session_pb2.END_CAUSE_NO_COMMON_TYPE
    await world.ends(world.last_call, no_common_type, 488)
    await world.run()
    await world.sends(-1, State.FAILED, 405, sent=False)
    await world.later(60.0)
    await world.ends(world.last_call, no_common_type, 488)
    await world.run()
    assert await world.state("m1") == (State.FAILED, 488)
    assert len(world.asked()) == 1


async def test_the_next_message_after_a_declined_one_calls_at_once(world: GatewayWorld) -> None:
    await world.writes("one")
    await world.run()
    await world.ends(world.last_call, DECLINED, 603)
    await world.run()
    await talking(world, "two")
    assert await world.handed(world.last_call) == ["two"]


async def test_the_end_of_a_call_that_is_told_again_fails_nothing_that_came_later(world: GatewayWorld) -> None:
    await world.writes("one")
    await world.run()
    await world.ends(world.last_call, DECLINED, 603)
    await world.run()
    ended = len(world.bus.of(SESSIONS_EVENTS.name)) - 1
    session = await talking(world, "two")
    await world.again(SESSIONS_EVENTS.name, ended)
    assert (await world.state("m2"))[0] is State.ACCEPTED
    assert await world.handed(session) == ["two"]


async def test_a_failed_call_is_told_under_the_same_identity_however_often(world: GatewayWorld) -> None:
    await world.writes("one")
    await world.run()
    await world.ends(world.last_call, DECLINED, 603)
    await world.run()
    await world.again(SESSIONS_EVENTS.name)
    told = world.bus.of("wigwag.gateway.events")
    assert len({each.event_id for each in told if each.HasField("gateway_setup_failed")}) == 1


async def test_somebody_busy_is_called_again_after_a_pause_and_not_for_ever(world: GatewayWorld) -> None:
    await world.writes("one")
    await world.run()
    for _ in range(5):
        await world.ends(world.last_call, BUSY, 486)
        await world.run()
        await world.later(301.0)
    assert len(set(world.agents.made("start"))) == 5
    assert await world.state("m1") == (State.FAILED, 486)


@pytest.mark.parametrize("settings", [{"setup": {"pause": 0.05}}])
async def test_somebody_busy_is_called_again_when_the_pause_is_over_though_nobody_looks(
    world: GatewayWorld, settings: dict[str, object]
) -> None:
    world.settings = type(world.settings).model_validate(settings)
    world.start_pod()
    await world.writes("one")
    await world.run()
    before = len(world.bus.of(PAGER_INBOUND.name))
    world.held.add(PAGER_INBOUND.name)
    await world.ends(world.last_call, BUSY, 486)
    await world.run()
    await until(lambda: len(world.bus.of(PAGER_INBOUND.name)) > before)
    world.clock.now += 0.05
    world.held.clear()
    await world.run()
    assert len(set(world.agents.made("start"))) == 2


async def test_who_was_busy_for_one_message_is_tried_as_often_for_the_next(world: GatewayWorld) -> None:
    await test_somebody_busy_is_called_again_after_a_pause_and_not_for_ever(world)
    await world.writes("two")
    await world.run()
    await world.ends(world.last_call, BUSY, 486)
    await world.run()
    assert (await world.state("m2"))[0] is State.ACCEPTED


async def test_a_call_whose_pod_was_lost_is_made_again_at_once(world: GatewayWorld) -> None:
    await world.writes("one")
    await world.run()
    await world.ends(world.last_call, LOST)
    await world.run()
    assert len(set(world.agents.made("start"))) == 2


async def test_who_registers_is_called_without_a_pause(world: GatewayWorld) -> None:
    await world.writes("one")
    await world.run()
    await world.ends(world.last_call, session_pb2.END_CAUSE_TIMEOUT, 408)
    await world.run()
    assert len(set(world.agents.made("start"))) == 1
    await world.waking.registered(BOB, "phone")
    await world.run()
    assert len(set(world.agents.made("start"))) == 2


@pytest.mark.parametrize(("reason", "state"), [("route", State.FAILED), ("absent", State.ACCEPTED)])
async def test_where_nothing_waits_for_sessions_a_route_to_somebody_absent_fails_and_he_is_told(
    world: GatewayWorld, reason: str, state: State
) -> None:
    world.settings = type(world.settings).model_validate({"setup": {"absent": "fail"}})
    world.start_pod()
    await world.writes("one", sender=BOB, recipient=ALICE, reason=reason)
    await world.run()
    assert (await world.state("m1"))[0] is state
    told = await world.ledger.find("m1.delivery")
    assert (told is not None and b"can't be reached (480)" in (told.body or b"")) == (state is State.FAILED)


@pytest.mark.parametrize("settings", [{"limits": {"conversations_per_user": 1}}])
async def test_too_many_conversations_are_told_with_480(world: GatewayWorld, settings: dict[str, object]) -> None:
    world.settings = type(world.settings).model_validate(settings)
    world.start_pod()
    await world.writes("one")
    await world.run()
    await world.writes("two", sender="sip:carol@example.com")
    await world.run()
    assert await world.state("m2") == (State.FAILED, 480)
    notice = await world.row("m2.delivery")
    assert b"not delivered" in (notice.body or b"")
    await world.opens(world.last_call)
    await world.run()
    assert await world.handed(world.last_call) == ["one"]


@pytest.mark.parametrize("settings", [{"limits": {"conversations_per_user": 1}}])
async def test_nobody_is_told_how_many_conversations_another_one_has(
    world: GatewayWorld, settings: dict[str, object]
) -> None:
    world.settings = type(world.settings).model_validate(settings)
    world.start_pod()
    await world.writes("one")
    await world.run()
    await world.writes("two", sender="sip:carol@example.com")
    await world.run()
    assert (await world.row("m2")).reason == "Temporarily Unavailable: too many conversations"
    called = await world.calls(caller="sip:carol@example.com")
    await world.run()
    assert (called.sip_status, called.sip_reason) == (480, "Temporarily Unavailable: too many conversations")


@pytest.mark.parametrize("number", ["+12015550123", "112", "2015;phone-context=example.com"])
async def test_a_message_to_a_telephone_number_goes_into_a_session(world: GatewayWorld, number: str) -> None:
    await world.writes("one", recipient=number, reason="route")
    await world.run()
    assert world.last_call.remote_uri == f"tel:{number}"
    await world.opens(world.last_call)
    await world.run()
    assert await world.handed(world.last_call) == ["one"]


@pytest.mark.parametrize("number", ["+12015550123", "2015;phone-context=example.com"])
async def test_who_writes_from_a_telephone_number_is_told_there_of_a_failure(world: GatewayWorld, number: str) -> None:
    await world.writes("one", sender=number)
    await world.run()
    await world.ends(world.last_call, DECLINED, 603)
    await world.run()
    (told,) = (each for each in world.asked() if each.message_id == "m1.delivery")
    assert told.to_uri == f"tel:{number}"
    assert len(world.agents.made("start")) == 1


async def test_a_telephone_that_takes_no_message_is_told_in_a_session(world: GatewayWorld) -> None:
    await world.writes("one", sender="+12015550123")
    await world.run()
    await world.ends(world.last_call, DECLINED, 603)
    await world.run()
    await world.sends(-1, State.FAILED, 405, sent=False)
    assert len(world.asked()) == 1
    assert world.last_call.remote_uri == "tel:+12015550123"


async def test_a_message_to_what_is_no_address_fails_and_holds_up_nobody(world: GatewayWorld) -> None:
    await world.writes("one", recipient="no address", reason="route")
    await world.writes("two")
    world.held = {PAGER_INBOUND.name}
    await world.run()
    await world.later(30.0)
    world.held = set()
    await world.run()
    assert await world.state("m1") == (State.FAILED, 404)
    assert len(world.agents.made("start")) == 1
