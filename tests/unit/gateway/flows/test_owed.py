"""Notifications that a session-mode sender asked for, and that only the gateway can give (RFC 5438)."""

import pytest

from tests.support.gateway_content import cpim
from tests.support.gateway_world import ALICE, BOB, KEY, GatewayWorld
from tests.unit.gateway.flows.test_into_messages import IMDN, called
from tests.unit.gateway.flows.test_into_sessions import BY_PEER
from wigwag.api.ua.v1 import session_pb2
from wigwag.database.ledger import State
from wigwag.protocols.cpim import CpimMessage
from wigwag.protocols.imdn import Imdn, NotificationType, Status, read_notification
from wigwag.runtime.events import SESSIONS_EVENTS

PROCESSING = IMDN.replace("positive-delivery", "processing")
BOTH = IMDN.replace("positive-delivery", "positive-delivery, negative-delivery")


async def wrote(world: GatewayWorld, head: str = IMDN) -> session_pb2.Session:
    """Let Bob write to Alice in message/cpim."""
    session = await called(world)
    await world.says(session, cpim(head=head), "message/cpim")
    await world.run()
    return session


async def told(world: GatewayWorld, session: session_pb2.Session) -> list[Imdn]:
    """Return the notifications that were sent into a session."""
    found = [read_notification(CpimMessage.parse(text.encode())) for text in await world.handed(session)]
    assert None not in found
    return [each for each in found if each is not None]


async def test_a_message_that_went_unwrapped_is_notified_when_it_was_delivered(world: GatewayWorld) -> None:
    session = await wrote(world)
    await world.sends(-1, State.FAILED, 415)
    await world.sends()
    (notification,) = await told(world, session)
    assert (notification.message_id, notification.kind, notification.status) == (
        "34jk324j", NotificationType.DELIVERY, Status.DELIVERED
    )  # fmt: skip
    assert [settled[:3] for settled in world.agents.settled] == [("u1", State.DELIVERED, 200)]
    assert (await world.row("u1.delivery")).conversation == KEY


async def test_it_says_by_content_disposition_what_it_is_and_comes_from_the_recipient(world: GatewayWorld) -> None:
    session = await wrote(world)
    await world.sends(-1, State.FAILED, 415)
    await world.sends()
    message = CpimMessage.parse((await world.handed(session))[0].encode())
    assert message.sender is not None
    assert message.sender.uri == ALICE
    assert ("content-disposition", "notification") in [
        (header.name.lower(), header.text) for header in message.content_headers
    ]


async def test_a_device_that_took_message_cpim_gives_its_notification_itself(world: GatewayWorld) -> None:
    session = await wrote(world, BOTH)
    await world.sends()
    assert await told(world, session) == []


@pytest.mark.parametrize(
    ("state", "status", "said"),
    [
        (State.FAILED, 603, Status.FAILED),
        (State.EXPIRED, 0, Status.FAILED),
        (State.UNCONFIRMED, 408, Status.ERROR),
    ],
)
async def test_bad_news_are_notified_besides_the_report(
    world: GatewayWorld, state: State, status: int, said: Status
) -> None:
    session = await wrote(world, BOTH)
    await world.sends(-1, state, status)
    assert [each.status for each in await told(world, session)] == [said]
    assert [settled[1] for settled in world.agents.settled] == [state]


async def test_who_did_not_ask_for_bad_news_has_the_report_only(world: GatewayWorld) -> None:
    session = await wrote(world)
    await world.sends(-1, State.FAILED, 603)
    assert await told(world, session) == []
    assert [settled[1] for settled in world.agents.settled] == [State.FAILED]


async def test_a_notification_is_given_once_whoever_is_killed(world: GatewayWorld) -> None:
    session = await wrote(world, BOTH)
    await world.sends(-1, State.FAILED, 603)
    world.start_pod()
    for number in range(len([each for each in world.bus.records if each.topic == SESSIONS_EVENTS.name])):
        await world.again(SESSIONS_EVENTS.name, number)
    assert len(await told(world, session)) == 1


async def test_who_writes_from_a_telephone_number_is_notified_too(world: GatewayWorld) -> None:
    await world.registers(ALICE, params=';methods="MESSAGE"')
    session = await world.calls(caller="tel:+12015550123")
    await world.run()
    await world.opens(session)
    await world.says(session, cpim(head=BOTH), "message/cpim")
    await world.run()
    await world.sends(-1, State.FAILED, 603)
    assert [each.status for each in await told(world, session)] == [Status.FAILED]


@pytest.mark.parametrize("caller", [BOB, "tel:+12015550123"])
async def test_who_asked_is_told_once_that_his_message_waits_for_an_absent_user(
    world: GatewayWorld, caller: str
) -> None:
    session = await world.calls(caller=caller)
    await world.run()
    await world.opens(session)
    for number in range(2):  # What waits is gone through again with the second one.
        await world.says(session, cpim(head=PROCESSING.replace("34jk324j", f"n{number}")), "message/cpim")
        await world.run()
    found = await told(world, session)
    assert [(each.message_id, each.kind, each.status) for each in found] == [
        ("n0", NotificationType.PROCESSING, Status.STORED),
        ("n1", NotificationType.PROCESSING, Status.STORED),
    ]


async def page_notifications(world: GatewayWorld) -> list[Imdn | None]:
    """Return the notifications that were sent to Alice by MESSAGE."""
    return [read_notification(CpimMessage.parse(each.body)) for each in world.asked()]


async def test_a_page_mode_sender_is_told_that_his_message_waits_for_an_absent_user(world: GatewayWorld) -> None:
    await world.registers(ALICE, params=';methods="MESSAGE"')
    await world.store.remove_bindings(BOB)
    await world.writes(cpim(head=PROCESSING, sender=ALICE, recipient=BOB), content_type="message/cpim")
    await world.run()
    (notification,) = await page_notifications(world)
    assert notification is not None
    assert (notification.kind, notification.status) == (NotificationType.PROCESSING, Status.STORED)


async def test_a_page_mode_sender_is_told_that_his_message_waits_when_nobody_answers(world: GatewayWorld) -> None:
    await world.registers(ALICE, params=';methods="MESSAGE"')
    await world.writes(cpim(head=PROCESSING, sender=ALICE, recipient=BOB), content_type="message/cpim")
    await world.run()
    assert await page_notifications(world) == []
    await world.ends(world.last_call, session_pb2.END_CAUSE_TIMEOUT, 480)
    await world.run()
    (notification,) = await page_notifications(world)
    assert notification is not None
    assert notification.status is Status.STORED


async def test_who_did_not_ask_is_not_told_that_his_message_waits(world: GatewayWorld) -> None:
    await world.registers(ALICE, params=';methods="MESSAGE"')
    await world.store.remove_bindings(BOB)
    await world.writes(cpim(head=BOTH, sender=ALICE, recipient=BOB), content_type="message/cpim")
    await world.run()
    assert world.asked() == []


async def test_a_notification_waits_for_a_sender_who_has_left(world: GatewayWorld) -> None:
    session = await wrote(world, BOTH)
    await world.ends(session, BY_PEER)
    await world.run()
    await world.sends(0, State.FAILED, 603)
    assert await told(world, session) == []
    assert await world.state("u1.delivery") == (State.ACCEPTED, 0)
    second = await world.calls("second")
    await world.run()
    await world.opens(second)
    await world.run()
    assert [each.status for each in await told(world, second)] == [Status.FAILED]
