"""Lines as single messages (RFC 3428), for a peer without chats, or one who is not there."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from wigwag.errors import WigwagError
from wigwag.transport.errors import TransportError
from wigwag.transport.sip_client import Delivery, UnansweredError
from wigwag.ua.endpoint.sip_side import SipSide

from .contents import TEXT_TYPE
from .lines import Line, Lines, LineState

_STATES: Final = {
    Delivery.DELIVERED: LineState.DELIVERED,
    Delivery.ACCEPTED: LineState.ACCEPTED,
    Delivery.REFUSED: LineState.FAILED,
}
_PATIENCE: Final = 60.0
"""Seconds that a line waits for a way to the server."""
_WAIT: Final = 1.0


class Pager:
    """Sends lines one after the other.

    Args:
        sip: Sends MESSAGEs.
        peer: Whom to.
        lines: Told what became of each.
        spawn: Runs something beside.
    """

    def __init__(
        self, sip: SipSide, peer: str, lines: Lines, spawn: Callable[[Coroutine[Any, Any, None]], object]
    ) -> None:
        self._sip = sip
        self._peer = peer
        self._lines = lines
        self._spawn = spawn
        self._waiting: list[Line] = []
        self._sending: Line | None = None
        self._busy = False

    def send(self, line: Line) -> None:
        """Send a line when those before are through."""
        self._waiting.append(line)
        if not self._busy:
            self._busy = True
            self._spawn(self._work())

    def withdraw(self) -> Line | None:
        """Send no more; return the line that is on its way."""
        self._waiting.clear()
        return self._sending

    def tell(self, content_type: str, body: bytes) -> None:
        """Send something that nobody waits for the outcome of."""
        self._spawn(self._tell(content_type, body))

    async def _work(self) -> None:
        try:
            while self._waiting:
                self._sending = self._waiting.pop(0)
                await self._deliver(self._sending)
        finally:
            self._busy, self._sending = False, None

    async def _deliver(self, line: Line) -> None:
        until = asyncio.get_running_loop().time() + _PATIENCE
        while True:
            try:
                sent = await self._sip.send_message(self._peer, TEXT_TYPE, line.text.encode())
            except UnansweredError as error:
                self._lines.mark(line, LineState.UNCONFIRMED, str(error))
                return
            except WigwagError as error:
                if not isinstance(error, TransportError) or asyncio.get_running_loop().time() > until:
                    self._lines.mark(line, LineState.FAILED, str(error))
                    return
                await asyncio.sleep(_WAIT)
            else:
                response = sent.response
                state = _STATES[sent.delivery]
                reason = f"{response.status} {response.reason}" if state is LineState.FAILED else ""
                self._lines.mark(line, state, reason)
                return

    async def _tell(self, content_type: str, body: bytes) -> None:
        try:
            await self._sip.send_message(self._peer, content_type, body)
        except WigwagError:
            # A notification is a courtesy; the peer may know no such type (RFC 5438 section 7.2.1).
            return
