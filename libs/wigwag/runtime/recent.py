"""Which ids came lately, within bounds."""


class Recent:
    """A set that forgets the oldest.

    Args:
        most: How many it remembers.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._ids: dict[str, None] = {}

    def __contains__(self, found: object) -> bool:
        return found in self._ids

    def add(self, new: str) -> None:
        """Remember an id."""
        self._ids[new] = None
        if len(self._ids) > self._most:
            del self._ids[next(iter(self._ids))]
