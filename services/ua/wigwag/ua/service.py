"""The user agent's use cases (``Agent``): who may do it, is it well formed, and which pod has to."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from wigwag.api.ua.v1 import message_pb2, owner_pb2, session_pb2, ua_pb2
from wigwag.database.ledger import Ledger
from wigwag.errors import (
    ConflictError,
    InvalidRequestError,
    NotAuthorizedError,
    WigwagError,
)
from wigwag.runtime.ua_messages import conversation_of, fields_of, message_of
from wigwag.store import Store

from .access import READ_MESSAGES, READ_SESSIONS, WRITE_MESSAGES, WRITE_SESSIONS, Access, demand
from .applications.registry import Applications
from .at_owner import AtOwner
from .calls import OK, count_outcomes, counted
from .config import UaSettings
from .file_requests import checked_fetch, checked_file
from .messages.settling import check_settled_by_application, checked_outcome
from .ports import Caller, Outcome
from .session_requests import checked_ringing, page_size, position_of, session_id_of
from .sessions.life import SessionLife
from .sessions.listing import SessionFilter
from .sessions.pod_sessions import PodSessions
from .sessions.ports import FileSide, MessageSide
from .sessions.record import SessionRecord
from .sessions.starting import Start, wish_for
from .texts import checked_labels, checked_text, checked_types, checked_uri


class Bodies(Protocol):
    """Bodies that are kept apart from their rows."""

    def read(self, blob_id: str, offset: int = 0) -> AsyncIterator[bytes]:
        """Yield a body from an offset; NotFoundError: there is none."""

    async def size(self, blob_id: str) -> int:
        """Return how many octets a body has; NotFoundError: there is none."""


class UserAgent:
    """Implements ``Agent``.

    Args:
        settings: Of the user agent.
        sessions: Those of this pod.
        life: What becomes of them.
        store: Where all sessions are.
        ledger: Where messages are.
        messages: Sends and receives them.
        files: Likewise, files.
        bodies: Large bodies.
        applications: Who calls.
        owner: Asks the owner of a session.
        watch: Yields events.

    Attributes:
        calls: How often each use case was asked for, by its name and the gRPC status that it amounts to.
    """

    def __init__(
        self,
        settings: UaSettings,
        *,
        sessions: PodSessions,
        life: SessionLife,
        store: Store,
        ledger: Ledger,
        messages: MessageSide,
        files: FileSide,
        bodies: Bodies,
        applications: Applications,
        owner: AtOwner,
        watch: Callable[[str, ua_pb2.WatchRequest], AsyncIterator[ua_pb2.WatchResponse]],
    ) -> None:
        self._settings = settings
        self._sessions = sessions
        self._life = life
        self._store = store
        self._ledger = ledger
        self._messages = messages
        self._files = files
        self._bodies = bodies
        self._applications = applications
        self._owner = owner
        self._access = Access(applications, sessions, ledger)
        self._watch = watch
        self.calls: Counter[tuple[str, str]] = Counter()

    # Sessions

    @counted
    async def start_session(self, caller: Caller, request: ua_pb2.StartSessionRequest) -> ua_pb2.StartSessionResponse:
        """Call a SIP user."""
        demand(caller, WRITE_SESSIONS)
        application = self._access.application(caller, request.application)
        session_id = session_id_of(application.name, checked_text("idempotency_key", request.idempotency_key))
        wanted = Start(
            application=application,
            session_id=session_id,
            from_uri=self._access.caller_uri(application, request.from_uri),
            to_uri=checked_uri("to_uri", request.to_uri),
            display_name=checked_text("from_display_name", request.from_display_name),
            request_uri=checked_uri("request_uri", request.request_uri) if request.request_uri else "",
            subject=checked_text("subject", request.subject),
            timeout=checked_ringing(request),
            labels=checked_labels("labels", dict(request.labels)),
            media=wish_for(application, self._settings, checked_types("accept_types", request.accept_types)),
        )
        try:
            record = await self._life.start(wanted)
        except ConflictError:
            if not request.idempotency_key:
                raise
            record = await self._sessions.find(session_id)
            if record.remote_uri != wanted.to_uri:
                raise ConflictError("idempotency_key: it started a session with somebody else") from None
        return ua_pb2.StartSessionResponse(session=record.message(self._sessions.pod))

    @counted
    async def answer_session(
        self, caller: Caller, request: ua_pb2.AnswerSessionRequest
    ) -> ua_pb2.AnswerSessionResponse:
        """Take a session that was offered."""
        demand(caller, WRITE_SESSIONS)
        record = await self._access.session(caller, request.session_id)
        checked_types("accept_types", request.accept_types)
        checked_labels("labels", dict(request.labels))
        await self._owner.ask(record, owner_pb2.ControlRequest(answer_session=request))
        record, pod = await self._sessions.seen(request.session_id)
        return ua_pb2.AnswerSessionResponse(session=record.message(pod))

    @counted
    async def reject_session(
        self, caller: Caller, request: ua_pb2.RejectSessionRequest
    ) -> ua_pb2.RejectSessionResponse:
        """Turn it away."""
        demand(caller, WRITE_SESSIONS)
        if request.sip_status and not 300 <= request.sip_status <= 699:
            raise InvalidRequestError("sip_status: between 300 and 699")
        checked_text("sip_reason", request.sip_reason)
        record = await self._access.session(caller, request.session_id)
        await self._owner.ask(record, owner_pb2.ControlRequest(reject_session=request))
        return ua_pb2.RejectSessionResponse()

    @counted
    async def end_session(self, caller: Caller, request: ua_pb2.EndSessionRequest) -> ua_pb2.EndSessionResponse:
        """End a session; one that is over stays as it is."""
        demand(caller, WRITE_SESSIONS)
        record = await self._access.session(caller, request.session_id)
        if record.state != "ended":
            await self._owner.ask(record, owner_pb2.ControlRequest(end_session=request))
        record, pod = await self._sessions.seen(request.session_id)
        return ua_pb2.EndSessionResponse(session=record.message(pod))

    @counted
    async def hold_session(self, caller: Caller, request: ua_pb2.HoldSessionRequest) -> ua_pb2.HoldSessionResponse:
        """Stop what the peer sends, or let it come again."""
        demand(caller, WRITE_SESSIONS)
        record = await self._access.session(caller, request.session_id)
        await self._owner.ask(record, owner_pb2.ControlRequest(hold_session=request))
        record, pod = await self._sessions.seen(request.session_id)
        return ua_pb2.HoldSessionResponse(session=record.message(pod))

    @counted
    async def get_session(self, caller: Caller, request: ua_pb2.GetSessionRequest) -> ua_pb2.GetSessionResponse:
        """Return a session."""
        demand(caller, READ_SESSIONS)
        await self._access.session(caller, request.session_id)
        record, pod = await self._sessions.seen(request.session_id)
        return ua_pb2.GetSessionResponse(session=record.message(pod))

    @counted
    async def list_sessions(self, caller: Caller, request: ua_pb2.ListSessionsRequest) -> ua_pb2.ListSessionsResponse:
        """Return a page of sessions."""
        demand(caller, READ_SESSIONS)
        if caller.application and request.application not in ("", caller.application):
            raise NotAuthorizedError("the sessions of another application")
        wanted = SessionFilter.of(request, caller.application or request.application)
        size = page_size(request.page_size)
        page: list[session_pb2.Session] = []
        last = wanted.after(request.page_token)
        while len(page) < size:
            found = await self._store.list_agent_sessions(wanted.application, after=last, limit=size)
            for session in found:
                last = session.session_id
                record = self._sessions.freshest(SessionRecord.from_bytes(session.content))
                if wanted.matches(record):
                    page.append(record.message(session.pod))
                if len(page) == size:
                    break
            if len(found) < size:
                last = last if len(page) == size else ""
                break
        return ua_pb2.ListSessionsResponse(sessions=page, next_page_token=wanted.page_token(last) if last else "")

    # Messages

    async def send_messages(self, caller: Caller, messages: list[ua_pb2.OutboundMessage]) -> list[Outcome]:
        """Accept messages, those of one session in order."""
        by_session: dict[str, list[int]] = {}
        for index, message in enumerate(messages):
            by_session.setdefault(message.session_id, []).append(index)
        outcomes = [Outcome() for _ in messages]
        for session_id, indices in by_session.items():
            found = await self._accept(caller, session_id, [messages[index] for index in indices])
            for index, outcome in zip(indices, found, strict=True):
                outcomes[index] = outcome
        count_outcomes(self.calls, "send_messages", outcomes)
        return outcomes

    async def _accept(self, caller: Caller, session_id: str, messages: list[ua_pb2.OutboundMessage]) -> list[Outcome]:
        try:
            demand(caller, WRITE_MESSAGES)
            record = await self._access.session(caller, session_id)
            application = self._applications.get(record.application)
            return list(await self._messages.accept(record, application, messages))
        except WigwagError as error:
            return [Outcome(error=error) for _ in messages]

    @counted
    async def get_message(self, caller: Caller, request: ua_pb2.GetMessageRequest) -> ua_pb2.GetMessageResponse:
        """Return a message and where it is."""
        demand(caller, READ_MESSAGES)
        row = await self._access.message(caller, request.message_id)
        owner = await self._sessions.owner_of(fields_of(row.headers).session_id)
        return ua_pb2.GetMessageResponse(message=message_of(row), pod=owner, attempts=row.attempt)

    @counted
    async def list_messages(self, caller: Caller, request: ua_pb2.ListMessagesRequest) -> ua_pb2.ListMessagesResponse:
        """Return a page of a session's messages."""
        demand(caller, READ_MESSAGES)
        record = await self._access.session(caller, request.session_id)
        after = position_of(request.page_token)
        size = page_size(request.page_size)
        rows = await self._ledger.conversation(conversation_of(record.id), after=after, limit=size)
        more = str(rows[-1].position) if len(rows) == size else ""
        return ua_pb2.ListMessagesResponse(messages=[message_of(row) for row in rows], next_page_token=more)

    async def body_size(self, caller: Caller, blob_id: str) -> int:
        """Return how many octets a body has that is kept as a blob."""
        demand(caller, READ_MESSAGES)
        return await self._bodies.size(blob_id)

    async def message_body(self, caller: Caller, request: ua_pb2.GetMessageBodyRequest) -> AsyncIterator[bytes]:
        """Yield a body that is kept as a blob."""
        demand(caller, READ_MESSAGES)
        # Its id, which nobody can guess, is the right to a body.
        async for piece in self._bodies.read(request.blob_id, request.offset):
            yield piece

    @counted
    async def set_composing(self, caller: Caller, request: ua_pb2.SetComposingRequest) -> None:
        """Tell the peer that somebody types, or has stopped."""
        demand(caller, WRITE_MESSAGES)
        if request.content_type:
            checked_types("content_type", [request.content_type])
        record = await self._access.session(caller, request.session_id)
        await self._owner.ask(record, owner_pb2.ControlRequest(set_composing=request))

    @counted
    async def mark_displayed(self, caller: Caller, request: ua_pb2.MarkDisplayedRequest) -> None:
        """Tell the sender of a message that it was shown."""
        demand(caller, WRITE_MESSAGES)
        row = await self._access.message(caller, request.message_id)
        if row.direction != "inbound":
            raise ConflictError("the message is the application's own")
        record = await self._sessions.find(fields_of(row.headers).session_id)
        await self._owner.ask(record, owner_pb2.ControlRequest(mark_displayed=request))

    @counted
    async def settle_message(
        self, caller: Caller, request: ua_pb2.SettleMessageRequest
    ) -> ua_pb2.SettleMessageResponse:
        """Say what became of a message of a SIP user, who is told by a REPORT as he asked."""
        demand(caller, WRITE_MESSAGES)
        outcome = checked_outcome(request)
        row = await self._access.message(caller, request.message_id)
        check_settled_by_application(row)
        row = await self._owner.settle(row, outcome, request)
        return ua_pb2.SettleMessageResponse(message=message_of(row))

    # Files

    @counted
    async def send_file(
        self, caller: Caller, file: ua_pb2.FileDescription, data: AsyncIterator[bytes]
    ) -> ua_pb2.SendFileResponse:
        """Send a file in a session of its own."""
        demand(caller, WRITE_MESSAGES)
        application = self._access.application(caller, file.application)
        checked_file(file)
        if not file.session_id and not file.resume_session_id:
            checked_uri("to_uri", file.to_uri)
            file.from_uri = self._access.caller_uri(application, file.from_uri)
        sent = await self._files.send(application, file, data)
        if file.session_id:
            await self._answer_with(file.session_id, sent)
        return ua_pb2.SendFileResponse(file=sent)

    async def _answer_with(self, session_id: str, file: message_pb2.File) -> None:
        """Have the owner of a session, in which a file is asked for, answer with one that is kept."""
        record = await self._sessions.find(session_id)
        if record.state != "offered" and file.state != message_pb2.FILE_STATE_FAILED:
            # It was answered before, under the same file.
            return
        asked = owner_pb2.AnswerFileRequest(session_id=session_id, ledger_id=record.file)
        try:
            await self._owner.ask(record, owner_pb2.ControlRequest(answer_file=asked))
        except WigwagError as error:
            await self._files.give_up(record.file, str(error))
            raise

    @counted
    async def get_file(self, caller: Caller, request: ua_pb2.GetFileRequest) -> ua_pb2.GetFileResponse:
        """Return how a file stands."""
        demand(caller, READ_MESSAGES)
        if bool(request.session_id) == bool(request.idempotency_key):
            raise InvalidRequestError("session_id: it or idempotency_key is needed, and one only")
        application = caller.application
        if request.idempotency_key:
            application = self._access.application(caller, request.application).name
        return ua_pb2.GetFileResponse(file=await self._files.look(application, request))

    @counted
    async def fetch_file(self, caller: Caller, request: ua_pb2.FetchFileRequest) -> ua_pb2.FetchFileResponse:
        """Ask for a file (RFC 5547 pull)."""
        demand(caller, WRITE_MESSAGES)
        application = self._access.application(caller, request.application)
        checked_fetch(request)
        if not request.resume_session_id:
            checked_uri("to_uri", request.to_uri)
        request.from_uri = self._access.caller_uri(application, request.from_uri)
        return ua_pb2.FetchFileResponse(file=await self._files.fetch(application, request))

    # Events

    def watch(self, caller: Caller, request: ua_pb2.WatchRequest) -> AsyncIterator[ua_pb2.WatchResponse]:
        """Yield events from the resume token on."""
        demand(caller, READ_SESSIONS)
        if caller.application and request.application not in ("", caller.application):
            raise NotAuthorizedError("the events of another application")
        self.calls["watch", OK] += 1
        return self._watch(caller.application or request.application, request)
