"""How long datagrams wait in the kernel: the queue that an overloaded process does not see (Little's law)."""

from collections.abc import Sequence
from typing import Final, Protocol

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


class Backlog:
    """Measures the queues of one process's listeners."""

    def __init__(self) -> None:
        self._received = 0
        self._received_bytes = 0
        self._measured = 0.0

    def measure(self, listeners: Sequence[Measured], now: float) -> tuple[float, float]:
        """Return for how many seconds datagrams wait, and how full the fullest queue is, 0 to 1.

        The waiting time is the number of those that wait over the rate at which they were taken since the last time.
        """
        received = sum(listener.received for listener in listeners)
        octets = sum(listener.received_bytes for listener in listeners)
        taken, size = received - self._received, octets - self._received_bytes
        elapsed = now - self._measured
        self._received, self._received_bytes, self._measured = received, octets, now
        queues = [listener.receive_queue() for listener in listeners]
        fullness = max((used / room for used, room in queues if room), default=0.0)
        if not taken or elapsed <= 0.0:
            return 0.0, fullness
        waiting = sum(used for used, _ in queues) / kernel_memory(size // taken)
        return waiting * elapsed / taken, fullness


def kernel_memory(payload: int) -> int:
    """Return about how many bytes of the kernel's memory a datagram of so many bytes takes on Linux."""
    room: int = 1 << (payload + _HEADROOM - 1).bit_length()
    return room + _OVERHEAD
