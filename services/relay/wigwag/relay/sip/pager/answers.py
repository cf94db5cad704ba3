"""Answers to MESSAGEs that say what became of them: 200 after delivery, where the route asks for it.

Theory of operation. The row in the ledger is what counts, whichever pod or service ends it; so the pod that has to
answer looks at the rows that it waits for, all in one query, and at none when it waits for nothing. A sender gives up
after 64*T1 (Timer F): before that he gets 202, and hears of the outcome as anybody else does.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from wigwag.database.ledger import Ledger, Outcome, State
from wigwag.errors import WigwagError

MOST: Final = 1_000
"""Senders that wait at once; more are answered 202."""
PATIENCE: Final = 50
"""Multiple of T1 for which a sender is let wait, short of Timer F."""
LOOK: Final = 0.1
"""Seconds between two looks at a few rows; more rows are looked at less often."""
_PER_ROW: Final = 0.001
_ACCEPTED: Final = (202, "Accepted")
_UNAVAILABLE: Final = (480, "Temporarily Unavailable")
_NO_ANSWERS: Final = frozenset({401, 407, 408})
"""Statuses that would be taken for the edge's own challenge; 408 is no answer to a MESSAGE (RFC 4320 section 4.2)."""
_LATER: Final = (("Retry-After", "60"),)
_FOR_NOW: Final = frozenset({480, 503})

Answer = Callable[[int, str], None]


@dataclass(frozen=True, slots=True)
class _Waiting:
    until: float
    answer: Answer


class Answers:
    """Answers senders that wait for the outcome.

    Args:
        ledger: Where their messages are.
        now: Seconds, monotonic.
        spawn: Runs a coroutine beside.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        now: Callable[[], float],
        spawn: Callable[[Awaitable[None]], None],
    ) -> None:
        self._ledger = ledger
        self._now = now
        self._spawn = spawn
        self._waiting: dict[str, list[_Waiting]] = {}
        self._count = 0
        self._next_look = 0.0
        self._looking = False

    def __len__(self) -> int:
        return self._count

    @property
    def has_room(self) -> bool:
        """Whether one more may wait."""
        return self._count < MOST

    def wait(self, message_id: str, until: float, answer: Answer) -> None:
        """Give an answer when a message has its outcome, at ``until`` (monotonic) at the latest."""
        self._waiting.setdefault(message_id, []).append(_Waiting(until, answer))
        self._count += 1

    def tick(self, now: float) -> None:
        """Answer those who have waited long enough; look at the rows of the others."""
        if not self._waiting:
            return
        for message_id in [name for name, held in self._waiting.items() if any(each.until <= now for each in held)]:
            self._end(message_id, _ACCEPTED)
        if self._waiting and not self._looking and now >= self._next_look:
            self._looking = True
            self._spawn(self._look())

    async def _look(self) -> None:
        try:
            found = await self._ledger.outcomes(self._waiting)
        except WigwagError:
            found = {}  # It may be back before they have waited too long.
        finally:
            self._looking = False
            self._next_look = self._now() + LOOK + _PER_ROW * self._count
        for message_id, outcome in found.items():
            self._end(message_id, answer_to(outcome))

    def _end(self, message_id: str, answer: tuple[int, str]) -> None:
        waiting = self._waiting.pop(message_id, [])
        self._count -= len(waiting)
        for each in waiting:
            each.answer(*answer)


def more_of(status: int) -> tuple[tuple[str, str], ...]:
    """Return the header fields that go with such an answer: when it is no answer for good, when to try again."""
    return _LATER if status in _FOR_NOW else ()


def answer_to(outcome: Outcome) -> tuple[int, str]:
    """Return status and reason that tell a sender how his message ended; of one that may have arrived only 202."""
    if outcome.state in (State.DELIVERED, State.DISPLAYED):
        return 200, "OK"
    if outcome.state is not State.FAILED:
        return _ACCEPTED if outcome.state is State.UNCONFIRMED else (480, "Message Expired")
    status = outcome.status or 0
    if not 400 <= status <= 699 or status in _NO_ANSWERS:
        return _UNAVAILABLE
    return status, outcome.reason or "Not Delivered"
