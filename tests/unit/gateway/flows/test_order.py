"""Order of MESSAGEs that reached nobody at first: in a session, from one to the next, and of those that were kept."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.gateway_content import cpim
from tests.support.gateway_edge import Device, WorldEdge
from tests.support.gateway_world import ALICE, BOB, ENDED, GatewayWorld, Killed
from wigwag.api.ua.v1 import session_pb2, ua_pb2
from wigwag.bus import Position
from wigwag.database.ledger import Change, Edit, State, Verdict
from wigwag.errors import DatabaseError
from wigwag.gateway.ports import Handed
from wigwag.runtime.events import PAGER_OUTBOUND, PAGER_RESULTS, SESSIONS_EVENTS
from wigwag.runtime.ua_messages import STATES

CPIM_HEAD = (
    "NS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: 34jk\r\nimdn.Disposition-Notification: positive-delivery\r\n"
)


@pytest.fixture
def edge(world: GatewayWorld) -> WorldEdge:
    return WorldEdge(world, Device())


async def has_phone(world: GatewayWorld) -> None:
    """Register a device of Alice that takes MESSAGE."""
    await world.registers(ALICE, params=';methods="MESSAGE"')


async def session(world: GatewayWorld, session_id: str = "in") -> session_pb2.Session:
    """Let Bob open a session with Alice."""
    made = await world.calls(session_id)
    await world.run()
    await world.opens(made)
    await world.run()
    return made


async def is_over(world: GatewayWorld, ended: session_pb2.Session) -> None:
    await world.ends(ended, session_pb2.END_CAUSE_ENDED_HERE)
    await world.run()
    assert ended.state == ENDED


async def comes_back(world: GatewayWorld, edge: WorldEdge) -> None:
    """Let Alice's device be reached, and register."""
    edge.device.is_there = True
    await world.waking.registered(ALICE, "phone")
    await edge.settle()


def chain(world: GatewayWorld) -> list[tuple[str, str]]:
    """Return each attempt that was asked for, and the one that it follows."""
    return [(f"{each.message_id}/{each.attempt}", each.predecessor) for each in world.asked()]


# One session


async def test_nothing_overtakes_a_message_that_reached_nobody_though_it_was_asked_for_already(
    world: GatewayWorld, edge: WorldEdge
) -> None:
    await has_phone(world)
    talk = await session(world)
    for text in ("one", "two", "three"):
        await world.says(talk, text)
    await world.run()
    edge.device.is_there = False
    await edge.handle(1)
    edge.device.is_there = True
    await edge.settle()
    assert edge.device.got == []
    await comes_back(world, edge)
    assert edge.device.got == ["one", "two", "three"]
    assert [told[1] for told in world.agents.settled] == [State.DELIVERED] * 3


async def test_each_attempt_follows_the_one_before_it_also_when_all_are_made_again(
    world: GatewayWorld, edge: WorldEdge
) -> None:
    await has_phone(world)
    talk = await session(world)
    for text in ("one", "two"):
        await world.says(talk, text)
    edge.device.is_there = False
    await edge.settle()
    await comes_back(world, edge)
    assert chain(world) == [("u1/1", ""), ("u2/1", "u1/1"), ("u1/2", ""), ("u2/2", "u1/2")]


async def test_a_message_behind_another_follows_it_without_a_pause_of_its_own(
    world: GatewayWorld, edge: WorldEdge
) -> None:
    await has_phone(world)
    talk = await session(world)
    for text in ("one", "two"):
        await world.says(talk, text)
    await world.run()
    edge.device.is_there = False
    await edge.handle(1)
    edge.device.is_there, world.held = True, {PAGER_RESULTS.name}
    await edge.handle(1)
    await world.run()
    await world.agents.settle("u1", STATES[State.FAILED])  # Given up by an operator.
    world.held = set()
    await edge.settle()
    assert edge.device.got == ["two"]


async def test_while_the_first_rests_the_next_is_not_asked_for_again_and_again(
    world: GatewayWorld, edge: WorldEdge
) -> None:
    await has_phone(world)
    talk = await session(world)
    for text in ("one", "two"):
        await world.says(talk, text)
    edge.device.is_there = False
    await edge.settle()
    assert len(world.asked()) == 2
    edge.device.is_there = True
    await world.later(60.0)
    await edge.settle()
    assert edge.device.got == ["one", "two"]


async def test_a_message_that_comes_before_the_result_of_the_one_before_it_is_told_does_not_overtake_it(
    world: GatewayWorld, edge: WorldEdge
) -> None:
    await has_phone(world)
    talk = await session(world)
    for text in ("one", "two"):
        await world.says(talk, text)
    edge.device.is_there = False
    await world.run()
    await edge.handle(1)
    edge.device.is_there, world.held = True, {PAGER_RESULTS.name}
    await edge.settle()
    world.start_pod()  # Nobody remembers what was sent.
    await world.says(talk, "three")
    await edge.settle()
    assert edge.device.got == []
    world.held = set()
    await edge.settle()
    await comes_back(world, edge)
    assert edge.device.got == ["one", "two", "three"]


async def test_another_pod_of_the_edge_knows_what_reached_nobody(world: GatewayWorld, edge: WorldEdge) -> None:
    await has_phone(world)
    talk = await session(world)
    for text in ("one", "two"):
        await world.says(talk, text)
    await world.run()
    edge.device.is_there = False
    await edge.handle(1)
    edge.device.is_there = True
    edge.start_pod()
    await edge.settle()
    await comes_back(world, edge)
    assert edge.device.got == ["one", "two"]


async def test_parts_follow_each_other_and_the_next_message_follows_the_last(
    world: GatewayWorld, edge: WorldEdge
) -> None:
    world.settings = world.settings.model_copy(update={"large": "split"})
    world.start_pod()
    await has_phone(world)
    talk = await session(world)
    await world.says(talk, "word " * 250)
    await world.says(talk, "next")
    await world.run()
    edge.device.is_there = False
    await edge.handle(1)
    edge.device.is_there = True
    await edge.settle()
    assert edge.device.got == []
    world.start_pod()
    await comes_back(world, edge)
    assert [text[:5] for text in edge.device.got] == ["(1/3)", "(2/3)", "(3/3)", "next"]
    assert chain(world)[-4:] == [("u1.1/2", ""), ("u1.2/2", "u1.1/2"), ("u1.3/2", "u1.2/2"), ("u2/2", "u1.3/2")]


async def test_text_does_not_overtake_what_is_unwrapped_for_a_device_without_cpim(
    world: GatewayWorld, edge: WorldEdge
) -> None:
    await has_phone(world)
    edge.device.refuses = {"message/cpim": 415}
    talk = await session(world)
    await world.says(talk, cpim(b"one", head=CPIM_HEAD), "message/cpim")
    await world.says(talk, "two")
    await edge.settle()
    assert edge.device.got == ["one", "two"]


async def test_a_message_that_was_refused_holds_up_nothing(world: GatewayWorld, edge: WorldEdge) -> None:
    await has_phone(world)
    edge.device.refuses = {"image/png": 603}
    talk = await session(world)
    await world.says(talk, "one", "image/png")
    await world.says(talk, "two")
    await edge.settle()
    assert edge.device.got == ["two"]
    assert [told[:2] for told in world.agents.settled] == [("u1", State.FAILED), ("u2", State.DELIVERED)]


async def test_in_a_clean_lane_nothing_is_looked_for(
    world: GatewayWorld, edge: WorldEdge, monkeypatch: pytest.MonkeyPatch
) -> None:
    await has_phone(world)
    talk = await session(world)
    await world.says(talk, "first")
    await edge.settle()

    async def looked(**wanted: object) -> list[object]:
        raise AssertionError("looked for what waits")

    monkeypatch.setattr(world.ledger, "undelivered", looked)
    for number in range(3):
        await world.says(talk, str(number))
        await edge.settle()
    assert edge.device.got == ["first", "0", "1", "2"]
    assert chain(world)[-1] == ("u4/1", "u3/1")


# Kept MESSAGEs


async def test_nothing_overtakes_a_kept_message_that_reached_nobody(world: GatewayWorld, edge: WorldEdge) -> None:
    await has_phone(world)
    for text in ("one", "two"):
        await world.writes(text, sender=BOB, recipient=ALICE)
    await world.run()
    edge.device.is_there = False
    await edge.handle(1)
    edge.device.is_there = True
    await world.writes("three", sender=BOB, recipient=ALICE)
    await edge.settle()
    assert edge.device.got == []
    await comes_back(world, edge)
    assert edge.device.got == ["one", "two", "three"]


async def test_kept_messages_that_are_under_way_are_followed_by_a_pod_that_knows_nothing(
    world: GatewayWorld, edge: WorldEdge
) -> None:
    await has_phone(world)
    for text in ("one", "two"):
        await world.writes(text, sender=BOB, recipient=ALICE)
    await world.run()
    await edge.handle(1)
    world.held = {PAGER_RESULTS.name}
    edge.device.is_there = False
    await edge.handle(1)
    edge.device.is_there = True
    world.start_pod()
    await world.writes("three", sender=BOB, recipient=ALICE)
    await edge.settle()
    assert chain(world)[-1] == ("m3/1", "m2/1")
    assert edge.device.got == ["one"]
    world.held = set()
    await edge.settle()
    await comes_back(world, edge)
    assert edge.device.got == ["one", "two", "three"]


async def test_a_kept_message_that_a_killed_pod_had_claimed_does_not_overtake_one_that_waits_again(
    world: GatewayWorld, edge: WorldEdge
) -> None:
    await has_phone(world)
    await world.writes("one", sender=BOB, recipient=ALICE)
    await world.run()
    await world.writes("two", sender=BOB, recipient=ALICE)
    dies_at_next(world)
    await world.killed()
    edge.device.is_there, world.held = False, {"wigwag.pager.inbound"}
    await edge.handle(1)
    await world.run()
    assert (await world.row("m1")).owner == ""
    edge.device.is_there, world.held = True, set()
    world.clock.now += 60.0
    await edge.settle()
    await comes_back(world, edge)
    assert edge.device.got == ["one", "two"]


async def test_a_session_that_opens_meanwhile_does_not_let_the_next_overtake_what_goes_by_message(
    world: GatewayWorld, edge: WorldEdge
) -> None:
    await world.registers(BOB)
    await world.writes("one")
    await world.run()
    talk = await session(world)
    await world.writes("two")
    await world.run()
    assert await world.handed(talk) == []
    edge.device.is_there = False
    await edge.settle()
    assert await world.handed(talk) == ["one", "two"]


async def test_what_went_by_message_with_success_lets_the_next_into_the_session(
    world: GatewayWorld, edge: WorldEdge
) -> None:
    await world.registers(BOB)
    await world.writes("one")
    await world.run()
    talk = await session(world)
    await world.writes("two")
    world.start_pod()
    await edge.settle()
    assert edge.device.got == ["one"]
    assert await world.handed(talk) == ["two"]


async def test_a_session_that_is_replaced_while_messages_go_into_it_holds_up_those_for_the_next(
    world: GatewayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await session(world, "first")
    await world.writes("one")
    await world.run()
    send = world.agents.send

    async def send_and_replace(messages: Sequence[ua_pb2.OutboundMessage]) -> list[Handed]:
        handed = await send(messages)
        monkeypatch.setattr(world.agents, "send", send)
        await world.ends(first, session_pb2.END_CAUSE_ENDED_BY_PEER)
        second = await world.calls("second")
        for record in world.bus.records[-2:]:
            await world.consuming.handle(record)
        await world.opens(second)
        await world.consuming.handle(world.bus.records[-1])
        return handed

    monkeypatch.setattr(world.agents, "send", send_and_replace)
    await world.writes("two")
    await world.run()
    await world.writes("three")
    await world.run()
    second = world.agents.sessions["second"]
    assert (await world.handed(first), await world.handed(second)) == (["one", "two"], [])
    for message_id in ("m1", "m2"):
        await world.answers(message_id, State.FAILED)
    await world.run()
    assert await world.handed(second) == ["one", "two", "three"]


async def test_when_a_session_opens_behind_a_message_to_the_other_side_what_came_before_that_still_goes_first(
    world: GatewayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    await has_phone(world)
    await world.writes("one")
    await world.writes("the other way", sender=BOB, recipient=ALICE)
    await world.writes("two")
    publish = world.bus.publish

    async def publish_and_open(topic: str, *args: Any, **fields: Any) -> Position:
        if topic == PAGER_OUTBOUND.name and world.agents.made("start"):
            await world.opens(world.last_call)
        return await publish(topic, *args, **fields)

    monkeypatch.setattr(world.bus, "publish", publish_and_open)
    await world.run()
    assert await world.handed(world.last_call) == ["one", "two"]


# From session to session


async def test_what_waits_of_an_earlier_session_goes_first(world: GatewayWorld, edge: WorldEdge) -> None:
    first = await session(world, "first")
    await world.says(first, "one")
    await world.run()
    await is_over(world, first)
    await has_phone(world)  # Nobody has been told of that yet.
    second = await session(world, "second")
    await world.says(second, "two")
    await edge.settle()
    assert edge.device.got == ["one", "two"]
    assert chain(world) == [("u1/1", ""), ("u2/1", "u1/1")]
    assert {each.from_uri for each in world.asked()} == {BOB}


async def test_what_another_pod_has_not_handled_yet_of_an_earlier_session_goes_first_and_once(
    world: GatewayWorld, edge: WorldEdge
) -> None:
    await has_phone(world)
    first = await session(world, "first")
    await world.says(first, "zero")
    await edge.settle()
    one_pod = world.consuming
    world.held = {SESSIONS_EVENTS.name}
    await world.says(first, "one")
    await world.run()
    (late,) = [record for record in world.bus.records if record.topic == SESSIONS_EVENTS.name][-1:]
    world.forget_held()
    world.held = set()
    await is_over(world, first)
    world.start_pod()
    second = await session(world, "second")
    await world.says(second, "two")
    await edge.settle()
    await one_pod.handle(late)
    await world.says(second, "three")
    await edge.settle()
    assert edge.device.got == ["zero", "one", "two", "three"]
    assert dict(chain(world)) == {"u1/1": "", "u2/1": "", "u3/1": "u2/1", "u4/1": "u3/1"}


async def test_what_is_under_way_of_an_earlier_session_is_followed(world: GatewayWorld, edge: WorldEdge) -> None:
    await has_phone(world)
    first = await session(world, "first")
    await world.says(first, "one")
    await world.run()
    await is_over(world, first)
    world.start_pod()
    second = await session(world, "second")
    await world.says(second, "two")
    await world.run()
    edge.device.is_there = False
    await edge.handle(1)
    edge.device.is_there = True
    await edge.settle()
    assert edge.device.got == []
    await comes_back(world, edge)
    assert edge.device.got == ["one", "two"]


async def test_what_rests_in_an_earlier_session_holds_up_the_next(world: GatewayWorld, edge: WorldEdge) -> None:
    await has_phone(world)
    first = await session(world, "first")
    await world.says(first, "one")
    edge.device.is_there = False
    await edge.settle()
    await is_over(world, first)
    edge.device.is_there = True
    second = await session(world, "second")
    await world.says(second, "two")
    await edge.settle()
    assert edge.device.got == []
    await world.later(60.0)
    await edge.settle()
    assert edge.device.got == ["one", "two"]


async def test_what_was_claimed_in_an_earlier_session_by_a_pod_that_was_killed_goes_first(
    world: GatewayWorld, edge: WorldEdge
) -> None:
    await has_phone(world)
    first = await session(world, "first")
    await world.says(first, "one")
    dies_at_next(world)
    await world.killed()
    world.forget_held()  # Its record comes late, to whoever has it now.
    await is_over(world, first)
    second = await session(world, "second")
    await world.says(second, "two")
    await edge.settle()
    assert edge.device.got == ["one", "two"]


async def test_two_pods_that_look_at_once_ask_for_the_same_attempt(world: GatewayWorld, edge: WorldEdge) -> None:
    first = await session(world, "first")
    await world.says(first, "one")
    await world.run()
    await is_over(world, first)
    second = await session(world, "second")
    await world.says(second, "two")
    await world.run()
    await has_phone(world)
    await world.waking.registered(ALICE, "phone")
    woken = [record for record in world.bus.records if record.topic == SESSIONS_EVENTS.name][-2:]
    await world.consuming.handle(woken[1])
    world.start_pod()
    await world.consuming.handle(woken[0])
    await edge.settle()
    assert edge.device.got == ["one", "two"]
    assert {each.attempt for each in world.asked()} == {1}


async def test_others_of_the_same_recipient_are_not_looked_at(world: GatewayWorld, edge: WorldEdge) -> None:
    carol = await world.calls("carol", caller="sip:carol@example.com")
    await world.run()
    await world.opens(carol)
    await world.says(carol, "of Carol")
    await world.run()
    await has_phone(world)
    talk = await session(world)
    await world.says(talk, "of Bob")
    await edge.settle()
    assert edge.device.got == ["of Bob"]


def dies_at_next(world: GatewayWorld) -> None:
    """Let the pod be killed when it asks for the next attempt, which it has claimed."""
    publish = world.bus.publish

    async def dies(topic: str, *args: object, **fields: object) -> object:
        if topic == PAGER_OUTBOUND.name:
            world.bus.publish = publish  # type: ignore[method-assign]
            raise Killed
        return await publish(topic, *args, **fields)  # type: ignore[arg-type]

    world.bus.publish = dies  # type: ignore[method-assign, assignment]


async def test_what_another_pod_of_the_edge_has_sent_since_is_not_told_to_have_reached_nobody(
    world: GatewayWorld, edge: WorldEdge, monkeypatch: pytest.MonkeyPatch
) -> None:
    await has_phone(world)
    await world.says(await session(world), "one")
    await world.run()
    (record,) = (each for each in world.bus.records if each.topic == PAGER_OUTBOUND.name)
    first, apply_one = edge.consumer, world.ledger.apply_one

    async def takes_no_outcome(edit: Edit) -> Verdict:
        if isinstance(edit, Change):
            raise DatabaseError("away")
        return await apply_one(edit)

    with monkeypatch.context() as patched:
        patched.setattr(world.ledger, "apply_one", takes_no_outcome)
        for edge.device.is_there in (False, True):
            with pytest.raises(DatabaseError):
                await edge.consumer.handle(record)
            edge.start_pod()
    assert edge.device.got == ["one"]
    await first.handle(record)
    assert (await world.row("u1/1")).state is State.DELIVERED


# Clocks that differ


async def test_what_a_pod_has_tried_whose_clock_was_ahead_is_overtaken_by_nothing(
    world: GatewayWorld, edge: WorldEdge
) -> None:
    await has_phone(world)
    talk = await session(world)
    edge.device.is_there = False
    world.clock.now += 600
    await world.says(talk, "one")
    await edge.settle()
    world.clock.now -= 600
    world.start_pod()
    await comes_back(world, edge)
    await world.says(talk, "two")
    await edge.settle()
    assert edge.device.got == ["one", "two"]


async def test_what_a_pod_has_tried_by_message_whose_clock_was_ahead_goes_first_into_the_session(
    world: GatewayWorld, edge: WorldEdge
) -> None:
    await world.registers(BOB, params=';methods="MESSAGE"')
    edge.device.is_there = False
    world.clock.now += 600
    await world.writes("one")
    await edge.settle()
    world.clock.now -= 599
    world.start_pod()
    await world.registers(BOB, params=';+sip.message;methods="INVITE,BYE"')
    await world.waking.registered(BOB, "phone")
    await edge.settle()
    await world.opens(world.last_call)
    await world.run()
    await world.writes("two")
    await world.run()
    assert await world.handed(world.last_call) == ["one", "two"]


async def test_what_has_reached_nobody_is_tried_again_after_its_pause_though_the_clock_was_set_back(
    world: GatewayWorld, edge: WorldEdge
) -> None:
    await has_phone(world)
    talk = await session(world)
    edge.device.is_there = False
    await world.says(talk, "one")
    await edge.settle()
    world.clock.now -= 7_200
    edge.device.is_there = True
    await world.later(60.0)
    await edge.settle()
    assert edge.device.got == ["one"]


async def test_a_call_is_made_again_after_its_pause_though_the_clock_was_set_back(world: GatewayWorld) -> None:
    await world.writes("one")
    await world.run()
    await world.ends(world.last_call, session_pb2.END_CAUSE_BUSY, 486)
    await world.run()
    world.clock.now -= 7_200
    await world.later(60.0)
    assert len(world.agents.made("start")) == 2
