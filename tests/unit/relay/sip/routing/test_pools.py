"""Pools: shares by weight, the same order for all of a call, who is down and when it is asked again."""

from collections import Counter

import pytest

from wigwag.errors import NotFoundError
from wigwag.protocols.sip import SipError
from wigwag.relay.sip.routing.config import SipPoolMemberSettings, SipPoolSettings
from wigwag.relay.sip.routing.pools import MemberState, Pool, pools_of


def pool(*members: tuple[str, int, int], **settings: float) -> Pool:
    """A pool of (URI, weight, priority)."""
    made = [SipPoolMemberSettings(uri=uri, weight=weight, priority=priority) for uri, weight, priority in members]
    return Pool(SipPoolSettings.model_validate({"name": "p", "members": made, **settings}), made)


def order(chosen: Pool, call_id: str) -> list[str]:
    return [uri.host for uri in chosen.choose(call_id, 0.0)]


def fail(watched: Pool, host: str, now: float) -> None:
    """Let the OPTIONS of a member go unanswered, and the others answer."""
    for member in watched.due(now):
        if member.uri.host == host:
            watched.unanswered(member, now)
        else:
            watched.answered(member, 200, now)


def test_calls_are_shared_by_weight_and_each_keeps_its_order() -> None:
    shared = pool(("sip:a", 3, 0), ("sip:b", 1, 0))
    firsts = Counter(order(shared, f"call-{number}")[0] for number in range(4000))
    assert 2850 < firsts["a"] < 3150
    assert order(shared, "one") == order(pool(("sip:b", 1, 0), ("sip:a", 3, 0)), "one")


def test_only_calls_of_the_member_that_is_down_move() -> None:
    shared = pool(("sip:a", 1, 0), ("sip:b", 1, 0), ("sip:c", 1, 0))
    before = {f"call-{number}": order(shared, f"call-{number}") for number in range(300)}
    shared.set_state("sip:a", MemberState.INACTIVE)
    for call_id, hosts in before.items():
        assert order(shared, call_id) == [host for host in hosts if host != "a"]


def test_lower_priority_goes_first_and_no_weight_last() -> None:
    shared = pool(("sip:spare", 9, 1), ("sip:idle", 0, 0), ("sip:main", 1, 0))
    assert all(order(shared, str(number)) == ["main", "idle", "spare"] for number in range(50))


def test_member_is_down_after_failures_in_a_row_and_one_answer_brings_it_back() -> None:
    watched = pool(("sip:a", 1, 0), ("sip:b", 1, 0), failures=3)
    a = watched.members[0]
    for now in (0.0, 10.0):
        fail(watched, "a", now)
    fail(watched, "b", 20.0)
    for now in (30.0, 40.0, 50.0):
        assert a.state is MemberState.ACTIVE
        fail(watched, "a", now)
    assert a.state is MemberState.PROBING
    assert order(watched, "x") == ["b"]
    assert a in watched.due(60.0)
    watched.answered(a, 404, 60.0)
    assert set(order(watched, "x")) == {"a", "b"}


@pytest.mark.parametrize("status", [408, 502, 503, 504])
def test_answer_that_says_out_of_service_counts_as_none(status: int) -> None:
    watched = pool(("sip:a", 1, 0), failures=1)
    (member,) = watched.due(0.0)
    watched.answered(member, status, 1.0)
    assert member.state is MemberState.PROBING


def test_silence_is_a_failure_after_the_timeout_and_a_late_answer_still_counts() -> None:
    watched = pool(("sip:a", 1, 0), failures=1, ping_timeout=4)
    (member,) = watched.due(0.0)
    assert watched.due(3.9) == []
    assert order(watched, "x") == ["a"]
    watched.due(4.0)
    assert member.state.value == "probing"
    watched.answered(member, 200, 5.0)
    assert order(watched, "x") == ["a"]


def test_member_that_is_down_is_asked_less_and_less_often_up_to_a_bound() -> None:
    watched = pool(("sip:a", 1, 0), failures=1, ping_interval=10, longest_interval=40)
    asked, now = [], 0.0
    while now < 200:
        for member in watched.due(now):
            asked.append(now)
            watched.unanswered(member, now)
        now += 1
    assert asked == [0, 10, 30, 70, 110, 150, 190]


def test_requests_that_do_not_get_through_take_a_member_out_before_its_options() -> None:
    watched = pool(("sip:a", 1, 0), ("sip:b", 1, 0), failures=2)
    for member in watched.due(0.0):
        watched.answered(member, 200, 0.0)
    for _ in range(2):
        watched.failed(watched.members[0].uri, 1.0)
    assert order(watched, "x") == ["b"]
    assert watched.due(1.0) == [watched.members[0]]


def test_unwatched_pool_never_loses_a_member() -> None:
    unwatched = pool(("sip:a", 1, 0), ping_interval=0, failures=1)
    unwatched.failed(unwatched.members[0].uri, 0.0)
    assert order(unwatched, "x") == ["a"]
    assert unwatched.due(100.0) == []


def test_when_all_are_down_the_answer_is_503_with_a_time() -> None:
    watched = pool(("sip:a", 1, 0), failures=1)
    fail(watched, "a", 0.0)
    with pytest.raises(SipError) as caught:
        order(watched, "x")
    assert (caught.value.status, caught.value.headers) == (503, (("Retry-After", "10"),))


def test_member_taken_out_by_an_operator_is_not_asked_and_stays_out_over_a_reload() -> None:
    settings = SipPoolSettings(name="p", members=(SipPoolMemberSettings(uri="sip:a"),))
    before = pools_of([settings], [], {})
    before["p"].set_state("sip:a", MemberState.INACTIVE)
    assert before["p"].due(0.0) == []
    after = pools_of([settings], [("p", SipPoolMemberSettings(uri="sip:b"))], before)
    assert [(member.name, member.state.value) for member in after["p"].members] == [
        ("sip:a", "inactive"),
        ("sip:b", "active"),
    ]
    with pytest.raises(NotFoundError):
        after["p"].set_state("sip:nobody", MemberState.ACTIVE)
