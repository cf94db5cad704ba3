"""Texts that are too large for one MESSAGE, and what became of all their parts."""

import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.gateway_content import settings
from wigwag.database.ledger import State
from wigwag.gateway.content import PageContent
from wigwag.gateway.kinds import RefusedError
from wigwag.gateway.splitting import MOST_PARTS, continues, overhead_of, part_ids, parts_of, split, whole, whole_id

MARK = re.compile(r"\((\d+)/(\d+)\) ")
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
CHARACTERS = [
    FAMILY,
    "e\u0301",
    "\U0001f1e9\U0001f1ea",
    "\U0001f44d\U0001f3fd",
    "\r\n",
    "\u1112\u1161\u11ab",
    "❤\ufe0f",
]
"""Each is one as people see it."""


def texts(parts: list[str]) -> list[str]:
    """Return the parts without their marks, which have to be right."""
    found = []
    for number, part in enumerate(parts, 1):
        mark = MARK.match(part)
        assert mark is not None
        assert mark.groups() == (str(number), str(len(parts)))
        found.append(part[mark.end() :])
    return found


def content(body: bytes, content_type: str = "text/plain;charset=UTF-8") -> PageContent:
    return PageContent(content_type=content_type, body=body, headers=(("Subject", "x"),))


def test_parts_are_marked_and_cut_behind_blanks() -> None:
    parts = split("The quick brown fox jumps over the lazy dog. " * 4, 70)
    assert parts[0] == "(1/3) The quick brown fox jumps over the lazy dog. The quick brown "
    assert all(len(part.encode()) <= 70 for part in parts)
    assert "".join(texts(parts)) == "The quick brown fox jumps over the lazy dog. " * 4


@pytest.mark.parametrize("character", CHARACTERS)
def test_no_character_that_people_see_is_cut(character: str) -> None:
    for room in range(64, 90):
        for part in texts(split(character * 60, room)):
            assert len(part) % len(character) == 0
            assert part == character * (len(part) // len(character))


def test_what_claims_to_be_one_character_without_end_is_cut_all_the_same() -> None:
    endless = "e" + "\u0301" * 2_000
    assert "".join(texts(split(endless, 100))) == endless


def test_as_many_parts_as_a_mark_has_room_for() -> None:
    assert len(split("x" * (58 * 9), 64)) == 9
    assert len(split("x" * (58 * 9 + 1), 64)) == 10
    assert len(split("x" * (56 * MOST_PARTS), 64)) == MOST_PARTS
    for text, room in (("x" * (56 * MOST_PARTS + 1), 64), ("x" * 100, 63)):
        with pytest.raises(RefusedError) as refused:
            split(text, room)
        assert refused.value.status == 413


@given(
    text=st.text(st.characters() | st.sampled_from(" \n" + "".join(CHARACTERS)), min_size=1), room=st.integers(64, 200)
)
def test_parts_are_within_the_limit_and_give_the_text_again(text: str, room: int) -> None:
    text = text.encode("utf-8", "ignore").decode() or "x"
    parts = split(text, room)
    assert all(len(part.encode()) <= room for part in parts)
    found = texts(parts)
    assert "".join(found) == text
    assert all(found)
    position = 0
    for part in found[:-1]:
        begin, position = position, position + len(part)
        is_endless = all(continues(text, at) for at in range(max(begin + 1, position - 63), position + 1))
        assert is_endless or not continues(text, position)


# By policy


def test_what_fits_is_sent_as_it_is_by_any_policy() -> None:
    for large in ("tcp", "split", "refuse"):
        [part] = parts_of(content(b"x" * 900), "m1", settings(large=large), overhead=400)
        assert (part.message_id, part.content) == ("m1", content(b"x" * 900))


def test_what_does_not_fit_is_sent_whole_split_or_refused() -> None:
    large = content(b"x " * 451)
    [part] = parts_of(large, "m1", settings(large="tcp"), overhead=400)
    assert part.content == large
    first, second = parts_of(large, "m1", settings(large="split"), overhead=400)
    assert (first.message_id, second.message_id) == ("m1.1", "m1.2")
    assert first.content.body.startswith(b"(1/2) x ")
    assert second.content.headers == large.headers
    with pytest.raises(RefusedError) as refused:
        parts_of(large, "m1", settings(large="refuse"), overhead=400)
    assert refused.value.status == 413


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"x" * 2_000, "text/html"),
        (b"x" * 2_000, "message/cpim"),
        (b"x" * 2_000, "text/plain;charset=ISO-8859-1"),
        (b"\xff" * 2_000, "text/plain;charset=UTF-8"),
        (b"x" * 60_000, "text/plain"),
    ],
)
def test_what_can_not_be_split_is_refused(body: bytes, content_type: str) -> None:
    with pytest.raises(RefusedError) as refused:
        parts_of(content(body, content_type), "m1", settings(large="split"), overhead=900)
    assert refused.value.status == 413


def test_the_head_of_a_message_counts() -> None:
    plain = content(b"x")
    assert overhead_of("sip:alice@example.com", "sip:bob@example.com", plain) < 850
    longer = overhead_of("sip:alice@example.com" + "x" * 100, "sip:bob@example.com", plain)
    assert longer == overhead_of("sip:alice@example.com", "sip:bob@example.com", plain) + 300


# The state of the whole


@pytest.mark.parametrize(
    ("states", "state"),
    [
        ("dd", State.DELIVERED),
        ("dD", State.DELIVERED),
        ("DD", State.DISPLAYED),
        ("da", None),
        ("", None),
        ("fa", State.FAILED),
        ("df", State.FAILED),
        ("uf", State.FAILED),
        ("du", State.UNCONFIRMED),
        ("ua", None),
        ("ee", State.EXPIRED),
        ("de", State.FAILED),
        ("ue", State.FAILED),
    ],
)
def test_the_state_of_all_parts(states: str, state: State | None) -> None:
    letters = {
        "a": State.ACCEPTED,
        "d": State.DELIVERED,
        "D": State.DISPLAYED,
        "f": State.FAILED,
        "u": State.UNCONFIRMED,
        "e": State.EXPIRED,
    }
    assert whole([letters[letter] for letter in states]) is state


def test_a_whole_is_delivered_only_when_all_parts_are_and_the_order_of_parts_makes_no_difference() -> None:
    for states in product(State, repeat=3):
        found = whole(states)
        assert found is whole(sorted(states, key=lambda state: state.value))
        good = all(state in (State.DELIVERED, State.DISPLAYED) for state in states)
        assert (found in (State.DELIVERED, State.DISPLAYED)) == good
        assert (found is State.FAILED) or (found is None) == (State.ACCEPTED in states)


def test_ids_of_parts_lead_to_the_whole() -> None:
    assert list(part_ids("m1", 1)) == ["m1"]
    assert [whole_id(part_id) for part_id in part_ids("m1", 3)] == [("m1", 1), ("m1", 2), ("m1", 3)]
    assert whole_id("m1") == ("m1", 0)
    assert whole_id("m1.x") == ("m1.x", 0)
