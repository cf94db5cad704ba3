"""A store that comes back empty: users and pods that are known stay so, others are waited for until all is written."""

import pytest

from tests.support.sip_edge import EdgeUnderTest, SipClient
from wigwag.errors import StoreError
from wigwag.relay.sip.registrar.locations import AWAY, REFILLED
from wigwag.runtime.members import LEASE, Members
from wigwag.store import Gap, Pod
from wigwag.store.memory import MemoryStore


class RestartedStore(MemoryStore):
    """One that was restarted empty just now, as pods see it over the network."""

    def __init__(self, edge: EdgeUnderTest) -> None:
        super().__init__(clock=edge.runtime.wall)
        self._began = edge.runtime.wall()

    async def held_for(self, aor: str) -> float:
        return self._clock() - self._began


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


def empty_the_store(edge: EdgeUnderTest) -> RestartedStore:
    store = edge.parts.locations._store = RestartedStore(edge)
    return store


def let_time_pass_in_sleep(edge: EdgeUnderTest) -> list[float]:
    """Return the list of pauses, as they are made."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        edge.runtime.time += seconds

    edge.runtime.on_sleep = sleep
    return slept


async def test_known_user_is_reached_while_bindings_are_written_again_and_no_longer(edge: EdgeUnderTest) -> None:
    alice, bob = SipClient(edge, "alice"), SipClient(edge, "bob")
    assert (await bob.register()).status == 200
    empty_the_store(edge)
    edge.parts.locations.changed(Gap())
    assert await status_of_message(edge, alice, bob) == 200
    edge.pass_time(REFILLED + 1)
    assert await status_of_message(edge, alice, bob) == 480


async def test_user_whose_cached_bindings_are_looked_up_before_the_loss_is_noticed_stays_known(
    edge: EdgeUnderTest,
) -> None:
    alice, bob = SipClient(edge, "alice"), SipClient(edge, "bob")
    assert (await bob.register()).status == 200
    empty_the_store(edge)
    edge.parts.locations.forget(bob.aor)
    assert await status_of_message(edge, alice, bob) == 200
    edge.parts.locations.changed(Gap())
    assert await status_of_message(edge, alice, bob) == 200


async def test_user_of_whom_a_pod_knows_nothing_is_waited_for_until_another_pod_has_written_him_again(
    edge: EdgeUnderTest,
) -> None:
    alice, bob = SipClient(edge, "alice"), SipClient(edge, "bob")
    assert (await bob.register()).status == 200
    written = [(bob.aor, binding) for binding in edge.parts.locations.peek(bob.aor)]
    del edge.parts.locations._known[bob.aor]
    store = empty_the_store(edge)
    slept = let_time_pass_in_sleep(edge)
    find = store.find_registrations

    async def write_again_after_a_second(aors: list[str]) -> object:
        if sum(slept) > 1:
            await store.put_registrations(written)
        return await find(aors)

    store.find_registrations = write_again_after_a_second  # type: ignore[method-assign, assignment]
    assert await status_of_message(edge, alice, bob) == 200
    assert 1 < sum(slept) < 2


async def test_user_who_is_nowhere_is_absent_once_all_pods_had_time_to_write_again(edge: EdgeUnderTest) -> None:
    alice, bob = SipClient(edge, "alice"), SipClient(edge, "bob")
    empty_the_store(edge)
    slept = let_time_pass_in_sleep(edge)
    assert await status_of_message(edge, alice, bob) == 480
    assert REFILLED <= sum(slept) < REFILLED + 1
    assert await status_of_message(edge, alice, bob) == 480
    assert sum(slept) < REFILLED + 1


async def test_user_who_is_nowhere_is_absent_at_once_when_only_notices_were_lost(edge: EdgeUnderTest) -> None:
    alice, bob = SipClient(edge, "alice"), SipClient(edge, "bob")
    slept = let_time_pass_in_sleep(edge)
    edge.parts.locations.changed(Gap())
    assert await status_of_message(edge, alice, bob) == 480
    assert slept == []


async def test_absence_in_another_store_than_before_proves_nothing_either(edge: EdgeUnderTest) -> None:
    alice, bob = SipClient(edge, "alice"), SipClient(edge, "bob")
    slept = let_time_pass_in_sleep(edge)
    edge.parts.locations.emptied()
    assert await status_of_message(edge, alice, bob) == 480
    assert sum(slept) >= REFILLED


@pytest.mark.parametrize(("seconds", "status"), [(AWAY - 1, 200), (AWAY + 1, 503)])
async def test_look_up_waits_for_a_store_that_is_restarted_but_not_for_long(
    edge: EdgeUnderTest, monkeypatch: pytest.MonkeyPatch, seconds: float, status: int
) -> None:
    alice, bob = SipClient(edge, "alice"), SipClient(edge, "bob")
    assert (await bob.register()).status == 200
    del edge.parts.locations._known[bob.aor]
    slept = let_time_pass_in_sleep(edge)
    find = edge.store.find_registrations

    async def away_at_first(aors: list[str]) -> object:
        if sum(slept) < seconds:
            raise StoreError("away")
        return await find(aors)

    monkeypatch.setattr(edge.store, "find_registrations", away_at_first)
    assert await status_of_message(edge, alice, bob) == status


async def test_pods_live_on_until_they_had_time_to_beat_in_an_emptied_store(edge: EdgeUnderTest) -> None:
    now = edge.runtime
    one = Members(MemoryStore(clock=now.wall), Pod(id="one", address="one"), now.now, now.wall)
    two = Members(one._store, Pod(id="two", address="two"), now.now, now.wall)
    await two.beat()
    await one.beat()
    assert one.alive("two")
    one._store = MemoryStore(clock=now.wall)
    assert await one.beat()
    assert one.alive("two")
    assert [pod.id for pod in one.others()] == ["two"]
    edge.pass_time(LEASE)
    await one.beat()
    assert not one.alive("two")
