"""Recordings around the user agent: files of JSON objects, one a line, as ``recording`` has them for MSRP.

Callers of the interface write what they are about to send (`MessageOffered`) and what was acknowledged; SIP users write
what they sent, were answered and were shown; an archivist copies what the ledger and the bus say when all is over. Who
kills a pod writes a file of his own (`Disturbed`).
"""

from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from .edge_recording import Disturbed
from .recording import Finished, Started, read_records

Outcome = Literal["delivered", "failed", "unconfirmed"]


class SessionStarted(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="session started"):
    """An application has a session with a SIP user."""

    number: int
    """Lines up to and including this one."""
    time: float
    """Wall clock, in seconds since the epoch; all processes of a run share it."""
    session: str
    user: str
    """The SIP user's name."""


class MessageOffered(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="message offered"):
    """An application is about to send a message, until it is acknowledged."""

    number: int
    time: float
    session: str
    key: str
    """Idempotency key, unique in the run; the body carries it."""
    sequence: int
    """Counts what the application sends in the session."""
    digest: str
    """SHA-256 of the body, hexadecimal."""


class MessageAccepted(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="message accepted"):
    """It was acknowledged."""

    number: int
    time: float
    key: str
    message_id: str


class ChatOpened(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="chat opened"):
    """A SIP user is in a session with an application."""

    number: int
    time: float
    user: str


class ChatEnded(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="chat ended"):
    """It is over for him."""

    number: int
    time: float
    user: str
    cause: str


class ChatSent(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="chat sent"):
    """A SIP user is about to send a message."""

    number: int
    time: float
    user: str
    key: str
    """His Message-ID, unique in the run; the body carries it."""
    sequence: int
    digest: str


class ChatSettled(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="chat settled"):
    """The one outcome of it at its sender."""

    number: int
    time: float
    user: str
    key: str
    outcome: Outcome


class ChatReceived(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="chat received"):
    """A message is shown to a SIP user, and about to be answered 200."""

    number: int
    time: float
    user: str
    message_id: str
    key: str
    """As the body says."""
    sequence: int
    digest: str


class ChatRepeated(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="chat repeated"):
    """A message came that was shown already; it is answered and not shown again."""

    number: int
    time: float
    user: str
    message_id: str


class RowFound(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="row found"):
    """A message as the ledger has it when all is over."""

    number: int
    time: float
    message_id: str
    session: str
    direction: Literal["outbound", "inbound"]
    state: str
    digest: str


class StateTold(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="state told"):
    """An event on the bus: the state of a message; in the order of the session's events, repetitions too."""

    number: int
    time: float
    event_id: str
    session: str
    message_id: str
    state: str


class MessageTold(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="message told"):
    """An event on the bus: a message of a SIP user."""

    number: int
    time: float
    event_id: str
    session: str
    key: str
    sequence: int
    digest: str


class SessionTold(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="session told"):
    """An event on the bus: the state of a session."""

    number: int
    time: float
    event_id: str
    session: str
    state: str


UaRecord: TypeAlias = (
    Started
    | SessionStarted
    | MessageOffered
    | MessageAccepted
    | ChatOpened
    | ChatEnded
    | ChatSent
    | ChatSettled
    | ChatReceived
    | ChatRepeated
    | RowFound
    | StateTold
    | MessageTold
    | SessionTold
    | Disturbed
    | Finished
)

_decode = msgspec.json.Decoder(UaRecord).decode


class UaRecording(msgspec.Struct, frozen=True):
    """The records of one file, in order."""

    name: str
    """The file, for evidence."""
    records: tuple[UaRecord, ...]


def read_ua_recording(path: Path) -> UaRecording:
    """Read a file; a line that was cut off at its end is left out.

    Raises:
        RecordingError: It can't be read, or a line that is whole is no record.
    """
    return UaRecording(str(path), read_records(path, _decode)[0])
