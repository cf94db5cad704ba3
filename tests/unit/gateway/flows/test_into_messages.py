"""Messages of sessions as MESSAGEs: what their senders are told, whoever is killed and whatever comes late or again."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support.gateway_content import COMPOSING, cpim
from tests.support.gateway_world import ALICE, ENDED, KEY, OPEN, WEEK, GatewayWorld, Killed
from wigwag.api.ua.v1 import session_pb2
from wigwag.database.ledger import State
from wigwag.gateway.rows import GRACE
from wigwag.runtime.events import PAGER_OUTBOUND, PAGER_RESULTS, SESSIONS_EVENTS
from wigwag.runtime.ua_messages import STATES

IMDN = (
    "NS: imdn <urn:ietf:params:imdn>\r\n"
    "imdn.Message-ID: 34jk324j\r\n"
    "imdn.Disposition-Notification: positive-delivery\r\n"
)


async def called(world: GatewayWorld, *devices: str) -> session_pb2.Session:
    """Let Bob call Alice, whose devices take MESSAGE."""
    await world.registers(ALICE, *devices, params=';methods="MESSAGE"')
    session = await world.calls()
    await world.run()
    await world.opens(session)
    await world.run()
    return session


async def test_each_message_is_a_message_and_its_outcome_is_reported(world: GatewayWorld) -> None:
    session = await called(world)
    await world.says(session, "hi")
    await world.run()
    (asked,) = world.asked()
    assert (asked.body, asked.from_uri, asked.to_uri) == (b"hi", session.remote_uri, ALICE)
    await world.sends()
    assert world.agents.settled == [("u1", State.DELIVERED, 200, "200 words")]


@pytest.mark.parametrize(("status", "reported"), [(603, 403), (415, 415), (513, 413), (405, 501)])
async def test_a_refusal_is_reported(world: GatewayWorld, status: int, reported: int) -> None:
    await world.says(await called(world))
    await world.run()
    await world.sends(-1, State.FAILED, status)
    assert world.agents.settled == [("u1", State.FAILED, reported, f"{status} words")]


async def test_silence_is_reported_as_408(world: GatewayWorld) -> None:
    await world.says(await called(world))
    await world.run()
    await world.sends(-1, State.UNCONFIRMED, 408)
    assert world.agents.settled == [("u1", State.UNCONFIRMED, 408, "408 words")]


async def test_a_result_that_comes_again_is_told_with_the_same_words_at_most(world: GatewayWorld) -> None:
    await world.says(await called(world))
    await world.run()
    await world.sends()
    await world.again(PAGER_RESULTS.name)
    assert {told[1] for told in world.agents.settled} == {State.DELIVERED}
    assert len(world.asked()) == 1


def not_told_at_first(world: GatewayWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the pod of ua that writes the first outcome down be killed before it tells the sender."""
    settle = world.agents.settle

    async def write(*args: Any, **fields: Any) -> None:
        monkeypatch.setattr(world.agents, "settle", settle)
        await settle(*args, **fields)
        world.agents.settled.clear()
        raise Killed

    monkeypatch.setattr(world.agents, "settle", write)


@pytest.mark.parametrize(("state", "status", "told"), [
    (State.DELIVERED, 200, (State.DELIVERED, 200)),
    (State.FAILED, 603, (State.FAILED, 403)),
    (State.UNCONFIRMED, 408, (State.UNCONFIRMED, 408)),
])  # fmt: skip
async def test_an_outcome_that_was_written_down_and_not_told_is_told_when_its_result_comes_again(
    world: GatewayWorld, monkeypatch: pytest.MonkeyPatch, state: State, status: int, told: tuple[State, int]
) -> None:
    await world.says(await called(world))
    await world.run()
    not_told_at_first(world, monkeypatch)
    with pytest.raises(Killed):
        await world.sends(-1, state, status)
    world.start_pod()
    await world.run()
    ((message_id, *outcome),) = world.agents.settled
    assert (message_id, *outcome[:2]) == ("u1", *told)


async def test_a_refusal_that_was_written_down_and_not_told_is_told_when_its_message_comes_again(
    world: GatewayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await called(world)
    not_told_at_first(world, monkeypatch)
    await world.says(session, b"no message", "message/cpim")
    with pytest.raises(Killed):
        await world.run()
    world.start_pod()
    await world.run()
    ((message_id, *outcome),) = world.agents.settled
    assert (message_id, *outcome[:2]) == ("u1", State.FAILED, 400)


async def test_what_was_claimed_and_not_asked_for_is_asked_for_by_the_next_pod(world: GatewayWorld) -> None:
    session = await called(world)
    for text in ("one", "two"):
        await world.says(session, text)
    publish = world.bus.publish
    killed: list[str] = []

    async def dies(topic: str, *args: object, **fields: object) -> object:
        if topic == PAGER_OUTBOUND.name and not killed:
            killed.append(topic)
            raise Killed
        return await publish(topic, *args, **fields)  # type: ignore[arg-type]

    world.bus.publish = dies  # type: ignore[method-assign, assignment]
    await world.killed()
    await world.run()
    assert [(each.body, each.attempt) for each in world.asked()] == [(b"one", 1), (b"two", 1)]


async def test_messages_for_who_is_absent_wait_and_are_sent_in_order_when_he_registers(world: GatewayWorld) -> None:
    session = await world.calls()
    await world.run()
    await world.opens(session)
    for text in ("one", "two"):
        await world.says(session, text)
    await world.run()
    assert world.asked() == []
    await world.registers(ALICE, params=';methods="MESSAGE"')
    await world.waking.registered(ALICE, "phone")
    await world.run()
    assert [each.body for each in world.asked()] == [b"one", b"two"]


async def test_what_waits_of_a_session_that_nobody_knows_any_more_is_sent_all_the_same(world: GatewayWorld) -> None:
    session = await world.calls()
    await world.run()
    await world.opens(session)
    await world.says(session, "one")
    await world.run()
    del world.agents.sessions[session.session_id]
    world.start_pod()
    await world.registers(ALICE, params=';methods="MESSAGE"')
    await world.waking.registered(ALICE, "phone")
    await world.run()
    (asked,) = world.asked()
    assert (asked.body, asked.conversation) == (b"one", KEY)


async def test_who_registers_again_after_nobody_was_reached_gets_it_at_once(world: GatewayWorld) -> None:
    await world.says(await called(world))
    await world.run()
    await world.sends(-1, State.FAILED, 480, sent=False)
    assert world.agents.settled == []
    await world.waking.registered(ALICE, "phone")
    await world.run()
    assert [each.attempt for each in world.asked()] == [1, 2]
    await world.sends()
    assert world.agents.settled == [("u1", State.DELIVERED, 200, "200 words")]


async def test_an_attempt_that_is_over_decides_nothing_about_a_later_one(world: GatewayWorld) -> None:
    await world.says(await called(world))
    await world.run()
    await world.sends(-1, State.FAILED, 480, sent=False)
    await world.waking.registered(ALICE, "phone")
    await world.run()
    await world.again(PAGER_RESULTS.name, 0)
    row = await world.row("u1")
    assert (row.state, row.owner, row.attempt) == (State.ACCEPTED, "page", 2)
    assert len(world.asked()) == 2


async def test_a_device_that_takes_no_cpim_gets_what_is_inside_once(world: GatewayWorld) -> None:
    await world.says(await called(world), cpim(head=IMDN), "message/cpim")
    await world.run()
    await world.sends(-1, State.FAILED, 415)
    assert [(each.content_type, each.body) for each in world.asked()][1:] == [("text/plain", b"Hello")]
    await world.sends(-1, State.FAILED, 415)
    assert world.agents.settled == [("u1", State.FAILED, 415, "415 words")]
    assert len(world.asked()) == 2


async def test_a_device_that_takes_no_cpim_gets_what_is_inside_after_a_kill_too(world: GatewayWorld) -> None:
    await world.says(await called(world), cpim(head=IMDN), "message/cpim")
    await world.run()
    await world.sends(-1, State.FAILED, 415)
    await world.sends(-1, State.FAILED, 480, sent=False)
    world.start_pod()
    await world.waking.registered(ALICE, "phone")
    await world.run()
    assert [each.content_type for each in world.asked()] == ["message/cpim", "text/plain", "text/plain"]


async def test_somebody_who_writes_is_told_while_it_is_of_use_only(world: GatewayWorld) -> None:
    session = await called(world)
    world.held = {SESSIONS_EVENTS.name}
    await world.says(session, COMPOSING, "application/im-iscomposing+xml")
    await world.run()
    world.held = set()
    world.clock.now += 91.0
    await world.run()
    assert world.asked() == []
    assert world.agents.settled == [("u1", State.FAILED, 403, "480 nobody writes any more")]


async def test_a_message_whose_time_has_run_out_meanwhile_harms_nothing_behind_it(world: GatewayWorld) -> None:
    session = await called(world)
    await world.says(session, b"late")
    await world.agents.settle("u1", STATES[State.EXPIRED])
    await world.says(session, "behind it")
    await world.run()
    assert [each.body for each in world.asked()] == [b"behind it"]


async def test_all_devices_get_what_waited_or_the_first_by_setting(world: GatewayWorld) -> None:
    for store, bindings in (("all", []), ("first", ["tablet"])):
        world.settings = world.settings.model_copy(update={"store": store})
        world.start_pod()
        session = await world.calls(f"in-{store}")
        await world.run()
        await world.opens(session)
        await world.says(session)
        await world.run()
        await world.registers(ALICE, "phone", "tablet", params=';methods="MESSAGE"')
        await world.waking.registered(ALICE, "tablet")
        await world.run()
        assert list(world.asked()[-1].bindings) == bindings
        await world.sends()
        await world.store.remove_bindings(ALICE)


async def test_a_message_that_was_never_away_goes_to_all_devices(world: GatewayWorld) -> None:
    world.settings = world.settings.model_copy(update={"store": "first"})
    world.start_pod()
    await world.says(await called(world, "phone", "tablet"))
    await world.run()
    assert list(world.asked()[0].bindings) == []


async def test_devices_that_take_no_message_are_left_out(world: GatewayWorld) -> None:
    session = await called(world, "phone")
    registration = (await world.store.find_registrations([ALICE]))[ALICE]
    tv = replace(registration.bindings[0], key="tv", contact="sip:tv@192.0.2.9", params=';methods="INVITE"')
    await world.store.put_registrations([(ALICE, tv)])
    await world.says(session)
    await world.run()
    assert list(world.asked()[0].bindings) == ["phone"]


@pytest.mark.parametrize(
    ("large", "parts", "told"),
    [("tcp", 1, []), ("split", 3, []), ("refuse", 0, [("u1", State.FAILED, 413)])],
)
async def test_what_is_too_large_for_a_datagram_is_treated_as_the_settings_say(
    world: GatewayWorld, large: str, parts: int, told: list[object]
) -> None:
    world.settings = world.settings.model_copy(update={"large": large})
    world.start_pod()
    await world.says(await called(world), "word " * 250)
    await world.run()
    assert len(world.asked()) == parts
    assert [each[:3] for each in world.agents.settled] == told


async def test_a_message_in_parts_is_delivered_when_all_are(world: GatewayWorld) -> None:
    world.settings = world.settings.model_copy(update={"large": "split"})
    world.start_pod()
    await world.says(await called(world), "word " * 250)
    await world.run()
    for number in range(3):
        assert world.agents.settled == []
        await world.sends(number)
    assert [each[:2] for each in world.agents.settled] == [("u1", State.DELIVERED)]


@pytest.mark.parametrize("large", ["tcp", "refuse"])
async def test_a_message_in_parts_is_delivered_when_all_are_though_nothing_is_cut_any_more(
    world: GatewayWorld, large: str
) -> None:
    world.settings = world.settings.model_copy(update={"large": "split"})
    world.start_pod()
    await world.says(await called(world), "word " * 250)
    await world.run()
    world.settings = world.settings.model_copy(update={"large": large})
    world.start_pod()
    for number in range(3):
        assert world.agents.settled == []
        await world.sends(number)
    assert [each[:2] for each in world.agents.settled] == [("u1", State.DELIVERED)]


@pytest.mark.parametrize(
    ("before", "after"), [("split", "tcp"), ("split", "refuse"), ("tcp", "split"), ("tcp", "refuse")]
)
async def test_a_large_message_that_is_under_way_is_asked_for_once_whatever_the_settings_are_by_then(
    world: GatewayWorld, before: str, after: str
) -> None:
    world.settings = world.settings.model_copy(update={"large": before})
    world.start_pod()
    session = await called(world)
    await world.says(session, "word " * 250)
    await world.run()
    asked = [each.message_id for each in world.asked()]
    for request in world.asked():
        await world.edge_takes(request)
    world.settings = world.settings.model_copy(update={"large": after})
    world.start_pod()
    await world.says(session, "next")
    await world.run()
    assert [each.message_id for each in world.asked()] == [*asked, "u2"]
    assert world.asked()[-1].predecessor == f"{asked[-1]}/1"
    assert world.agents.settled == []


async def test_results_of_parts_that_could_not_be_cut_any_more_hold_up_nobody(world: GatewayWorld) -> None:
    world.settings = world.settings.model_copy(update={"large": "split"})
    world.start_pod()
    await world.says(await called(world), "word " * 250)
    await world.run()
    limits = world.settings.limits.model_copy(update={"page_bytes": 200})
    world.settings = world.settings.model_copy(update={"limits": limits})
    world.start_pod()
    await world.sends(0)
    assert (await world.row("u1")).state is State.ACCEPTED
    await world.later(WEEK + GRACE + 1)
    assert world.agents.settled[-1][1] is State.UNCONFIRMED


async def test_a_reply_to_who_wrote_from_elsewhere_goes_where_the_edge_leads_it(world: GatewayWorld) -> None:
    await world.writes(sender="sip:carol@elsewhere.example")
    await world.run()
    await world.opens(world.last_call)
    await world.run()
    await world.says(world.last_call, "hi Carol")
    await world.run()
    assert [(each.to_uri, each.body) for each in world.asked()] == [("sip:carol@elsewhere.example", b"hi Carol")]


async def test_what_is_said_to_a_telephone_number_goes_where_the_edge_leads_it(world: GatewayWorld) -> None:
    world.settings = world.settings.model_copy(update={"large": "split"})
    world.start_pod()
    await world.writes(sender="+12015550123")
    await world.run()
    await world.opens(world.last_call)
    await world.run()
    await world.says(world.last_call, "word " * 250)
    await world.run()
    for number in range(3):
        await world.sends(number)
    assert {each.to_uri for each in world.asked()} == {"tel:+12015550123"}
    assert [each[:2] for each in world.agents.settled] == [("u2", State.DELIVERED)]


# Calls


async def test_a_call_that_is_told_again_late_replaces_no_newer_session(world: GatewayWorld) -> None:
    first = await called(world)
    first.state = ENDED
    second = await world.calls("second")
    await world.run()
    await world.opens(second)
    await world.run()
    await world.again(SESSIONS_EVENTS.name, 0)
    assert (await world.conversation()).session_id == "second"
    assert second.state == OPEN
    assert "second" not in world.agents.made("end")


async def test_a_second_call_takes_the_place_of_the_first_which_is_ended(world: GatewayWorld) -> None:
    await called(world)
    second = await world.calls("second")
    await world.run()
    assert world.agents.made("end") == ["in"]
    assert second.labels["conversation"]


async def test_a_call_whose_pod_was_killed_before_the_answer_is_answered_by_the_next(world: GatewayWorld) -> None:
    await world.registers(ALICE, params=';methods="MESSAGE"')
    session = await world.calls()
    world.agents.failures["answer"] = [Killed()]
    await world.killed()
    await world.run()
    assert world.agents.made("answer") == [session.session_id]


async def test_a_caller_who_gave_up_before_the_answer_holds_up_nobody(world: GatewayWorld) -> None:
    await world.writes("one")
    await world.run()
    session = await world.calls()
    world.agents.failures["answer"] = [Killed()]
    await world.killed()
    await world.ends(session, session_pb2.END_CAUSE_CANCELLED, 487)
    await world.run()
    await world.opens(world.last_call)
    await world.run()
    assert await world.handed(world.last_call) == ["one"]


async def test_calls_from_both_sides_at_once_are_one_conversation(world: GatewayWorld) -> None:
    await world.writes("one")
    await world.run()
    ringing = world.last_call
    came = await world.calls()
    await world.run()
    assert world.agents.made("end") == [ringing.session_id]
    await world.opens(came)
    await world.ends(ringing, session_pb2.END_CAUSE_CANCELLED, 487)
    await world.run()
    assert await world.handed(came) == ["one"]
    assert world.agents.made("start") == [ringing.session_id]


async def test_what_the_losing_session_was_handed_and_did_not_send_goes_into_the_one_that_came(
    world: GatewayWorld,
) -> None:
    await world.writes("one")
    await world.run()
    losing = world.last_call
    await world.opens(losing)
    await world.run()
    came = await world.calls()
    await world.run()
    await world.opens(came)
    await world.writes("two")
    await world.run()
    await world.answers("m1", State.FAILED)
    await world.ends(losing, session_pb2.END_CAUSE_ENDED_HERE)
    await world.run()
    assert await world.handed(came) == ["one", "two"]


async def test_nobody_is_told_that_who_has_just_called_has_left(world: GatewayWorld) -> None:
    await called(world)
    came = await world.calls("second")
    await world.run()
    await world.opens(came)
    await world.ends(world.agents.sessions["in"], session_pb2.END_CAUSE_ENDED_HERE)
    await world.run()
    assert world.asked() == []
