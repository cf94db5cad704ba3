"""Recordings of SIP devices written by hand: Alice who sends, Bob who receives, and who disturbs the edge."""

from collections.abc import Iterable
from hashlib import sha256
from typing import Any, Literal

import msgspec

from wigwag.runtime.edge_recording import (
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
from wigwag.runtime.recording import Finished, Started

ALICE, BOB = "sip:alice@example.com", "sip:bob@example.com"
Transport = Literal["UDP", "TCP", "TLS", "WS", "WSS"]


class EdgeHistory:
    """Three recordings that grow together; each record is written a second after the one before.

    Args:
        alice: Transport of hers.
        bob: Transport of his.
    """

    def __init__(self, alice: Transport = "TCP", bob: Transport = "UDP") -> None:
        self.records: dict[str, list[EdgeRecord]] = {"alice": [], "bob": [], "disturbances": []}
        self.time = 0.0
        self._sent = 0
        for name in self.records:
            self.write(name, Started)
        self.open("alice", "alice/1", alice)
        self.open("bob", "bob/1", bob)

    def write(self, who: str, kind: type[EdgeRecord], **fields: Any) -> None:
        """Write one record."""
        self.time += 1
        self.records[who].append(kind(number=len(self.records[who]) + 1, time=self.time, **fields))

    def open(self, who: str, flow: str, transport: Transport) -> None:
        """A device has a new flow."""
        self.write(who, FlowOpened, device=who, aor=f"sip:{who}@example.com", flow=flow, transport=transport)

    def lose(self, flow: str = "alice/1") -> None:
        """A flow is lost."""
        self.write(flow.partition("/")[0], FlowLost, flow=flow)

    def send(self, method: str = "MESSAGE", flow: str = "alice/1") -> str:
        """Alice sends; returns the id."""
        self._sent += 1
        identity = f"alice-{self._sent}"
        self.write(
            "alice", RequestSent, flow=flow, device="alice", to=BOB, method=method, id=identity, sequence=self._sent,
            digest=_digest(identity),
        )  # fmt: skip
        return identity

    def end(self, identity: str, status: int = 200, cause: str = "answered") -> None:
        """Alice learns what became of it."""
        self.write("alice", RequestEnded, device="alice", id=identity, cause=cause, status=status)

    def receive(self, identity: str, **changes: Any) -> None:
        """Bob's application gets it."""
        fields = {
            "flow": "bob/1", "device": "bob", "method": "MESSAGE", "digest": _digest(identity), "branch": "z9hG4bK1",
            "sequence": int(identity.rpartition("-")[2]), **changes,
        }  # fmt: skip
        self.write("bob", RequestReceived, id=identity, **fields)

    def repeat(self, identity: str, branch: str = "z9hG4bK1") -> None:
        """It comes to Bob again."""
        self.write("bob", RequestRepeated, flow="bob/1", device="bob", id=identity, branch=branch)

    def disturb(self) -> None:
        """A pod is killed."""
        self.write("disturbances", Disturbed, began=self.time + 0.5, what="killed")

    def deliver(self) -> str:
        """Alice sends, and all goes well."""
        identity = self.send()
        self.receive(identity)
        self.end(identity)
        return identity

    def finish(self) -> list[EdgeRecording]:
        """All end in good order."""
        for name in self.records:
            self.write(name, Finished)
        return [EdgeRecording(name, tuple(records)) for name, records in self.records.items()]


def renumbered(recording: EdgeRecording, records: Iterable[EdgeRecord]) -> EdgeRecording:
    """Return a recording with other records, numbered as if they had been written so."""
    numbered = (msgspec.structs.replace(record, number=number) for number, record in enumerate(records, 1))
    return EdgeRecording(recording.name, tuple(numbered))


def _digest(identity: str) -> str:
    return sha256(identity.encode()).hexdigest()
