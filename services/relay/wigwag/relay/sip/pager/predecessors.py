"""What was asked for first is sent first, also when it has to be sent again (``PagerRequest.predecessor``).

Theory of operation. Records of one key are handled one after the other, so the attempt before has its outcome when the
next one comes. If that says that its message may be sent again, whoever asks for attempts has it wait; what comes
behind it must wait with it. How the last attempt of each conversation to an address ended is remembered; one that
another pod has handled is looked up. Outcomes are final: all pods decide the same, whenever they do.
"""

from collections import OrderedDict
from collections.abc import Callable
from enum import Enum
from typing import Final

from wigwag.database.ledger import OUTCOME_TIMEOUT, Ledger, State
from wigwag.errors import StoreError
from wigwag.protocols.cpim import CPIM_TYPE
from wigwag.runtime.pager_events import NO_PAGE_MODE, NOBODY_THERE, NOT_SENT, UNSUPPORTED_TYPE

from .requests import Outbound
from .sender import Outcome

_REMEMBERED: Final = 20_000
_COMES_BACK: Final = NOBODY_THERE | {NO_PAGE_MODE}


class _HoldsUp(Enum):
    """What an attempt that has ended holds up."""

    NOTHING = "nothing"
    UNWRAPPED = "all but message/cpim"
    """A device does not take message/cpim: it would refuse the next one likewise."""
    ALL = "all"


class Predecessors:
    """Knows how attempts ended, for those behind them.

    Args:
        ledger: Where attempts are noted.
        wall: Seconds since 1970.
    """

    def __init__(self, ledger: Ledger, wall: Callable[[], float]) -> None:
        self._ledger = ledger
        self._wall = wall
        self._last: OrderedDict[tuple[str, str], tuple[str, _HoldsUp]] = OrderedDict()
        """Conversation and target -> the last attempt there, and what it holds up."""

    async def hold_up(self, row: str, outbound: Outbound) -> bool:
        """Tell whether an attempt may not be sent, because a message before it may be sent again.

        Args:
            row: Its id.
            outbound: What is asked for.

        Raises:
            StoreError: The predecessor has no outcome yet, and may get one.
            DatabaseError: It can't be looked up now.
        """
        predecessor = outbound.request.predecessor
        if not predecessor or predecessor == row:
            return False
        last = self._last.get((outbound.conversation, outbound.target))
        held = last[1] if last is not None and last[0] == predecessor else await self._look_up(predecessor)
        return held is _HoldsUp.ALL or (held is _HoldsUp.UNWRAPPED and not _is_cpim(outbound.request.content_type))

    def ended(self, row: str, outbound: Outbound, outcome: Outcome) -> None:
        """Note how an attempt ended."""
        key = (outbound.conversation, outbound.target)
        held = _held_up(outcome.state, outcome.status, outcome.words, outbound.request.content_type)
        self._last[key] = row, held
        self._last.move_to_end(key)
        if len(self._last) > _REMEMBERED:
            self._last.popitem(last=False)

    async def _look_up(self, predecessor: str) -> _HoldsUp:
        found = await self._ledger.find(predecessor)
        if found is None:
            return _HoldsUp.NOTHING  # It was over so long ago that it is forgotten, or could never be sent.
        if found.state is State.ACCEPTED and self._wall() < found.updated + OUTCOME_TIMEOUT:
            raise StoreError("the message before has no outcome yet")  # Another pod is sending it.
        return _held_up(found.state, found.status, found.reason, found.content_type)


def _held_up(state: State, status: int | None, words: str, content_type: str) -> _HoldsUp:
    if state is not State.FAILED:
        return _HoldsUp.NOTHING
    if words.startswith(NOT_SENT):
        return _HoldsUp.ALL if status in _COMES_BACK else _HoldsUp.NOTHING
    is_unwrapped_next = status == UNSUPPORTED_TYPE and _is_cpim(content_type)
    return _HoldsUp.UNWRAPPED if is_unwrapped_next else _HoldsUp.NOTHING


def _is_cpim(content_type: str) -> bool:
    return content_type.partition(";")[0].strip(" \t").lower() == CPIM_TYPE
