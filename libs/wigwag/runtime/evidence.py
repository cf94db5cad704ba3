"""Recordings of all endpoints of a run put together: each connection's life, and all that is known of each message.

A recording that contradicts itself proves nothing: whatever the verifier relies on is checked here first.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeAlias, TypeVar, assert_never

import msgspec

from .recording import (
    Answered,
    Closed,
    ConnectionName,
    Finished,
    Lost,
    Opened,
    Received,
    Record,
    Recording,
    Reported,
    Sent,
    Started,
)

R = TypeVar("R", bound=Record, covariant=True)
MessageKey: TypeAlias = tuple[str, str]
"""Sender's URI and Message-ID."""


class Kind(Enum):
    """What is wrong."""

    LOST = "lost"
    """Answered 200, but neither received nor reported, although the sender's connection lived on."""
    UNANSWERED = "unanswered"
    """No response, although the sender's connection lived on."""
    DOUBLED = "doubled"
    """Received more often than it was sent."""
    REORDERED = "reordered"
    """Received after what was sent later in the same session."""
    INVENTED = "invented"
    """Received, but never sent so."""
    DAMAGED = "damaged"
    """Received with other octets."""
    UNASKED = "unasked"
    """An answer or REPORT to what was not sent."""
    REFUSED = "refused"
    """Not delivered between clients that need nothing but their own retransmission (SIP over UDP)."""
    HUNG_UP = "hung up"
    """A session is over that nobody ended."""
    RECORDING = "recording"
    """A recording contradicts itself or is missing: nothing can be concluded from it."""


@dataclass(frozen=True, slots=True)
class Entry(Generic[R]):
    """A record and the recording where it stands."""

    recording: str
    record: R

    def __str__(self) -> str:
        return f"{self.recording}:{self.record.number} {msgspec.json.encode(self.record).decode()}"


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise.

    Args:
        kind: Which.
        text: What happened, for people.
        evidence: The records that show it.
    """

    kind: Kind
    text: str
    evidence: tuple[str, ...] = ()


@dataclass(slots=True)
class Life:
    """One connection, from its first to its last record."""

    opened: Entry[Opened]
    ended: Entry[Lost | Closed] | None = None
    """None: its recording ends before it did."""


@dataclass(slots=True)
class Send:
    """One SEND and the response to it."""

    sent: Entry[Sent]
    answer: Entry[Answered] | None = None


@dataclass(slots=True)
class Message:
    """All that is known of one message."""

    sends: list[Send] = field(default_factory=list)
    reports: list[Entry[Reported]] = field(default_factory=list)
    received: list[Entry[Received]] = field(default_factory=list)


class Evidence:
    """What all recordings of a run say.

    Args:
        recordings: All of them: one that is missing makes its endpoint's messages look lost or invented.
        allow_unfinished: Whether an endpoint may have been killed.
    """

    def __init__(self, recordings: Sequence[Recording], *, allow_unfinished: bool = False) -> None:
        self.recordings = recordings
        self.lives: dict[ConnectionName, Life] = {}
        self.messages: defaultdict[MessageKey, Message] = defaultdict(Message)
        self.violations: list[Violation] = []
        self._open: dict[str, ConnectionName] = {}
        self._sequences: dict[tuple[str, str], Entry[Sent]] = {}
        for recording in recordings:
            self._check_frame(recording, allow_unfinished)
            for entry in _entries(recording):
                self._take(entry)
        self._check_receivers()

    def _check_frame(self, recording: Recording, allow_unfinished: bool) -> None:
        wrong = next((r for line, r in enumerate(recording.records, 1) if r.number != line), None)
        if wrong is not None:
            text = f"{recording.name}: records before number {wrong.number} are missing, doubled or exchanged"
            self._violated(Kind.RECORDING, text, Entry(recording.name, wrong))
        if not recording.records or not isinstance(recording.records[0], Started):
            self._violated(Kind.RECORDING, f"{recording.name} has no beginning")
        if any(isinstance(record, Finished) for record in recording.records[:-1]):
            self._violated(Kind.RECORDING, f"{recording.name} goes on after its end")
        if not recording.finished and not allow_unfinished:
            self._violated(Kind.RECORDING, f"{recording.name} ends before its endpoint was done")

    def _take(self, entry: Entry[Record]) -> None:
        record = entry.record
        match record:
            case Opened():
                self._take_opened(Entry(entry.recording, record))
            case Lost() | Closed():
                self._take_ended(Entry(entry.recording, record))
            case Sent():
                self._check_connection(entry, record.connection)
                self._take_sent(Entry(entry.recording, record))
            case Answered():
                self._check_connection(entry, record.connection)
                self._take_answered(Entry(entry.recording, record))
            case Reported():
                self._check_connection(entry, record.connection)
                self.messages[record.sender, record.message_id].reports.append(Entry(entry.recording, record))
            case Received():
                self._check_connection(entry, record.connection)
                self.messages[record.sender, record.message_id].received.append(Entry(entry.recording, record))
            case Started():
                if record.number != 1:
                    self._violated(Kind.RECORDING, f"{entry.recording} begins twice", entry)
            case Finished():
                self._check_all_ended(entry)
            case _:
                assert_never(record)

    # Connections

    def _take_opened(self, entry: Entry[Opened]) -> None:
        opened = entry.record
        former = self._open.get(opened.client)
        if former is not None:
            text = f"{opened.client} opened {opened.connection} while it had {former}"
            self._violated(Kind.RECORDING, text, self.lives[former].opened, entry)
        if opened.connection in self.lives:
            text = f"{opened.connection} was opened twice"
            self._violated(Kind.RECORDING, text, self.lives[opened.connection].opened, entry)
        self.lives[opened.connection] = Life(entry)
        self._open[opened.client] = opened.connection

    def _take_ended(self, entry: Entry[Lost | Closed]) -> None:
        name = entry.record.connection
        self._check_connection(entry, name)
        life = self.lives.get(name)
        if life is not None:
            life.ended = entry
            self._open.pop(life.opened.record.client, None)

    def _check_connection(self, entry: Entry[Record], name: ConnectionName) -> None:
        life = self.lives.get(name)
        if life is None:
            self._violated(Kind.RECORDING, f"{name} is used, but was never opened", entry)
        elif life.ended is not None:
            self._violated(Kind.RECORDING, f"{name} is used after its end", life.ended, entry)

    def _check_all_ended(self, entry: Entry[Record]) -> None:
        for life in self.lives.values():
            if life.opened.recording == entry.recording and life.ended is None:
                text = f"{life.opened.record.connection} was neither lost nor closed"
                self._violated(Kind.RECORDING, text, life.opened)

    # Messages

    def _take_sent(self, entry: Entry[Sent]) -> None:
        sent = entry.record
        message = self.messages[sent.sender, sent.message_id]
        before = next((send.sent for send in message.sends if send.sent.record.start == sent.start), None)
        if sent.repeated != (before is not None):
            text = f"{sent.message_id} is " + ("not a repetition" if sent.repeated else "sent twice")
            self._violated(Kind.RECORDING, text, *filter(None, [before]), entry)
        message.sends.append(Send(entry))
        if not sent.repeated:
            self._check_sequence(entry)

    def _check_sequence(self, entry: Entry[Sent]) -> None:
        sent = entry.record
        direction = (sent.sender, sent.receiver)
        last = self._sequences.get(direction)
        if last is None:
            expected = 1
        elif last.record.message_id == sent.message_id:
            expected = last.record.sequence
        else:
            expected = last.record.sequence + 1
        if sent.sequence != expected:
            text = f"{sent.sender} to {sent.receiver}: number {sent.sequence} instead of {expected}"
            self._violated(Kind.RECORDING, text, *filter(None, [last]), entry)
        self._sequences[direction] = entry

    def _take_answered(self, entry: Entry[Answered]) -> None:
        answer = entry.record
        for send in self.messages[answer.sender, answer.message_id].sends:
            sent = send.sent.record
            if send.answer is None and (sent.connection, sent.start) == (answer.connection, answer.start):
                send.answer = entry
                return
        text = f"{answer.message_id} is answered {answer.status}, but no answer is due"
        self._violated(Kind.UNASKED, text, entry)

    def _check_receivers(self) -> None:
        known = {life.opened.record.uri for life in self.lives.values()}
        receivers = {send.sent.record.receiver for message in self.messages.values() for send in message.sends}
        for uri in sorted(receivers - known):
            self._violated(Kind.RECORDING, f"no recording of {uri}, to whom messages were sent")

    def _violated(self, kind: Kind, text: str, *entries: Entry[Record]) -> None:
        self.violations.append(Violation(kind, text, tuple(map(str, entries))))


def _entries(recording: Recording) -> Iterator[Entry[Record]]:
    return (Entry(recording.name, record) for record in recording.records)
