"""Look-ups of sessions that this pod does not have: before a route is known, and again; those of one turn together."""

from typing import TYPE_CHECKING

from wigwag.store import SessionRecord, Store, StoreError

from .elsewhere import Elsewhere
from .questions import ABSENT_REMEMBERED, AWAY, FAILURE_REMEMBERED, Key, Questions

if TYPE_CHECKING:
    from wigwag.relay.destination import Question
    from wigwag.relay.refusal import Refusal
    from wigwag.relay.service import Relay

REFILLING = 5.0
"""Seconds after the store was away, or came back empty, in which pods write again what is theirs."""
GRANTING = 1.0
"""Seconds in which a session that is this pod's by its record, and is not here, may be being granted just now."""
LOOK_AGAIN = 0.3


class Lookups:
    """Looks up the records of sessions.

    Args:
        relay: The relay of this pod.
        store: The store.
        elsewhere: Takes up the sessions found.
        questions: What requests wait for.
    """

    def __init__(self, relay: "Relay", store: Store, elsewhere: Elsewhere, questions: Questions) -> None:
        self._relay = relay
        self._store = store
        self._elsewhere = elsewhere
        self._questions = questions
        self._wanted: list[str] = []
        self._looking: dict[str, float] = {}
        """Sessions that were not found and may yet be, and since when."""
        self.doubtful_until = 0.0
        """Until then, what the store does not know may only not have been written again yet."""

    def is_known(self, session_id: str) -> bool:
        """Tell whether there is a session of this identifier, whatever its URI."""
        return self._elsewhere.has(session_id) or self._relay.sessions.by_session_id(session_id) is not None

    def session(self, session_id: str) -> "Question | Refusal | None":
        """Have a session looked up that is not known here; None: it is not there, a status: nobody can tell."""
        key: Key = ("session", session_id)
        known = self._questions.known(key)
        return known[0] if known is not None else self._questions.ask(key, lambda: self.refresh(session_id))

    def refresh(self, session_id: str) -> None:
        """Have the record of a session looked up at the end of this turn."""
        self._wanted.append(session_id)
        if len(self._wanted) == 1:
            self._relay.runtime.spawn(self._look_up())

    async def _look_up(self) -> None:
        wanted, self._wanted = list(dict.fromkeys(self._wanted)), []
        try:
            records = await self._store.find_sessions(wanted)
        except StoreError as error:
            self._relay.counters["store_failures"] += 1
            self._relay.log_event("sessions can't be looked up", reason=str(error))
            self.doubt()
            for session_id in wanted:
                self._answer(session_id, FAILURE_REMEMBERED, AWAY)
        else:
            for session_id in wanted:
                self._take(session_id, records.get(session_id))
        self._relay.flush()

    def _take(self, session_id: str, record: SessionRecord | None) -> None:
        now = self._relay.now()
        patience = REFILLING if now < self.doubtful_until else 0.0
        if record is not None:
            self._elsewhere.learned(record)
            if self.is_known(session_id):
                self._answer(session_id, 0.0)
                return
            patience = GRANTING
        if now - self._looking.setdefault(session_id, now) < patience:
            self._relay.runtime.call_later(LOOK_AGAIN, lambda: self.refresh(session_id))
            return
        if record is None:
            self._elsewhere.gone(session_id)
        self._answer(session_id, ABSENT_REMEMBERED)

    def _answer(self, session_id: str, seconds: float, refusal: "Refusal | None" = None) -> None:
        self._looking.pop(session_id, None)
        self._questions.answer(("session", session_id), refusal, seconds)

    def doubt(self) -> None:
        """The store was away, and may have come back empty: that it does not know something means nothing for now."""
        self.doubtful_until = self._relay.now() + REFILLING
