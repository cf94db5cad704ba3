"""What tests of the ledger share: messages, a clock that is set, a publisher that fails when told to."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from wigwag.database.ledger import LedgerEvent, NewMessage, State
from wigwag.errors import BusError

START = 1_800_000_000.0
"""When tests begin, in seconds since 1970."""
LIFETIME = 3_600.0
_numbers = count()


@dataclass(slots=True)
class ManualClock:
    """A wall clock that stands still until it is moved."""

    now: float = START

    def __call__(self) -> float:
        return self.now


def new_message(message_id: str | None = None, **values: Any) -> NewMessage:
    """Return a message from alice to bob; its id is new unless it is given."""
    defaults: dict[str, Any] = {
        "id": message_id or f"message-{next(_numbers)}",
        "conversation": "sip:alice@example.com sip:bob@example.com 7",
        "service": "gateway",
        "direction": "outbound",
        "sender": "sip:alice@example.com",
        "recipient": "sip:bob@example.com",
        "expires": START + LIFETIME,
        "content_type": "text/plain",
        "headers": (("Subject", "grüße"),),
        "body": b"hello",
    }
    return NewMessage(**{**defaults, **values})


@dataclass(slots=True)
class RecordingPublisher:
    """Keeps what is published; fails as long as it is told to."""

    events: list[LedgerEvent] = field(default_factory=list)
    failing: bool = False
    keeps: int = 0
    """Events that get through although the call fails."""
    hangs: bool = False
    calls: int = 0
    meanwhile: Callable[[], Awaitable[None]] | None = None
    """Done once, between taking the next events and saying so."""

    async def publish(self, events: Sequence[LedgerEvent]) -> None:
        self.calls += 1
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        if self.hangs:
            await asyncio.Event().wait()
        if self.failing:
            self.events += events[: self.keeps]
            raise BusError("no broker answers")
        self.events += events

    def seen(self) -> list[tuple[str, int, State]]:
        """Return what was published first, in order; repeated events once."""
        return list(dict.fromkeys((event.id, event.version, event.state) for event in self.events))


async def eventually(condition: Callable[[], Awaitable[object]], timeout: float = 20.0) -> None:
    """Return as soon as what ``condition`` looks up is true.

    Raises:
        AssertionError: It was not within ``timeout`` seconds.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while not await condition():
        assert loop.time() < deadline, f"still not true after {timeout} s"
        await asyncio.sleep(0.002)
