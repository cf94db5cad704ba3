"""Messages of which nobody knows whether they were committed: the database was away when they were being accepted."""

from collections.abc import Callable
from typing import Final

from wigwag.database.ledger import Ledger, LedgerRow, State
from wigwag.ua.sessions.ports import Sessions

from .delivery import Delivery
from .flow import Flow, Outgoing, Stage

_AT_ONCE: Final = 500
"""Messages that the ledger is asked of in one go."""


class Uncertain:
    """Asks the ledger what became of them; until then they keep their places, and nothing of their session overtakes.

    Args:
        sessions: Whose they are.
        ledger: Knows.
        delivery: Sends those that are there.
        committed: Told those that are there as they were handed in.
    """

    def __init__(
        self, sessions: Sessions, ledger: Ledger, delivery: Delivery, committed: Callable[[Flow, Outgoing], None]
    ) -> None:
        self._sessions = sessions
        self._ledger = ledger
        self._delivery = delivery
        self._committed = committed
        self._waiting: dict[str, tuple[Flow, Outgoing]] = {}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._waiting)

    def add(self, flow: Flow, message: Outgoing) -> None:
        """Ask of a message of a session."""
        self._waiting[message.id] = (flow, message)

    def came_again(self, message_id: str) -> bool:
        """Ask no more of a message that is being accepted once more; tell whether it was asked of.

        It has to be asked of again afterwards: what the ledger says meanwhile may be true of the time before.
        """
        return self._waiting.pop(message_id, None) is not None

    async def find_out(self) -> None:
        """Ask the ledger which of the messages are there.

        Raises:
            DatabaseError: It is away still.
        """
        asked = list(self._waiting.items())[:_AT_ONCE]
        rows = await self._ledger.find_many(message_id for message_id, _ in asked)
        for message_id, entry in asked:
            if self._waiting.get(message_id) is entry:
                del self._waiting[message_id]
                self._found(*entry, rows.get(message_id))

    def _found(self, flow: Flow, message: Outgoing, row: LedgerRow | None) -> None:
        if message.stage is not Stage.PENDING:
            return
        if row is not None and row.state is State.ACCEPTED and self._is_as_handed_in(flow, message, row):
            self._committed(flow, message)
        else:
            self._delivery.found(flow, message, row)

    def _is_as_handed_in(self, flow: Flow, message: Outgoing, row: LedgerRow) -> bool:
        """Tell whether a row has the claim that was handed in with it: it may have come before, with another."""
        claim = (self._sessions.pod, flow.own.token) if message.claimed else ("", 0)
        return (row.owner, row.token) == claim
