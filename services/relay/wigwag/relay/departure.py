"""A connection whose client has come over to another one: what it was sent may still be answered, nothing else counts.

Theory of operation. The newest AUTH wins, and a client may AUTH over its new connection before it leaves the old one.
What was written to the old one can't be sent again, since nobody knows whether it has arrived: its outcome is the
client's answer, there, or REPORT 408. So the old connection stays until everything is answered, at most
``ANSWERS_AWAITED``; requests that still come over it are dropped, as they were if it was closed: what the client sends
now, elsewhere, must not be overtaken. A ua pod is sent it again (``Unanswered``), so its old connection ends at once.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .destination import Waiting

if TYPE_CHECKING:
    from .hop import Hop
    from .service import Relay

ANSWERS_AWAITED = 2.0
"""Seconds that a client has to answer what it was sent over the connection that it leaves; twice what a slow network
needs, and little enough for a sender to be told soon by whom nothing is read any more."""
REASON = "the client is connected elsewhere"


class Departure:
    """The end of one connection, with a turn after each of its reads (``Destination.line_up``).

    Args:
        hop: The connection; no session is reached over it any more.
        now: Monotonic seconds.
    """

    __slots__ = ("_hop", "_until")

    def __init__(self, hop: "Hop", now: float) -> None:
        self._hop = hop
        self._until = now + ANSWERS_AWAITED

    def go_on(self, now: float) -> None:
        """Close the connection once nothing is to be awaited any more."""
        hop = self._hop
        if hop.closed:
            return
        if hop.sessions:  # A later AUTH, which had been under way, has brought its client back.
            hop.departure = None
        elif not hop.transactions or now >= self._until:
            hop.close(REASON)
        else:
            hop.line_up(self)


def depart(hop: "Hop", now: float) -> None:
    """Let a connection end that no session is reached over any more; who waited for room there goes another way."""
    waiting, hop.waiting = hop.waiting, None
    if waiting:
        # Not at once: what they send must not come before the answer to the AUTH.
        hop.relay.runtime.spawn(_let_go_on(hop.relay, waiting))
    if not hop.transactions or hop.bound or hop.unanswered is not None:
        hop.close(REASON)
        return
    hop.departure = Departure(hop, now)
    hop.stop_requests(now)
    hop.departure.go_on(now)


async def _let_go_on(relay: "Relay", waiting: Iterable[Waiting]) -> None:
    for source in waiting:
        source.go_on(relay.now())
    relay.flush()
