"""Questions to the store that requests wait for.

Theory of operation. A question is a ``Question`` destination: whoever needs the answer waits for it as for any next
hop that is being connected, and works out his route again when it is released. An answer that changes nothing the
asker can see (it is not there, the store is away) is remembered for a moment.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from wigwag.relay.destination import Question
from wigwag.relay.refusal import Refusal
from wigwag.store import StoreError

if TYPE_CHECKING:
    from wigwag.relay.service import Relay

ABSENT_REMEMBERED: Final = 1.0
FAILURE_REMEMBERED: Final = 0.25

Key = tuple[str, ...]

AWAY: Final[Refusal] = (408, "the session store is not available")


class Questions:
    """Those that are open, and answers that are remembered.

    Args:
        relay: The relay of this pod.
    """

    def __init__(self, relay: "Relay") -> None:
        self._relay = relay
        self._open: dict[Key, Question] = {}
        self._answers: dict[Key, tuple[float, Refusal | None]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def known(self, key: Key) -> tuple[Refusal | None] | None:
        """Return the answer that is remembered, in a tuple; None: there is none."""
        known = self._answers.get(key)
        if known is None:
            return None
        if self._relay.now() >= known[0]:
            del self._answers[key]
            return None
        return (known[1],)

    def ask(self, key: Key, begin: Callable[[], None]) -> Question:
        """Return what waits for the answer; ``begin`` is called unless it is on its way already."""
        question = self._open.get(key)
        if question is None:
            question = self._open[key] = Question()
            begin()
        return question

    def run(self, key: Key, work: Callable[[], Awaitable[None]]) -> Question:
        """Like ``ask``; ``work`` runs beside, and answers."""
        return self.ask(key, lambda: self._relay.runtime.spawn(self._run(key, work)))

    async def _run(self, key: Key, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except StoreError as error:
            self._relay.counters["store_failures"] += 1
            self._relay.log_event("peers can't be looked up", reason=str(error))
        finally:
            if key in self._open:
                self.answer(key, AWAY, FAILURE_REMEMBERED)
        self._relay.flush()

    def answer(self, key: Key, refusal: Refusal | None, seconds: float) -> None:
        """Remember what was found out, and let those go on who wait for it."""
        now = self._relay.now()
        if seconds:
            self._answers[key] = (now + seconds, refusal)
        waiting = self._open.pop(key, None)
        if waiting is not None:
            waiting.full = False
            waiting.release(now)

    def tick(self, now: float) -> None:
        """Forget what has been remembered long enough."""
        for key in [key for key, (until, _) in self._answers.items() if until <= now]:
            del self._answers[key]
