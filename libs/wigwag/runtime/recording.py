"""Recordings: what a test endpoint sent, was answered and received, in a file that nobody but itself writes.

A recording is a file of JSON objects, one a line, that only grows. An endpoint writes what it is about to do (`Sent`)
before the octets leave, and what happened to it (`Answered`, `Reported`, `Received`) before it acts on it, each line in
one write: it may be killed at any moment, and the last line may then be torn. ``Started`` comes first; ``Finished``
comes last, from an endpoint that waited for the outcome of all it had sent.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NewType, TypeAlias, TypeVar

import msgspec

from wigwag.errors import WigwagError
from wigwag.protocols.msrp import FailureReport

T = TypeVar("T")

ConnectionName = NewType("ConnectionName", str)
"""Name of one connection, unique in all recordings of a run."""


class RecordingError(WigwagError):
    """A file is not a recording; the text names the file and the line."""


class Started(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="started"):
    """The recording begins."""

    number: int
    time: float
    version: Literal[1] = 1


class Opened(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="opened"):
    """A relay granted a URI over a new connection, which carries the client's messages from now on."""

    number: int
    """Lines up to and including this one."""
    time: float
    """Wall clock, in seconds since the epoch; for people, no rule reads it."""
    client: str
    """The client's name; it stays when its URI changes."""
    connection: ConnectionName
    address: str
    """``host:port`` that it connected to."""
    uri: str
    """The client's own URI."""
    path: str
    """The path by which others reach it, ``a=path``."""


class Lost(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="lost"):
    """A connection is gone."""

    number: int
    time: float
    connection: ConnectionName
    cause: Literal["peer", "gave up", "left"]
    """``peer``: the other side or the network ended it. ``gave up``: we did, since something was not answered in time.
    ``left``: we did, to connect elsewhere."""
    reason: str = ""


class Closed(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="closed"):
    """We close a connection in good order: the outcome of what was sent over it should be known."""

    number: int
    time: float
    connection: ConnectionName


class Sent(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="sent"):
    """A SEND is about to be written."""

    number: int
    time: float
    connection: ConnectionName
    sender: str
    """Our URI, last in From-Path."""
    receiver: str
    """The peer's URI, last in To-Path."""
    message_id: str
    """Unique among all messages of the sender."""
    start: int
    """Number of its first octet."""
    end: int
    """Number of its last octet; 0 when there is none."""
    sequence: int
    """Counts what the sender sends to the receiver."""
    digest: str
    """SHA-256 of the octets, hexadecimal."""
    failure_report: FailureReport = FailureReport.YES
    repeated: bool = False
    """Whether these octets were sent before, because their outcome was not known."""


class Answered(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="answered"):
    """The response to a SEND came."""

    number: int
    time: float
    connection: ConnectionName
    sender: str
    message_id: str
    start: int
    end: int
    status: int


class Reported(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="reported"):
    """A REPORT came, over whichever connection."""

    number: int
    time: float
    connection: ConnectionName
    sender: str
    message_id: str
    start: int
    end: int | None
    """None: to the message's last octet."""
    status: int


class Received(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="received"):
    """A SEND is complete, and about to be answered."""

    number: int
    time: float
    connection: ConnectionName
    sender: str
    receiver: str
    message_id: str
    start: int
    end: int
    sequence: int
    digest: str


class Finished(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="finished"):
    """The endpoint ends by itself; nothing comes after."""

    number: int
    time: float


Record: TypeAlias = Started | Opened | Lost | Closed | Sent | Answered | Reported | Received | Finished

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Record).decode


class Recorder:
    """Writes one recording.

    Args:
        path: The file; it must not exist, since nothing may be added to what another process wrote.

    Raises:
        FileExistsError: It does.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        self.number = 0

    def next_number(self) -> int:
        """Return the number of the record that is written next."""
        self.number += 1
        return self.number

    def write(self, record: msgspec.Struct) -> None:
        """Hand one record, of this file's kind or another, over to the operating system.

        It survives the kill of this process.

        Raises:
            OSError: It could not be written whole.
        """
        line = _encode(record) + b"\n"
        if os.write(self._file, line) != len(line):
            raise OSError(f"record {self.number} was cut short")

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


@dataclass(frozen=True, slots=True)
class Recording:
    """The records of one file, in order.

    Args:
        name: The file, for evidence.
        records: Its records.
        torn: Whether its last line was cut off and left out.
    """

    name: str
    records: tuple[Record, ...]
    torn: bool = False

    @property
    def finished(self) -> bool:
        """Whether the endpoint ended by itself."""
        return bool(self.records) and isinstance(self.records[-1], Finished)


def read_recording(path: Path) -> Recording:
    """Read a file.

    Raises:
        RecordingError: It can't be read, or a line that is whole is no record.
    """
    records, torn = read_records(path, _decode)
    return Recording(str(path), records, torn=torn)


def read_records(path: Path, decode: Callable[[bytes], T]) -> tuple[tuple[T, ...], bool]:
    """Read a file of records, one a line.

    Args:
        path: The file.
        decode: Reads a line; DecodeError: it is no record.

    Returns:
        The records, and whether the last line was cut off and left out.

    Raises:
        RecordingError: It can't be read, or a line that is whole is no record.
    """
    try:
        whole, _, rest = path.read_bytes().rpartition(b"\n")
    except OSError as error:
        raise RecordingError(f"{path} can't be read: {error}") from error
    return tuple(_records(str(path), whole.splitlines(), decode)), bool(rest)


def _records(name: str, lines: Iterable[bytes], decode: Callable[[bytes], T]) -> Iterable[T]:
    for number, line in enumerate(lines, 1):
        try:
            yield decode(line)
        except msgspec.DecodeError as error:
            raise RecordingError(f"{name}, line {number}: {error}") from error
