"""Limits that hold for every adapter: sizes of records, and how much may wait to become durable."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final

from wigwag.errors import OverloadedError

from . import MAX_ENVELOPE, MAX_VALUE, Message, RecordTooLargeError

DEFAULT_BUFFER: Final = 33_554_432
DEFAULT_PUBLISH_TIMEOUT: Final = 10.0
DEFAULT_RETENTION: Final = 604_800.0
_OVERHEAD: Final = 128
"""Octets counted for each record beside what it carries."""


def check_sizes(messages: Iterable[Message]) -> None:
    """Make sure that every message fits.

    Raises:
        RecordTooLargeError: One does not; the text says by how much.
    """
    for message in messages:
        if len(message.value) > MAX_VALUE:
            raise RecordTooLargeError(
                f"the record's value has {len(message.value)} octets, at most {MAX_VALUE} are taken"
            )
        envelope = _envelope(message)
        if envelope > MAX_ENVELOPE:
            raise RecordTooLargeError(f"key and headers have {envelope} octets, at most {MAX_ENVELOPE} are taken")


class Buffer:
    """Counts what waits to become durable.

    Args:
        capacity: Octets.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._held = 0

    def take(self, messages: Sequence[Message]) -> Callable[[], None]:
        """Count the messages; returns what to call, once, when they don't wait any more.

        Raises:
            OverloadedError: They don't fit beside what waits already.
        """
        size = sum(len(message.value) + _envelope(message) + _OVERHEAD for message in messages)
        # A batch larger than the buffer is taken when nothing else waits: else it could never be published.
        if self._held and self._held + size > self._capacity:
            raise OverloadedError(f"the bus is full: {self._held} of {self._capacity} octets wait to become durable")
        self._held += size
        return partial(self._release, size)

    def _release(self, size: int) -> None:
        self._held -= size


def _envelope(message: Message) -> int:
    headers = sum(len(name.encode()) + len(value) for name, value in message.headers.items())
    return len(message.key.encode()) + headers
