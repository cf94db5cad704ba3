"""When to tell the peer that somebody writes (RFC 3994 section 3.2)."""

from .document import IsComposing, State
from .machines import SENDER, SenderEvent

IDLE_TIMEOUT = 15.0
"""Seconds without a stroke after which somebody has stopped."""
REFRESH = 90
"""Seconds between status messages while somebody goes on writing; SHOULD be no less than 60."""
_HEADSTART = 5.0
"""Seconds that a refresh is sent before the peer would give up waiting for it."""


class ComposingSender:
    """Turns strokes into status messages, for one conversation.

    Args:
        content_type: Media type of what is being written.
        refresh: Seconds between status messages while somebody goes on writing; None sends the first one only, and
            the peer then takes it to hold for 120 seconds.
        idle_timeout: Seconds without a stroke after which somebody has stopped.
    """

    def __init__(
        self,
        content_type: str | None = "text/plain",
        *,
        refresh: int | None = REFRESH,
        idle_timeout: float = IDLE_TIMEOUT,
    ) -> None:
        self._content_type = content_type
        self._refresh = refresh
        self._idle_timeout = idle_timeout
        self._idle_at = 0.0
        self._refresh_at: float | None = None
        self.state = State.IDLE
        """What the peer was told last, or can tell from the content message he got."""

    def composing(self, now: float) -> IsComposing | None:
        """Note a stroke; return what to send, if anything."""
        self._idle_at = now + self._idle_timeout
        return self._step(SenderEvent.COMPOSING, now)

    def content_sent(self, now: float) -> None:
        """Note that the message was sent: that says by itself that nobody writes any more."""
        self._step(SenderEvent.CONTENT_SENT, now)

    def next_timeout(self) -> float | None:
        """Return when ``handle_timeout`` has to be called at the latest, in monotonic seconds; None for never."""
        if self.state is State.IDLE:
            return None
        return self._idle_at if self._refresh_at is None else min(self._idle_at, self._refresh_at)

    def handle_timeout(self, now: float) -> IsComposing | None:
        """Do what time has come for; return what to send, if anything."""
        if self.state is State.IDLE:
            return None
        if self._idle_at <= now:
            return self._step(SenderEvent.IDLE_TIMEOUT, now)
        if self._refresh_at is not None and self._refresh_at <= now:
            return self._step(SenderEvent.REFRESH_TIMEOUT, now)
        return None

    def _step(self, event: SenderEvent, now: float) -> IsComposing | None:
        self.state, told = SENDER.get((self.state, event), (self.state, None))
        if told is None:
            return None
        if told is State.IDLE or self._refresh is None:
            self._refresh_at = None
            return IsComposing(told, self._content_type)
        self._refresh_at = now + self._refresh - min(_HEADSTART, self._refresh / 10)
        return IsComposing(told, self._content_type, self._refresh)
