"""A 2xx of ours to an INVITE, sent again by the UAS core until the ACK comes (RFC 3261 section 13.3.1.4)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from wigwag.protocols.sip.message import Response
from wigwag.protocols.sip.transactions import SipTimers

from .alarms import Alarms

if TYPE_CHECKING:
    from wigwag.protocols.sip.transactions import ServerTransaction


class Acceptance:
    """One 2xx on its way, over whatever transport: proxies don't repeat it.

    Args:
        server: The transaction of the INVITE.
        response: The 2xx.
        alarms: Of the user agent.
        timers: T1 and T2.
        failed: Told that no ACK came within 64*T1.
    """

    def __init__(
        self,
        server: "ServerTransaction",
        response: Response,
        alarms: Alarms,
        timers: SipTimers,
        failed: Callable[[float], None],
    ) -> None:
        self.cseq = response.cseq.number
        self._server = server
        self._response = response
        self._alarms = alarms
        self._timers = timers
        self._failed = failed
        self._interval = timers.t1
        self._give_up = 0.0

    def start(self, now: float) -> None:
        """Send it."""
        self._give_up = now + 64 * self._timers.t1
        self._transmit(now)

    def stop(self) -> None:
        """The ACK is there, or nobody waits for it any more."""
        self._alarm.cancel()

    def _transmit(self, now: float) -> None:
        self._alarm = self._alarms.set(min(now + self._interval, self._give_up), self._again)
        self._interval = min(2 * self._interval, self._timers.t2)
        self._server.respond(self._response, now)

    def _again(self, now: float) -> None:
        if now < self._give_up:
            self._transmit(now)
        else:
            self._failed(now)
