"""How much of a file is through."""

from collections.abc import Callable
from typing import Final

_LARGE: Final = 1_048_576
"""Octets of the smallest file whose progress is shown."""
_STEP: Final = 25
"""Percent."""


class Progress:
    """Shows each quarter of a large file.

    Args:
        name: Of the file.
        total: Its octets; None: not known.
        show: Shows a line of text.
    """

    def __init__(self, name: str, total: int | None, show: Callable[[str], None]) -> None:
        self._name = name
        self._total = total
        self._show = show
        self._through = 0
        self._next = _STEP

    def moved(self, octets: int) -> None:
        """Note that so much more is through."""
        self._through += octets
        if self._total is None or self._total < _LARGE:
            return
        percent = self._through * 100 // self._total
        if percent >= self._next and self._next < 100:
            self._show(f"  {self._name}: {percent} %")
            self._next = (percent // _STEP + 1) * _STEP
