"""Where new requests wait under overload: what is under way is served before them, and who waits too long is let go.

Theory of operation. The kernel has one queue for all: responses to what was forwarded wait in it behind new requests,
and are lost with them when it is full, so that work which was begun is done again or for nothing. Therefore, as soon as
datagrams wait long in the kernel, they are read as fast as they come. What belongs to something under way is served at
once; new requests wait here, first come, first served, until their turn comes or they have waited for the target.
Nothing has to be estimated: at any load the server is busy and nobody waits longer. Of those that waited too long some
are answered 503, a fixed part of the number of those served, so that refusals never take more than their part of the
time; the rest is dropped, which costs next to nothing.
"""

from collections import deque
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from wigwag.relay.sip.flows.flow import DatagramSender, SipAddress
    from wigwag.transport.channel import Address

MOST_OCTETS: Final = 16_777_216
"""Octets that wait at most, whatever their number."""
REFUSED_PER_SERVED: Final = 0.125
"""A refusal costs less than a fifth of what is served, so that refusals take some 2 % of the time."""
_MOST_REFUSED_AT_ONCE: Final = 16.0
_OTHERS_TURN: Final = 4
"""However many are favoured, every fourth request is one that is not."""
_FULL: Final = 0.5
"""How full a queue of the kernel is when too much waits in it; small ones never hold much time."""
_WEIGHT: Final = 0.2
"""Of a new measurement in the average, which so looks back for a quarter of a second."""
_NOTHING: Final = 0.005


class Datagram(NamedTuple):
    """One that waits."""

    data: bytes
    remote: "Address"
    socket: "DatagramSender"
    address: "SipAddress"
    since: float


class Fate(Enum):
    """What becomes of one that has waited."""

    SERVED = "served"
    REFUSED = "refused"
    DROPPED = "dropped"


class RequestQueue:
    """The new requests of one edge that came by UDP.

    Args:
        target: Seconds that a request may wait.

    Attributes:
        is_open: Whether new requests have to wait here; else they are served as they come.
        share: Part of those that came of late which was turned away, 0 to 1.
        overflows: Requests that found no room.
    """

    def __init__(self, target: float) -> None:
        self.is_open = False
        self.share = 0.0
        self.overflows = 0
        self._target = target
        self._others: deque[Datagram] = deque()
        self._favoured: deque[Datagram] = deque()
        self._octets = 0
        self._turn = 0
        self._may_refuse = _MOST_REFUSED_AT_ONCE
        self._served = 0
        self._turned_away = 0
        self._was_calm = True

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._others) + len(self._favoured)

    def look(self, delay: float, fullness: float, now: float) -> None:
        """Open or close it, and note what share was turned away; to be called every 50 ms or so.

        Args:
            delay: Seconds that datagrams wait in the kernel.
            fullness: How full the fullest queue of the kernel is, 0 to 1.
            now: Seconds, monotonic.
        """
        came = self._served + self._turned_away
        share = self.share + _WEIGHT * ((self._turned_away / came if came else 0.0) - self.share)
        self.share = share if share > _NOTHING else 0.0
        self._served = self._turned_away = 0
        calm = max(delay, self._waiting(now)) <= self._target / 2 and fullness <= _FULL
        # One measurement alone may be a pause of the whole process.
        if not calm and not self._was_calm:
            self.is_open = True
        elif calm and not self.share:
            self.is_open = False
        self._was_calm = calm

    def put(self, datagram: Datagram, *, favoured: bool) -> bool:
        """Let a request wait; False: there is no room.

        Args:
            datagram: The request.
            favoured: Whether work is invested in it already, so that it shall be served before others.
        """
        if self._octets + len(datagram.data) > MOST_OCTETS:
            self.overflows += 1
            self._turned_away += 1
            return False
        self._octets += len(datagram.data)
        (self._favoured if favoured else self._others).append(datagram)
        return True

    def take(self, now: float) -> tuple[Datagram, Fate] | None:
        """Return whose turn it is, and what is to become of it; None: nobody waits.

        Args:
            now: Seconds, monotonic.
        """
        queue = self._next()
        if queue is None:
            return None
        datagram = queue.popleft()
        self._octets -= len(datagram.data)
        if now - datagram.since <= self._target:
            self._served += 1
            self._turn += 1
            self._may_refuse = min(self._may_refuse + REFUSED_PER_SERVED, _MOST_REFUSED_AT_ONCE)
            return datagram, Fate.SERVED
        self._turned_away += 1
        if self._may_refuse < 1.0:
            return datagram, Fate.DROPPED
        self._may_refuse -= 1.0
        return datagram, Fate.REFUSED

    def _next(self) -> deque[Datagram] | None:
        if self._favoured and (self._turn % _OTHERS_TURN or not self._others):
            return self._favoured
        return self._others or None

    def _waiting(self, now: float) -> float:
        """Return for how many seconds the first one has waited."""
        return max((now - queue[0].since for queue in (self._others, self._favoured) if queue), default=0.0)
