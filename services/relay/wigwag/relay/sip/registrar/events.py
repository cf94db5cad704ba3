"""What happens to SIP bindings, as events on the bus; nothing waits for it."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

import structlog
from google.protobuf.timestamp_pb2 import Timestamp

from wigwag.api.events.v1 import registration_pb2
from wigwag.bus import Bus, Message
from wigwag.errors import WigwagError
from wigwag.runtime.events import REGISTRATIONS, envelope
from wigwag.store import Binding

CAPACITY: Final = 20_000
"""Events that wait for the bus; above it the oldest are lost."""
BATCH: Final = 256
"""Events published together."""
FLUSH: Final = 2.0
"""Seconds that the last events of a process may take."""
RETRY: Final = 1.0
"""Seconds until a bus that takes nothing is tried again."""

logger = structlog.get_logger("wigwag.relay.sip")


class RegistrationChange(Enum):
    """What became of a binding."""

    REGISTERED = registration_pb2.REGISTRATION_CHANGE_REGISTERED
    REFRESHED = registration_pb2.REGISTRATION_CHANGE_REFRESHED
    UNREGISTERED = registration_pb2.REGISTRATION_CHANGE_UNREGISTERED
    EXPIRED = registration_pb2.REGISTRATION_CHANGE_EXPIRED
    FLOW_LOST = registration_pb2.REGISTRATION_CHANGE_FLOW_LOST


@dataclass(frozen=True, slots=True)
class _Entry:
    sequence: int
    at: float
    change: RegistrationChange
    aor: str
    binding: Binding
    reason: str


class RegistrationEvents:
    """Collects events, and publishes them in order once there is a bus.

    An event may be published twice when the bus took it and its answer was lost; its id is the same then.

    Args:
        bus: The bus; None: nobody hears of anything.
        pod: This process.
        wall: Seconds since the epoch.
        refreshes: Whether mere refreshes are told.

    Attributes:
        lost: Events that were given up because the bus was away for too long.
        silent: AOR of which nothing is told: the user agent's pods are no users.
    """

    def __init__(self, bus: Bus | None, pod: str, wall: Callable[[], float], *, refreshes: bool = False) -> None:
        self.lost = 0
        self.silent = ""
        self._bus = bus
        self._pod = pod
        self._wall = wall
        self._refreshes = refreshes
        self._waiting: deque[_Entry] = deque()
        self._sequence = 0
        self._more = asyncio.Event()
        if bus is not None:
            bus.declare(REGISTRATIONS)

    def changed(self, change: RegistrationChange, aor: str, binding: Binding, reason: str = "") -> None:
        """Note a change."""
        if self._bus is None or aor == self.silent or (change is RegistrationChange.REFRESHED and not self._refreshes):
            return
        self._sequence += 1
        if len(self._waiting) >= CAPACITY:
            self._waiting.popleft()
            self.lost += 1
        self._waiting.append(_Entry(self._sequence, self._wall(), change, aor, binding, reason))
        self._more.set()

    def all_changed(self, change: RegistrationChange, aor: str, bindings: Iterable[Binding], reason: str = "") -> None:
        """Note the same change of several."""
        for binding in bindings:
            self.changed(change, aor, binding, reason)

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            await self._more.wait()
            if not await self._publish():
                await asyncio.sleep(RETRY)

    async def flush(self) -> None:
        """Publish what is left, once ``run`` has ended; gives up after ``FLUSH`` seconds."""
        try:
            async with asyncio.timeout(FLUSH):
                while self._waiting and await self._publish():
                    pass
        except TimeoutError:
            pass
        if self._waiting:
            logger.warning("the last events of registrations are lost: the bus does not take them")

    async def _publish(self) -> bool:
        """Publish the next batch; False: the bus does not take it."""
        batch = [self._waiting[index] for index in range(min(BATCH, len(self._waiting)))]
        if batch and self._bus is not None:
            try:
                await self._bus.publish_many(REGISTRATIONS.name, [self._message(entry) for entry in batch])
            except WigwagError as error:
                logger.debug("events of registrations can't be published", reason=str(error))
                return False
            while self._waiting and self._waiting[0].sequence <= batch[-1].sequence:
                self._waiting.popleft()
        if not self._waiting:
            self._more.clear()
        return True

    def _message(self, entry: _Entry) -> Message:
        payload = _payload(entry)
        event_id = f"{self._pod}:registration:{entry.sequence}"
        return Message(envelope(payload, event_id=event_id, at=entry.at, pod=self._pod), key=entry.aor)


def _payload(entry: _Entry) -> registration_pb2.RegistrationEvent:
    binding, flow = entry.binding, entry.binding.flow
    expires_at = Timestamp()
    expires_at.FromMilliseconds(round(binding.expires_at * 1000))
    return registration_pb2.RegistrationEvent(
        change=entry.change.value,
        aor=_text(entry.aor),
        contact=_text(binding.contact),
        key=_text(binding.key),
        instance=_text(binding.instance),
        reg_id=binding.reg_id,
        user_agent=_text(binding.user_agent),
        expires_at=expires_at,
        pod=flow.pod if flow is not None else "",
        transport=flow.transport if flow is not None else "",
        remote=flow.remote if flow is not None else "",
        reason=entry.reason,
    )


def _text(text: str) -> str:
    """Octets that were no UTF-8 are shown as question marks: protobuf carries none of them."""
    return text.encode("utf-8", "replace").decode()
