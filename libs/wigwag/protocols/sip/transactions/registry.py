"""The open transactions of one process, their timers and what was counted."""

from typing import TYPE_CHECKING, Protocol

from .timers import Queues, SipTimers
from .users import Wire

if TYPE_CHECKING:
    from .client import ClientTransaction
    from .server import ServerTransaction


class Waiting(Protocol):
    """A transaction that wants to hear when its connection is lost."""

    def lose_wire(self, reason: str, now: float) -> None:
        """Hear that the connection is gone."""


class Registry:
    """Where transactions are found by their messages, their connection and their timers."""

    def __init__(self, timers: SipTimers) -> None:
        self.timers = timers
        self.queues = Queues(timers)
        self.servers: dict[str, ServerTransaction] = {}
        """By key (RFC 3261 section 17.2.3)."""
        self.clients: dict[str, ClientTransaction] = {}
        """By branch."""
        self.cancels: dict[str, ClientTransaction] = {}
        """Those of CANCEL, which has the branch of the request that it cancels."""
        self.merged: dict[str, ServerTransaction] = {}
        """Those of a UAS, by what a merged request has in common with them (section 8.2.2.2)."""
        self._waiting: dict[Wire, dict[Waiting, None]] = {}
        """Those that wait for something on a connection."""
        self.servers_opened = 0
        self.clients_opened = 0
        self.retransmissions_received = 0
        """Requests that came again, and were absorbed."""
        self.retransmissions_sent = 0
        """Requests and responses that were sent again, by a timer or because the peer sent again."""
        self.timeouts = 0
        """Client transactions without a final response, refusals without an ACK, requests never answered."""
        self.wire_failures = 0
        """Transactions that heard of a lost connection."""
        self.refused = 0
        """Transactions that the limit did not allow."""
        self.stray_responses = 0
        """Responses without a transaction; nobody may forward them (RFC 6026 section 6)."""
        self.responses_too_late = 0
        """Responses of a user to a transaction that had ended or had its final response."""

    def wait_on(self, wire: Wire, transaction: Waiting) -> None:
        """Note that a transaction wants to hear when this connection is lost."""
        waiting = self._waiting.get(wire)
        if waiting is None:
            self._waiting[wire] = {transaction: None}
        else:
            waiting[transaction] = None

    def waits_on(self, wire: Wire, transaction: Waiting) -> bool:
        """Tell whether it does."""
        return transaction in self._waiting.get(wire, ())

    def waits_for(self, wire: Wire) -> bool:
        """Tell whether any transaction waits for something on a connection."""
        return bool(self._waiting.get(wire))

    def leave(self, wire: Wire, transaction: Waiting) -> None:
        """Forget what ``wait_on`` noted."""
        waiting = self._waiting.get(wire)
        if waiting is None:
            return
        waiting.pop(transaction, None)
        if not waiting:
            del self._waiting[wire]

    def lost(self, wire: Wire) -> list[Waiting]:
        """Take out the transactions that wait on a connection."""
        return list(self._waiting.pop(wire, ()))
