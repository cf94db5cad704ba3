"""Who is writing: our own strokes told to the peer, the peer's shown (RFC 3994)."""

import asyncio
from collections.abc import Callable
from typing import Final

from wigwag.protocols.iscomposing import ComposingReceiver, ComposingSender, IsComposing, State

_COMMAND: Final = "/"
"""What begins so is for this program, not for the peer."""


class Typing:
    """Both directions, with their timers.

    Args:
        send: Sends a status message to the peer.
        show: Told whether the peer writes, whenever that changes.
    """

    def __init__(self, send: Callable[[IsComposing], None], show: Callable[[bool], None]) -> None:
        self._send = send
        self._show = show
        self._sender = ComposingSender()
        self._receiver = ComposingReceiver()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def typed(self, text: str) -> None:
        """Note what stands in the prompt."""
        if text and not text.startswith(_COMMAND):
            self._tell(self._sender.composing(self._loop.time()))

    def sent(self) -> None:
        """Note that a line was sent."""
        self._sender.content_sent(self._loop.time())
        self._wake()

    def status_received(self, status: IsComposing) -> None:
        """Take the peer's status."""
        self._changed(self._receiver.status_received(status, self._loop.time()))

    def content_received(self) -> None:
        """Note that the peer has sent something."""
        self._changed(self._receiver.content_received())

    def close(self) -> None:
        """Stop the timers."""
        if self._timer is not None:
            self._timer.cancel()

    def _tell(self, status: IsComposing | None) -> None:
        if status is not None:
            self._send(status)
        self._wake()

    def _changed(self, changed: bool) -> None:
        if changed:
            self._show(self._receiver.state is State.ACTIVE)
        self._wake()

    def _wake(self) -> None:
        self.close()
        due = [at for at in (self._sender.next_timeout(), self._receiver.next_timeout()) if at is not None]
        self._timer = self._loop.call_at(min(due), self._due) if due else None

    def _due(self) -> None:
        now = self._loop.time()
        # The loop may wake a moment before the time that was asked for.
        now = max(now, self._timer.when()) if self._timer is not None else now
        status = self._sender.handle_timeout(now)
        changed = self._receiver.handle_timeout(now)
        self._tell(status)
        self._changed(changed)
