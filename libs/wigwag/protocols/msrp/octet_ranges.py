"""A set of octets of one message, kept as ranges."""

from bisect import bisect_left, bisect_right


class OctetRanges:
    """Octets, numbered from 1 as in Byte-Range, as the fewest ranges that hold them."""

    __slots__ = ("_ends", "_starts")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def __len__(self) -> int:
        """The number of ranges: one more than there are holes between them."""
        return len(self._starts)

    def __iter__(self) -> "zip[tuple[int, int]]":
        """Each range as (first octet, last octet), in order."""
        return zip(self._starts, self._ends, strict=True)

    def add(self, start: int, end: int) -> None:
        """Add the octets ``start`` to ``end``, both included; nothing when ``end`` is less than ``start``."""
        if end < start:
            return
        # Ranges that touch or overlap the new one lie in [first, last).
        first = bisect_left(self._ends, start - 1)
        last = bisect_right(self._starts, end + 1)
        if first < last:
            start = min(start, self._starts[first])
            end = max(end, self._ends[last - 1])
        self._starts[first:last] = [start]
        self._ends[first:last] = [end]

    def covers(self, start: int, end: int) -> bool:
        """Tell whether all octets from ``start`` to ``end`` are in the set; true when there are none."""
        if end < start:
            return True
        index = bisect_right(self._starts, start) - 1
        return index >= 0 and self._ends[index] >= end

    @property
    def last(self) -> int:
        """The highest octet in the set, 0 when it is empty."""
        return self._ends[-1] if self._ends else 0
