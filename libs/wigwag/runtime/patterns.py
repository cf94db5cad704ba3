"""Patterns with ``*``, as settings and tables have them."""


class Glob:
    """A pattern in which ``*`` stands for any characters; matching takes linear time, whatever the pattern.

    Args:
        pattern: As written.
    """

    __slots__ = ("_first", "_last", "_middle")

    def __init__(self, pattern: str) -> None:
        first, *rest = pattern.split("*")
        self._first = first
        self._last = rest.pop() if rest else None
        self._middle = [part for part in rest if part]

    def matches(self, text: str) -> bool:
        """Tell whether the whole text is as the pattern says."""
        if self._last is None:
            return text == self._first
        if not text.startswith(self._first) or not text.endswith(self._last):
            return False
        at, end = len(self._first), len(text) - len(self._last)
        for part in self._middle:
            found = text.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return at <= end
