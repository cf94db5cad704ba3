"""The table of states and the rules of edits: values in, values out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wigwag.database.ledger import (
    FINAL,
    TRANSITIONS,
    Change,
    Claim,
    Edit,
    EndOverdue,
    Postpone,
    Refusal,
    Release,
    State,
)
from wigwag.database.ledger.edits import Standing, judge
from wigwag.database.ledger.states import history, may_become, overdue_state, picture

NEW = Standing(
    position=1,
    state=State.ACCEPTED,
    version=1,
    attempt=0,
    owner="",
    token=0,
    doubts=0,
    updated=0.0,
    settled=None,
    expires=100.0,
    due=100.0,
    event_pending=False,
    status=None,
    reason="",
)
TIMEOUT = 60.0


def paths(state: State, version: int) -> list[tuple[State, ...]]:
    """Return all ways through the table to a state in so many versions."""
    if version == 1:
        return [(state,)] if state is State.ACCEPTED else []
    before = [origin for origin, following in TRANSITIONS.items() if state in following]
    return [(*path, state) for origin in before for path in paths(origin, version - 1)]


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("version", range(1, 6))
def test_state_and_version_tell_all_states_before(state: State, version: int) -> None:
    ways = paths(state, version)
    assert len(ways) <= 1
    if ways:
        assert history(state, version) == ways[0]
    else:
        with pytest.raises(ValueError, match=state.value):
            history(state, version)


def test_no_message_leaves_a_final_state_but_to_say_more_of_the_same() -> None:
    leaving = {state: set(TRANSITIONS.get(state, {})) for state in FINAL}
    assert {state: wanted for state, wanted in leaving.items() if wanted} == {State.DELIVERED: {State.DISPLAYED}}


def test_every_final_state_is_reached_from_accepted() -> None:
    assert set(TRANSITIONS[State.ACCEPTED]) == FINAL
    assert not may_become(State.ACCEPTED, State.ACCEPTED)


def test_message_in_doubt_is_never_called_expired() -> None:
    assert [overdue_state(doubts) for doubts in (0, 1, 2)] == [State.EXPIRED, State.UNCONFIRMED, State.UNCONFIRMED]


def test_picture_shows_every_change() -> None:
    shown = {line.strip().partition(":")[0] for line in picture().splitlines()}
    wanted = {f"{a.value} --> {b.value}" for a, following in TRANSITIONS.items() for b in following}
    assert wanted <= shown


def test_words_of_the_outcome_stay_when_it_is_refined() -> None:
    delivered = judge(Change(id="m", version=1, state=State.DELIVERED, status=200, reason="OK"), NEW, 5.0, TIMEOUT)
    assert isinstance(delivered, Standing)
    displayed = judge(Change(id="m", version=2, state=State.DISPLAYED, status=202), delivered, 9.0, TIMEOUT)
    assert isinstance(displayed, Standing)
    assert (displayed.status, displayed.reason, displayed.settled, displayed.updated) == (200, "OK", 5.0, 9.0)


def test_peers_words_are_cut_and_cleaned_rather_than_refused() -> None:
    after = judge(Change(id="m", version=1, state=State.FAILED, reason="a\x00b" + "c" * 500), NEW, 5.0, TIMEOUT)
    assert isinstance(after, Standing)
    assert after.reason == "a?b" + "c" * 252


def test_a_claim_may_say_itself_when_its_outcome_counts_as_unknown() -> None:
    row = judge(Claim(id="m", owner="a", token=3, until=5_000.0), NEW, 1.0, TIMEOUT)
    assert isinstance(row, Standing)
    assert row.due == 5_000.0


def test_released_message_may_be_claimed_with_the_same_token_by_another() -> None:
    row = judge(Claim(id="m", owner="a", token=3), NEW, 1.0, TIMEOUT)
    assert isinstance(row, Standing)
    assert judge(Claim(id="m", owner="b", token=3), row, 1.0, TIMEOUT) is Refusal.FENCED
    row = judge(Release(id="m", token=3, attempt=1), row, 2.0, TIMEOUT)
    assert isinstance(row, Standing)
    assert (row.doubts, row.due) == (0, 100.0)
    row = judge(Claim(id="m", owner="b", token=3), row, 3.0, TIMEOUT)
    assert isinstance(row, Standing)
    assert (row.owner, row.attempt, row.due) == ("b", 2, 63.0)


def test_late_release_of_an_earlier_attempt_says_nothing_about_the_next() -> None:
    row = NEW
    for edit in (
        Claim(id="m", owner="a", token=3),
        Release(id="m", token=3, attempt=1),
        Claim(id="m", owner="a", token=3),
    ):
        after = judge(edit, row, 1.0, TIMEOUT)
        assert isinstance(after, Standing)
        row = after
    assert judge(Release(id="m", token=3, attempt=1), row, 2.0, TIMEOUT) is Refusal.FENCED


def edits() -> st.SearchStrategy[Edit]:
    tokens = st.integers(0, 3)
    attempts = st.integers(0, 4)
    return st.one_of(
        st.builds(
            Change,
            id=st.just("m"),
            version=st.integers(0, 4),
            state=st.sampled_from(State),
            token=st.none() | tokens,
        ),
        st.builds(Claim, id=st.just("m"), owner=st.sampled_from("ab"), token=tokens),
        st.builds(Release, id=st.just("m"), token=tokens, attempt=attempts),
        st.builds(Postpone, id=st.just("m"), token=tokens, attempt=attempts, until=st.floats(0, 300)),
        st.builds(EndOverdue, id=st.just("m")),
    )


@given(st.lists(st.tuples(edits(), st.floats(0, 30)), max_size=40))
def test_no_edits_in_any_order_break_the_rules(steps: list[tuple[Edit, float]]) -> None:
    row, now = NEW, 0.0
    for edit, pause in steps:
        now += pause
        after = judge(edit, row, now, TIMEOUT)
        if isinstance(after, Refusal):
            continue
        assert after.token >= row.token
        assert 0 <= after.doubts <= after.attempt
        if after.state is row.state:
            assert after == after._replace(version=row.version, settled=row.settled, status=row.status)
        else:
            assert after.version == row.version + 1
            assert after.event_pending
            assert may_become(row.state, after.state)
        assert history(after.state, after.version)[-1] is after.state
        row = after
    assert row.state in FINAL or row.due <= now + 300 + TIMEOUT
