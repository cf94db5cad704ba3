"""The AUTH that is under way on a connection to a relay (RFC 4976 section 5.1)."""

from wigwag.errors import ConflictError

from .authentication import AuthenticationFailed, RelayAuthentication
from .events import Event
from .grammar import ResponseHead
from .sending import Outbox
from .transactions import TRANSACTION_TIMEOUT


class Authenticating:
    """At most one AUTH at a time, ended by its outcome or by 30 seconds of silence.

    Args:
        outbox: Where requests are put.

    Attributes:
        under_way: The exchange with the relay; None: there is none.
        deadline: When the relay's silence ends it, in seconds of the connection's clock; None: never.
    """

    def __init__(self, outbox: Outbox) -> None:
        self.under_way: RelayAuthentication | None = None
        self.deadline: float | None = None
        self._outbox = outbox

    def begin(self, authentication: RelayAuthentication, now: float) -> None:
        """Send the first request.

        Raises:
            ConflictError: An AUTH is under way.
        """
        if self.under_way is not None:
            raise ConflictError("an AUTH is under way on this connection")
        self.under_way = authentication
        self._send(authentication.start(), now)

    def _send(self, frame: bytes, now: float) -> None:
        self._outbox.put_control(frame)
        self.deadline = now + TRANSACTION_TIMEOUT

    def responded(self, authentication: RelayAuthentication, head: ResponseHead, now: float) -> list[Event]:
        """Take the relay's response: another request follows, or it was the last."""
        outcome = authentication.receive(head)
        if isinstance(outcome, bytes):
            self._send(outcome, now)
            return []
        self.under_way = self.deadline = None
        return [outcome]

    def handle_timeout(self, now: float) -> list[Event]:
        """Give it up when its time has come."""
        if self.deadline is None or now < self.deadline:
            return []
        return self.end("no response in 30 seconds")

    def end(self, reason: str) -> list[Event]:
        """Give up what is under way."""
        if self.under_way is None:
            return []
        self.under_way = self.deadline = None
        return [AuthenticationFailed(status=408, reason=reason)]
