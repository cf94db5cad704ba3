"""How long datagrams wait in the kernel: the queue that an overloaded process does not see (Little's law)."""

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

_OVERHEAD: Final = 256
"""Bytes by which the kernel describes one datagram."""
_HEADROOM: Final = 384
"""Bytes that it keeps around the payload, before rounding up."""


class Measured(Protocol):
    """What is needed of a UDP listener."""

    received: int
    received_bytes: int

    def receive_queue(self) -> tuple[int, int]:
        """Bytes of kernel memory that datagrams wait in, and how many there may be."""

    def requests_dropped(self) -> int:
        """New requests that the kernel dropped because their own queue was full."""


class Measurement(NamedTuple):
    """How the queues of UDP listeners are."""

    delay: float = 0.0
    """Seconds that datagrams wait in the kernel."""
    fullness: float = 0.0
    """How full the fullest queue is, 0 to 1."""
    dropped: int = 0
    """New requests that the kernel has dropped since the last time."""


class Backlog:
    """Measures the queues of one process's listeners."""

    def __init__(self) -> None:
        self._received = 0
        self._dropped = 0
        self._received_bytes = 0
        self._measured = 0.0

    def measure(self, listeners: Sequence[Measured], now: float) -> "Measurement":
        """Return how the queues are.

        The waiting time is the number of those that wait over the rate at which they were taken since the last time.
        """
        received = sum(listener.received for listener in listeners)
        octets = sum(listener.received_bytes for listener in listeners)
        taken, size = received - self._received, octets - self._received_bytes
        elapsed = now - self._measured
        self._received, self._received_bytes, self._measured = received, octets, now
        queues = [listener.receive_queue() for listener in listeners]
        fullness = max((used / room for used, room in queues if room), default=0.0)
        dropped = sum(listener.requests_dropped() for listener in listeners)
        lost, self._dropped = dropped - self._dropped, dropped
        if not taken or elapsed <= 0.0:
            return Measurement(0.0, fullness, lost)
        waiting = sum(used for used, _ in queues) / kernel_memory(size // taken)
        return Measurement(waiting * elapsed / taken, fullness, lost)


def kernel_memory(payload: int) -> int:
    """Return about how many bytes of the kernel's memory a datagram of so many bytes takes on Linux."""
    room: int = 1 << (payload + _HEADROOM - 1).bit_length()
    return room + _OVERHEAD
