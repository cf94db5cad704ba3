"""The messages of one recording client: what it sends, and what it does with all that comes."""

import asyncio
import secrets
from collections import defaultdict
from dataclasses import dataclass
from hashlib import sha256

from tests.support.endpoint_plan import Plan
from tests.support.endpoint_wire import WholeFrame, Wire
from tests.support.endpoint_world import World
from wigwag.protocols.msrp import (
    ByteRange,
    RequestHead,
    ResponseHead,
    Status,
    answer,
    end_line,
    parse_path,
    report,
    request,
)
from wigwag.runtime.recording import Answered, ConnectionName, Received, Reported, Sent

MOST_UNANSWERED = 64
"""SENDs without an answer, beyond which a client sends nothing more."""


@dataclass(slots=True)
class Standing:
    """A connection that carries messages."""

    name: ConnectionName
    wire: Wire
    uri: str
    use_path: str
    refresh_at: float
    known: bool = False
    """The relay has taken a message over it."""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A SEND without an answer yet."""

    message_id: str
    octets: int
    since: float


class Messages:
    """Sends and takes messages over whichever connection its client has.

    Args:
        name: The client's name.
        peer: Its peer's name.
        plan: What the process does.
        world: Shared by all clients of the process.
    """

    def __init__(self, name: str, peer: str, plan: Plan, world: World) -> None:
        self._name = name
        self._peer = peer
        self._plan = plan
        self._world = world
        self._sequences: defaultdict[str, int] = defaultdict(int)
        self.unanswered: dict[str, Unanswered] = {}
        """By transaction identifier, the oldest first."""
        self.settled = asyncio.Event()
        """No answer is awaited."""
        self.settled.set()

    def send(self, standing: Standing) -> bool:
        """Send a message; False when that can't be done now."""
        peer_path = self._world.signalling.paths.get(self._peer)
        if peer_path is None or len(self.unanswered) >= MOST_UNANSWERED:
            return False
        receiver = peer_path.rpartition(" ")[2]
        direction = f"{standing.uri} {receiver}"
        sequence = self._sequences[direction] = self._sequences[direction] + 1
        # Unique for this sender, and the number within the session can be read from any piece.
        message_id = f"{sha256(direction.encode()).hexdigest()[:16]}.{sequence}"
        body = f"{sequence} {self._name} to {self._peer} ".encode().ljust(self._plan.octets, b".")
        self._world.record(
            Sent, connection=standing.name, sender=standing.uri, receiver=receiver, message_id=message_id, start=1,
            end=len(body), sequence=sequence, digest=sha256(body).hexdigest(),
        )  # fmt: skip
        transaction_id = secrets.token_hex(10)
        self.settled.clear()
        self.unanswered[transaction_id] = Unanswered(message_id, len(body), self._world.now())
        to_path = f"{standing.use_path} {peer_path}".strip()
        standing.wire.write(self._frame(transaction_id, to_path, standing.uri, message_id, body))
        return True

    def _frame(self, transaction_id: str, to_path: str, uri: str, message_id: str, body: bytes) -> bytes:
        fields = [("Message-ID", message_id), ("Byte-Range", f"1-{len(body)}/{len(body)}")]
        if self._plan.success_reports:
            fields.append(("Success-Report", "yes"))
        paths = parse_path(to_path.encode()), parse_path(uri.encode())
        head = request(transaction_id, "SEND", *paths, fields, content_type="text/plain")
        return head + body + b"\r\n" + end_line(transaction_id, "$")

    def take_response(self, head: ResponseHead, standing: Standing) -> None:
        """Take the response to a SEND."""
        sent = self.unanswered.pop(head.transaction_id, None)
        if sent is None:
            raise AssertionError(f"{self._name}: an answer to no request: {head}")
        if not self.unanswered:
            self.settled.set()
        self._world.record(
            Answered, connection=standing.name, sender=standing.uri, message_id=sent.message_id, start=1,
            end=sent.octets, status=head.status_code,
        )  # fmt: skip

    def give_up(self) -> None:
        """Expect no more answers: the connection is over."""
        self.unanswered.clear()
        self.settled.set()

    def take_request(self, frame: WholeFrame, head: RequestHead, standing: Standing) -> None:
        """Take a SEND or a REPORT."""
        if head.method == "REPORT":
            self._take_report(head, standing)
        elif head.method == "SEND":
            # An aborted chunk is void, and a greeting has nothing to be recorded; both want an answer.
            if frame.flag != "#" and head.has_body:
                self._record(frame.body, head, standing)
            standing.wire.write(answer(head, 200))
            if head.success_report and frame.flag == "$":
                standing.wire.write(_success(head))

    def _record(self, body: bytes, head: RequestHead, standing: Standing) -> None:
        start = head.byte_range.start if head.byte_range is not None else 1
        self._world.record(
            Received, connection=standing.name, sender=str(head.from_path[-1]), receiver=str(head.to_path[-1]),
            message_id=head.message_id, start=start, end=start + len(body) - 1,
            sequence=int((head.message_id or "").rpartition(".")[2]), digest=sha256(body).hexdigest(),
        )  # fmt: skip

    def _take_report(self, head: RequestHead, standing: Standing) -> None:
        assert head.status is not None
        byte_range = head.byte_range or ByteRange(1, None, None)
        self._world.record(
            Reported, connection=standing.name, sender=str(head.to_path[-1]), message_id=head.message_id,
            start=byte_range.start, end=byte_range.end, status=head.status.code,
        )  # fmt: skip


def _success(head: RequestHead) -> bytes:
    total = head.byte_range.total if head.byte_range is not None else None
    whole, own = ByteRange(1, total, total), head.to_path[-1:]
    return report(secrets.token_hex(10), head.from_path, own, head.message_id or "", whole, Status(200))
