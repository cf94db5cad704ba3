"""Requests from the peer at an endpoint: which session, which answer, which REPORT (RFC 4975 section 7.3)."""

from collections.abc import Callable

from wigwag.errors import LocalProtocolError, NotFoundError

from .acceptance import UnacceptedMessages
from .deliveries import Deliveries
from .events import Event, RequestRefused
from .grammar import ByteRange, FailureReport, Path, RequestHead, Status, answer, is_text, report
from .reassembly import ChunkRefusedError, Completed, InboundChunk, Reassembler, ReassemblyLimits
from .sending import Outbox
from .session import Session, SessionState, SessionTable


class IncomingRequests:
    """Takes the requests of one connection, one frame after the other.

    Args:
        binding: The connection, to which a passive session is bound by its first request.
        sessions: All sessions of the endpoint.
        outbox: Takes responses and REPORTs.
        deliveries: Takes the REPORTs on messages of ours.
        limits: What a session may occupy.
    """

    def __init__(
        self,
        binding: object,
        sessions: SessionTable,
        outbox: Outbox,
        deliveries: Deliveries,
        limits: ReassemblyLimits,
    ) -> None:
        self._binding = binding
        self._sessions = sessions
        self._outbox = outbox
        self._deliveries = deliveries
        self._limits = limits
        self._reassemblers: dict[Session, Reassembler] = {}
        self.unaccepted = UnacceptedMessages()
        """Messages that wait for the application's word."""
        self._head: RequestHead | None = None
        """The request whose end has not come, while it still has to be answered."""
        self._session: Session | None = None
        self._chunk: InboundChunk | None = None

    def begin(self, head: RequestHead, now: float) -> list[Event]:
        """Take the head of a request."""
        self._head, self._session, self._chunk = head, None, None
        if head.method == "REPORT":
            # Never answered, whatever is wrong with it (section 7.1.2).
            self._head = None
            session = self._bound_session(head)
            return [] if session is None else self._deliveries.reported(session, head)
        status = self._check_session(head)
        if status is not None:
            return self._refuse(status, "no such session here" if status == 481 else "session bound elsewhere")
        if head.method != "SEND":
            return self._refuse(501, "unknown method")
        if not head.has_body:
            return []
        if self._session is None or not self._session.accepts(head.content_type or ""):
            return self._refuse(415, "unsupported media type")
        return self._attempt(lambda: self._begin_chunk(head, now))

    def _begin_chunk(self, head: RequestHead, now: float) -> list[Event]:
        assert self._session is not None
        self._chunk, events = self._reassembler(self._session).begin(head, now)
        return events

    def body(self, data: bytes, now: float) -> list[Event]:
        """Take octets of the request's body."""
        chunk, session = self._chunk, self._session
        if chunk is None or session is None:
            return []
        return self._attempt(lambda: self._reassembler(session).receive(chunk, data, now))

    def end(self, flag: str, now: float) -> list[Event]:
        """Take the end of the request."""
        head, session, chunk = self._head, self._session, self._chunk
        if head is None or session is None:
            self._head = self._session = self._chunk = None
            return []
        events: list[Event] = []
        if chunk is not None:
            return self._attempt(lambda: self._end_chunk(session, head, chunk, flag, now))
        if flag == "#" and head.message_id is not None:
            events = self._reassembler(session).abort(head.message_id, "aborted by its sender")
        self._head = self._session = None
        self._respond(head, 200, None, head.failure_report)
        return events

    def _end_chunk(
        self, session: Session, head: RequestHead, chunk: InboundChunk, flag: str, now: float
    ) -> list[Event]:
        events, completed = self._reassembler(session).end(chunk, flag, now)
        self._head = self._session = self._chunk = None
        if completed is None:
            self._respond(head, 200, None, chunk.message.head.failure_report)
        elif not session.deferred_acceptance:
            self._accept(session, [head], completed)
        elif not completed.repeated:
            self.unaccepted.add(session, completed, head)
        elif not self.unaccepted.repeat(session, completed.message_id, head):
            self._accept(session, [head], completed)
        return events

    def _accept(self, session: Session, requests: list[RequestHead], completed: Completed) -> None:
        is_reported = completed.head.success_report and session.automatic_reports
        # Behind a relay the 200 is the relay's and the REPORT the sender's. If the connection is lost between the two,
        # the relay tells him what it got no answer to; what it got one to, nobody would ever tell him.
        relayed = len(completed.head.from_path) > 1
        if is_reported and relayed:
            self._report_success(session, completed)
        for request in requests:
            self._respond(request, 200, None, completed.head.failure_report)
        if is_reported and not relayed:
            self._report_success(session, completed)

    def _attempt(self, step: Callable[[], list[Event]]) -> list[Event]:
        try:
            return step()
        except ChunkRefusedError as error:
            return error.events + self._refuse(error.status or 400, error.reason)

    def _check_session(self, head: RequestHead) -> int | None:
        """Find the session that a request is for; return the status that refuses it, if any (section 7.3)."""
        session = self._sessions.find(head.to_path[0]) if len(head.to_path) == 1 else None
        if session is None or session.state is SessionState.ENDED:
            return 481
        if not session.is_from_peer(head.from_path):
            return 481
        if session.binding is None and session.passive and self._sessions.admits(session, self._binding):
            self._sessions.bind(session, self._binding)
        if session.binding is not self._binding:
            return 481 if session.binding is None else 506
        self._session = session
        return None

    def _bound_session(self, head: RequestHead) -> Session | None:
        """Return the session that a REPORT is for. It may come from any hop of the path, so From-Path tells nothing."""
        session = self._sessions.find(head.to_path[0]) if len(head.to_path) == 1 else None
        return session if session is not None and session.binding is self._binding else None

    def _refuse(self, status: int, reason: str, comment: str | None = None) -> list[Event]:
        """Answer with an error at once and skip the rest of the request."""
        head, chunk = self._head, self._chunk
        self._head = self._session = self._chunk = None
        if head is None:
            return []
        self._respond(head, status, comment, chunk.message.head.failure_report if chunk else head.failure_report)
        return [RequestRefused(transaction_id=head.transaction_id, status=status, reason=reason)]

    def _respond(self, head: RequestHead, status: int, comment: str | None, failure_report: FailureReport) -> None:
        """Send a response if one is wanted: 200 with "yes" only, an error also with "partial" (section 7.2)."""
        if failure_report is FailureReport.NO or (failure_report is FailureReport.PARTIAL and status == 200):
            return
        self._outbox.put_control(answer(head, status, comment))

    def _report_success(self, session: Session, completed: Completed) -> None:
        head = completed.head
        byte_range = ByteRange(1, completed.total, completed.total)
        self.report(session, head.message_id or "", head.from_path, byte_range, Status(200))

    def report(
        self, session: Session, message_id: str, to_path: Path, byte_range: ByteRange | None, status: Status
    ) -> None:
        """Queue a REPORT."""
        identifier = self._outbox.identifier()
        self._outbox.put_control(report(identifier, to_path, (session.local_uri,), message_id, byte_range, status))

    def accept_message(self, session: Session, message_id: str) -> bool:
        """Answer a message that waits, and report on it; tells whether it waited still."""
        message = self.unaccepted.take(session, message_id)
        if message is None:
            return False
        self._reassembler(session).accept(message_id)
        self._accept(session, message.requests, message.completed)
        return True

    def refuse_message(self, session: Session, message_id: str, status: int, comment: str | None) -> list[Event]:
        """Take nothing more of a message; the chunks that wait or are received, and all that follow, get ``status``.

        Raises:
            NotFoundError: Nothing has come in this session yet.
            LocalProtocolError: The status is none of an error, or the comment would break the grammar.
        """
        if not 400 <= status <= 599 or (comment is not None and not is_text(comment)):
            raise LocalProtocolError(f"not a refusal: {status!r} {comment!r}")
        reassembler = self._reassemblers.get(session)
        if reassembler is None:
            raise NotFoundError(f"nothing was received at {session.local_uri}")
        reason = "refused by the application"
        events = reassembler.refuse(message_id, status, reason)
        waiting = self.unaccepted.take(session, message_id)
        if waiting is not None:
            for request in waiting.requests:
                self._respond(request, status, comment, waiting.completed.head.failure_report)
                events.append(RequestRefused(transaction_id=request.transaction_id, status=status, reason=reason))
        if self._session is session and self._chunk is not None and self._chunk.message.head.message_id == message_id:
            events += self._refuse(status, reason, comment)
        return events

    def end_session(self, session: Session, reason: str) -> list[Event]:
        """Drop what a session has received in part."""
        if self._session is session:
            self._head = self._session = self._chunk = None
        self.unaccepted.end_session(session)
        reassembler = self._reassemblers.pop(session, None)
        return [] if reassembler is None else reassembler.abort_all(reason)

    def next_timeout(self) -> float | None:
        """Return when the next incomplete message will be given up."""
        deadlines = [reassembler.next_timeout() for reassembler in self._reassemblers.values()]
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def handle_timeout(self, now: float) -> list[Event]:
        """Give up messages that have been incomplete for too long."""
        return [event for reassembler in self._reassemblers.values() for event in reassembler.handle_timeout(now)]

    def _reassembler(self, session: Session) -> Reassembler:
        reassembler = self._reassemblers.get(session)
        if reassembler is None:
            reassembler = self._reassemblers[session] = Reassembler(session, self._limits)
        return reassembler
