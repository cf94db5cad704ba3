"""What a stream has to send: numbered items in batches, kept until they are acknowledged. No I/O.

Theory of operation. Items get the numbers 1, 2, 3 ... and wait. A batch takes the next ones that have not been sent on
the present connection. The peer acknowledges by number, everything up to it. When the connection is lost all that is
not acknowledged is to be sent again, with the same numbers, so that the peer can tell what it has had.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic, NamedTuple, TypeVar

from wigwag.errors import InvalidRequestError, RemoteProtocolError

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLimits:
    """How much goes into one frame, and how much may wait."""

    batch_items: int = 64
    batch_bytes: int = 1_048_576
    """A frame ends before the item that would exceed this; also the largest item."""
    buffer_items: int = 4_096
    """Items not acknowledged; at this many senders wait."""
    buffer_bytes: int = 8_388_608


class Batch(NamedTuple, Generic[Item]):
    """Items for one frame."""

    first: int
    """Number of the first."""
    items: Sequence[Item]


class Outbox(Generic[Item]):
    """Items on their way.

    Args:
        limits: Of batches and of the buffer.
    """

    def __init__(self, limits: BatchLimits) -> None:
        self._limits = limits
        self._kept: deque[tuple[Item, int]] = deque()
        self._bytes = 0
        self._sent = 0
        self._acknowledged = 0

    def __len__(self) -> int:
        """Items that are not acknowledged."""
        return len(self._kept)

    @property
    def acknowledged(self) -> int:
        """Number up to which everything is acknowledged."""
        return self._acknowledged

    @property
    def full(self) -> bool:
        """Whether a sender has to wait."""
        return len(self._kept) >= self._limits.buffer_items or self._bytes >= self._limits.buffer_bytes

    @property
    def unsent(self) -> int:
        """Items that have not been sent on this connection."""
        return len(self._kept) - self._sent

    def unacknowledged(self) -> list[Item]:
        """Return what the peer may not have."""
        return [item for item, _ in self._kept]

    def add(self, item: Item, size: int) -> int:
        """Take an item of ``size`` bytes; return its number.

        Raises:
            InvalidRequestError: It is larger than a frame may be.
        """
        if size > self._limits.batch_bytes:
            raise InvalidRequestError(f"an item of {size} bytes; at most {self._limits.batch_bytes} go into a frame")
        self._kept.append((item, size))
        self._bytes += size
        return self._acknowledged + len(self._kept)

    def next_batch(self) -> Batch[Item] | None:
        """Return what goes into the next frame; None when everything is sent."""
        first, octets = self._acknowledged + self._sent + 1, 0
        items: list[Item] = []
        for item, size in islice(self._kept, self._sent, self._sent + self._limits.batch_items):
            octets += size
            if items and octets > self._limits.batch_bytes:
                break
            items.append(item)
        self._sent += len(items)
        return Batch(first, items) if items else None

    def acknowledge(self, number: int) -> None:
        """Let go of everything up to ``number``.

        Raises:
            RemoteProtocolError: Nothing of that number has been sent on this connection.
        """
        if number > self._acknowledged + self._sent:
            raise RemoteProtocolError(f"{number} is acknowledged, {self._acknowledged + self._sent} was sent last")
        while self._acknowledged < number:
            _, size = self._kept.popleft()
            self._bytes -= size
            self._sent -= 1
            self._acknowledged += 1

    def rewind(self) -> None:
        """The connection is lost: everything that is not acknowledged has to be sent again."""
        self._sent = 0
