"""Outgoing messages and their chunks (RFC 4975 sections 7.1 and 7.1.1).

Theory of operation. Responses and REPORTs wait in a queue that is always emptied first. Messages take turns, one chunk
each, so that none waits for the whole of another; of a message no more is read from its source than the chunk being
written needs. A chunk is made as large as the shell can write at the time. One of more than 2048 octets carries ``*``
as range-end, and is interrupted with ``+`` at its end, where whatever waits overtakes it. A chunk is whole before a
byte of it goes out, which is how its transaction identifier is known not to occur in its body.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from wigwag.errors import LocalProtocolError

from .grammar import ByteRange, FailureReport, end_line, is_ident, request
from .octet_ranges import OctetRanges
from .session import Session
from .transactions import TRANSACTION_TIMEOUT, Transaction

LARGEST_UNINTERRUPTIBLE = 2048
"""Octets of the largest body that needs no ``*`` in range-end, and of the smallest that an interruption may leave."""
_IDENTIFIER_OCTETS = 10
"""Octets of randomness in an identifier; at least 64 bits MUST be (section 7.1)."""


class BodySource(Protocol):
    """What a body is read from, such as a file opened for reading bytes."""

    def read(self, octets: int, /) -> bytes:
        """Return at most ``octets`` octets, at least one unless the body has ended."""


class Progress(Enum):
    """How far the sending of a message is."""

    WAITING = "chunks remain to be sent"
    ABORTING = "an empty chunk flagged # remains to be sent"
    DONE = "nothing remains to be sent"


class _BytesSource:
    """Reads from bytes in memory."""

    __slots__ = ("_body", "_position")

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._position = 0

    def read(self, octets: int, /) -> bytes:
        start = self._position
        self._position = min(start + octets, len(self._body))
        return self._body[start : self._position]


@dataclass(slots=True, eq=False, kw_only=True)
class OutboundMessage:
    """A message of ours and what is known of its delivery."""

    session: Session
    message_id: str
    content_type: str
    source: BodySource
    total: int | None
    """Octets of the message, None until its end was read."""
    success_report: bool
    failure_report: FailureReport
    fields: tuple[tuple[str, str], ...] = ()
    sent: int = 0
    """Octets handed out."""
    progress: Progress = Progress.WAITING
    open_transactions: int = 0
    failed: bool = False
    """Whether the application was told that it failed."""
    confirmed: OctetRanges = field(default_factory=OctetRanges)
    """Octets that success REPORTs cover."""
    reported_on: bool = False
    """Whether any success REPORT came: that is all there is to wait for when the message has no octets."""
    ahead: bytes = b""
    """What was read but not sent yet."""

    @classmethod
    def of(
        cls,
        session: Session,
        message_id: str,
        content_type: str,
        body: bytes | BodySource,
        *,
        total: int | None,
        success_report: bool,
        failure_report: FailureReport,
        fields: tuple[tuple[str, str], ...],
    ) -> "OutboundMessage":
        """Return a message whose body is either given or read from a source."""
        if isinstance(body, bytes):
            total, body = len(body), _BytesSource(body)
        return cls(
            session=session,
            message_id=message_id,
            content_type=content_type,
            source=body,
            total=total,
            success_report=success_report,
            failure_report=failure_report,
            fields=fields,
        )

    def check(self) -> None:
        """Find out now rather than when it is written whether the message can be sent.

        Raises:
            LocalProtocolError: Its Message-ID, Content-Type or a header would break the grammar.
        """
        if not is_ident(self.message_id):
            raise LocalProtocolError(f"not a Message-ID: {self.message_id!r}")
        path = self.session.remote_path
        request("0000", "SEND", path, (self.session.local_uri,), self.fields, content_type=self.content_type)

    def read(self, octets: int) -> bytes:
        """Return the next ``octets`` octets, or all that remain; ``total`` is known once the end was reached.

        One octet more is read while the length is unknown, because the last chunk has to be flagged as such.
        """
        wanted = octets + 1 if self.total is None else min(octets, self.total - self.sent)
        pieces = [self.ahead] if self.ahead else []
        have = len(self.ahead)
        while have < wanted:
            piece = self.source.read(wanted - have)
            if not piece:
                break
            pieces.append(piece)
            have += len(piece)
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if self.total is None and have <= octets:
            self.total = self.sent + have
        self.ahead = data[octets:]
        return data[:octets]


class Outbox:
    """What waits to be written to one connection.

    Args:
        random: Returns that many unpredictable octets.
        largest_chunk: Octets in the body of a chunk, at least 2048.
    """

    def __init__(self, random: Callable[[int], bytes], largest_chunk: int) -> None:
        self._random = random
        self._largest_chunk = largest_chunk
        self._control: deque[bytes] = deque()
        self._messages: deque[OutboundMessage] = deque()
        self._greetings: deque[Session] = deque()
        self.control_octets = 0
        """Octets of responses and REPORTs that wait; a peer that does not read them makes them grow."""

    def __bool__(self) -> bool:
        return bool(self._control or self._messages or self._greetings)

    def identifier(self) -> str:
        """Return a fresh transaction identifier or Message-ID, unpredictable by 80 bits."""
        return self._random(_IDENTIFIER_OCTETS).hex()

    def put_control(self, frame: bytes) -> None:
        """Queue a response, a REPORT or an AUTH, whole."""
        self._control.append(frame)
        self.control_octets += len(frame)

    def put_message(self, message: OutboundMessage) -> None:
        """Queue a message behind the others. It is traffic enough to make a greeting of its session needless."""
        self._messages.append(message)
        if message.session in self._greetings:
            self._greetings.remove(message.session)

    def put_greeting(self, session: Session) -> None:
        """Queue a SEND without a body."""
        self._greetings.append(session)

    def abort(self, message: OutboundMessage) -> None:
        """Send nothing more of a message but, if some of it went out, an empty chunk flagged ``#``."""
        if message.progress is not Progress.WAITING:
            return
        if message.sent or message.open_transactions:
            message.progress = Progress.ABORTING
        else:
            message.progress = Progress.DONE
            self._messages.remove(message)

    def withdraw(self, session: Session) -> None:
        """Take out the messages and the greeting of a session: nothing more is sent in it."""
        for message in self._messages:
            if message.session is session:
                message.progress = Progress.DONE
        self._messages = deque(message for message in self._messages if message.session is not session)
        self._greetings = deque(greeting for greeting in self._greetings if greeting is not session)

    def next_control(self) -> bytes | None:
        """Take the next response, REPORT or AUTH."""
        if not self._control:
            return None
        frame = self._control.popleft()
        self.control_octets -= len(frame)
        return frame

    def next_greeting(self, now: float) -> tuple[bytes, Transaction] | None:
        """Take the next SEND without a body: traffic for a connection just opened (section 5.4)."""
        if not self._greetings:
            return None
        session = self._greetings.popleft()
        transaction_id = self.identifier()
        fields = (("Message-ID", self.identifier()), ("Byte-Range", "1-0/0"))
        frame = request(transaction_id, "SEND", session.remote_path, (session.local_uri,), fields)
        transaction = Transaction(transaction_id, session, None, 1, 0, now + TRANSACTION_TIMEOUT, True, "$")
        return frame + end_line(transaction_id, "$"), transaction

    def next_chunk(self, now: float, room: int) -> tuple[bytes, Transaction] | None:
        """Take a chunk of the message whose turn it is.

        Args:
            now: Monotonic seconds.
            room: Octets that the shell can take; a chunk that ends before its message has 2048 at least all the same.
        """
        if not self._messages:
            return None
        message = self._messages.popleft()
        body, flag = self._next_body(message, room)
        if flag == "+":
            self._messages.append(message)
        else:
            message.progress = Progress.DONE
        return self._chunk(message, body, flag, now)

    def _next_body(self, message: OutboundMessage, room: int) -> tuple[bytes, str]:
        if message.progress is Progress.ABORTING:
            return b"", "#"
        try:
            body = message.read(min(self._largest_chunk, max(LARGEST_UNINTERRUPTIBLE, room)))
        except (OSError, ValueError):
            # The file is gone or closed; the peer has to know that the rest will not come.
            return b"", "#"
        if message.total is not None and message.sent + len(body) == message.total:
            return body, "$"
        return body, "+" if body else "#"

    def _chunk(self, message: OutboundMessage, body: bytes, flag: str, now: float) -> tuple[bytes, Transaction]:
        start, end = message.sent + 1, message.sent + len(body)
        # A body over 2048 octets MUST have "*" as range-end (section 7.1.1); the octets of an aborted rest are unknown.
        interruptible = len(body) > LARGEST_UNINTERRUPTIBLE or flag == "#"
        byte_range = ByteRange(start, None if interruptible else end, message.total)
        transaction_id = self._absent_identifier(body)
        head = request(
            transaction_id,
            "SEND",
            message.session.remote_path,
            (message.session.local_uri,),
            _chunk_fields(message, byte_range),
            content_type=message.content_type,
        )
        message.sent = end
        frame = b"".join((head, body, b"\r\n", end_line(transaction_id, flag)))
        timed = message.failure_report is FailureReport.YES
        deadline = now + TRANSACTION_TIMEOUT
        return frame, Transaction(transaction_id, message.session, message, start, end, deadline, timed, flag)

    def _absent_identifier(self, body: bytes) -> str:
        """Return an identifier that does not occur in ``body`` (section 7.1 and erratum 4177)."""
        identifier = self.identifier()
        while identifier.encode() in body:
            identifier = self.identifier()
        return identifier


def _chunk_fields(message: OutboundMessage, byte_range: ByteRange) -> list[tuple[str, str]]:
    fields = [("Message-ID", message.message_id), ("Byte-Range", str(byte_range))]
    if message.success_report:
        fields.append(("Success-Report", "yes"))
    if message.failure_report is not FailureReport.YES:
        fields.append(("Failure-Report", message.failure_report.value))
    fields.extend(message.fields)
    return fields
