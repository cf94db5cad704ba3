"""Recordings around the gateway: files of JSON objects, one a line, as ``recording`` has them for MSRP.

Page-mode users write what they are about to send (`PageSent`), how it was answered, what they were shown and told;
session-mode users likewise. An archivist copies what the ledger and the bus say when all is over. Who kills a pod
writes a file of his own (`Disturbed`).
"""

from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from .edge_recording import Disturbed
from .recording import Finished, RecordingError, Started

Outcome = Literal["delivered", "failed", "unconfirmed"]
Way = Literal["to session", "to page"]


class PageSent(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="page sent"):
    """A page-mode user is about to send a MESSAGE."""

    number: int
    """Lines up to and including this one."""
    time: float
    """Wall clock, in seconds since the epoch; all processes of a run share it."""
    user: str
    to: str
    """Name of the session-mode user."""
    key: str
    """Unique in the run; the body carries it."""
    sequence: int
    """Counts what the one sends to the other."""
    digest: str
    """SHA-256 of the body, hexadecimal."""


class PageAnswered(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="page answered"):
    """The one outcome of the request at its sender."""

    number: int
    time: float
    user: str
    key: str
    status: int
    """Of the final response; 0: none came, or the connection was lost."""


class PageReceived(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="page received"):
    """A message is shown to a page-mode user, and about to be answered."""

    number: int
    time: float
    user: str
    key: str
    """As the body says."""
    sequence: int
    digest: str
    status: int
    """With which it is answered; from 300 on it is not shown."""


class PageRepeated(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="page repeated"):
    """A MESSAGE came that was shown already; it is answered as before and not shown again."""

    number: int
    time: float
    user: str
    key: str


class PageTold(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="page told"):
    """A page-mode user is told what became of his message."""

    number: int
    time: float
    user: str
    key: str


class TalkSent(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="talk sent"):
    """A session-mode user is about to send a message."""

    number: int
    time: float
    user: str
    to: str
    key: str
    sequence: int
    digest: str
    session: str
    """In which of his sessions."""


class TalkSettled(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="talk settled"):
    """The one outcome of it at its sender: a REPORT, a refusal, or the end of the session."""

    number: int
    time: float
    user: str
    key: str
    outcome: Outcome
    status: int


class TalkReceived(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="talk received"):
    """A message is shown to a session-mode user, and about to be answered 200."""

    number: int
    time: float
    user: str
    key: str
    sequence: int
    digest: str


class TalkRepeated(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="talk repeated"):
    """A message came, under its Message-ID, that was shown already; it is answered and not shown again."""

    number: int
    time: float
    user: str
    key: str


class MessageFound(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="message found"):
    """A message as the ledger has it, in the row of its first hop, when all is over; in the order of acceptance."""

    number: int
    time: float
    message_id: str
    way: Way
    key: str
    state: str
    digest: str


class NoticeFound(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="notice found"):
    """What the gateway wrote to a page-mode user itself, likewise."""

    number: int
    time: float
    message_id: str
    key: str
    """Of the message that it is about."""
    state: str


class StateTold(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="message state told"):
    """An event on the bus: the state of a message; repetitions too."""

    number: int
    time: float
    event_id: str
    message_id: str
    state: str


MessageRecord: TypeAlias = (
    Started
    | PageSent
    | PageAnswered
    | PageReceived
    | PageRepeated
    | PageTold
    | TalkSent
    | TalkSettled
    | TalkReceived
    | TalkRepeated
    | MessageFound
    | NoticeFound
    | StateTold
    | Disturbed
    | Finished
)

_decode = msgspec.json.Decoder(MessageRecord).decode


class MessageRecording(msgspec.Struct, frozen=True):
    """The records of one file, in order."""

    name: str
    """The file, for evidence."""
    records: tuple[MessageRecord, ...]


def read_message_recording(path: Path) -> MessageRecording:
    """Read a file; a line that was cut off at its end is left out.

    Raises:
        RecordingError: It can't be read, or a line that is whole is no record.
    """
    try:
        whole, _, _ = path.read_bytes().rpartition(b"\n")
    except OSError as error:
        raise RecordingError(f"{path} can't be read: {error}") from error
    records: list[MessageRecord] = []
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            records.append(_decode(line))
        except msgspec.DecodeError as error:
            raise RecordingError(f"{path}, line {number}: {error}") from error
    return MessageRecording(str(path), tuple(records))
