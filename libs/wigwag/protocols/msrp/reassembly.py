"""Reassembly of incoming messages from chunks (RFC 4975 section 7.3.1).

Theory of operation. Every message in progress is a set of octet ranges and, while it is small, a buffer of its own.
Small messages are handed over whole; larger ones, and those for which the session's buffers have no room, in pieces as
they come, so that memory does not depend on a message's size. The chunk flagged ``$`` fixes the length; the message is
complete when the ranges cover it. What comes under the Message-ID of a message completed before is either a repetition,
which is swallowed, or new content, which is delivered: small messages are compared, of large ones only the lengths.
While the application has not accepted the message completed before, new content is refused with 400 instead: its word
could mean either. Size, number, holes and age are bounded; what passes a bound is refused with 413 from then on.
"""

from dataclasses import dataclass, field
from enum import Enum
from hashlib import blake2b

from wigwag.errors import RemoteProtocolError

from .events import DataReceived, Event, MessageAborted, MessageCompleted, MessageReceived, MessageStarted
from .grammar import RequestHead
from .octet_ranges import OctetRanges
from .session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class ReassemblyLimits:
    """What one session may occupy."""

    largest_whole: int = 262_144
    """Octets up to which a message is buffered and handed over whole."""
    largest_buffered: int = 4_194_304
    """Octets in all buffers; a message for which there is no room comes in pieces."""
    most_incomplete: int = 64
    """Messages in progress at a time."""
    most_holes: int = 256
    """Holes in one message."""
    idle_timeout: float = 120.0
    """Seconds without a further octet after which an incomplete message is given up."""
    most_remembered: int = 256
    """Message-IDs that are remembered after completion or refusal."""


class ChunkRefusedError(RemoteProtocolError):
    """A chunk can't be taken; ``status`` is the answer to it, ``events`` what the application has to know."""

    def __init__(self, reason: str, *, status: int, events: list[Event] | None = None) -> None:
        super().__init__(reason, status=status)
        self.events = events or []


class _Mode(Enum):
    WHOLE = "buffered until complete"
    PIECES = "handed over as it comes"
    SWALLOWED = "a repetition too large to be compared"


@dataclass(frozen=True, slots=True)
class _Finished:
    """What is remembered of a message that was completed, or refused with ``status``."""

    total: int = 0
    digest: bytes | None = None
    status: int | None = None


@dataclass(slots=True, eq=False)
class InboundMessage:
    """A message in progress. The first chunk's headers hold for all (sender broke a MUST if others differ)."""

    head: RequestHead
    touched_at: float
    repeats: _Finished | None
    mode: _Mode = _Mode.WHOLE
    buffer: bytearray = field(default_factory=bytearray)
    ranges: OctetRanges = field(default_factory=OctetRanges)
    total: int | None = None

    @property
    def complete(self) -> bool:
        """Whether the length is known and every octet has come."""
        return self.total is not None and self.ranges.covers(1, self.total)


@dataclass(slots=True, eq=False)
class InboundChunk:
    """The chunk that is being received."""

    message: InboundMessage
    start: int
    """Number of its first octet."""
    octets: int = 0


@dataclass(frozen=True, slots=True)
class Completed:
    """A message came to its end and may have to be reported on."""

    head: RequestHead
    """Head of the first chunk."""
    total: int
    octets: int
    """Octets handed over at the end: 0 of a message that came in pieces."""
    repeated: bool
    """Whether the application was told before."""

    @property
    def message_id(self) -> str:
        """Its Message-ID."""
        return self.head.message_id or ""


class Reassembler:
    """Puts the messages of one session together."""

    def __init__(self, session: Session, limits: ReassemblyLimits) -> None:
        self._session = session
        self._limits = limits
        self._messages: dict[str, InboundMessage] = {}
        """By Message-ID; the longest untouched first."""
        self._finished: dict[str, _Finished] = {}
        self._unaccepted: dict[str, _Finished] = {}
        """Messages complete that the application has not accepted yet; their number is its own affair."""
        self._buffered = 0

    def begin(self, head: RequestHead, now: float) -> tuple[InboundChunk, list[Event]]:
        """Begin a chunk with a body.

        Raises:
            ChunkRefusedError: It can't be taken; its body is to be skipped.
        """
        message_id = head.message_id or ""
        message = self._messages.get(message_id)
        finished = self._unaccepted.get(message_id) or self._finished.get(message_id)
        if finished is not None and finished.status is not None:
            raise ChunkRefusedError("message refused before", status=finished.status)
        if message is not None and head.byte_range is None:
            # All chunks after the first MUST have one (section 7.1.1).
            raise ChunkRefusedError("further chunk without Byte-Range", status=400)
        start = head.byte_range.start if head.byte_range is not None else 1
        total = head.byte_range.total if head.byte_range is not None else None
        self._check_size(message_id, max(start - 1, total or 0))
        elsewhere = 0
        if message is None:
            self._check_beginning(message_id, start, known=finished is not None)
            message = self._add(message_id, head, finished, now)
            elsewhere = start - 1 if self._session.continues else 0
        events: list[Event] = []
        if message.mode is _Mode.WHOLE and (elsewhere or max(start - 1, total or 0) > self._limits.largest_whole):
            events += self._switch_to_pieces(message)
        message.ranges.add(1, elsewhere)
        return InboundChunk(message, start), events

    def _check_beginning(self, message_id: str, start: int, *, known: bool) -> None:
        if self._session.continued and start > 1 and not known:
            reason = "the beginning went to a connection that is lost"
            raise ChunkRefusedError(reason, status=413, events=self.refuse(message_id, 413, reason))

    def _add(self, message_id: str, head: RequestHead, finished: _Finished | None, now: float) -> InboundMessage:
        if len(self._messages) >= self._limits.most_incomplete and not self._drop_repetition():
            raise ChunkRefusedError("too many incomplete messages", status=413)
        message = InboundMessage(head, now, finished)
        self._messages[message_id] = message
        return message

    def _drop_repetition(self) -> bool:
        """Make room by forgetting the oldest message that repeats a completed one."""
        for message_id, message in self._messages.items():
            if message.repeats is not None:
                self._drop(message_id)
                return True
        return False

    def _check_size(self, message_id: str, octets: int) -> None:
        if self._session.max_size is not None and octets > self._session.max_size:
            reason = "message larger than max-size"
            raise ChunkRefusedError(reason, status=413, events=self.refuse(message_id, 413, reason))

    def receive(self, chunk: InboundChunk, data: bytes, now: float) -> list[Event]:
        """Take octets of the chunk's body.

        Raises:
            ChunkRefusedError: The message can't be taken any further.
        """
        message = chunk.message
        message_id = message.head.message_id or ""
        if self._messages.get(message_id) is not message:
            return []
        offset = chunk.start - 1 + chunk.octets
        chunk.octets += len(data)
        end = offset + len(data)
        self._check_size(message_id, end)
        self._touch(message_id, message, now)
        events: list[Event] = []
        if message.mode is _Mode.WHOLE and not self._fits(message, end):
            events += self._switch_to_pieces(message)
        message.ranges.add(offset + 1, end)
        if len(message.ranges) > self._limits.most_holes + 1:
            reason = "message with too many holes"
            raise ChunkRefusedError(reason, status=413, events=events + self.refuse(message_id, 413, reason))
        if message.mode is _Mode.WHOLE:
            self._write(message, offset, data)
        elif message.mode is _Mode.PIECES:
            events.append(self._piece(message, offset, data))
        return events

    def _touch(self, message_id: str, message: InboundMessage, now: float) -> None:
        message.touched_at = now
        if len(self._messages) > 1:
            self._messages[message_id] = self._messages.pop(message_id)

    def _fits(self, message: InboundMessage, end: int) -> bool:
        growth = max(0, end - len(message.buffer))
        return end <= self._limits.largest_whole and self._buffered + growth <= self._limits.largest_buffered

    def _write(self, message: InboundMessage, offset: int, data: bytes) -> None:
        buffer = message.buffer
        before = len(buffer)
        if offset > before:
            buffer.extend(bytes(offset - before))
        # Of overlapping octets the last received take precedence (section 7.3.1).
        buffer[offset : offset + len(data)] = data
        self._buffered += len(buffer) - before

    def _switch_to_pieces(self, message: InboundMessage) -> list[Event]:
        head, repeated = message.head, message.repeats
        total = head.byte_range.total if head.byte_range is not None else None
        if repeated is not None and (total == repeated.total or head.message_id in self._unaccepted):
            message.mode = _Mode.SWALLOWED
            self._release(message)
            return []
        message.mode = _Mode.PIECES
        message.repeats = None
        events: list[Event] = [self._started(head, total)]
        for start, end in message.ranges:
            data = bytes(message.buffer[start - 1 : end])
            events.append(self._piece(message, start - 1, data))
        self._release(message)
        return events

    def _piece(self, message: InboundMessage, offset: int, data: bytes) -> DataReceived:
        return DataReceived(session=self._session, message_id=message.head.message_id or "", offset=offset, data=data)

    def _started(self, head: RequestHead, total: int | None) -> MessageStarted:
        return MessageStarted(
            session=self._session,
            message_id=head.message_id or "",
            content_type=head.content_type or "",
            total=total,
            from_path=head.from_path,
            success_report=head.success_report,
            failure_report=head.failure_report,
            fields=head.fields,
        )

    def end(self, chunk: InboundChunk, flag: str, now: float) -> tuple[list[Event], Completed | None]:
        """End the chunk; return what that means and, if the message is complete now, what is to be reported on.

        Raises:
            ChunkRefusedError: It completes another message under the same Message-ID than was announced or accepted.
        """
        message = chunk.message
        message_id = message.head.message_id or ""
        if self._messages.get(message_id) is not message:
            return [], None
        if flag == "#":
            return self.abort(message_id, "aborted by its sender"), None
        if flag == "$":
            message.total = chunk.start - 1 + chunk.octets
        self._touch(message_id, message, now)
        if message.total is None or not message.complete:
            return [], None
        return self._complete(message_id, message, message.total)

    def _complete(self, message_id: str, message: InboundMessage, total: int) -> tuple[list[Event], Completed]:
        body = bytes(message.buffer[:total])
        digest = blake2b(body, digest_size=16).digest() if message.mode is _Mode.WHOLE else None
        repeated = message.repeats
        is_repetition = (
            repeated is not None and repeated.total == total and (repeated.digest is None or repeated.digest == digest)
        )
        self._drop(message_id)
        if is_repetition:
            return [], Completed(message.head, total, 0, True)
        if message.mode is _Mode.SWALLOWED or message_id in self._unaccepted:
            raise ChunkRefusedError("another message under the same Message-ID", status=400)
        if self._session.deferred_acceptance:
            self._unaccepted[message_id] = _Finished(total, digest)
        else:
            self._remember(message_id, _Finished(total, digest))
        return [self._delivered(message, body, total)], Completed(message.head, total, len(body), False)

    def _delivered(self, message: InboundMessage, body: bytes, total: int) -> Event:
        head = message.head
        if message.mode is not _Mode.WHOLE:
            return MessageCompleted(
                session=self._session,
                message_id=head.message_id or "",
                total=total,
                from_path=head.from_path,
                success_report=head.success_report,
            )
        return MessageReceived(
            session=self._session,
            message_id=head.message_id or "",
            content_type=head.content_type or "",
            body=body,
            from_path=head.from_path,
            success_report=head.success_report,
            failure_report=head.failure_report,
            fields=head.fields,
        )

    def accept(self, message_id: str) -> None:
        """Take note that the application accepted a message, and remember it like others from now on."""
        finished = self._unaccepted.pop(message_id, None)
        if finished is not None:
            self._remember(message_id, finished)

    def abort(self, message_id: str, reason: str) -> list[Event]:
        """Drop a message in progress, if it is one; the application hears of it unless it was a repetition."""
        message = self._messages.get(message_id)
        if message is None:
            return []
        self._drop(message_id)
        if message.repeats is not None:
            return []
        return [MessageAborted(session=self._session, message_id=message_id, reason=reason)]

    def refuse(self, message_id: str, status: int, reason: str) -> list[Event]:
        """Take nothing more of a message: its chunks get ``status`` from now on."""
        events = self.abort(message_id, reason)
        self._unaccepted.pop(message_id, None)
        self._remember(message_id, _Finished(status=status))
        return events

    def abort_all(self, reason: str) -> list[Event]:
        """Drop all messages in progress."""
        return [event for message_id in list(self._messages) for event in self.abort(message_id, reason)]

    def next_timeout(self) -> float | None:
        """Return when the longest untouched message will be given up, or None when there is none."""
        oldest = next(iter(self._messages.values()), None)
        return None if oldest is None else oldest.touched_at + self._limits.idle_timeout

    def handle_timeout(self, now: float) -> list[Event]:
        """Give up what has not grown for too long: a hole is not filled any more."""
        events: list[Event] = []
        for message_id, message in list(self._messages.items()):
            if message.touched_at + self._limits.idle_timeout > now:
                break
            events += self.abort(message_id, "incomplete for too long")
        return events

    def _remember(self, message_id: str, finished: _Finished) -> None:
        self._finished.pop(message_id, None)
        self._finished[message_id] = finished
        if len(self._finished) > self._limits.most_remembered:
            del self._finished[next(iter(self._finished))]

    def _drop(self, message_id: str) -> None:
        message = self._messages.pop(message_id, None)
        if message is not None:
            self._release(message)

    def _release(self, message: InboundMessage) -> None:
        self._buffered -= len(message.buffer)
        message.buffer = bytearray()
