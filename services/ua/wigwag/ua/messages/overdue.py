"""Messages whose outcome is late: ended before the ledger would do it, or asked more time for."""

from typing import Final

from wigwag.database.ledger import OUTCOME_TIMEOUT, Postpone, Release, State

from .edits import Edits
from .flow import Flow, Outgoing, Stage
from .outcomes import Outcomes

_MARGIN: Final = 1.0
"""Seconds before the ledger would end a message in which we do it: we know whether it has left."""
_TOO_LATE: Final = "no outcome in time"


class Overdue:
    """Looks after messages that are claimed for long.

    Args:
        edits: Gives claims back, and asks for more time.
        outcomes: Of messages that are given up.
    """

    def __init__(self, edits: Edits, outcomes: Outcomes) -> None:
        self._edits = edits
        self._outcomes = outcomes

    def look_at(self, flow: Flow, now: float) -> None:
        """Do what time has come for in one session; ``now``: seconds since 1970."""
        timeout = flow.own.application.outcome_timeout
        soonest = min(timeout, OUTCOME_TIMEOUT - _MARGIN)
        unsent: list[Outgoing] = []
        for message in list(flow.known.values()):
            age = now - message.claimed if message.claimed else 0.0
            if message.stage is Stage.SENT and (unsent or age >= (timeout if message.postponed else soonest)):
                # What was sent behind one that has not left has not left either, and is sent behind it again.
                self._end_overdue(flow, message, unsent)
            elif age < soonest / 2:
                continue
            elif message.stage is Stage.WAITING:
                self._unclaim(flow, message)
            elif message.stage is Stage.SENT and timeout > soonest and not message.postponed:
                self._postpone(flow, message, message.claimed + timeout + _MARGIN)
        flow.to_front(unsent)

    def _postpone(self, flow: Flow, message: Outgoing, until: float) -> None:
        message.postponed = True
        self._edits.put(Postpone(id=message.id, token=flow.own.token, attempt=message.attempt, until=until))

    def _unclaim(self, flow: Flow, message: Outgoing) -> None:
        """Let a message that waits do so without a doubt."""
        message.claimed = 0.0
        flow.unclaimed += 1
        self._edits.put(Release(id=message.id, token=flow.own.token, attempt=message.attempt))

    def _end_overdue(self, flow: Flow, message: Outgoing, unsent: list[Outgoing]) -> None:
        flow.flying -= 1
        if flow.own.chat.withdraw(message.id):
            # Nothing of it has left: the connection is away. It waits on.
            message.claimed, message.stage, message.postponed = 0.0, Stage.WAITING, False
            self._edits.put(Release(id=message.id, token=flow.own.token, attempt=message.attempt))
            unsent.append(message)
        else:
            self._outcomes.give(flow, message, State.UNCONFIRMED, 0, _TOO_LATE)
