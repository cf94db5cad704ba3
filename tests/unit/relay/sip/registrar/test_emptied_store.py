"""A store that comes back empty: users and pods that are known stay so until everybody has written again."""

import pytest

from tests.support.sip_edge import EdgeUnderTest, SipClient
from wigwag.relay.sip.registrar.locations import REFILLED
from wigwag.runtime.members import LEASE, Members
from wigwag.store import Gap, Pod
from wigwag.store.memory import MemoryStore


@pytest.fixture
def edge() -> EdgeUnderTest:
    return EdgeUnderTest()


async def status_of_message(edge: EdgeUnderTest, alice: SipClient, bob: SipClient) -> int:
    request = alice.message("bob")
    alice.send(request)
    await edge.settle()
    alice.send(alice.authenticated(request, alice.response()))
    await edge.settle()
    came = bob.received()
    if came:
        bob.answer(came[-1])  # type: ignore[arg-type]
    return alice.response().status


def emptied(edge: EdgeUnderTest) -> MemoryStore:
    return MemoryStore(clock=edge.runtime.wall)


async def test_known_user_is_reached_while_bindings_are_written_again_and_no_longer(edge: EdgeUnderTest) -> None:
    alice, bob = SipClient(edge, "alice"), SipClient(edge, "bob")
    assert (await bob.register()).status == 200
    edge.parts.locations._store = emptied(edge)
    edge.parts.locations.changed(Gap())
    assert await status_of_message(edge, alice, bob) == 200
    edge.pass_time(REFILLED + 1)
    assert await status_of_message(edge, alice, bob) == 480


async def test_user_of_whom_nothing_was_known_is_absent(edge: EdgeUnderTest) -> None:
    alice, bob = SipClient(edge, "alice"), SipClient(edge, "bob")
    edge.parts.locations.changed(Gap())
    assert await status_of_message(edge, alice, bob) == 480


async def test_pods_live_on_until_they_had_time_to_beat_in_an_emptied_store(edge: EdgeUnderTest) -> None:
    now = edge.runtime
    store = emptied(edge)
    one = Members(store, Pod(id="one", address="one"), now.now, now.wall)
    two = Members(store, Pod(id="two", address="two"), now.now, now.wall)
    await two.beat()
    await one.beat()
    assert one.alive("two")
    one._store = emptied(edge)
    assert await one.beat()
    assert one.alive("two")
    assert [pod.id for pod in one.others()] == ["two"]
    edge.pass_time(LEASE)
    await one.beat()
    assert not one.alive("two")
