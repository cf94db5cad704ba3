"""Recordings of SIP devices put together: who registered where, and all that is known of each request.

A recording that contradicts itself proves nothing: whatever the verifier relies on is checked here first.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import msgspec

from .edge_recording import (
    Disturbed,
    EdgeRecord,
    EdgeRecording,
    FlowLost,
    FlowOpened,
    RequestEnded,
    RequestReceived,
    RequestRepeated,
    RequestSent,
)
from .evidence import Kind, Violation
from .recording import Finished, Started

R = TypeVar("R", bound=EdgeRecord, covariant=True)


@dataclass(frozen=True, slots=True)
class EdgeEntry(Generic[R]):
    """A record and the recording where it stands."""

    recording: str
    record: R

    def __str__(self) -> str:
        return f"{self.recording}:{self.record.number} {msgspec.json.encode(self.record).decode()}"


@dataclass(slots=True)
class EdgeRequest:
    """All that is known of one request."""

    sent: EdgeEntry[RequestSent] | None = None
    ended: EdgeEntry[RequestEnded] | None = None
    received: list[EdgeEntry[RequestReceived]] = field(default_factory=list)
    repeated: list[EdgeEntry[RequestRepeated]] = field(default_factory=list)

    @property
    def status(self) -> int:
        """Of its final response; 0: there was none."""
        return self.ended.record.status if self.ended is not None else 0

    @property
    def entries(self) -> tuple[str, ...]:
        """All records of it, for evidence."""
        found = (self.sent, self.ended, *self.received, *self.repeated)
        return tuple(str(entry) for entry in found if entry is not None)


class EdgeEvidence:
    """What all recordings of a run say.

    Args:
        recordings: All of them: one that is missing makes its device's requests look lost or invented.

    Attributes:
        requests: By id.
        devices: Names of the devices of each AOR.
        transports: What a device used.
        disturbances: From when to when something was done to the edge.
        violations: What is wrong with the recordings themselves.
    """

    def __init__(self, recordings: Sequence[EdgeRecording]) -> None:
        self.recordings = recordings
        self.requests: defaultdict[str, EdgeRequest] = defaultdict(EdgeRequest)
        self.devices: defaultdict[str, set[str]] = defaultdict(set)
        self.transports: defaultdict[str, set[str]] = defaultdict(set)
        self.disturbances: list[tuple[float, float]] = []
        self.violations: list[Violation] = []
        self.flows_lost = 0
        self._standing: dict[str, str] = {}
        """The flow of each device."""
        self._sequences: dict[tuple[str, str, str], EdgeEntry[RequestSent]] = {}
        for recording in recordings:
            self._check_frame(recording)
            for entry in _entries(recording):
                self._take(entry)
        self._check_receivers()

    def was_disturbed(self, request: EdgeRequest) -> bool:
        """Tell whether something was done to the edge while the request was in flight."""
        if request.sent is None or request.ended is None:
            return False
        began, ended = request.sent.record.time, request.ended.record.time
        return any(first <= ended and last >= began for first, last in self.disturbances)

    def _check_frame(self, recording: EdgeRecording) -> None:
        records = recording.records
        wrong = next((record for line, record in enumerate(records, 1) if record.number != line), None)
        if wrong is not None:
            text = f"{recording.name}: records before number {wrong.number} are missing, doubled or exchanged"
            self._violated(Kind.RECORDING, text, EdgeEntry(recording.name, wrong))
        if not records or not isinstance(records[0], Started):
            self._violated(Kind.RECORDING, f"{recording.name} has no beginning")
        if not recording.finished:
            self._violated(Kind.RECORDING, f"{recording.name} ends before its endpoint was done")
        if any(isinstance(record, Finished) for record in records[:-1]):
            self._violated(Kind.RECORDING, f"{recording.name} goes on after its end")
        if any(isinstance(record, Started) for record in records[1:]):
            self._violated(Kind.RECORDING, f"{recording.name} begins twice")

    def _take(self, entry: EdgeEntry[EdgeRecord]) -> None:
        name, record = entry.recording, entry.record
        match record:
            case FlowOpened():
                self._take_opened(EdgeEntry(name, record))
            case FlowLost():
                self._take_lost(EdgeEntry(name, record))
            case RequestSent():
                self._take_sent(EdgeEntry(name, record))
            case RequestEnded():
                self._take_ended(EdgeEntry(name, record))
            case RequestReceived():
                self._check_flow(EdgeEntry(name, record))
                self.requests[record.id].received.append(EdgeEntry(name, record))
            case RequestRepeated():
                self._check_flow(EdgeEntry(name, record))
                self.requests[record.id].repeated.append(EdgeEntry(name, record))
            case Disturbed():
                self.disturbances.append((record.began, record.time))
            case Started() | Finished():
                pass

    # Flows: a device has one at a time

    def _take_opened(self, entry: EdgeEntry[FlowOpened]) -> None:
        opened = entry.record
        former = self._standing.get(opened.device)
        if former is not None:
            self._violated(Kind.RECORDING, f"{opened.flow} opened, but nothing says that {former} was lost", entry)
        self._standing[opened.device] = opened.flow
        self.devices[opened.aor].add(opened.device)
        self.transports[opened.device].add(opened.transport)

    def _take_lost(self, entry: EdgeEntry[FlowLost]) -> None:
        self.flows_lost += 1
        device = next((device for device, flow in self._standing.items() if flow == entry.record.flow), None)
        if device is None:
            self._violated(Kind.RECORDING, f"{entry.record.flow} was lost, but does not stand", entry)
        else:
            del self._standing[device]

    def _check_flow(self, entry: EdgeEntry[RequestSent | RequestReceived | RequestRepeated]) -> None:
        if self._standing.get(entry.record.device) != entry.record.flow:
            self._violated(Kind.RECORDING, f"{entry.record.flow} is used, but does not stand", entry)

    # Requests

    def _take_sent(self, entry: EdgeEntry[RequestSent]) -> None:
        sent = entry.record
        self._check_flow(entry)
        request = self.requests[sent.id]
        if request.sent is not None:
            self._violated(Kind.RECORDING, f"{sent.id} is sent twice", request.sent, entry)
        request.sent = entry
        direction = (sent.device, sent.to, sent.dialog)
        last = self._sequences.get(direction)
        expected = 1 if last is None else last.record.sequence + 1
        if sent.sequence != expected:
            text = f"{sent.device} to {sent.to}: number {sent.sequence} instead of {expected}"
            self._violated(Kind.RECORDING, text, *filter(None, [last]), entry)
        if last is not None and self.requests[last.record.id].ended is None:
            self._violated(Kind.RECORDING, f"{sent.id} is sent before {last.record.id} has ended", last, entry)
        self._sequences[direction] = entry

    def _take_ended(self, entry: EdgeEntry[RequestEnded]) -> None:
        ended = entry.record
        request = self.requests[ended.id]
        if request.sent is None or request.sent.record.device != ended.device:
            self._violated(Kind.UNASKED, f"{ended.id} ended at {ended.device}, which did not send it before", entry)
        if request.ended is not None:
            self._violated(Kind.UNASKED, f"{ended.id} ended twice", request.ended, entry)
        request.ended = entry

    def _check_receivers(self) -> None:
        for request in self.requests.values():
            if request.sent is not None and request.sent.record.to not in self.devices:
                self._violated(Kind.RECORDING, f"no recording of {request.sent.record.to}", request.sent)

    def _violated(self, kind: Kind, text: str, *entries: EdgeEntry[EdgeRecord]) -> None:
        self.violations.append(Violation(kind, text, tuple(map(str, entries))))


def _entries(recording: EdgeRecording) -> Iterator[EdgeEntry[EdgeRecord]]:
    return (EdgeEntry(recording.name, record) for record in recording.records)
