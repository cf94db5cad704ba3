"""The life of sessions: started, opened, ended; and how their applications learn of it.

Theory of operation. The endpoint tells what happens on the wire; here it becomes the record that is stored and the
events that applications see. A session that is being set up belongs to this pod for better or worse: another pod that
finds it in the store can only say that it is over. An open one can be gone on with anywhere (``ownership``).
"""

import asyncio
import secrets
from collections.abc import Callable
from typing import Final

import structlog

from wigwag.errors import WigwagError
from wigwag.protocols.sdp import FileTransfer
from wigwag.store import AgentSession
from wigwag.ua.applications.registry import Applications
from wigwag.ua.background import Background
from wigwag.ua.config import ApplicationSettings, UaSettings
from wigwag.ua.endpoint.endpoint import Endpoint
from wigwag.ua.endpoint.model import (
    CallReceived,
    Cause,
    Changed,
    Ended,
    EndpointEvent,
    Opened,
    OutgoingMessage,
    Ringing,
    Superseded,
)
from wigwag.ua.endpoint.session import ChatSession
from wigwag.ua.endpoint.states import State
from wigwag.ua.ports import Events

from .incoming import IncomingCalls
from .owned import Owned
from .pod_sessions import PodSessions
from .ports import Messages
from .record import SessionRecord
from .starting import Start, call_of, started_record
from .telling import SessionTelling

_GREETING_TYPE: Final = "text/plain;charset=utf-8"

logger = structlog.get_logger("wigwag.ua")


class SessionLife:
    """What becomes of the sessions of this pod.

    Args:
        settings: Of the user agent.
        sessions: Those of this pod.
        endpoint: Makes them on the wire; what it tells has to come to ``happened``.
        applications: Whose they are.
        events: Hears what applications are to know.
        wall: Seconds since 1970, by the store's clock.

    Attributes:
        calls: Those that come.
        messages: The message side; set before anything happens.
        ended_by: How many sessions ended, by cause.
    """

    def __init__(
        self,
        settings: UaSettings,
        *,
        sessions: PodSessions,
        endpoint: Endpoint,
        applications: Applications,
        events: Events,
        wall: Callable[[], float],
    ) -> None:
        self.messages: Messages
        self.ended_by = {cause.value: 0 for cause in Cause}
        self._sessions = sessions
        self._owned = sessions.all_owned
        sessions.on_lost = self._let_go
        self._endpoint = endpoint
        self._wall = wall
        self._telling = SessionTelling(events, sessions.pod, wall)
        self._background = Background(_failed)
        self.calls = IncomingCalls(
            settings,
            sessions=sessions,
            applications=applications,
            telling=self._telling,
            wall=wall,
            resumable=self._resumable,
            spawn=self._background.spawn,
        )
        endpoint.before_answer = self.calls.note_answer
        self._counters = {"started": 0, "opened": 0, "taken_over": 0, "lost": 0}

    @property
    def counters(self) -> dict[str, int]:
        """What happened, by name."""
        return {**self._counters, "offered": self.calls.offered}

    # What applications do

    async def start(self, wanted: Start) -> SessionRecord:
        """Call a SIP user; returns once the session is written down.

        Raises:
            ConflictError: There is a session of that id.
            OverloadedError: There are as many sessions as may be, or the pod is about to end.
            StoreError: The store is away.
        """
        self._sessions.admit()
        record = started_record(wanted, self._wall())
        # Whoever asked may go away: what was written down has to be done all the same.
        return await asyncio.shield(self._background.spawn(self._start(record, wanted)))

    async def _start(self, record: SessionRecord, wanted: Start) -> SessionRecord:
        created = await self._sessions.create(record)
        if self._sessions.draining:
            await self._sessions.take_back(record, created, Cause.POD_LOST)
            self._sessions.check_staying()
        chat = self._endpoint.start(call_of(wanted), token=created.token)
        own = self._sessions.take(record, created.token, chat, wanted.application)
        own.transfer = wanted.media.file
        self._counters["started"] += 1
        self._telling.changed(record)
        return record

    def end(self, session_id: str, reason: str = "") -> SessionRecord:
        """End a session.

        Raises:
            NotFoundError: It is not one of this pod.
        """
        own = self._sessions.of_ours(session_id)
        own.chat.end(reason)
        return own.record

    def hold(self, session_id: str, *, on: bool) -> SessionRecord:
        """Stop what the peer sends, or let it come again.

        Raises:
            NotFoundError: It is not one of this pod.
            ConflictError: It is not open.
        """
        own = self._sessions.of_ours(session_id)
        own.chat.hold(on=on)
        return own.record

    # What the endpoint tells

    def happened(self, event: EndpointEvent) -> None:
        """Take what happens on the wire."""
        if isinstance(event, CallReceived):
            self.calls.called(event)
            return
        own = self._owned.get(event.session.id)
        if own is None or own.chat is not event.session:
            return
        match event:
            case Ringing(status=status, reason=reason):
                self._telling.progress(own.record, status, reason)
            case Opened():
                self._opened(own)
            case Changed():
                self._changed(own)
            case Ended():
                self._ended(own, event)
            case Superseded():
                self._let_go(own)
            case _:
                self.messages.receive(own, event)

    def _opened(self, own: Owned) -> None:
        chat, now = own.chat, self._wall()
        own.change(
            state="open",
            opened=now,
            last_activity=now,
            accept_types=chat.accept_types,
            accept_wrapped_types=chat.accept_wrapped_types,
            max_size=chat.max_size or 0,
            held=chat.held,
            call_id=chat.call_id,
            stored=chat.to_state(),
            answering="",
        )
        self._counters["opened"] += 1
        self._telling.changed(own.record)
        if own.application.greeting and own.record.direction == "inbound" and not own.record.file:
            chat.send(_greeting(own.application.greeting))
        self._background.spawn(self.messages.opened(own))

    def _changed(self, own: Owned) -> None:
        chat = own.chat
        own.change(
            accept_types=chat.accept_types,
            accept_wrapped_types=chat.accept_wrapped_types,
            max_size=chat.max_size or 0,
            held=chat.held,
            stored=chat.to_state() if chat.state is State.OPEN else own.record.stored,
        )
        self._telling.changed(own.record)

    def _ended(self, own: Owned, event: Ended) -> None:
        cause, reason = event.cause.value, event.reason
        self.ended_by[cause] += 1
        own.record = own.record.changed(
            state="ended", cause=cause, sip_status=event.status, sip_reason=reason, ended=self._wall(), stored=""
        )
        self._sessions.begin_end(own.record)
        self._background.spawn(self._write_end(own, reason or cause))

    async def _write_end(self, own: Owned, reason: str) -> None:
        """Tell that a session is over, then write it down: told twice it is known by its event's id."""
        try:
            await self.messages.ended(own, reason)
            self._telling.changed(own.record)
            await own.end()
        finally:
            self._sessions.end_written(own.record.id)

    async def _resumable(self, record: SessionRecord, transfer: FileTransfer) -> str | None:
        return await self.messages.resumable(record, transfer)

    # Time

    def tick(self) -> None:
        """End what is idle or has lasted too long; to be called every second or so."""
        now = self._wall()
        for own in list(self._owned.values()):
            policy, record = own.application, own.record
            if record.state != "open":
                continue
            if policy.max_duration and now - record.opened >= policy.max_duration:
                own.chat.end_because(Cause.TOO_LONG)
            elif policy.idle_timeout and now - record.last_activity >= policy.idle_timeout:
                own.chat.end_because(Cause.IDLE)

    # For ownership

    def adopt(self, record: SessionRecord, token: int, chat: ChatSession, application: ApplicationSettings) -> Owned:
        """Take up a session that was restored here."""
        self._counters["taken_over"] += 1
        return self._sessions.take(record, token, chat, application)

    def lose(self, session_id: str, token: int) -> None:
        """Let go of a session that is another pod's by now.

        Args:
            session_id: The session.
            token: Of the claim that counts no more; a later one of ours stays.
        """
        own = self._sessions.owned(session_id)
        if own is not None and own.token <= token:
            self._let_go(own)

    def _let_go(self, own: Owned) -> None:
        if not self._sessions.remove(own):
            return
        own.lost = True
        self._counters["lost"] += 1
        if own.record.state == "open":
            own.chat.let_go()
        else:
            # Whoever has it can only say that it is over; so has the peer to be told, whom nobody else can answer.
            own.chat.end_because(Cause.POD_LOST)
        self._background.spawn(own.stop_writing())

    async def announce_lost(self, record: SessionRecord, found: AgentSession, cause: Cause, reason: str) -> None:
        """Write down, and tell, that a session of a lost pod is over."""
        self.ended_by[cause.value] += 1
        ended = record.changed(
            state="ended", cause=cause.value, sip_reason=reason, ended=self._wall(), stored="", answering=""
        )
        self._telling.changed(ended)
        await self._sessions.end_stored(ended, found)

    # The pod's end

    async def all_ended(self, seconds: float) -> None:
        """Wait until no session is left, but not longer than that."""
        await self._background.quiet(seconds, lambda: self._owned)

    async def close(self) -> None:
        """Wait for what is being written."""
        await self._background.close()
        writers = (own.stop_writing() for own in self._owned.values())
        await asyncio.gather(*writers, return_exceptions=True)


def _greeting(text: str) -> OutgoingMessage:
    return OutgoingMessage(
        message_id=secrets.token_hex(10), content_type=_GREETING_TYPE, body=text.encode(), success_report=False
    )


def _failed(error: BaseException) -> None:
    level = logger.warning if isinstance(error, WigwagError) else logger.error
    level("work on a session failed", reason=repr(error))
