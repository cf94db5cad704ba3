"""What is shown of lines."""

import itertools

from wigwag.node.chat.lines import Lines, LineState


def lines(shown: list[str], most: int = 100) -> Lines:
    numbers = itertools.count()
    return Lines(shown.append, lambda: f"id{next(numbers)}", most)


def test_each_mark_is_shown_once_and_none_after_a_better_one() -> None:
    shown: list[str] = []
    all_lines = lines(shown)
    line = all_lines.add("hello")
    for state in (LineState.SENT, LineState.SENT, LineState.DELIVERED, LineState.FAILED, LineState.DELIVERED):
        all_lines.mark(line, state)
    assert shown == ["  #1 sent", "  #1 delivered ✓"]
    assert len(all_lines) == 0
    assert not all_lines.ended_as(LineState.FAILED)
    found = all_lines.find(line.message_id)
    assert found is line
    all_lines.mark(line, LineState.DISPLAYED)
    assert shown[-1] == "  #1 displayed ✓✓"


def test_a_display_counts_for_a_delivery_that_was_never_told() -> None:
    shown: list[str] = []
    all_lines = lines(shown)
    line = all_lines.add("hello")
    all_lines.mark(line, LineState.DISPLAYED)
    all_lines.mark(line, LineState.UNCONFIRMED, "too late")
    assert shown == ["  #1 displayed ✓✓"]
    assert len(all_lines) == 0


def test_lines_without_an_outcome_are_kept_in_order_and_only_others_are_forgotten() -> None:
    shown: list[str] = []
    all_lines = lines(shown, most=2)
    first = all_lines.add("first")
    later = [all_lines.add(str(number)) for number in range(5)]
    for line in later:
        all_lines.mark(line, LineState.DELIVERED)
    another = all_lines.add("another")
    assert list(all_lines.open()) == [first, another]
    assert [all_lines.find(line.message_id) is not None for line in later] == [False, False, False, True, True]
