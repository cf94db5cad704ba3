"""Devices that have just let a MESSAGE time out: the next one would take as long, and hold up others' meanwhile."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Final

from wigwag.relay.sip.incoming import Target

LASTS: Final = 30.0
"""Seconds for which a device is not tried again, unless it registers anew."""
_SLOW: Final = 5.0
"""Seconds that an attempt without an answer has taken at least; a connection that was lost tells at once."""
_REMEMBERED: Final = 20_000


class Silence:
    """Remembers registered contacts that did not answer, as they were registered then."""

    def __init__(self) -> None:
        self._since: OrderedDict[tuple[str, float], float] = OrderedDict()

    def noted(self, targets: Iterable[Target], took: float, now: float) -> None:
        """Take note that none of these has answered.

        Args:
            targets: Where a message was sent.
            took: Seconds that were waited.
            now: Seconds, monotonic.
        """
        if took < _SLOW:
            return
        for target in _contacts(targets):
            self._since[_name(target)] = now
            self._since.move_to_end(_name(target))
        while len(self._since) > _REMEMBERED:
            self._since.popitem(last=False)

    def is_around(self, targets: Iterable[Target], now: float) -> bool:
        """Tell whether all of these are contacts that have not answered a moment ago."""
        since = [self._since.get(_name(target), float("-inf")) for target in _contacts(targets)]
        return bool(since) and min(since) > now - LASTS


def _contacts(targets: Iterable[Target]) -> Iterator[Target]:
    for target in targets:
        if target.aor:
            yield target
            yield from _contacts(target.others)


def _name(target: Target) -> tuple[str, float]:
    return target.name, target.registered_at
