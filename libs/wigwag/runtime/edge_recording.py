"""Recordings of SIP devices around an edge: files of JSON objects, one a line, as ``recording`` has them for MSRP.

A device writes what it is about to send (`RequestSent`) before the octets leave, and what happened to it
(`RequestEnded`, `RequestReceived`, `RequestRepeated`) before it acts on it. Who disturbs the edge writes a file of his
own (`Disturbed`): what was in flight then may be seen twice on the wire.
"""

from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from .recording import Finished, Started, read_records


class FlowOpened(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="flow opened"):
    """A device has a new flow, and is about to register over it."""

    number: int
    """Lines up to and including this one."""
    time: float
    """Wall clock, in seconds since the epoch; all endpoints of a run share it."""
    device: str
    """The device's name; it stays when its flow changes."""
    aor: str
    flow: str
    """Name of the flow, unique in all recordings of a run."""
    transport: Literal["UDP", "TCP", "TLS", "WS", "WSS"]


class FlowLost(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="flow lost"):
    """A flow is gone."""

    number: int
    time: float
    flow: str
    reason: str = ""


class RequestSent(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="request sent"):
    """A request is about to be written for the first time."""

    number: int
    time: float
    flow: str
    device: str
    """Who sends."""
    to: str
    """AOR that it is for."""
    method: str
    id: str
    """Unique in the run; the body carries it, with the sequence."""
    dialog: str = ""
    """Name of the dialog that it belongs to; empty: none."""
    sequence: int
    """Counts what the device sends to the AOR, in each dialog and outside of any."""
    digest: str
    """SHA-256 of the body, hexadecimal."""


class RequestEnded(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="request ended"):
    """The one outcome of a request at its sender."""

    number: int
    time: float
    device: str
    id: str
    cause: Literal["answered", "timeout", "flow lost"]
    """``timeout``: Timer B or F; ``flow lost``: nobody can tell what became of it."""
    status: int = 0
    """Of the final response."""


class RequestReceived(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="request received"):
    """A request is handed to the application of a device, for the first time, and about to be answered."""

    number: int
    time: float
    flow: str
    device: str
    id: str
    method: str
    sequence: int
    digest: str
    branch: str
    """Of its topmost Via."""


class RequestRepeated(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="request repeated"):
    """A request came that the application has already; it is answered and not shown again."""

    number: int
    time: float
    flow: str
    device: str
    id: str
    branch: str


class Disturbed(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="disturbed"):
    """A pod was killed, or something else was done to the edge."""

    number: int
    time: float
    """When it was done."""
    began: float
    """When it was about to be done."""
    what: str


EdgeRecord: TypeAlias = (
    Started
    | FlowOpened
    | FlowLost
    | RequestSent
    | RequestEnded
    | RequestReceived
    | RequestRepeated
    | Disturbed
    | Finished
)

_decode = msgspec.json.Decoder(EdgeRecord).decode


class EdgeRecording(msgspec.Struct, frozen=True):
    """The records of one file, in order."""

    name: str
    """The file, for evidence."""
    records: tuple[EdgeRecord, ...]

    @property
    def finished(self) -> bool:
        """Whether the endpoint ended by itself."""
        return bool(self.records) and isinstance(self.records[-1], Finished)


def read_edge_recording(path: Path) -> EdgeRecording:
    """Read a file; a last line that is torn is left out.

    Raises:
        RecordingError: It can't be read, or a line that is whole is no record.
    """
    return EdgeRecording(str(path), read_records(path, _decode)[0])
