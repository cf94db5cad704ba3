"""Message-IDs that were seen lately."""

from typing import Final

_MOST: Final = 10_000


class Recent:
    """The last 10,000 of them."""

    def __init__(self) -> None:
        self._known: dict[str, None] = {}

    def holds(self, message_id: str) -> bool:
        """Tell whether a Message-ID was seen before, and remember it."""
        if message_id in self._known:
            return True
        self._known[message_id] = None
        if len(self._known) > _MOST:
            del self._known[next(iter(self._known))]
        return False
