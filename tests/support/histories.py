"""Recordings written by hand: histories of two endpoints, Alice who sends and Bob who receives."""

from collections.abc import Callable, Iterable
from hashlib import sha256

import msgspec

from wigwag.protocols.msrp import FailureReport
from wigwag.runtime.recording import (
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

ALICE, BOB = "msrp://alice.invalid:2855/a;tcp", "msrp://bob.invalid:2855/b;tcp"
OCTETS = 10
"""Length of every message."""


class History:
    """Two recordings that grow together; ``time`` has no meaning here."""

    def __init__(self) -> None:
        self.alice: list[Record] = []
        self.bob: list[Record] = []
        self._connections = 0
        self._sequence = 0
        self.connection = ConnectionName("")
        for records in (self.alice, self.bob):
            records.append(Started(number=1, time=0))
        self.open()
        self._open(self.bob, "bob", BOB, ConnectionName("bob#1"), "bob's path")

    def open(self, path: str = "alice's path") -> None:
        """Alice connects."""
        self._connections += 1
        self.connection = ConnectionName(f"alice#{self._connections}")
        self._open(self.alice, "alice", ALICE, self.connection, path)

    def _open(self, records: list[Record], client: str, uri: str, connection: ConnectionName, path: str) -> None:
        number = len(records) + 1
        records.append(
            Opened(number=number, time=0, client=client, connection=connection, address="", uri=uri, path=path)
        )

    def lose(self, cause: str = "peer") -> None:
        """Alice's connection is lost."""
        number = len(self.alice) + 1
        self.alice.append(Lost(number=number, time=0, connection=self.connection, cause=cause))  # type: ignore[arg-type]

    def send(self, *, failure_report: FailureReport = FailureReport.YES, start: int = 1, end: int = OCTETS) -> str:
        """Alice sends a message, or its first chunk; returns its Message-ID."""
        self._sequence += 1
        self._send(f"message{self._sequence}", self._sequence, start, end, failure_report)
        return f"message{self._sequence}"

    def send_more(self, message_id: str, start: int, end: int) -> None:
        """Alice sends another chunk of her last message."""
        self._send(message_id, self._sequence, start, end, FailureReport.YES)

    def _send(self, message_id: str, sequence: int, start: int, end: int, failure_report: FailureReport) -> None:
        sent = Sent(
            number=len(self.alice) + 1, time=0, connection=self.connection, sender=ALICE, receiver=BOB,
            message_id=message_id, start=start, end=end, sequence=sequence,
            digest=digest_of(message_id, start, end), failure_report=failure_report,
        )  # fmt: skip
        self.alice.append(sent)

    def repeat(self, message_id: str) -> None:
        """Alice sends a message again."""
        sent = next(sent for sent in self.alice if isinstance(sent, Sent) and sent.message_id == message_id)
        number = len(self.alice) + 1
        self.alice.append(msgspec.structs.replace(sent, number=number, connection=self.connection, repeated=True))

    def answer(self, message_id: str, status: int = 200, *, start: int = 1, end: int = OCTETS) -> None:
        """Alice's relay answers."""
        answered = Answered(
            number=len(self.alice) + 1, time=0, connection=self.connection, sender=ALICE,
            message_id=message_id, start=start, end=end, status=status,
        )  # fmt: skip
        self.alice.append(answered)

    def report(self, message_id: str, status: int = 408, *, start: int = 1, end: int | None = OCTETS) -> None:
        """Alice gets a REPORT."""
        reported = Reported(
            number=len(self.alice) + 1, time=0, connection=self.connection, sender=ALICE,
            message_id=message_id, start=start, end=end, status=status,
        )  # fmt: skip
        self.alice.append(reported)

    def receive(
        self, message_id: str, *, start: int = 1, end: int = OCTETS, digest: str | None = None, receiver: str = BOB
    ) -> None:
        """Bob receives a chunk."""
        received = Received(
            number=len(self.bob) + 1, time=0, connection=ConnectionName("bob#1"), sender=ALICE, receiver=receiver,
            message_id=message_id, start=start, end=end, sequence=int(message_id.removeprefix("message")),
            digest=digest or digest_of(message_id, start, end),
        )  # fmt: skip
        self.bob.append(received)

    def deliver(self) -> str:
        """Alice sends a message, and all goes well."""
        message_id = self.send()
        self.answer(message_id)
        self.receive(message_id)
        return message_id

    def finish(self) -> tuple[Recording, Recording]:
        """Both close their connections in good order."""
        for records, connection in ((self.alice, self.connection), (self.bob, ConnectionName("bob#1"))):
            records.append(Closed(number=len(records) + 1, time=0, connection=connection))
            records.append(Finished(number=len(records) + 1, time=0))
        return self.recordings()

    def recordings(self) -> tuple[Recording, Recording]:
        """Return what is recorded so far."""
        return Recording("alice", tuple(self.alice)), Recording("bob", tuple(self.bob))


def digest_of(message_id: str, start: int, end: int) -> str:
    """Return a digest that belongs to these octets only."""
    return sha256(f"{message_id} {start} {end}".encode()).hexdigest()


def changed(recording: Recording, change: Callable[[list[Record]], None], *, renumber: bool) -> Recording:
    """Return the recording after ``change``; ``renumber`` hides the change from the check of numbers."""
    records = list(recording.records)
    change(records)
    return Recording(recording.name, tuple(renumbered(records) if renumber else records))


def renumbered(records: Iterable[Record]) -> list[Record]:
    """Return the records numbered as if they had been written so."""
    return [msgspec.structs.replace(record, number=number) for number, record in enumerate(records, 1)]
