"""A session has one owner: who lost it lets go without a word, who finds it free goes on with it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from tests.support.ua_sessions import LEASE, Clock, SessionPod, SharedStore, states_told
from tests.support.waiting import until
from wigwag.api.ua.v1 import event_pb2, session_pb2
from wigwag.errors import ConflictError, OverloadedError, StoreError
from wigwag.ua.endpoint.model import Cause, Superseded
from wigwag.ua.endpoint.states import State
from wigwag.ua.sessions.record import SessionRecord


class Two:
    """Two pods of one user agent."""

    def __init__(self) -> None:
        self.clock, self.told = Clock(), list[event_pb2.Event]()
        self.store = SharedStore(self.clock)
        self.one = SessionPod("one", self.store, self.clock, self.told)
        self.two = SessionPod("two", self.store, self.clock, self.told)

    async def lost(self) -> None:
        """Let the first pod say nothing until its leases have run out."""
        self.clock.now += LEASE + 1
        await self.two.step()


@pytest.fixture
async def pods() -> AsyncIterator[Two]:
    two = Two()
    await two.one.step()
    await two.two.step()
    yield two
    await two.one.close()
    await two.two.close()


async def test_session_of_a_silent_pod_goes_on_elsewhere_with_a_higher_token(pods: Two) -> None:
    first = await pods.one.open()
    await pods.lost()
    taken = pods.two.endpoint.sessions["s1"]
    assert taken.token > first.token
    assert pods.two.messages.opened_ids == ["s1"]
    assert (await pods.two.held()).pod == "two"


async def test_paused_pod_that_wakes_lets_go_without_a_word(pods: Two) -> None:
    call = await pods.one.open()
    await pods.lost()
    await pods.one.step()
    assert call.done == ["let go"]
    assert pods.one.sessions.owned("s1") is None
    assert pods.two.sessions.owned("s1") is not None
    assert pods.one.messages.ended_ids == []


async def test_pod_whose_auth_is_fenced_lets_go_without_a_word(pods: Two) -> None:
    call = await pods.one.open()
    pods.one.endpoint.tell(Superseded(session=call, reason="fenced"))  # type: ignore[arg-type]
    assert call.done == ["let go"]
    assert pods.one.sessions.owned("s1") is None
    assert not any(event.session_changed.end_cause for event in pods.told)


async def test_write_that_is_refused_does_not_cost_a_session_that_came_back(pods: Two) -> None:
    await pods.one.open()
    old = pods.one.sessions.all_owned["s1"]
    await pods.lost()
    pods.one.life.lose("s1", old.token)
    pods.clock.now += LEASE + 1
    await pods.one.step()
    again = pods.one.sessions.owned("s1")
    assert again is not None
    old.change(held=True)
    pods.one.life.lose("s1", old.token)
    await until(lambda: old._writer is None)
    assert pods.one.sessions.owned("s1") is again


async def test_session_in_set_up_is_over_when_its_pod_is_lost_and_told_once(pods: Two) -> None:
    call = await pods.one.start()
    await pods.lost()
    ends = [event for event in pods.told if event.session_changed.end_cause]
    assert [event.event_id for event in ends] == ["s1:ended"]
    assert ends[0].session_changed.end_cause == session_pb2.END_CAUSE_POD_LOST
    assert SessionRecord.from_bytes((await pods.two.held()).content).cause == "pod_lost"
    # The pod was only asleep: it gives the call up, since nobody else can.
    await pods.one.step()
    assert call.done == ["end pod_lost"]
    assert len([event for event in pods.told if event.session_changed.end_cause]) == 1


async def test_caller_of_a_session_that_was_lost_while_it_was_offered_gets_an_answer(pods: Two) -> None:
    call = pods.one.endpoint.called("s2")
    await until(lambda: "s2" in pods.one.sessions.all_owned)
    await pods.lost()
    await pods.one.step()
    assert call.done[-1] == "end pod_lost"


async def test_call_whose_pod_was_lost_between_its_200_and_the_ack_is_ended_by_bye(pods: Two) -> None:
    call = pods.one.endpoint.called("s2")
    await until(lambda: "s2" in pods.one.sessions.all_owned)
    await pods.one.endpoint.before_answer(call, "the dialog")
    await pods.lost()
    assert pods.two.endpoint.hung_up == ["the dialog"]
    assert SessionRecord.from_bytes((await pods.two.held("s2")).content).cause == "pod_lost"


async def test_call_that_was_not_answered_by_a_lost_pod_gets_no_bye(pods: Two) -> None:
    pods.one.endpoint.called("s2")
    await until(lambda: "s2" in pods.one.sessions.all_owned)
    await pods.lost()
    assert pods.two.endpoint.hung_up == []


async def test_call_is_answered_while_the_store_is_away(pods: Two) -> None:
    call = pods.one.endpoint.called("s2")
    await until(lambda: "s2" in pods.one.sessions.all_owned)
    pods.store.is_away = True
    await pods.one.endpoint.before_answer(call, "the dialog")
    assert call.done == ["ring"]
    pods.store.is_away = False


async def test_open_session_of_a_call_is_stored_without_the_dialog_that_its_200_was_to_make(pods: Two) -> None:
    call = pods.one.endpoint.called("s2")
    await until(lambda: "s2" in pods.one.sessions.all_owned)
    await pods.one.endpoint.before_answer(call, "the dialog")
    call.opens()
    await pods.one.sessions.all_owned["s2"].written()
    assert SessionRecord.from_bytes((await pods.one.held("s2")).content).answering == ""


async def test_thousands_that_a_pod_leaves_behind_are_taken_in_one_go(pods: Two) -> None:
    for number in range(350):
        await pods.one.open(f"s{number}")
    await pods.lost()
    assert len(pods.two.sessions.all_owned) == 350


async def test_process_that_comes_again_under_its_name_goes_on_with_its_sessions_at_once(pods: Two) -> None:
    await pods.one.open()
    again = SessionPod("one", pods.store, pods.clock, pods.told)
    await again.step()
    assert "s1" in again.sessions.all_owned


async def test_process_that_comes_again_waits_for_the_edge_before_it_goes_on(pods: Two) -> None:
    await pods.one.open()
    again = SessionPod("one", pods.store, pods.clock, pods.told)
    again.is_ready = False
    await again.step()
    assert "s1" not in again.sessions.all_owned
    again.is_ready = True
    await again.step()
    assert "s1" in again.sessions.all_owned


async def test_two_pods_that_claim_at_once_share_what_is_free(pods: Two) -> None:
    third = SessionPod("three", pods.store, pods.clock, pods.told)
    await third.step()
    for number in range(50):
        await pods.one.open(f"s{number}")
    pods.clock.now += LEASE + 1
    await asyncio.gather(pods.two.step(), third.step())
    assert pods.two.sessions.all_owned.keys().isdisjoint(third.sessions.all_owned)
    assert len(pods.two.sessions.all_owned) + len(third.sessions.all_owned) == 50
    await third.close()


async def test_store_that_came_back_empty_is_filled_even_when_the_first_attempt_fails(pods: Two) -> None:
    await pods.one.open()
    pods.store.lose_everything(pods.clock)
    pods.store.is_away = True
    with pytest.raises(StoreError):
        await pods.one.ownership.beat()
    pods.store.is_away = False
    await pods.one.ownership.beat()
    assert (await pods.one.held()).pod == "one"


async def test_a_store_that_came_back_empty_is_not_complete_until_others_have_had_their_turn(pods: Two) -> None:
    assert await pods.two.ownership.store_is_complete()
    pods.store.lose_everything(pods.clock)
    assert not await pods.two.ownership.store_is_complete()
    pods.clock.now += LEASE
    assert await pods.two.ownership.store_is_complete()


async def test_write_into_a_store_that_came_back_empty_costs_no_session(pods: Two) -> None:
    await pods.one.open()
    pods.store.lose_everything(pods.clock)
    own = pods.one.sessions.all_owned["s1"]
    own.change(held=True)
    await until(lambda: own._writer is not None and not own._dirty.is_set())
    await asyncio.sleep(0)
    assert pods.one.sessions.owned("s1") is own


async def test_end_is_kept_by_a_store_that_came_back_empty(pods: Two) -> None:
    call = await pods.one.open()
    pods.store.lose_everything(pods.clock)
    call.over()
    await until(lambda: not pods.one.sessions.is_between("s1"))
    held = await pods.one.held()
    assert held.ended
    assert SessionRecord.from_bytes(held.content).state == "ended"


async def test_who_owns_what_is_asked_for_together_by_all_who_wait_for_it(pods: Two) -> None:
    for number in range(50):
        await pods.one.open(f"s{number}")
    asked = pods.store.looked_up
    before = len(asked)
    owners = await asyncio.gather(*(pods.two.sessions.owner_of(f"s{number}") for number in range(50)))
    records = await asyncio.gather(*(pods.two.sessions.find(f"s{number}") for number in range(50)))
    assert set(owners) == {"one"}
    assert [record.id for record in records] == [f"s{number}" for number in range(50)]
    assert len(asked) - before == 2


async def test_session_that_is_ending_is_not_taken_over_by_its_own_pod(pods: Two) -> None:
    call = await pods.one.open()
    pods.store.is_away = True
    call.over()
    await until(lambda: pods.one.messages.ended_ids == ["s1"])
    assert (await pods.one.sessions.find("s1")).state == "ended"
    assert await pods.one.ownership.take_over("s1") is None
    assert await pods.one.sessions.owner_of("s1") == ""
    assert pods.one.endpoint.sessions == {}
    pods.store.is_away = False
    await until(lambda: not pods.one.sessions.is_between("s1"))


async def test_session_that_is_being_written_down_is_not_taken_over_by_its_own_pod(pods: Two) -> None:
    pods.store.gate = asyncio.Event()
    starting = asyncio.create_task(pods.one.start())
    await until(lambda: pods.one.sessions.is_between("s1"))
    assert await pods.one.ownership.take_over("s1") is None
    pods.store.gate.set()
    await starting
    assert pods.one.sessions.owned("s1") is not None
    assert not pods.one.sessions.is_between("s1")


async def test_call_goes_on_when_who_asked_for_it_has_gone_away(pods: Two) -> None:
    pods.store.gate = asyncio.Event()
    starting = asyncio.create_task(pods.one.start())
    await until(lambda: pods.one.sessions.is_between("s1"))
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    pods.store.gate.set()
    await until(lambda: "s1" in pods.one.endpoint.sessions)
    assert pods.one.sessions.owned("s1") is not None


async def test_drain_begins_while_a_session_is_written_down(pods: Two) -> None:
    pods.store.gate = asyncio.Event()
    starting = asyncio.create_task(pods.one.start())
    await until(lambda: pods.one.sessions.is_between("s1"))
    pods.one.sessions.draining = True
    pods.store.gate.set()
    with pytest.raises(OverloadedError):
        await starting
    assert (await pods.one.held()).ended
    assert pods.told == []


async def test_sessions_that_are_handed_over_can_be_taken_at_once(pods: Two) -> None:
    calls = [await pods.one.open(f"s{number}") for number in range(120)]
    in_set_up = await pods.one.start("s-new")
    pods.one.sessions.draining = True
    await pods.one.ownership.hand_over()
    assert {tuple(call.done) for call in calls} == {("let go",)}
    assert in_set_up.done == ["end ended_here"]
    await pods.two.step()
    assert pods.two.sessions.all_owned.keys() == {call.id for call in calls}
    await pods.one.step()
    assert not pods.one.sessions.all_owned


async def test_session_that_cannot_be_restored_is_over_instead_of_claimed_for_ever(pods: Two) -> None:
    await pods.one.open()
    pods.two.endpoint.fails = ConflictError("no such way")
    await pods.lost()
    held = await pods.two.held()
    assert held.ended
    assert SessionRecord.from_bytes(held.content).cause == "pod_lost"
    assert "s1:ended" in states_told(pods.told)


async def test_session_of_an_application_that_was_deleted_goes_on(pods: Two) -> None:
    await pods.one.open()
    own = pods.one.sessions.all_owned["s1"]
    own.record = replace(own.record, application="gone")
    await own.written()
    await pods.lost()
    assert pods.two.endpoint.sessions["s1"].state is State.OPEN


async def test_pod_that_does_not_reach_the_edge_takes_nothing(pods: Two) -> None:
    await pods.one.open()
    pods.two.is_ready = False
    await pods.lost()
    assert not pods.two.sessions.all_owned
    pods.two.is_ready = True
    await pods.two.step()
    assert "s1" in pods.two.sessions.all_owned


async def test_end_is_told_again_under_the_same_id_by_a_pod_that_goes_on_after_a_kill(pods: Two) -> None:
    call = await pods.one.open()
    pods.store.is_away = True
    call.over()
    await until(lambda: any(event.session_changed.end_cause for event in pods.told))
    await pods.one.close()
    pods.store.is_away = False
    await pods.lost()
    pods.two.endpoint.sessions["s1"].over(Cause.PEER_LOST)
    await until(lambda: not pods.two.sessions.is_between("s1"))
    ids = [event.event_id for event in pods.told if event.session_changed.end_cause]
    assert ids == ["s1:ended"] * 2


async def test_pod_that_slept_asks_what_is_its_own_before_it_takes_anything_for_it(pods: Two) -> None:
    await pods.one.open()
    own = pods.one.sessions.all_owned["s1"]
    await pods.lost()
    await pods.one.ownership.confirm()
    assert own.lost
    assert pods.one.sessions.owned("s1") is None
