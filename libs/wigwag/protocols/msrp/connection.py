"""The endpoint's side of one MSRP connection, sans-IO (RFC 4975, and RFC 4976 as a client).

Theory of operation. ``receive_data`` cuts the stream into frames (``framing``). Requests go to ``IncomingRequests``:
session, answer, reassembly, success REPORT. Responses close transactions and, with the peer's REPORTs, decide what
became of our messages (``Deliveries``). Whatever is to be written waits in the ``Outbox``; ``data_to_send`` takes as
much of it as the shell can write now, and reads no more than that from the sources of bodies. Time comes in as ``now``
and goes out as ``next_timeout``; chance comes from ``random``. Several sessions may share the connection; a session
belongs to one connection at a time, which is why all connections of an endpoint share a ``SessionTable``. Deadlines on
the peer are kept by a clock that stands still while the application has enough to do and nothing is read.
"""

from collections.abc import Callable
from typing import assert_never

from wigwag.errors import ConflictError, NotFoundError, RemoteProtocolError

from .authenticating import Authenticating
from .authentication import RelayAuthentication
from .connection_limits import ConnectionLimits
from .deliveries import Deliveries
from .events import ConnectionGivenUp, Event, RequestRefused
from .framing import BodyReceived, FrameEnded, FrameEvent, FrameParser, HeadReceived, MalformedReceived
from .grammar import ByteRange, FailureReport, Path, RequestHead, ResponseHead, Status
from .incoming import IncomingRequests
from .progress import ProgressWatch
from .reading_clock import ReadingClock
from .sending import BodySource, OutboundMessage, Outbox
from .session import Session, SessionState, SessionTable
from .transactions import TransactionTable


class Connection:
    """Sans-IO MSRP connection of an endpoint.

    The shell around it writes what ``data_to_send`` returns, calls ``handle_timeout`` when ``next_timeout`` has come,
    reads no more while ``congested``, and acts on events. After ``ConnectionGivenUp`` it writes the rest and closes.

    Args:
        random: Returns that many unpredictable octets.
        now: Monotonic seconds: when the transport connection was opened.
        sessions: The endpoint's sessions; its own table if None.
        limits: Bounds and timeouts.
    """

    def __init__(
        self,
        random: Callable[[int], bytes],
        now: float,
        sessions: SessionTable | None = None,
        limits: ConnectionLimits | None = None,
    ) -> None:
        self.limits = limits if limits is not None else ConnectionLimits()
        self.sessions = sessions if sessions is not None else SessionTable()
        self._parser = FrameParser(self.limits.framing)
        self._outbox = Outbox(random, self.limits.largest_chunk)
        self._transactions = TransactionTable()
        self._deliveries = Deliveries(self._outbox, self.limits.most_deliveries)
        self._incoming = IncomingRequests(self, self.sessions, self._outbox, self._deliveries, self.limits.reassembly)
        self._watch = ProgressWatch(self.limits.frame_timeout, self.limits.least_progress)
        self._authenticating = Authenticating(self._outbox)
        self._frames = 0
        self._first_frame_deadline: float | None = now + self.limits.first_frame_timeout
        self._receiving: RequestHead | ResponseHead | None = None
        self._given_up: str | None = None
        self._pending: list[Event] = []
        self._pending_since = now
        self._clock = ReadingClock()
        self._paused = False

    # Sessions

    def add_session(self, session: Session) -> None:
        """Take up a session.

        We are the active side of one that is not ``passive``: it is bound to this connection, and a SEND goes out at
        once, without a body if there is nothing to say (RFC 4975 section 5.4). A session whose connection was lost,
        here or in a process that is gone, goes on in the same way; a message that is sent again under its former
        ``message_id`` is the same for the peer.

        Raises:
            ConflictError: Its URI is in use.
        """
        self.sessions.add(session)
        if not session.passive:
            self.sessions.bind(session, self)
            self._outbox.put_greeting(session)

    def activate_session(self, session: Session) -> None:
        """Send first in a passive session whose peer has sent nothing yet; nothing happens to one that is bound."""
        if session.binding is None and session.state is SessionState.OPEN:
            self.sessions.bind(session, self)
            self._outbox.put_greeting(session)

    def end_session(self, session: Session) -> list[Event]:
        """End a session, as signalling says; the connection and its other sessions go on."""
        events = self._abandon(session, "session ended")
        session.state = SessionState.ENDED
        self.sessions.remove(session)
        return events

    def _abandon(self, session: Session, reason: str) -> list[Event]:
        events = self._incoming.end_session(session, reason) + self._deliveries.end_session(session, reason)
        self._transactions.of_session(session)
        self.sessions.unbind(session)
        return events

    # The relay

    def authenticate(self, authentication: RelayAuthentication, now: float) -> None:
        """AUTH at the relay at the other end, or through it at another (RFC 4976 section 5.1).

        It ends in ``Authenticated`` or ``AuthenticationFailed``, the latter with 408 after 30 seconds of silence.

        Raises:
            ConflictError: An AUTH is under way.
        """
        self._authenticating.begin(authentication, self._time(now))

    # Sending

    def send_message(
        self,
        session: Session,
        content_type: str,
        body: bytes | BodySource,
        *,
        total: int | None = None,
        success_report: bool = False,
        failure_report: FailureReport = FailureReport.YES,
        message_id: str | None = None,
        fields: tuple[tuple[str, str], ...] = (),
    ) -> str:
        """Queue a message.

        Args:
            session: Has to be bound to this connection.
            content_type: Media type of the body.
            body: The body, or what to read it from, piece by piece as it is written.
            total: Length of a body that is read from a source, in octets; None when it is not known before its end.
            success_report: Ask for success REPORTs.
            failure_report: Which failures to be told of.
            message_id: 4 to 32 characters; a fresh one if None.
            fields: Further headers, such as Content-Disposition.

        Returns:
            The Message-ID.

        Raises:
            ConflictError: The session has failed or ended, is bound elsewhere, or the Message-ID is in use.
            LocalProtocolError: An argument would break the grammar.
        """
        if session.state is not SessionState.OPEN or session.binding is not self:
            raise ConflictError(f"nothing can be sent in the session at {session.local_uri}")
        if message_id is None:
            message_id = self._outbox.identifier()
        if message_id in self._deliveries:
            raise ConflictError(f"a message with the Message-ID {message_id} is on its way")
        message = OutboundMessage.of(
            session,
            message_id,
            content_type,
            body,
            total=total,
            success_report=success_report,
            failure_report=failure_report,
            fields=fields,
        )
        message.check()
        self._pending += self._deliveries.add(message)
        self._outbox.put_message(message)
        return message_id

    def abort_message(self, session: Session, message_id: str) -> None:
        """Send nothing more of a message and tell the peer, with the flag ``#``, if some of it went out.

        Raises:
            NotFoundError: The message's end is known already.
        """
        message = self._deliveries.find(session, message_id)
        if message is None:
            raise NotFoundError(f"no message {message_id!r} is on its way")
        self._deliveries.abort(message)

    def send_report(
        self, session: Session, message_id: str, to_path: Path, byte_range: ByteRange | None, status: Status
    ) -> None:
        """Send a REPORT on a message received (RFC 4975 sections 7.1.2 to 7.1.4).

        Args:
            session: Where the message came.
            message_id: Its Message-ID.
            to_path: The ``from_path`` of the event that announced it.
            byte_range: The octets reported on.
            status: What became of them.
        """
        self._incoming.report(session, message_id, to_path, byte_range, status)

    def accept_message(self, session: Session, message_id: str) -> bool:
        """Answer 200 to a message of a session with ``deferred_acceptance``, and report success if asked for.

        To be called once it is in good hands, after ``MessageReceived`` or ``MessageCompleted``. The sender gives up
        30 seconds after its last octet. A repetition of the message gets the same answer, without a further event.

        Returns:
            Whether there was still somebody to be told; False after the session or the connection has ended.
        """
        return self._incoming.accept_message(session, message_id)

    def refuse_message(
        self, session: Session, message_id: str, status: int = 413, comment: str | None = None
    ) -> list[Event]:
        """Take nothing of an incoming message, whether it is on its way or, in a session with
        ``deferred_acceptance``, complete: its chunks are answered ``status`` from now on.

        Args:
            session: Where it comes.
            message_id: Its Message-ID.
            status: 400 to 599.
            comment: Text for people; None takes the usual one of the code.

        Raises:
            NotFoundError: Nothing has come in this session yet.
            LocalProtocolError: The status is none of an error, or the comment would break the grammar.
        """
        return self._incoming.refuse_message(session, message_id, status, comment)

    def pause_reading(self, now: float) -> None:
        """Turn ``congested`` true until ``resume_reading``: the application can take no more pieces for now.

        What the peer owes us, responses as well as progress, is not due meanwhile.
        """
        self._paused = True
        self._time(now)

    def resume_reading(self, now: float) -> None:
        """Let the shell read again."""
        self._paused = False
        self._time(now)

    def data_to_send(self, now: float, max_bytes: int = 65_536) -> list[bytes]:
        """Return what is to be written now, one entry per MSRP message.

        Args:
            now: Monotonic seconds: when the entries are handed to the operating system.
            max_bytes: About how many octets the shell can take; the last chunk may go over by 2048 octets and its
                headers. Zero returns nothing.

        Returns:
            Whole frames. When they come to less than ``max_bytes``, nothing else waits.
        """
        frames: list[bytes] = []
        taken = 0
        while taken < max_bytes:
            frame = self._outbox.next_control() or self._next_send(now, max_bytes - taken)
            if frame is None:
                break
            frames.append(frame)
            taken += len(frame)
        return frames

    def _next_send(self, now: float, room: int) -> bytes | None:
        if self._given_up is not None or len(self._transactions) >= self.limits.most_transactions:
            return None
        time = self._time(now)
        taken = self._outbox.next_greeting(time) or self._outbox.next_chunk(time, room)
        if taken is None:
            return None
        frame, transaction = taken
        message = transaction.message
        if message is None or message.failure_report is not FailureReport.NO:
            self._transactions.add(transaction)
            self._deliveries.opened(transaction)
        if transaction.flag != "+" and message is not None:
            self._pending += self._deliveries.sent(message, transaction.flag)
            self._pending_since = now
        return frame

    @property
    def has_data_to_send(self) -> bool:
        """Whether ``data_to_send`` would return something."""
        if self._given_up is not None or len(self._transactions) >= self.limits.most_transactions:
            return self._outbox.control_octets > 0
        return bool(self._outbox)

    @property
    def congested(self) -> bool:
        """Whether the shell should not read: the peer does not read our responses, or the application has enough."""
        return self._outbox.control_octets >= self.limits.congested_octets or self._application_is_busy

    @property
    def _application_is_busy(self) -> bool:
        unaccepted, limits = self._incoming.unaccepted, self.limits
        return (
            self._paused
            or len(unaccepted) >= limits.most_unaccepted
            or unaccepted.octets >= limits.most_unaccepted_octets
        )

    def _time(self, now: float) -> float:
        return self._clock.run(now, reading=not self._application_is_busy)

    # Receiving

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        """Feed bytes from the peer; return what they mean.

        Bytes that lose the framing or pass a limit make the last event ``ConnectionGivenUp``.

        Raises:
            RemoteProtocolError: The connection was given up before.
        """
        if self._given_up is not None:
            raise RemoteProtocolError(self._given_up)
        events = self._take_pending()
        position, time = 0, self._time(now)
        try:
            while position < len(data) and self._given_up is None:
                frame_events, position = self._parser.feed(data, position)
                for frame_event in frame_events:
                    events += self._handle(frame_event, time)
        except RemoteProtocolError as error:
            events += self._give_up(error.reason)
        if self._outbox.control_octets > self.limits.most_control_octets:
            events += self._give_up("peer does not read our responses")
        self._watch.observe(self._parser.phase, self._frames, len(data), time)
        self._time(now)
        return events

    def _handle(self, event: FrameEvent, now: float) -> list[Event]:
        match event:
            case HeadReceived(head):
                self._first_frame_deadline = None
                self._frames += 1
                self._receiving = head
                return self._incoming.begin(head, now) if isinstance(head, RequestHead) else self._responded(head, now)
            case BodyReceived(octets):
                return self._incoming.body(octets, now)
            case FrameEnded(flag):
                return self._incoming.end(flag, now) if isinstance(self._receiving, RequestHead) else []
            case MalformedReceived():
                return self._malformed(event)
            case _:
                assert_never(event)

    def _responded(self, head: ResponseHead, now: float) -> list[Event]:
        """Take a response. One to no request of ours, or after its time, is ignored (RFC 4975 section 7.2)."""
        under_way = self._authenticating.under_way
        if under_way is not None and head.transaction_id == under_way.transaction_id:
            return self._authenticating.responded(under_way, head, now)
        transaction = self._transactions.close(head.transaction_id)
        return [] if transaction is None else self._deliveries.responded(transaction, head)

    def _malformed(self, event: MalformedReceived) -> list[Event]:
        self._frames += 1
        self._receiving = None
        if event.response is not None:
            self._outbox.put_control(event.response)
        events: list[Event] = [
            RequestRefused(transaction_id=event.transaction_id, status=event.status, reason=event.reason)
        ]
        return events + self._give_up(event.reason) if event.fatal else events

    def receive_eof(self, now: float) -> list[Event]:
        """Take note that the peer will send nothing more. What is pending can still be written."""
        return self._take_pending() + self._give_up("closed by the peer")

    def connection_lost(self) -> list[Event]:
        """Take note that the transport connection is gone; its sessions are bound to none."""
        events = self._take_pending() + self._give_up("connection lost")
        for session in self.sessions.bound_to(self):
            events += self._abandon(session, "connection lost")
        return events

    def _give_up(self, reason: str) -> list[Event]:
        if self._given_up is not None:
            return []
        self._given_up = reason
        events = self._authenticating.end(reason)
        for session in self.sessions.bound_to(self):
            events += self._incoming.end_session(session, reason)
        return [*events, ConnectionGivenUp(reason=reason)]

    # Time

    def next_timeout(self) -> float | None:
        """Return when ``handle_timeout`` has to be called at the latest, in monotonic seconds; None for never."""
        if self._pending:
            return self._pending_since
        if self._given_up is not None:
            return None
        if self._clock.stopped_at is not None:
            return None if self._application_is_busy else self._clock.stopped_at
        deadlines = (
            self._first_frame_deadline,
            self._watch.deadline,
            self._transactions.next_timeout(),
            self._authenticating.deadline,
            self._incoming.next_timeout(),
        )
        first = min((deadline for deadline in deadlines if deadline is not None), default=None)
        return None if first is None else self._clock.monotonic(first)

    def handle_timeout(self, now: float) -> list[Event]:
        """Do what time has come for; also returns what became of messages while they were written."""
        events = self._take_pending()
        time = self._time(now)
        if self._given_up is not None:
            return events
        for transaction in self._transactions.overdue(time):
            events += self._deliveries.timed_out(transaction)
        events += self._authenticating.handle_timeout(time)
        events += self._incoming.handle_timeout(time)
        if self._first_frame_deadline is not None and self._first_frame_deadline <= time:
            events += self._give_up("nothing came")
        elif self._watch.too_slow(time):
            events += self._give_up("too slow")
        return events

    def _take_pending(self) -> list[Event]:
        pending, self._pending = self._pending, []
        return pending
