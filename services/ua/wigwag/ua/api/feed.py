"""The log of events as one process reads it: once, for all who watch.

Theory of operation. One reader follows the topic and keeps its newest records. Whoever watches has a bounded buffer;
a record goes into the buffers of those whom it concerns. A watcher joins where he left off when all that he has not had
is among the records kept; else he first reads the log on his own. Joining takes one turn of the loop, so that nothing
falls between the records kept and those that follow. A buffer that overflows belongs to somebody who reads too slowly:
he loses his place, and is told so.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self, cast

import structlog
from google.protobuf.message import DecodeError

from wigwag.api.events.v1.envelope_pb2 import Envelope
from wigwag.api.ua.v1 import event_pb2
from wigwag.bus import Bus, FromOffsets, Record
from wigwag.errors import BusError, OutOfRangeError, OverloadedError, WigwagError
from wigwag.runtime.events import SESSIONS_EVENTS

TOPIC: Final = SESSIONS_EVENTS.name
_RETRY: Final = 0.5
_LONGEST_RETRY: Final = 5.0

logger = structlog.get_logger(__name__)


class Entry(NamedTuple):
    """An event and where it stands."""

    partition: int
    offset: int
    event: event_pb2.Event
    size: int


def entry_of(record: Record) -> Entry | None:
    """Return the event of a record; None: it holds none that this version knows."""
    try:
        found = Envelope.FromString(record.value)
    except DecodeError:
        logger.warning("an event can't be read", position=record.position)
        return None
    if found.WhichOneof("payload") != "session_event":
        return None
    return Entry(record.partition, record.offset, found.session_event.event, len(record.value))


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of what is kept, in events and octets."""

    events: int
    octets: int


class Place:
    """Where a watcher is: what he has not had yet waits here.

    Args:
        application: Whose events; empty: everybody's.
        sessions: Only these; empty: all.
        offsets: Where he goes on.
        bounds: Of what may wait.
    """

    def __init__(self, application: str, sessions: Iterable[str], offsets: Mapping[int, int], bounds: Bounds) -> None:
        self.application = application
        self.offsets = dict(offsets)
        """What is below them he has had, or it does not concern him."""
        self._sessions = frozenset(sessions)
        self._bounds = bounds
        self._waiting: deque[Entry] = deque()
        self._octets = 0
        self._filled = asyncio.Event()
        self._failure: WigwagError | None = None

    def concerns(self, event: event_pb2.Event) -> bool:
        """Tell whether an event is for him."""
        if self.application and event.application != self.application:
            return False
        return not self._sessions or event.session_id in self._sessions

    def lacks(self, entry: Entry) -> bool:
        """Tell whether an event is for him, and he has not had it."""
        return entry.offset >= self.offsets.get(entry.partition, 0) and self.concerns(entry.event)

    def has_room_for(self, entries: Sequence[Entry]) -> bool:
        """Tell whether so much may wait, and as much again come before it is read."""
        octets = sum(entry.size for entry in entries)
        return 2 * len(entries) <= self._bounds.events and 2 * octets <= self._bounds.octets

    def put(self, entry: Entry) -> bool:
        """Let an event wait, unless he has had it; False: too much waits, and he has lost his place."""
        if not self.lacks(entry):
            return True
        if len(self._waiting) >= self._bounds.events or self._octets + entry.size > self._bounds.octets:
            self.fail(OverloadedError("events came faster than they were read: watch again with the last resume token"))
            return False
        self._waiting.append(entry)
        self._octets += entry.size
        self._filled.set()
        return True

    def fail(self, failure: WigwagError) -> None:
        """End it: what waits is let go of, and the next ``take`` raises."""
        self._waiting.clear()
        self._octets = 0
        self._failure = failure
        self._filled.set()

    async def filled(self, timeout: float) -> bool:
        """Wait until something waits, or it has ended; False: nothing did for so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._filled.wait()
        return self._filled.is_set()

    def take(self, bounds: Bounds, ends: Mapping[int, int]) -> list[event_pb2.Event]:
        """Return events that wait, oldest first, and move on.

        Args:
            bounds: Of what is taken; one event is, whatever its size.
            ends: How far all watchers together are: once nothing waits, so is this one.

        Raises:
            OverloadedError: He was too slow.
            OutOfRangeError: The log is another one, or has lost what he has not had.
        """
        if self._failure is not None:
            raise self._failure
        found: list[event_pb2.Event] = []
        octets = 0
        while self._waiting and len(found) < bounds.events:
            if found and octets + self._waiting[0].size > bounds.octets:
                break
            entry = self._waiting.popleft()
            octets += entry.size
            self.offsets[entry.partition] = entry.offset + 1
            found.append(entry.event)
        self._octets -= octets
        if not self._waiting:
            self._filled.clear()
            for partition, end in ends.items():
                self.offsets[partition] = max(end, self.offsets.get(partition, 0))
        return found


class EventFeed:
    """Reads the topic for all watchers of a process; ``async with`` runs it.

    Args:
        bus: Where the topic is; it is declared here.
        kept: Of the newest records.
    """

    def __init__(self, bus: Bus, *, kept: Bounds = Bounds(8_192, 16_777_216)) -> None:
        bus.declare(SESSIONS_EVENTS)
        self._bus = bus
        self._bounds = kept
        self._ends: dict[int, int] = {}
        """Partition -> offset of the next record."""
        self._begins: dict[int, int] = {}
        """Partition -> offset from which on all are kept."""
        self._kept: deque[Entry] = deque()
        self._octets = 0
        self._places: dict[str, set[Place]] = {}
        self._began = asyncio.Event()
        self._is_another = False

    async def __aenter__(self) -> Self:
        """Begin to read; while the bus is away it is waited for."""
        self._reading = asyncio.create_task(self._read_for_ever())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop."""
        self._reading.cancel()
        with suppress(asyncio.CancelledError):
            await self._reading

    def __len__(self) -> int:
        """How many watch."""
        return sum(map(len, self._places.values()))

    @property
    def ends(self) -> Mapping[int, int]:
        """How far it has read."""
        return self._ends

    def holds(self, offsets: Mapping[int, int]) -> bool:
        """Tell whether all from there on is kept here."""
        if not offsets.keys() <= self._ends.keys():
            return False
        return all(begin <= offsets.get(number, 0) <= self._ends[number] for number, begin in self._begins.items())

    async def began(self, timeout: float) -> None:
        """Wait until it knows where the log ends.

        Raises:
            BusError: It did not in so many seconds.
        """
        try:
            async with asyncio.timeout(timeout):
                await self._began.wait()
        except TimeoutError as error:
            raise BusError("the log of events can't be read at this moment") from error

    def join(self, place: Place) -> bool:
        """Let a watcher have what is kept and what follows; False: he has to read further on his own first."""
        if any(place.offsets.get(partition, 0) < begin for partition, begin in self._begins.items()):
            return False
        missed = [entry for entry in self._kept if place.lacks(entry)]
        if not place.has_room_for(missed):
            return False
        for entry in missed:
            place.put(entry)
        self._places.setdefault(place.application, set()).add(place)
        return True

    def leave(self, place: Place) -> None:
        """Forget a watcher."""
        places = self._places.get(place.application, set())
        places.discard(place)
        if not places:
            self._places.pop(place.application, None)

    # The reader

    async def _read_for_ever(self) -> None:
        delay = _RETRY
        while True:
            before = dict(self._ends)
            try:
                await self._read()
            except BusError as error:
                logger.warning("the log of events can't be read", reason=str(error))
            delay = _RETRY if self._ends != before else min(delay * 2, _LONGEST_RETRY)
            await asyncio.sleep(delay)

    async def _read(self) -> None:
        extent = await self._bus.extent(TOPIC)
        if self._is_another or any(
            not held.start <= self._ends.get(number, held.stop) <= held.stop for number, held in extent.items()
        ):
            self._begin_anew()
        for number, held in extent.items():
            self._ends.setdefault(number, held.stop)
            self._begins.setdefault(number, held.stop)
        self._began.set()
        records = self._bus.replay(TOPIC, FromOffsets(dict(self._ends)), follow=True)
        async with aclosing(cast(Any, records)):
            async for record in records:
                if record.offset < self._ends.get(record.partition, 0):
                    self._is_another = True
                    return
                self._take(record)

    def _begin_anew(self) -> None:
        """Take up another log, whose end is set in the same turn of the loop."""
        reason = "the log of events was lost, or is another one: what was missed is kept no more"
        logger.error("watchers lose their place", reason=reason)
        self._is_another = False
        for places in self._places.values():
            for place in places:
                place.fail(OutOfRangeError(reason))
        self._places.clear()
        self._kept.clear()
        self._octets = 0
        self._ends.clear()
        self._begins.clear()

    def _take(self, record: Record) -> None:
        self._ends[record.partition] = record.offset + 1
        entry = entry_of(record)
        if entry is None:
            return
        self._kept.append(entry)
        self._octets += entry.size
        while len(self._kept) > self._bounds.events or self._octets > self._bounds.octets:
            oldest = self._kept.popleft()
            self._octets -= oldest.size
            self._begins[oldest.partition] = oldest.offset + 1
        for application in {entry.event.application, ""}:
            for place in list(self._places.get(application, ())):
                if not place.put(entry):
                    self.leave(place)
