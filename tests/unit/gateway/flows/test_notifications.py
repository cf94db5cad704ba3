"""IMDN of the two devices: what it makes of the messages that it is about."""

from tests.support.gateway_content import cpim, notification
from tests.support.gateway_world import ALICE, BOB, GatewayWorld
from tests.unit.gateway.flows.test_into_messages import IMDN, called
from tests.unit.gateway.flows.test_into_sessions import BY_PEER
from wigwag.api.ua.v1 import session_pb2
from wigwag.database.ledger import State
from wigwag.gateway.flows.notifications import Notifications

IMDN_TYPE = "message/imdn+xml"


def imdn(status: str = "delivered", *, kind: str = "delivery", sender: str = ALICE, recipient: str = BOB) -> bytes:
    """Return a notification in message/cpim."""
    body = notification(kind=kind, status=status)
    return cpim(body, IMDN_TYPE, sender=sender, recipient=recipient)


async def accepted(world: GatewayWorld) -> session_pb2.Session:
    """Let Bob write to Alice, whose device answers 202."""
    session = await called(world)
    await world.says(session, cpim(head=IMDN), "message/cpim")
    await world.run()
    await world.sends(0, State.UNCONFIRMED, 202)
    assert world.agents.settled == []
    return session


async def notifies(world: GatewayWorld, body: bytes, *, sender: str = ALICE, recipient: str = BOB) -> None:
    """Let a page-mode user's device send a notification."""
    await world.writes(body, sender=sender, recipient=recipient, content_type="message/cpim")
    await world.run()


async def test_202_is_no_delivery_until_the_device_says_so(world: GatewayWorld) -> None:
    session = await accepted(world)
    await notifies(world, imdn())
    assert [told[:3] for told in world.agents.settled] == [("u1", State.DELIVERED, 200)]
    assert await world.handed(session) == [imdn().decode()]


async def test_a_device_that_shows_it_at_once_has_delivered_it(world: GatewayWorld) -> None:
    await accepted(world)
    await notifies(world, imdn("displayed", kind="display"))
    assert [told[:2] for told in world.agents.settled] == [("u1", State.DELIVERED)]
    assert (await world.row("u1")).state is State.DISPLAYED


async def test_a_failure_that_a_device_reports_is_reported(world: GatewayWorld) -> None:
    await accepted(world)
    await notifies(world, imdn("failed"))
    assert [told[:3] for told in world.agents.settled] == [("u1", State.FAILED, 403)]


async def test_a_notification_finds_its_message_after_a_kill_and_in_an_earlier_session(world: GatewayWorld) -> None:
    session = await accepted(world)
    await world.ends(session, BY_PEER)
    await world.run()
    world.start_pod()
    second = await world.calls("second")
    await world.run()
    await world.opens(second)
    await world.run()
    await notifies(world, imdn())
    assert [told[:2] for told in world.agents.settled] == [("u1", State.DELIVERED)]


async def test_nobody_else_can_say_that_a_message_has_arrived(world: GatewayWorld) -> None:
    await accepted(world)
    await notifies(world, imdn(sender="sip:mallory@example.com"), sender="sip:mallory@example.com")
    await notifies(world, imdn(), recipient="sip:carol@example.com")
    assert world.agents.settled == []


async def test_a_notification_that_comes_again_changes_nothing(world: GatewayWorld) -> None:
    await accepted(world)
    await notifies(world, imdn())
    await notifies(world, imdn("failed"))
    assert (await world.row("u1")).state is State.DELIVERED


async def test_a_message_that_no_device_confirms_is_reported_as_408_when_its_time_runs_out(world: GatewayWorld) -> None:
    await accepted(world)
    await world.later(604_800.0 + 130.0)
    assert [told[1] for told in world.agents.settled] == [State.UNCONFIRMED]


async def test_the_session_mode_side_refines_what_was_delivered_to_displayed(world: GatewayWorld) -> None:
    await world.writes(cpim(head=IMDN, sender=ALICE, recipient=BOB), content_type="message/cpim")
    await world.run()
    await world.opens(world.last_call)
    await world.run()
    await world.answers("m1")
    await world.run()
    await world.registers(ALICE, params=';methods="MESSAGE"')
    body = imdn("displayed", kind="display", sender=BOB, recipient=ALICE)
    await world.says(world.last_call, body, "message/cpim")
    await world.run()
    assert (await world.row("m1")).state is State.DISPLAYED
    assert [each.body for each in world.asked()] == [body]


async def test_the_session_mode_side_may_display_after_a_kill_what_was_delivered(world: GatewayWorld) -> None:
    await world.writes(cpim(head=IMDN, sender=ALICE, recipient=BOB), content_type="message/cpim")
    await world.run()
    await world.opens(world.last_call)
    await world.run()
    await world.answers("m1")
    await world.run()
    assert (await world.row("m1")).state is State.DELIVERED
    world.start_pod()
    body = imdn("displayed", kind="display", sender=BOB, recipient=ALICE)
    await world.registers(ALICE, params=';methods="MESSAGE"')
    await world.says(world.last_call, body, "message/cpim")
    await world.run()
    assert (await world.row("m1")).state is State.DISPLAYED


async def delivered(world: GatewayWorld) -> session_pb2.Session:
    """Let Bob write to Alice, whose device answers 200; then the pod is killed."""
    session = await called(world)
    await world.says(session, cpim(head=IMDN), "message/cpim")
    await world.run()
    await world.sends()
    world.start_pod()
    assert (await world.row("u1")).state is State.DELIVERED
    return session


async def test_a_device_may_display_after_a_kill_what_was_delivered(world: GatewayWorld) -> None:
    await delivered(world)
    told = list(world.agents.settled)
    await notifies(world, imdn("displayed", kind="display"))
    assert (await world.row("u1")).state is State.DISPLAYED
    assert world.agents.settled == told


async def test_nobody_else_can_say_that_a_message_was_displayed(world: GatewayWorld) -> None:
    await delivered(world)
    other = imdn("displayed", kind="display", sender="sip:mallory@example.com")
    await notifies(world, other, sender="sip:mallory@example.com")
    await notifies(world, imdn("displayed", kind="display"), recipient="sip:carol@example.com")
    assert (await world.row("u1")).state is State.DELIVERED


async def test_a_message_is_found_behind_many_that_were_delivered_later(world: GatewayWorld) -> None:
    session = await delivered(world)
    for number in range(150):
        await world.says(session, cpim(head=IMDN.replace("34jk324j", f"n{number}")), "message/cpim")
    await world.run()
    for number in range(1, 151):
        await world.sends(number)
    world.start_pod()
    await notifies(world, imdn("displayed", kind="display"))
    assert (await world.row("u1")).state is State.DISPLAYED
    assert {(await world.row(f"u{number}")).state for number in range(2, 152)} == {State.DELIVERED}


async def test_the_session_mode_side_says_that_it_has_what_was_not_answered_yet(world: GatewayWorld) -> None:
    await world.writes(cpim(head=IMDN, sender=ALICE, recipient=BOB), content_type="message/cpim")
    await world.run()
    await world.opens(world.last_call)
    await world.run()
    world.start_pod()
    await world.says(world.last_call, imdn(sender=BOB, recipient=ALICE), "message/cpim")
    await world.registers(ALICE, params=';methods="MESSAGE"')
    await world.run()
    assert (await world.row("m1")).state is State.DELIVERED


async def test_what_is_remembered_of_messages_has_bounds_and_the_rest_is_found_all_the_same(
    world: GatewayWorld,
) -> None:
    long_id = "x" * 30_000
    session = await called(world)
    await world.says(session, cpim(head=IMDN.replace("34jk324j", long_id)), "message/cpim")
    await world.run()
    await world.sends(0, State.UNCONFIRMED, 202)
    remembered = Notifications(world.gateway._rows, world.agents)
    remembered.sent(ALICE, BOB, long_id, "u1")
    assert not remembered._sent
    await notifies(world, imdn().replace(b"34jk324j", long_id.encode()))
    assert [told[:3] for told in world.agents.settled] == [("u1", State.DELIVERED, 200)]
