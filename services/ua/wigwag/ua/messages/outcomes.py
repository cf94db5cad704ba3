"""What becomes of messages of applications: each has one outcome, which is written down once."""

from collections.abc import Callable
from functools import partial

from wigwag.database.ledger import Change, LedgerRow, State, Verdict
from wigwag.runtime.recent import Recent
from wigwag.ua.sessions.ports import OwnedSession

from .edits import Edits
from .flow import Flow, Outgoing
from .spans import Journey


class Outcomes:
    """Gives messages their outcomes.

    Args:
        edits: Writes them.

    Attributes:
        recent: Ids of messages that have an outcome.
        on_outcome: Told the session, the message, its state and why.
        counters: How many had which outcome, by the state's value; ``late``: those that had another before.
    """

    def __init__(self, edits: Edits) -> None:
        self.recent = Recent(20_000)
        self.on_outcome: Callable[[OwnedSession, Outgoing, State, str], None] = lambda own, message, state, reason: None
        self.counters = dict.fromkeys(("delivered", "failed", "unconfirmed", "expired", "late"), 0)
        self._edits = edits

    def give(self, flow: Flow, message: Outgoing, state: State, status: int, reason: str) -> None:
        """Give a message its outcome.

        Args:
            flow: Whose.
            message: It.
            state: What became of it, as far as this pod knows.
            status: MSRP status; 0: none.
            reason: Why, for people.
        """
        if state is State.FAILED and message.doubted:
            # What an owner before us sent may have arrived.
            state = State.UNCONFIRMED
        flow.forget(message)
        self.recent.add(message.id)
        self._change(flow, message, state, status, reason)
        self.on_outcome(flow.own, message, state, reason)

    def _change(self, flow: Flow, message: Outgoing, state: State, status: int = 0, reason: str = "") -> None:
        self.counters[state.value] += 1
        change = Change(
            id=message.id, version=1, state=state, token=flow.own.token, status=status or None, reason=reason
        )
        self._edits.put(change, partial(self._changed, message.journey) if message.journey is not None else self._told)

    def _changed(self, journey: Journey, verdict: Verdict) -> None:
        journey.over("" if verdict.state is State.DELIVERED else str(verdict.state))
        self._told(verdict)

    def _told(self, verdict: Verdict) -> None:
        if not verdict.done:
            self.counters["late"] += 1

    def expired(self, flow: Flow, message: Outgoing) -> None:
        """End a message whose time has run out before it was sent."""
        flow.forget(message)
        if message.claimed and not message.doubted:
            self._change(flow, message, State.EXPIRED)
        # Else the ledger's sweep ends it: expired, or unconfirmed.

    def never_sent(self, flow: Flow, message: Outgoing) -> None:
        """Give an outcome to a message whose session is over before it could be sent."""
        self.give(flow, message, State.FAILED, 0, flow.over)

    def end_row(self, row: LedgerRow, reason: str, token: int | None = None) -> None:
        """Give an outcome to a row of a session that is over."""
        state = State.UNCONFIRMED if row.doubts else State.FAILED
        self.recent.add(row.id)
        self._edits.put(Change(id=row.id, version=row.version, state=state, token=token, reason=reason), self._told)
