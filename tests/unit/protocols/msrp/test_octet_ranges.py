"""Ranges of octets, held against a plain set."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from wigwag.protocols.msrp import OctetRanges


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 20)), max_size=30))
def test_ranges_hold_the_same_octets_as_a_set(chunks: list[tuple[int, int]]) -> None:
    ranges, octets = OctetRanges(), set[int]()
    for start, length in chunks:
        ranges.add(start, start + length - 1)
        octets |= set(range(start, start + length))
        assert {octet for first, last in ranges for octet in range(first, last + 1)} == octets
        pairs = list(ranges)
        assert all(first <= last for first, last in pairs)
        assert all(before[1] + 1 < after[0] for before, after in pairwise(pairs))
        assert len(ranges) == len(pairs)
        assert ranges.last == max(octets, default=0)
    for start in range(1, 60, 7):
        for end in range(start - 1, 80, 5):
            assert ranges.covers(start, end) is (set(range(start, end + 1)) <= octets)
