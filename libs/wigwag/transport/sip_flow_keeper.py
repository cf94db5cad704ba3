"""A flow that is kept alive, and closed when its server has gone silent (RFC 5626 section 4.4)."""

import asyncio
from collections.abc import Callable

from wigwag.protocols.sip.user_agent import DATAGRAM_INTERVAL, STREAM_INTERVAL, Flow, KeepAlive
from wigwag.transport.sip_flows import DatagramFlow, OpenFlow


class KeptFlow:
    """An open flow with its keep-alives; `close` it when it is no longer of use.

    Args:
        opened: The flow.
        random: Returns so many unpredictable bytes.
    """

    def __init__(self, opened: OpenFlow, random: Callable[[int], bytes]) -> None:
        self._opened = opened
        self._loop = asyncio.get_running_loop()
        interval = DATAGRAM_INTERVAL if isinstance(opened, DatagramFlow) else STREAM_INTERVAL
        self._keep_alive = KeepAlive(interval, self._loop.time(), random)
        self._timer: asyncio.TimerHandle | None = None
        self._set_timer()

    @property
    def flow(self) -> Flow:
        """The flow as the user agent knows it."""
        return self._opened.flow

    def heard(self) -> None:
        """Hear that something came over the flow."""
        if self._keep_alive.heard(self._loop.time()):
            self._set_timer()

    def promised(self, interval: float | None) -> None:
        """Hear that the server answers keep-alives; ``interval`` as `KeepAlive.promised`."""
        self._keep_alive.promised(interval, self._loop.time())
        self._set_timer()

    def close(self, reason: str) -> None:
        """Close the flow; its user is told."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._opened.close(reason)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._keep_alive.next_timeout(), self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if isinstance(self._opened, DatagramFlow):
            self._opened.check()
        verdict = self._keep_alive.handle_timeout(self._loop.time())
        if verdict is None:
            self._opened.close("the server stopped answering")
            return
        if verdict:
            self._opened.keep_alive()
        self._set_timer()
