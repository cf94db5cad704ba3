"""The user agent's use cases (``Agent``): who may do it, is it well formed, and which pod has to."""

import hashlib
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, Protocol

from wigwag.api.ua.v1 import message_pb2, owner_pb2, session_pb2, ua_pb2
from wigwag.database.ledger import Ledger, LedgerRow, State
from wigwag.errors import (
    ConflictError,
    InvalidRequestError,
    NotAuthorizedError,
    NotFoundError,
    OverloadedError,
    WigwagError,
)
from wigwag.runtime.ua_messages import SERVICE, conversation_of, fields_of, message_of
from wigwag.store import Store

from .applications.registry import Applications
from .calls import OK, count_outcomes, counted
from .config import ApplicationSettings, UaSettings
from .file_requests import checked_fetch, checked_file
from .messages.settling import check_settled_by_application, checked_outcome, same_outcome
from .ports import Caller, Outcome
from .sessions.life import SessionLife
from .sessions.listing import SessionFilter
from .sessions.ownership import Ownership
from .sessions.pod_sessions import PodSessions
from .sessions.ports import FileSide, FinalState, MessageSide
from .sessions.record import SessionRecord
from .sessions.starting import DEFAULT_RINGING, LONGEST_RINGING, Start, wish_for
from .texts import checked_labels, checked_text, checked_types, checked_uri

READ_SESSIONS: Final = "sessions:read"
WRITE_SESSIONS: Final = "sessions:write"
READ_MESSAGES: Final = "messages:read"
WRITE_MESSAGES: Final = "messages:write"

_DEFAULT_PAGE: Final = 100
_LARGEST_PAGE: Final = 1_000
_DEFAULT_REJECTION: Final = 603


class Elsewhere(Protocol):
    """The other pods."""

    async def control(self, pod: str, request: owner_pb2.ControlRequest) -> None:
        """Have the owner of a session do something; its errors are raised here."""


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
        ownership: Takes sessions over.
        store: Where all sessions are.
        ledger: Where messages are.
        messages: Sends and receives them.
        files: Likewise, files.
        bodies: Large bodies.
        applications: Who calls.
        elsewhere: The other pods.
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
        ownership: Ownership,
        store: Store,
        ledger: Ledger,
        messages: MessageSide,
        files: FileSide,
        bodies: Bodies,
        applications: Applications,
        elsewhere: Elsewhere,
        watch: Callable[[str, ua_pb2.WatchRequest], AsyncIterator[ua_pb2.WatchResponse]],
    ) -> None:
        self._settings = settings
        self._sessions = sessions
        self._life = life
        self._ownership = ownership
        self._store = store
        self._ledger = ledger
        self._messages = messages
        self._files = files
        self._bodies = bodies
        self._applications = applications
        self._elsewhere = elsewhere
        self._watch = watch
        self.calls: Counter[tuple[str, str]] = Counter()

    # Sessions

    @counted
    async def start_session(self, caller: Caller, request: ua_pb2.StartSessionRequest) -> ua_pb2.StartSessionResponse:
        """Call a SIP user."""
        _demand(caller, WRITE_SESSIONS)
        application = self._application(caller, request.application)
        session_id = _session_id(application.name, checked_text("idempotency_key", request.idempotency_key))
        wanted = Start(
            application=application,
            session_id=session_id,
            from_uri=self._caller_uri(application, request.from_uri),
            to_uri=checked_uri("to_uri", request.to_uri),
            display_name=checked_text("from_display_name", request.from_display_name),
            request_uri=checked_uri("request_uri", request.request_uri) if request.request_uri else "",
            subject=checked_text("subject", request.subject),
            timeout=_ringing(request),
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
        _demand(caller, WRITE_SESSIONS)
        record = await self._session(caller, request.session_id)
        checked_types("accept_types", request.accept_types)
        checked_labels("labels", dict(request.labels))
        await self._at_owner(record, owner_pb2.ControlRequest(answer_session=request))
        record, pod = await self._seen(request.session_id)
        return ua_pb2.AnswerSessionResponse(session=record.message(pod))

    @counted
    async def reject_session(
        self, caller: Caller, request: ua_pb2.RejectSessionRequest
    ) -> ua_pb2.RejectSessionResponse:
        """Turn it away."""
        _demand(caller, WRITE_SESSIONS)
        if request.sip_status and not 300 <= request.sip_status <= 699:
            raise InvalidRequestError("sip_status: between 300 and 699")
        checked_text("sip_reason", request.sip_reason)
        record = await self._session(caller, request.session_id)
        await self._at_owner(record, owner_pb2.ControlRequest(reject_session=request))
        return ua_pb2.RejectSessionResponse()

    @counted
    async def end_session(self, caller: Caller, request: ua_pb2.EndSessionRequest) -> ua_pb2.EndSessionResponse:
        """End a session; one that is over stays as it is."""
        _demand(caller, WRITE_SESSIONS)
        record = await self._session(caller, request.session_id)
        if record.state != "ended":
            await self._at_owner(record, owner_pb2.ControlRequest(end_session=request))
        record, pod = await self._seen(request.session_id)
        return ua_pb2.EndSessionResponse(session=record.message(pod))

    @counted
    async def hold_session(self, caller: Caller, request: ua_pb2.HoldSessionRequest) -> ua_pb2.HoldSessionResponse:
        """Stop what the peer sends, or let it come again."""
        _demand(caller, WRITE_SESSIONS)
        record = await self._session(caller, request.session_id)
        await self._at_owner(record, owner_pb2.ControlRequest(hold_session=request))
        record, pod = await self._seen(request.session_id)
        return ua_pb2.HoldSessionResponse(session=record.message(pod))

    @counted
    async def get_session(self, caller: Caller, request: ua_pb2.GetSessionRequest) -> ua_pb2.GetSessionResponse:
        """Return a session."""
        _demand(caller, READ_SESSIONS)
        await self._session(caller, request.session_id)
        record, pod = await self._seen(request.session_id)
        return ua_pb2.GetSessionResponse(session=record.message(pod))

    @counted
    async def list_sessions(self, caller: Caller, request: ua_pb2.ListSessionsRequest) -> ua_pb2.ListSessionsResponse:
        """Return a page of sessions."""
        _demand(caller, READ_SESSIONS)
        if caller.application and request.application not in ("", caller.application):
            raise NotAuthorizedError("the sessions of another application")
        wanted = SessionFilter.of(request, caller.application or request.application)
        size = _page_size(request.page_size)
        page: list[session_pb2.Session] = []
        last = wanted.after(request.page_token)
        while len(page) < size:
            found = await self._store.list_agent_sessions(wanted.application, after=last, limit=size)
            for session in found:
                last = session.session_id
                record = self._freshest(SessionRecord.from_bytes(session.content))
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
            _demand(caller, WRITE_MESSAGES)
            record = await self._session(caller, session_id)
            application = self._applications.get(record.application)
            return list(await self._messages.accept(record, application, messages))
        except WigwagError as error:
            return [Outcome(error=error) for _ in messages]

    @counted
    async def get_message(self, caller: Caller, request: ua_pb2.GetMessageRequest) -> ua_pb2.GetMessageResponse:
        """Return a message and where it is."""
        _demand(caller, READ_MESSAGES)
        row = await self._message(caller, request.message_id)
        owner = await self._sessions.owner_of(fields_of(row.headers).session_id)
        return ua_pb2.GetMessageResponse(message=message_of(row), pod=owner, attempts=row.attempt)

    @counted
    async def list_messages(self, caller: Caller, request: ua_pb2.ListMessagesRequest) -> ua_pb2.ListMessagesResponse:
        """Return a page of a session's messages."""
        _demand(caller, READ_MESSAGES)
        record = await self._session(caller, request.session_id)
        after = _position(request.page_token)
        size = _page_size(request.page_size)
        rows = await self._ledger.conversation(conversation_of(record.id), after=after, limit=size)
        more = str(rows[-1].position) if len(rows) == size else ""
        return ua_pb2.ListMessagesResponse(messages=[message_of(row) for row in rows], next_page_token=more)

    async def body_size(self, caller: Caller, blob_id: str) -> int:
        """Return how many octets a body has that is kept as a blob."""
        _demand(caller, READ_MESSAGES)
        return await self._bodies.size(blob_id)

    async def message_body(self, caller: Caller, request: ua_pb2.GetMessageBodyRequest) -> AsyncIterator[bytes]:
        """Yield a body that is kept as a blob."""
        _demand(caller, READ_MESSAGES)
        # Its id, which nobody can guess, is the right to a body.
        async for piece in self._bodies.read(request.blob_id, request.offset):
            yield piece

    @counted
    async def set_composing(self, caller: Caller, request: ua_pb2.SetComposingRequest) -> None:
        """Tell the peer that somebody types, or has stopped."""
        _demand(caller, WRITE_MESSAGES)
        if request.content_type:
            checked_types("content_type", [request.content_type])
        record = await self._session(caller, request.session_id)
        await self._at_owner(record, owner_pb2.ControlRequest(set_composing=request))

    @counted
    async def mark_displayed(self, caller: Caller, request: ua_pb2.MarkDisplayedRequest) -> None:
        """Tell the sender of a message that it was shown."""
        _demand(caller, WRITE_MESSAGES)
        row = await self._message(caller, request.message_id)
        if row.direction != "inbound":
            raise ConflictError("the message is the application's own")
        record = await self._sessions.find(fields_of(row.headers).session_id)
        await self._at_owner(record, owner_pb2.ControlRequest(mark_displayed=request))

    @counted
    async def settle_message(
        self, caller: Caller, request: ua_pb2.SettleMessageRequest
    ) -> ua_pb2.SettleMessageResponse:
        """Say what became of a message of a SIP user, who is told by a REPORT as he asked."""
        _demand(caller, WRITE_MESSAGES)
        outcome = checked_outcome(request)
        row = await self._message(caller, request.message_id)
        check_settled_by_application(row)
        session_id = fields_of(row.headers).session_id
        if self._sessions.owned(session_id) is not None or await self._is_over(session_id):
            row = await self._messages.settle(row, outcome)
        else:
            row = await self._settled_elsewhere(row, outcome, request)
        return ua_pb2.SettleMessageResponse(message=message_of(row))

    async def _is_over(self, session_id: str) -> bool:
        """Tell whether nobody is there to be told: a session is forgotten before its messages are."""
        try:
            return (await self._sessions.find(session_id)).state == "ended"
        except NotFoundError:
            return True

    async def _settled_elsewhere(
        self, row: LedgerRow, outcome: FinalState, request: ua_pb2.SettleMessageRequest
    ) -> LedgerRow:
        session_id = fields_of(row.headers).session_id
        try:
            record = await self._sessions.find(session_id)
            await self._at_owner(record, owner_pb2.ControlRequest(settle_message=request))
        except (ConflictError, NotFoundError) as error:
            if await self._is_over(session_id):
                return await self._messages.settle(row, outcome)
            problem = str(error)
        else:
            problem = ""
        found = await self._ledger.find(row.id)
        if found is not None and found.state is not State.ACCEPTED:
            row = same_outcome(found, outcome.state)
            if not problem:
                return row
        # Whatever the row says, its sender may not have been told: asking again helps.
        raise OverloadedError(problem or "the message was not settled")

    # Files

    @counted
    async def send_file(
        self, caller: Caller, file: ua_pb2.FileDescription, data: AsyncIterator[bytes]
    ) -> ua_pb2.SendFileResponse:
        """Send a file in a session of its own."""
        _demand(caller, WRITE_MESSAGES)
        application = self._application(caller, file.application)
        checked_file(file)
        if not file.session_id and not file.resume_session_id:
            checked_uri("to_uri", file.to_uri)
            file.from_uri = self._caller_uri(application, file.from_uri)
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
            await self._at_owner(record, owner_pb2.ControlRequest(answer_file=asked))
        except WigwagError as error:
            await self._files.give_up(record.file, str(error))
            raise

    @counted
    async def get_file(self, caller: Caller, request: ua_pb2.GetFileRequest) -> ua_pb2.GetFileResponse:
        """Return how a file stands."""
        _demand(caller, READ_MESSAGES)
        if bool(request.session_id) == bool(request.idempotency_key):
            raise InvalidRequestError("session_id: it or idempotency_key is needed, and one only")
        application = caller.application
        if request.idempotency_key:
            application = self._application(caller, request.application).name
        return ua_pb2.GetFileResponse(file=await self._files.look(application, request))

    @counted
    async def fetch_file(self, caller: Caller, request: ua_pb2.FetchFileRequest) -> ua_pb2.FetchFileResponse:
        """Ask for a file (RFC 5547 pull)."""
        _demand(caller, WRITE_MESSAGES)
        application = self._application(caller, request.application)
        checked_fetch(request)
        if not request.resume_session_id:
            checked_uri("to_uri", request.to_uri)
        request.from_uri = self._caller_uri(application, request.from_uri)
        return ua_pb2.FetchFileResponse(file=await self._files.fetch(application, request))

    # Events

    def watch(self, caller: Caller, request: ua_pb2.WatchRequest) -> AsyncIterator[ua_pb2.WatchResponse]:
        """Yield events from the resume token on."""
        _demand(caller, READ_SESSIONS)
        if caller.application and request.application not in ("", caller.application):
            raise NotAuthorizedError("the events of another application")
        self.calls["watch", OK] += 1
        return self._watch(caller.application or request.application, request)

    # At the owner

    async def control(self, request: owner_pb2.ControlRequest) -> None:
        """Do what another pod was asked, in a session of this pod.

        Raises:
            ConflictError: The session is not this pod's.
        """
        which = request.WhichOneof("call")
        if which is None:
            raise InvalidRequestError("call: missing")
        session_id = await self._session_of(request)
        if self._sessions.owned(session_id) is None and await self._ownership.take_over(session_id) is None:
            raise ConflictError(f"session {session_id} is not owned here")
        await self._controls[which](self, request)

    async def _session_of(self, request: owner_pb2.ControlRequest) -> str:
        asked: Any = getattr(request, request.WhichOneof("call") or "")
        if not isinstance(asked, ua_pb2.MarkDisplayedRequest | ua_pb2.SettleMessageRequest):
            return str(asked.session_id)
        row = await self._ledger.find(asked.message_id)
        return fields_of(row.headers).session_id if row is not None else ""

    async def _do_answer(self, request: owner_pb2.ControlRequest) -> None:
        asked = request.answer_session
        own = self._sessions.owned(asked.session_id)
        assert own is not None
        types = tuple(asked.accept_types)
        wish = wish_for(own.application, self._settings, types) if types else None
        self._life.calls.answer(asked.session_id, wish, dict(asked.labels))

    async def _do_reject(self, request: owner_pb2.ControlRequest) -> None:
        asked = request.reject_session
        status = asked.sip_status or _DEFAULT_REJECTION
        self._life.calls.reject(asked.session_id, status, asked.sip_reason or "Decline")

    async def _do_end(self, request: owner_pb2.ControlRequest) -> None:
        self._life.end(request.end_session.session_id)

    async def _do_hold(self, request: owner_pb2.ControlRequest) -> None:
        self._life.hold(request.hold_session.session_id, on=request.hold_session.hold)

    async def _do_compose(self, request: owner_pb2.ControlRequest) -> None:
        asked = request.set_composing
        own = self._sessions.owned(asked.session_id)
        assert own is not None
        self._messages.set_composing(own, active=asked.active, content_type=asked.content_type)

    async def _do_display(self, request: owner_pb2.ControlRequest) -> None:
        row = await self._ledger.find(request.mark_displayed.message_id)
        if row is not None:
            await self._messages.mark_displayed(row)

    async def _do_settle(self, request: owner_pb2.ControlRequest) -> None:
        row = await self._ledger.find(request.settle_message.message_id)
        if row is not None:
            await self._messages.settle(row, checked_outcome(request.settle_message))

    async def _do_answer_file(self, request: owner_pb2.ControlRequest) -> None:
        asked = request.answer_file
        own = self._sessions.owned(asked.session_id)
        assert own is not None
        self._life.calls.answer(asked.session_id, await self._files.wish_to_answer(own, asked.ledger_id), {})

    async def _do_take_over(self, request: owner_pb2.ControlRequest) -> None:
        """Nothing more: it is ours by now."""

    _controls: Final[dict[str, "Callable[[UserAgent, owner_pb2.ControlRequest], Awaitable[None]]"]] = {
        "answer_session": _do_answer,
        "reject_session": _do_reject,
        "end_session": _do_end,
        "hold_session": _do_hold,
        "set_composing": _do_compose,
        "mark_displayed": _do_display,
        "settle_message": _do_settle,
        "take_over": _do_take_over,
        "answer_file": _do_answer_file,
    }

    async def _at_owner(self, record: SessionRecord, request: owner_pb2.ControlRequest) -> None:
        if record.state == "ended":
            raise ConflictError("the session is over")
        if self._sessions.owned(record.id) is not None:
            await self.control(request)
            return
        pod = await self._sessions.owner_of(record.id)
        own = await self._ownership.take_over(record.id) if not pod or pod == self._sessions.pod else None
        if own is not None:
            await self.control(request)
        elif pod and pod != self._sessions.pod:
            await self._elsewhere.control(pod, request)
        else:
            raise ConflictError("the session has no owner at this moment")

    # Who, and what

    def _application(self, caller: Caller, named: str) -> ApplicationSettings:
        if caller.application and named not in ("", caller.application):
            raise NotAuthorizedError("application: another one than the caller")
        name = caller.application or named
        if not name:
            raise InvalidRequestError("application: an operator has to name one")
        return self._applications.get(name)

    def _caller_uri(self, application: ApplicationSettings, wanted: str) -> str:
        if wanted:
            checked_uri("from_uri", wanted)
        return self._applications.caller_uri(application, wanted)

    async def _session(self, caller: Caller, session_id: str) -> SessionRecord:
        """Return a session that the caller may know of; another's is as one that does not exist."""
        if not session_id or not session_id.isascii() or not session_id.isalnum():
            raise NotFoundError(f"there is no session {session_id[:64]!r}")
        record = await self._sessions.find(session_id)
        if caller.application and record.application != caller.application:
            raise NotFoundError(f"there is no session {session_id!r}")
        return record

    async def _seen(self, session_id: str) -> tuple[SessionRecord, str]:
        here = self._sessions.record_here(session_id)
        if here is not None:
            return here, self._sessions.pod if here.state != "ended" else ""
        record, session = await self._sessions.stored(session_id)
        return record, session.pod

    def _freshest(self, record: SessionRecord) -> SessionRecord:
        here = self._sessions.record_here(record.id)
        return here if here is not None else record

    async def _message(self, caller: Caller, message_id: str) -> LedgerRow:
        row = await self._ledger.find(message_id)
        fields = fields_of(row.headers) if row is not None and row.service == SERVICE else None
        if row is None or fields is None or (caller.application and fields.application != caller.application):
            raise NotFoundError(f"there is no message {message_id[:64]!r}")
        return row


def _demand(caller: Caller, scope: str) -> None:
    if caller.application and scope not in caller.scopes:
        raise NotAuthorizedError(f"the key has not the scope {scope}")


def _session_id(application: str, key: str) -> str:
    if not key:
        return secrets.token_hex(16)
    return hashlib.blake2s(f"{application}\0{key}".encode(), digest_size=16).hexdigest()


def _ringing(request: ua_pb2.StartSessionRequest) -> float:
    if not request.HasField("timeout"):
        return DEFAULT_RINGING
    seconds = request.timeout.seconds + request.timeout.nanos / 1e9
    if not 0 < seconds <= LONGEST_RINGING:
        raise InvalidRequestError(f"timeout: above 0 and at most {LONGEST_RINGING:g} s")
    return seconds


def _page_size(asked: int) -> int:
    if asked < 0:
        raise InvalidRequestError("page_size: negative")
    return min(asked or _DEFAULT_PAGE, _LARGEST_PAGE)


def _position(token: str) -> int:
    if not token:
        return 0
    if not token.isascii() or not token.isdigit() or len(token) > 18:
        raise InvalidRequestError("page_token: not one of this list")
    return int(token)
