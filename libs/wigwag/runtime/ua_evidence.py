"""Recordings around the user agent put together: all that is known of each message, either way.

A recording that contradicts itself proves nothing: whatever the verifier relies on is checked here first.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from .edge_recording import Disturbed
from .evidence import Kind, Violation
from .recording import Finished, Started
from .ua_recording import (
    ChatEnded,
    ChatOpened,
    ChatReceived,
    ChatRepeated,
    ChatSent,
    ChatSettled,
    MessageAccepted,
    MessageOffered,
    MessageTold,
    RowFound,
    SessionStarted,
    SessionTold,
    StateTold,
    UaRecord,
    UaRecording,
)


@dataclass(slots=True)
class Outbound:
    """All that is known of a message of an application."""

    offered: MessageOffered | None = None
    accepted: list[MessageAccepted] = field(default_factory=list)
    rows: list[RowFound] = field(default_factory=list)
    received: list[ChatReceived] = field(default_factory=list)
    repeated: list[ChatRepeated] = field(default_factory=list)
    told: list[StateTold] = field(default_factory=list)

    @property
    def entries(self) -> tuple[str, ...]:
        """All records of it, for evidence."""
        found = (self.offered, *self.accepted, *self.rows, *self.received, *self.repeated, *self.told)
        return tuple(shown(one) for one in found if one is not None)


@dataclass(slots=True)
class Inbound:
    """All that is known of a message of a SIP user."""

    sent: ChatSent | None = None
    settled: list[ChatSettled] = field(default_factory=list)
    told: list[MessageTold] = field(default_factory=list)

    @property
    def entries(self) -> tuple[str, ...]:
        """All records of it, for evidence."""
        found = (self.sent, *self.settled, *self.told)
        return tuple(shown(one) for one in found if one is not None)


class UaEvidence:
    """What all recordings of a run say.

    Args:
        recordings: All of them: one that is missing makes messages look lost or invented.

    Attributes:
        outbound: Messages of applications, by key.
        inbound: Messages of SIP users, by key.
        users: The SIP user of each session.
        ended: Chats that are over.
        sessions_told: Events of sessions.
        inbound_rows: Messages of SIP users that the ledger has.
        disturbances: From when to when something was done to a pod.
        violations: What is wrong with the recordings themselves.
    """

    def __init__(self, recordings: Sequence[UaRecording]) -> None:
        self.recordings = recordings
        self.outbound: defaultdict[str, Outbound] = defaultdict(Outbound)
        self.inbound: defaultdict[str, Inbound] = defaultdict(Inbound)
        self.users: dict[str, str] = {}
        self.opened: set[str] = set()
        self.ended: list[ChatEnded] = []
        self.sessions_told: list[SessionTold] = []
        self.inbound_rows: list[RowFound] = []
        self.disturbances: list[tuple[float, float]] = []
        self.violations: list[Violation] = []
        self._keys: dict[str, str] = {}
        """Key of each message id."""
        for recording in recordings:
            self._check_frame(recording)
        records = [record for recording in recordings for record in recording.records]
        # First what was acknowledged: it says which message an id means.
        for record in records:
            if isinstance(record, MessageAccepted):
                self._keys[record.message_id] = record.key
            elif isinstance(record, ChatReceived):
                self._keys.setdefault(record.message_id, record.key)
        for record in records:
            self._take(record)

    def disturbed(self, began: float, ended: float) -> bool:
        """Tell whether something was done to a pod between two moments."""
        return any(first <= ended and last >= began for first, last in self.disturbances)

    def _check_frame(self, recording: UaRecording) -> None:
        name, records = recording.name, recording.records
        wrong = next((record for line, record in enumerate(records, 1) if record.number != line), None)
        if wrong is not None:
            text = f"{name}: records before number {wrong.number} are missing, doubled or exchanged"
            self._violated(text, wrong)
        if not records or not isinstance(records[0], Started):
            self._violated(f"{name} has no beginning")
        if not records or not isinstance(records[-1], Finished):
            self._violated(f"{name} ends before its process was done")
        middle = [record for record in records[1:-1] if isinstance(record, Started | Finished)]
        if middle:
            self._violated(f"{name} begins or ends in between", *middle)

    def _take(self, record: UaRecord) -> None:
        match record:
            case SessionStarted():
                self._once(record.session not in self.users, f"{record.session} is started twice", record)
                self.users[record.session] = record.user
            case MessageOffered():
                self._take_offered(record)
            case MessageAccepted():
                self.outbound[record.key].accepted.append(record)
            case ChatOpened():
                self._once(record.user not in self.opened, f"{record.user} is in a chat twice", record)
                self.opened.add(record.user)
            case ChatEnded():
                self.ended.append(record)
            case ChatSent():
                self._once(self.inbound[record.key].sent is None, f"{record.key} is sent twice", record)
                self.inbound[record.key].sent = record
            case ChatSettled():
                self.inbound[record.key].settled.append(record)
            case MessageTold():
                self.inbound[record.key].told.append(record)
            case ChatReceived() | ChatRepeated() | RowFound() | StateTold():
                self._take_of_message(record)
            case SessionTold():
                self.sessions_told.append(record)
            case Disturbed():
                self.disturbances.append((record.began, record.time))
            case Started() | Finished():
                pass

    def _take_offered(self, record: MessageOffered) -> None:
        found = self.outbound[record.key]
        self._once(found.offered is None, f"{record.key} is offered twice", record)
        self._once(record.session in self.users, f"{record.key} is offered in no session", record)
        found.offered = record

    def _take_of_message(self, record: ChatReceived | ChatRepeated | RowFound | StateTold) -> None:
        if isinstance(record, RowFound) and record.direction == "inbound":
            self.inbound_rows.append(record)
            return
        key = record.key if isinstance(record, ChatReceived) else self._keys.get(record.message_id)
        if key is None:
            if isinstance(record, ChatRepeated):
                self._violated(f"{record.message_id} came again to {record.user}, who does not have it", record)
            return
        found = self.outbound[key]
        match record:
            case ChatReceived():
                found.received.append(record)
            case ChatRepeated():
                found.repeated.append(record)
            case RowFound():
                found.rows.append(record)
            case StateTold():
                found.told.append(record)

    def _once(self, good: bool, text: str, record: UaRecord) -> None:
        if not good:
            self._violated(text, record)

    def _violated(self, text: str, *records: UaRecord) -> None:
        self.violations.append(Violation(Kind.RECORDING, text, tuple(map(shown, records))))


def shown(record: msgspec.Struct) -> str:
    """Return a record as evidence."""
    return msgspec.json.encode(record).decode()
