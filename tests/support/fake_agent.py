"""The user agent's use cases in memory: sessions whose peers take everything, for tests of the interfaces.

It keeps the port's promises: what is accepted is there and is told once, equal keys are one message, a session that is
over takes nothing, and nobody sees what is another application's.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from itertools import count
from typing import Any

from wigwag.api.events.v1.session_pb2 import SessionEvent
from wigwag.api.ua.v1 import event_pb2, message_pb2, owner_pb2, session_pb2, ua_pb2
from wigwag.bus import Bus
from wigwag.errors import ConflictError, InvalidRequestError, NotAuthorizedError, NotFoundError, WigwagError
from wigwag.runtime.events import SESSIONS_EVENTS, envelope
from wigwag.ua.ports import Caller, Outcome

OPEN = session_pb2.SESSION_STATE_OPEN
ENDED = session_pb2.SESSION_STATE_ENDED
OFFERED = session_pb2.SESSION_STATE_OFFERED
NOW = 1_700_000_000.25
Watch = Callable[[str, ua_pb2.WatchRequest], AsyncIterator[ua_pb2.WatchResponse]]


async def _nothing(application: str, request: ua_pb2.WatchRequest) -> AsyncIterator[ua_pb2.WatchResponse]:
    await asyncio.Event().wait()
    yield ua_pb2.WatchResponse()


class FakeAgent:
    """Implements ``Agent``.

    Args:
        watch: Where events come from; None: none ever come.

    Attributes:
        failure: What the next calls raise; None: nothing.
        callers: Who called, in order.
        largest: Octets of the largest message that is taken.
        gate: Sending waits for it.
        batches: Bodies of each call that sends.
    """

    def __init__(self, watch: Watch = _nothing) -> None:
        self.failure: WigwagError | Exception | None = None
        self.callers: list[Caller] = []
        self.sessions: dict[str, session_pb2.Session] = {}
        self.messages: dict[str, message_pb2.Message] = {}
        self.files: dict[str, bytes] = {}
        self.composing: list[tuple[str, bool]] = []
        self.displayed: list[str] = []
        self.settled: list[ua_pb2.SettleMessageRequest] = []
        self.controls: list[owner_pb2.ControlRequest] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.batches: list[list[bytes]] = []
        self.cancelled = 0
        self.largest = 100_000
        self._watch = watch
        self._ids = count(1)
        self._keys: dict[tuple[str, str], str] = {}

    # For tests

    def offer(self, application: str = "helpdesk", **fields: str) -> session_pb2.Session:
        """Make a session that waits for an answer."""
        return self._session(application, OFFERED, session_pb2.SESSION_DIRECTION_INBOUND, **fields)

    def open(self, application: str = "helpdesk", **fields: str) -> session_pb2.Session:
        """Make a session that is open."""
        return self._session(application, OPEN, session_pb2.SESSION_DIRECTION_OUTBOUND, **fields)

    def _session(self, application: str, state: Any, direction: Any, **fields: str) -> session_pb2.Session:
        session_id = f"{next(self._ids):032x}"
        found = session_pb2.Session(session_id=session_id, application=application, state=state, pod="pod-1")
        found.direction = direction
        found.remote_uri = fields.get("remote_uri", "sip:bob@example.com")
        found.local_uri = "sip:helpdesk@example.com"
        found.accept_types[:] = ["text/plain"]
        found.subject = fields.get("subject", "")
        found.created_at.FromMicroseconds(round(NOW * 1e6))
        if "call_id" in fields:
            found.call_id = fields["call_id"]
        self.sessions[session_id] = found
        return found

    def _come(self, caller: Caller, scope: str) -> None:
        self.callers.append(caller)
        if self.failure is not None:
            raise self.failure
        if caller.application and scope not in caller.scopes:
            raise NotAuthorizedError(f"the key has not the scope {scope}")

    def _of(self, caller: Caller, session_id: str) -> session_pb2.Session:
        found = self.sessions.get(session_id)
        if found is None or caller.application not in ("", found.application):
            raise NotFoundError(f"there is no session {session_id!r}")
        return found

    # Sessions

    async def start_session(self, caller: Caller, request: ua_pb2.StartSessionRequest) -> ua_pb2.StartSessionResponse:
        self._come(caller, "sessions:write")
        name = caller.application or request.application
        if not name:
            raise InvalidRequestError("application: an operator has to name one")
        if caller.application and request.application not in ("", caller.application):
            raise NotAuthorizedError("application: another one than the caller")
        if not request.to_uri.startswith(("sip:", "sips:", "tel:")) or "\r" in request.to_uri or "\n" in request.to_uri:
            raise InvalidRequestError("to_uri: a sip, sips or tel URI is needed")
        key = (name, request.idempotency_key)
        if request.idempotency_key and key in self._keys:
            return ua_pb2.StartSessionResponse(session=self.sessions[self._keys[key]])
        started = self._session(
            name,
            session_pb2.SESSION_STATE_STARTING,
            session_pb2.SESSION_DIRECTION_OUTBOUND,
            remote_uri=request.to_uri,
            subject=request.subject,
        )
        started.labels.update(request.labels)
        if request.accept_types:
            started.accept_types[:] = request.accept_types
        if request.from_uri:
            started.local_uri = request.from_uri
        if request.idempotency_key:
            self._keys[key] = started.session_id
        return ua_pb2.StartSessionResponse(session=started)

    async def answer_session(
        self, caller: Caller, request: ua_pb2.AnswerSessionRequest
    ) -> ua_pb2.AnswerSessionResponse:
        self._come(caller, "sessions:write")
        session = self._of(caller, request.session_id)
        if session.state != OFFERED:
            raise ConflictError("the session is not offered")
        session.state = OPEN
        session.labels.update(request.labels)
        return ua_pb2.AnswerSessionResponse(session=session)

    async def reject_session(
        self, caller: Caller, request: ua_pb2.RejectSessionRequest
    ) -> ua_pb2.RejectSessionResponse:
        self._come(caller, "sessions:write")
        session = self._of(caller, request.session_id)
        if session.state != OFFERED:
            raise ConflictError("the session is not offered")
        session.state = ENDED
        session.sip_status = request.sip_status or 603
        session.end_cause = session_pb2.END_CAUSE_DECLINED
        return ua_pb2.RejectSessionResponse()

    async def end_session(self, caller: Caller, request: ua_pb2.EndSessionRequest) -> ua_pb2.EndSessionResponse:
        self._come(caller, "sessions:write")
        session = self._of(caller, request.session_id)
        session.state = ENDED
        session.end_cause = session_pb2.END_CAUSE_ENDED_HERE
        return ua_pb2.EndSessionResponse(session=session)

    async def hold_session(self, caller: Caller, request: ua_pb2.HoldSessionRequest) -> ua_pb2.HoldSessionResponse:
        self._come(caller, "sessions:write")
        session = self._of(caller, request.session_id)
        if session.state != OPEN:
            raise ConflictError("the session is not open")
        return ua_pb2.HoldSessionResponse(session=session)

    async def get_session(self, caller: Caller, request: ua_pb2.GetSessionRequest) -> ua_pb2.GetSessionResponse:
        self._come(caller, "sessions:read")
        return ua_pb2.GetSessionResponse(session=self._of(caller, request.session_id))

    async def list_sessions(self, caller: Caller, request: ua_pb2.ListSessionsRequest) -> ua_pb2.ListSessionsResponse:
        self._come(caller, "sessions:read")
        name = caller.application or request.application
        size = request.page_size or 100
        labels = dict(request.labels).items()
        found = [
            session
            for session_id, session in sorted(self.sessions.items())
            if session_id > request.page_token
            and name in ("", session.application)
            and (session.state == request.state if request.state else session.state != ENDED)
            and request.remote_uri in ("", session.remote_uri)
            and labels <= dict(session.labels).items()
        ]
        more = found[size - 1].session_id if len(found) > size else ""
        return ua_pb2.ListSessionsResponse(sessions=found[:size], next_page_token=more)

    # Messages

    async def send_messages(self, caller: Caller, messages: list[ua_pb2.OutboundMessage]) -> list[Outcome]:
        self._come(caller, "messages:write")
        self.batches.append([message.body for message in messages])
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return [self._accept(caller, message) for message in messages]

    def _accept(self, caller: Caller, message: ua_pb2.OutboundMessage) -> Outcome:
        try:
            session = self._of(caller, message.session_id)
            if session.state == ENDED:
                raise ConflictError("the session is over")
            if "/" not in message.content_type or "\r" in message.content_type or "\n" in message.content_type:
                raise InvalidRequestError("content_type: no media type")
            if not message.body:
                raise InvalidRequestError("body: empty")
            if len(message.body) > self.largest:
                raise InvalidRequestError(f"body: more than {self.largest} octets")
        except WigwagError as error:
            return Outcome(error=error)
        key = (message.session_id, message.idempotency_key)
        if message.idempotency_key and key in self._keys:
            return Outcome(self._keys[key], duplicate=True, state=message_pb2.DELIVERY_STATE_ACCEPTED)
        message_id = f"{next(self._ids):032x}"
        found = message_pb2.Message(
            message_id=message_id,
            session_id=message.session_id,
            direction=message_pb2.MESSAGE_DIRECTION_OUTBOUND,
            content_type=message.content_type,
            body=message.body,
            size=len(message.body),
            state=message_pb2.DELIVERY_STATE_ACCEPTED,
            version=1,
            requested=message.notifications,
            cpim_headers=message.cpim_headers,
            reference=message.reference,
        )
        if message.HasField("reports"):
            found.reports.CopyFrom(message.reports)
        found.accepted_at.FromMicroseconds(round(NOW * 1e6))
        self.messages[message_id] = found
        if message.idempotency_key:
            self._keys[key] = message_id
        return Outcome(message_id, state=message_pb2.DELIVERY_STATE_ACCEPTED)

    async def get_message(self, caller: Caller, request: ua_pb2.GetMessageRequest) -> ua_pb2.GetMessageResponse:
        self._come(caller, "messages:read")
        message = self.messages.get(request.message_id)
        if message is None:
            raise NotFoundError(f"there is no message {request.message_id!r}")
        self._of(caller, message.session_id)
        return ua_pb2.GetMessageResponse(message=message, pod="pod-1", attempts=1)

    async def list_messages(self, caller: Caller, request: ua_pb2.ListMessagesRequest) -> ua_pb2.ListMessagesResponse:
        self._come(caller, "messages:read")
        self._of(caller, request.session_id)
        size = request.page_size or 100
        found = [
            message
            for message_id, message in sorted(self.messages.items())
            if message_id > request.page_token and message.session_id == request.session_id
        ]
        more = found[size - 1].message_id if len(found) > size else ""
        return ua_pb2.ListMessagesResponse(messages=found[:size], next_page_token=more)

    async def message_body(self, caller: Caller, request: ua_pb2.GetMessageBodyRequest) -> AsyncIterator[bytes]:
        self._come(caller, "messages:read")
        if request.blob_id not in self.files:
            raise NotFoundError(f"there is no body {request.blob_id!r}")
        content = self.files[request.blob_id][request.offset :]
        for first in range(0, len(content), 65_536):
            yield content[first : first + 65_536]

    async def body_size(self, caller: Caller, blob_id: str) -> int:
        self._come(caller, "messages:read")
        if blob_id not in self.files:
            raise NotFoundError(f"there is no body {blob_id!r}")
        return len(self.files[blob_id])

    async def set_composing(self, caller: Caller, request: ua_pb2.SetComposingRequest) -> None:
        self._come(caller, "messages:write")
        self._of(caller, request.session_id)
        self.composing.append((request.session_id, request.active))

    async def mark_displayed(self, caller: Caller, request: ua_pb2.MarkDisplayedRequest) -> None:
        self._come(caller, "messages:write")
        if request.message_id not in self.messages:
            raise NotFoundError(f"there is no message {request.message_id!r}")
        self.displayed.append(request.message_id)

    async def settle_message(
        self, caller: Caller, request: ua_pb2.SettleMessageRequest
    ) -> ua_pb2.SettleMessageResponse:
        self._come(caller, "messages:write")
        message = self.messages.get(request.message_id)
        if message is None:
            raise NotFoundError(f"there is no message {request.message_id!r}")
        if message.state not in (message_pb2.DELIVERY_STATE_ACCEPTED, request.state):
            raise ConflictError("the message has another outcome already")
        message.state = request.state
        self.settled.append(request)
        return ua_pb2.SettleMessageResponse(message=message)

    # Files

    async def send_file(
        self, caller: Caller, file: ua_pb2.FileDescription, data: AsyncIterator[bytes]
    ) -> ua_pb2.SendFileResponse:
        self._come(caller, "messages:write")
        content = b"".join([piece async for piece in data])
        sha256 = hashlib.sha256(content).hexdigest()
        if file.sha256 and file.sha256 != sha256:
            raise InvalidRequestError("sha256: not that of what was sent")
        session = self.open(caller.application or file.application)
        blob_id = f"blob{next(self._ids)}"
        self.files[blob_id] = content
        sent = message_pb2.File(
            session_id=session.session_id,
            name=file.name,
            content_type=file.content_type,
            size=len(content),
            sha256=sha256,
            state=message_pb2.FILE_STATE_OFFERED,
            blob_id=blob_id,
            direction=message_pb2.MESSAGE_DIRECTION_OUTBOUND,
        )
        return ua_pb2.SendFileResponse(file=sent)

    async def get_file(self, caller: Caller, request: ua_pb2.GetFileRequest) -> ua_pb2.GetFileResponse:
        self._come(caller, "messages:read")
        state = message_pb2.FILE_STATE_UPLOADING if request.idempotency_key else message_pb2.FILE_STATE_RUNNING
        return ua_pb2.GetFileResponse(file=message_pb2.File(session_id=request.session_id, state=state, transferred=7))

    async def fetch_file(self, caller: Caller, request: ua_pb2.FetchFileRequest) -> ua_pb2.FetchFileResponse:
        self._come(caller, "messages:write")
        session = self.open(caller.application or request.application)
        return ua_pb2.FetchFileResponse(
            file=message_pb2.File(
                session_id=session.session_id,
                name=request.name,
                state=message_pb2.FILE_STATE_OFFERED,
                direction=message_pb2.MESSAGE_DIRECTION_INBOUND,
            )
        )

    # Events

    def watch(self, caller: Caller, request: ua_pb2.WatchRequest) -> AsyncIterator[ua_pb2.WatchResponse]:
        self._come(caller, "sessions:read")
        if caller.application and request.application not in ("", caller.application):
            raise NotAuthorizedError("the events of another application")
        return self._watch(caller.application or request.application, request)

    async def control(self, request: owner_pb2.ControlRequest) -> None:
        if self.failure is not None:
            raise self.failure
        self.controls.append(request)


async def tell(bus: Bus, *events: event_pb2.Event) -> None:
    """Publish events as the user agent does."""
    for event in events:
        value = envelope(SessionEvent(event=event), event_id=event.event_id, at=NOW, pod="pod-1")
        await bus.publish(SESSIONS_EVENTS.name, value, key=event.session_id)


def composing(number: int, *, application: str = "helpdesk", session_id: str = "s1") -> event_pb2.Event:
    """Return an event that is told apart from others by its number."""
    return event_pb2.Event(
        event_id=f"e{number}",
        application=application,
        session_id=session_id,
        composing=event_pb2.Composing(active=number % 2 == 0, content_type="text/plain"),
    )


def received(number: int, body: bytes, *, application: str = "helpdesk", session_id: str = "s1") -> event_pb2.Event:
    """Return an event: a message came."""
    message = message_pb2.Message(
        message_id=f"m{number}",
        session_id=session_id,
        direction=message_pb2.MESSAGE_DIRECTION_INBOUND,
        content_type="text/plain",
        body=body,
        size=len(body),
        state=message_pb2.DELIVERY_STATE_ACCEPTED,
        version=1,
    )
    return event_pb2.Event(
        event_id=f"e{number}", application=application, session_id=session_id, message_received=message
    )
