"""A good recording in which one record was dropped, doubled or moved is not good any more."""

from collections.abc import Callable

from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support.histories import History, changed
from wigwag.runtime.evidence import Kind
from wigwag.runtime.recording import Answered, Received, Record, Recording, Reported, Sent
from wigwag.runtime.verification import verify

Change = Callable[[list[Record]], None]

FATES = ("delivered", "delivered", "reported", "refused")


@st.composite
def good_runs(draw: st.DrawFn, *, losses: bool) -> tuple[Recording, Recording]:
    """Two recordings of a run in which the relay kept its promise; up to three messages are under way at once."""
    history, under_way = History(), list[tuple[str, str]]()
    for fate in draw(st.lists(st.sampled_from((*FATES, "lost") if losses else FATES), min_size=1, max_size=12)):
        if fate == "lost":
            under_way.clear()
            history.lose()
            history.open()
            continue
        under_way.append((history.send(), fate))
        while len(under_way) > draw(st.integers(0, 3)):
            _settle(history, *under_way.pop(0))
    for message_id, fate in under_way:
        _settle(history, message_id, fate)
    return history.finish()


def _settle(history: History, message_id: str, fate: str) -> None:
    history.answer(message_id, 481 if fate == "refused" else 200)
    if fate == "delivered":
        history.receive(message_id)
    elif fate == "reported":
        history.report(message_id)


def mutated(data: st.DataObject, run: tuple[Recording, Recording], change: Change, *, renumber: bool) -> set[Kind]:
    """Change one of the two recordings; returns what the verifier finds."""
    which = data.draw(st.integers(0, 1))
    both = list(run)
    both[which] = changed(run[which], change, renumber=renumber)
    assume(both[which] != run[which])
    return {violation.kind for violation in verify(both).violations}


def drop(data: st.DataObject) -> Change:
    """Drop a record."""

    def change(records: list[Record]) -> None:
        del records[data.draw(st.integers(0, len(records) - 1))]

    return change


def double(data: st.DataObject) -> Change:
    """Double a record; a second REPORT alone is what the promise allows ("at least one")."""

    def change(records: list[Record]) -> None:
        index = data.draw(st.integers(0, len(records) - 1))
        assume(not isinstance(records[index], Reported))
        records.insert(index, records[index])

    return change


def exchange(data: st.DataObject, *kinds: type[Record]) -> Change:
    """Exchange two neighbours among the records of some kinds."""

    def change(records: list[Record]) -> None:
        places = [index for index, record in enumerate(records) if isinstance(record, kinds)]
        assume(len(places) > 1)
        which = data.draw(st.integers(0, len(places) - 2))
        one, other = places[which : which + 2]
        records[one], records[other] = records[other], records[one]

    return change


@given(good_runs(losses=True))
def test_a_good_run_is_found_good(run: tuple[Recording, Recording]) -> None:
    assert verify(run).violations == ()


@given(good_runs(losses=True), st.data())
def test_any_record_that_is_dropped_doubled_or_moved_shows(
    run: tuple[Recording, Recording], data: st.DataObject
) -> None:
    every = (Answered, Received, Reported, Sent)
    change = data.draw(st.sampled_from((drop(data), double(data), exchange(data, *every))))
    assert mutated(data, run, change, renumber=False)


@given(good_runs(losses=False), st.data())
def test_a_dropped_record_shows_even_if_the_numbers_were_forged(
    run: tuple[Recording, Recording], data: st.DataObject
) -> None:
    assert mutated(data, run, drop(data), renumber=True)


@given(good_runs(losses=False), st.data())
def test_a_doubled_record_shows_even_if_the_numbers_were_forged(
    run: tuple[Recording, Recording], data: st.DataObject
) -> None:
    assert mutated(data, run, double(data), renumber=True)


@given(good_runs(losses=True), st.data())
def test_a_message_received_out_of_turn_shows_even_if_the_numbers_were_forged(
    run: tuple[Recording, Recording], data: st.DataObject
) -> None:
    assert Kind.REORDERED in mutated(data, run, exchange(data, Received), renumber=True)


@given(good_runs(losses=True), st.data())
def test_a_message_sent_out_of_turn_shows_even_if_the_numbers_were_forged(
    run: tuple[Recording, Recording], data: st.DataObject
) -> None:
    assert mutated(data, run, exchange(data, Sent), renumber=True)
