"""Recordings of a run around the gateway put together: all that is known of each message."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from .edge_recording import Disturbed
from .evidence import Kind, Violation
from .message_recording import (
    MessageFound,
    MessageRecord,
    MessageRecording,
    NoticeFound,
    PageAnswered,
    PageReceived,
    PageRepeated,
    PageSent,
    PageTold,
    StateTold,
    TalkReceived,
    TalkRepeated,
    TalkSent,
    TalkSettled,
)
from .recording import Finished, Started


@dataclass(slots=True)
class Message:
    """All that is known of one message, either way."""

    sent: list[PageSent | TalkSent] = field(default_factory=list)
    answered: list[PageAnswered] = field(default_factory=list)
    settled: list[TalkSettled] = field(default_factory=list)
    received: list[PageReceived | TalkReceived] = field(default_factory=list)
    repeated: list[PageRepeated | TalkRepeated] = field(default_factory=list)
    told: list[PageTold] = field(default_factory=list)
    rows: list[MessageFound] = field(default_factory=list)
    notices: list[NoticeFound] = field(default_factory=list)
    states: list[StateTold] = field(default_factory=list)

    @property
    def shown(self) -> list[PageReceived | TalkReceived]:
        """Where it was received and not refused."""
        return [one for one in self.received if not (isinstance(one, PageReceived) and one.status >= 300)]

    @property
    def entries(self) -> tuple[str, ...]:
        """All of it, as evidence."""
        found: list[msgspec.Struct] = [*self.sent, *self.answered, *self.settled, *self.received, *self.repeated]
        return tuple(shown(one) for one in [*found, *self.told, *self.rows, *self.notices, *self.states])


class MessageEvidence:
    """What all recordings of a run say.

    Args:
        recordings: All of them: one that is missing makes messages look lost or invented.

    Attributes:
        messages: By key.
        disturbances: From when to when something was done to a pod or a server.
        violations: What is wrong with the recordings themselves.
    """

    def __init__(self, recordings: Sequence[MessageRecording]) -> None:
        self.recordings = recordings
        self.messages: defaultdict[str, Message] = defaultdict(Message)
        self.disturbances: list[tuple[float, float]] = []
        self.violations: list[Violation] = []
        self._keys: dict[str, str] = {}
        """Key of each row."""
        for recording in recordings:
            self._check_frame(recording)
        records = [record for recording in recordings for record in recording.records]
        # First the rows: they say which message a row's state is of.
        for record in records:
            if isinstance(record, MessageFound):
                self._keys[record.message_id] = record.key
        for record in records:
            self._take(record)

    def disturbed(self, began: float, ended: float) -> bool:
        """Tell whether something was done to a pod or a server between two moments."""
        return any(first <= ended and last >= began for first, last in self.disturbances)

    def _check_frame(self, recording: MessageRecording) -> None:
        name, records = recording.name, recording.records
        wrong = next((record for line, record in enumerate(records, 1) if record.number != line), None)
        if wrong is not None:
            self._violated(f"{name}: records before number {wrong.number} are missing, doubled or exchanged", wrong)
        if not records or not isinstance(records[0], Started):
            self._violated(f"{name} has no beginning")
        if not records or not isinstance(records[-1], Finished):
            self._violated(f"{name} ends before its process was done")
        middle = [record for record in records[1:-1] if isinstance(record, Started | Finished)]
        if middle:
            self._violated(f"{name} begins or ends in between", *middle)

    def _take(self, record: MessageRecord) -> None:
        match record:
            case Disturbed():
                self.disturbances.append((record.began, record.time))
            case StateTold():
                # Others' messages, and notices, are told there too.
                if record.message_id in self._keys:
                    self.messages[self._keys[record.message_id]].states.append(record)
            case Started() | Finished():
                pass
            case _:
                self._take_of_message(self.messages[record.key], record)

    def _take_of_message(self, found: Message, record: MessageRecord) -> None:
        match record:
            case PageSent() | TalkSent():
                found.sent.append(record)
            case PageAnswered():
                found.answered.append(record)
            case TalkSettled():
                found.settled.append(record)
            case PageReceived() | TalkReceived():
                found.received.append(record)
            case PageRepeated() | TalkRepeated():
                found.repeated.append(record)
            case PageTold():
                found.told.append(record)
            case MessageFound():
                found.rows.append(record)
            case NoticeFound():
                found.notices.append(record)
            case _:
                raise AssertionError(f"of no message: {record}")

    def _violated(self, text: str, *records: MessageRecord) -> None:
        self.violations.append(Violation(Kind.RECORDING, text, tuple(map(shown, records))))


def shown(record: msgspec.Struct) -> str:
    """Return a record as evidence."""
    return msgspec.json.encode(record).decode()
