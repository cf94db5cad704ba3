"""Whether the peer writes (RFC 3994 section 3.3)."""

from typing import Final

from .document import IsComposing, State
from .machines import RECEIVER, ReceiverEvent

_DEFAULT_REFRESH: Final = 120
_LONGEST_REFRESH: Final = 3600
"""Seconds; a peer that announces more is not believed."""


class ComposingReceiver:
    """Turns status messages into a state, for one peer in one conversation."""

    def __init__(self) -> None:
        self._idle_at = 0.0
        self.state = State.IDLE

    def status_received(self, status: IsComposing, now: float) -> bool:
        """Take a status message; tell whether the state is another one now."""
        if status.state is not State.ACTIVE:
            return self._step(ReceiverEvent.IDLE_RECEIVED)
        self._idle_at = now + min(status.refresh or _DEFAULT_REFRESH, _LONGEST_REFRESH)
        return self._step(ReceiverEvent.ACTIVE_RECEIVED)

    def content_received(self) -> bool:
        """Note that a content message came; tell whether the state is another one now."""
        return self._step(ReceiverEvent.CONTENT_RECEIVED)

    def next_timeout(self) -> float | None:
        """Return when ``handle_timeout`` has to be called at the latest, in monotonic seconds; None for never."""
        return None if self.state is State.IDLE else self._idle_at

    def handle_timeout(self, now: float) -> bool:
        """Do what time has come for; tell whether the state is another one now."""
        return self._idle_at <= now and self._step(ReceiverEvent.REFRESH_TIMEOUT)

    def _step(self, event: ReceiverEvent) -> bool:
        before = self.state
        self.state = RECEIVER.get((before, event), before)
        return self.state is not before
