"""The life of sessions: started, offered, answered, ended; and how their applications learn of it.

Theory of operation. The endpoint tells what happens on the wire; here it becomes the record that is stored and the
events that applications see. A session that is being set up belongs to this pod for better or worse: another pod that
finds it in the store can only say that it is over. An open one can be gone on with anywhere (``ownership``).
"""

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import structlog

from wigwag.api.ua.v1 import event_pb2
from wigwag.errors import ConflictError, NotFoundError, OverloadedError, StoreError, WigwagError
from wigwag.store import AgentSession, FencedError, MissingError, Store
from wigwag.ua.applications.registry import Applications
from wigwag.ua.config import ApplicationSettings, UaSettings
from wigwag.ua.endpoint.endpoint import Endpoint
from wigwag.ua.endpoint.model import (
    CallReceived,
    Cause,
    Changed,
    Ended,
    EndpointEvent,
    MediaWish,
    Opened,
    OutgoingMessage,
    Ringing,
    Superseded,
)
from wigwag.ua.endpoint.session import ChatSession
from wigwag.ua.endpoint.states import State
from wigwag.ua.messages.file_events import file_of
from wigwag.ua.messages.telling import change_event, session_event
from wigwag.ua.ports import Events

from .offering import is_asked_for, offered_record
from .owned import Owned, wish_text
from .ports import Messages
from .record import SessionRecord
from .starting import Start, call_of, file_wish, wish_for

if TYPE_CHECKING:
    from .ownership import Ownership

T = TypeVar("T")
_KEEP_UNTOLD: Final = 60.0
"""Seconds for which a session stays in the store that nobody was told of."""
_NOTED_IN: Final = 1.0
"""Seconds for which the answer to a call waits for the store."""
_GREETING_TYPE: Final = "text/plain;charset=utf-8"

logger = structlog.get_logger("wigwag.ua")


class SessionLife:
    """All sessions of this pod.

    Args:
        settings: Of the user agent.
        pod: Id of this pod.
        store: Where sessions are.
        endpoint: Makes them on the wire; what it tells has to come to ``happened``.
        applications: Whose they are.
        events: Hears what applications are to know.
        wall: Seconds since 1970, by the store's clock.

    Attributes:
        messages: The message side; set before anything happens.
        ownership: Takes sessions over; likewise.
        draining: Whether nothing new is taken.
        counters: What happened, by name.
        ended_by: How many sessions ended, by cause.
    """

    def __init__(
        self,
        settings: UaSettings,
        *,
        pod: str,
        store: Store,
        endpoint: Endpoint,
        applications: Applications,
        events: Events,
        wall: Callable[[], float],
    ) -> None:
        self.messages: Messages
        self.ownership: Ownership
        self.draining = False
        self.counters = {"started": 0, "offered": 0, "opened": 0, "taken_over": 0, "lost": 0}
        self.ended_by = {cause.value: 0 for cause in Cause}
        self._settings = settings
        self._pod = pod
        self._store = store
        self._endpoint = endpoint
        endpoint.before_answer = self._before_answer
        self._applications = applications
        self._events = events
        self._wall = wall
        self._owned: dict[str, Owned] = {}
        self._beginning: set[str] = set()
        """Ids of sessions that are being written down for the first time."""
        self._ending: dict[str, SessionRecord] = {}
        """Sessions that are over, whose end is not written down yet."""
        self._tasks: set[asyncio.Task[Any]] = set()
        self._fewer = asyncio.Event()
        """Set when something has ended."""

    # For the message side

    @property
    def pod(self) -> str:
        """Id of this pod."""
        return self._pod

    @property
    def all_owned(self) -> Mapping[str, Owned]:
        """The sessions of this pod, by id."""
        return self._owned

    def owned(self, session_id: str) -> Owned | None:
        """Return a session of this pod; None: it is another's, or nobody's."""
        return self._owned.get(session_id)

    def is_between(self, session_id: str) -> bool:
        """Tell whether a session is about to begin, or to end, here: nobody has to go on with it."""
        return session_id in self._beginning or session_id in self._ending

    async def find(self, session_id: str) -> SessionRecord:
        """Return a session wherever it is.

        Raises:
            NotFoundError: There is none.
            StoreError: The store is away and it is not ours.
        """
        record = self.record_here(session_id)
        return record if record is not None else (await self.stored(session_id))[0]

    def record_here(self, session_id: str) -> SessionRecord | None:
        """Return a session as this pod knows it; None: it is none of its own. What is stored may be older."""
        own = self._owned.get(session_id)
        return own.record if own is not None else self._ending.get(session_id)

    async def stored(self, session_id: str) -> tuple[SessionRecord, AgentSession]:
        """Return a session as the store has it.

        Raises:
            NotFoundError: There is none.
        """
        found = (await self._store.find_agent_sessions([session_id])).get(session_id)
        if found is None:
            raise NotFoundError(f"there is no session {session_id!r}")
        return SessionRecord.from_bytes(found.content), found

    async def owner_of(self, session_id: str) -> str:
        """Return the pod that owns it; empty: none."""
        record = self.record_here(session_id)
        if record is not None:
            return self._pod if session_id in self._owned else ""
        found = (await self._store.find_agent_sessions([session_id])).get(session_id)
        return found.pod if found is not None and not found.ended else ""

    async def take_over(self, session_id: str) -> Owned | None:
        """Become the owner of a session whose owner is gone; None: it has one, or has ended."""
        return await self.ownership.take_over(session_id)

    async def confirm(self) -> None:
        """Make sure that what we own is ours still (``Ownership.confirm``)."""
        await self.ownership.confirm()

    def active(self, session_id: str) -> None:
        """Note that something was said."""
        own = self._owned.get(session_id)
        if own is not None:
            # Written with the next change: whoever takes over begins the idle time anew.
            own.record = own.record.changed(last_activity=self._wall())

    def send(self, session_id: str, message: OutgoingMessage) -> None:
        """Send in a session of this pod.

        Raises:
            ConflictError: It is not ours, or over.
        """
        own = self._owned.get(session_id)
        if own is None:
            raise ConflictError("the session is another pod's")
        own.chat.send(message)

    # What applications do

    async def start(self, wanted: Start) -> SessionRecord:
        """Call a SIP user; returns once the session is written down.

        Raises:
            ConflictError: There is a session of that id.
            OverloadedError: There are as many sessions as may be, or the pod is about to end.
            StoreError: The store is away.
        """
        self._admit()
        now = self._wall()
        record = SessionRecord(
            id=wanted.session_id,
            application=wanted.application.name,
            direction="outbound",
            state="starting",
            local_uri=wanted.from_uri,
            remote_uri=wanted.to_uri,
            created=now,
            last_activity=now,
            subject=wanted.subject,
            labels=dict(wanted.labels),
            file=wanted.file,
            file_direction=wanted.file_direction,
            resumes=wanted.resumes,
            wish=wish_text(wanted.media),
        )
        # Whoever asked may go away: what was written down has to be done all the same.
        return await asyncio.shield(self._spawn(self._start(record, wanted)))

    async def _start(self, record: SessionRecord, wanted: Start) -> SessionRecord:
        created = await self._create(record)
        if created is None:
            raise ConflictError(f"there is a session {record.id} already")
        if self.draining:
            await self._take_back(record, created, Cause.POD_LOST)
            raise OverloadedError("this pod is about to end")
        chat = self._endpoint.start(call_of(wanted), token=created.token)
        self._take(record, created.token, chat, wanted.application).transfer = wanted.media.file
        self.counters["started"] += 1
        self._tell_changed(record)
        return record

    async def _take_back(self, record: SessionRecord, created: AgentSession, cause: Cause) -> None:
        """Note that a session which nobody was told of will not be."""
        ended = record.changed(state="ended", cause=cause.value, ended=self._wall())
        await self._store.end_agent_session(record.id, created.token, ended.to_bytes(), keep=_KEEP_UNTOLD)

    def answer(self, session_id: str, wish: MediaWish | None, labels: Mapping[str, str]) -> SessionRecord:
        """Take a session that was offered.

        Raises:
            NotFoundError: It is not one of this pod.
            ConflictError: It is not offered (any more).
        """
        own = self._of_ours(session_id)
        if own.record.state != "offered" or own.chat.state is not State.OFFERED:
            raise ConflictError("the session is not offered")
        if own.transfer is not None and own.record.file_direction == "inbound":
            wish = file_wish(own.application, own.transfer)
        elif own.record.file and (wish is None or wish.file is None):
            raise ConflictError("a file is asked for: the answer is one (SendFile), or a rejection")
        wish = wish or wish_for(own.application, self._settings)
        if own.timer is not None:
            own.timer.cancel()
        own.chat.accept(wish)
        own.transfer = wish.file if own.record.file_direction == "outbound" else own.transfer
        own.change(labels={**own.record.labels, **labels}, wish=wish_text(wish), answer_by=0.0)
        return own.record

    def reject(self, session_id: str, status: int, reason: str) -> None:
        """Turn a session away that was offered; errors as ``answer``."""
        own = self._of_ours(session_id)
        if own.record.state != "offered":
            raise ConflictError("the session is not offered")
        own.chat.reject(status, reason)

    def end(self, session_id: str, reason: str = "") -> SessionRecord:
        """End a session; NotFoundError as ``answer``."""
        own = self._of_ours(session_id)
        own.chat.end(reason)
        return own.record

    def hold(self, session_id: str, *, on: bool) -> SessionRecord:
        """Stop what the peer sends, or let it come again; errors as ``answer``."""
        own = self._of_ours(session_id)
        own.chat.hold(on=on)
        return own.record

    def _of_ours(self, session_id: str) -> Owned:
        own = self._owned.get(session_id)
        if own is None:
            raise NotFoundError(f"there is no session {session_id!r} on this pod")
        return own

    def _admit(self) -> None:
        if self.draining:
            raise OverloadedError("this pod is about to end")
        if len(self._owned) >= self._settings.limits.sessions:
            raise OverloadedError("there are as many sessions as may be")

    # What the endpoint tells

    def happened(self, event: EndpointEvent) -> None:
        """Take what happens on the wire."""
        if isinstance(event, CallReceived):
            self._spawn(self._called(event))
            return
        own = self._owned.get(event.session.id)
        if own is None or own.chat is not event.session:
            return
        match event:
            case Ringing(status=status, reason=reason):
                progress = event_pb2.Progress(sip_status=status, sip_reason=reason)
                self._events.tell(session_event(own.record, self._wall(), progress=progress))
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

    async def _called(self, call: CallReceived) -> None:
        """Decide about a call that came."""
        chat = cast(ChatSession, call.session)
        application = self._applications.called(call.to_uri, call.fields)
        try:
            if application is None:
                chat.reject(404, "Not Found")
                return
            if application.answer == "reject" or (call.pulled and application.file_requests == "reject"):
                chat.reject(application.reject_status, "Rejected")
                return
            self._admit()
            await self._offer(call, chat, application)
        except WigwagError as error:
            logger.info("a call is refused", session=chat.id, reason=str(error))
            if chat.state is State.OFFERED:
                chat.reject(503, "Service Unavailable")

    async def _offer(self, call: CallReceived, chat: ChatSession, application: ApplicationSettings) -> None:
        record = offered_record(call, application, self._wall())
        if call.file is not None:
            resumes = await self.messages.resumable(record, call.file)
            if resumes is None:
                chat.reject(488, "Not Acceptable Here")
                return
            record = record.changed(resumes=resumes)
        created = await self._create(record)
        if created is None:
            raise ConflictError(f"there is a session {record.id} already")
        if chat.state is not State.OFFERED:
            await self._take_back(record, created, Cause.CANCELLED)
            return
        if self.draining:
            await self._take_back(record, created, Cause.POD_LOST)
            raise OverloadedError("this pod is about to end")
        chat.token = created.token
        own = self._take(record, created.token, chat, application)
        own.transfer = call.file
        self.counters["offered"] += 1
        self._tell_changed(own.record)
        if call.file is not None:
            state = "FILE_STATE_REQUESTED" if is_asked_for(call) else "FILE_STATE_OFFERED"
            file = file_of(record, call.file, record.file_direction, state=state)
            self._events.tell(session_event(record, self._wall(), file_changed=file))
        if not record.answer_by:
            self.answer(chat.id, None, {})
            return
        chat.ring()
        own.timer = asyncio.get_running_loop().call_later(application.answer_timeout, self._not_answered, own, call)

    def _not_answered(self, own: Owned, call: CallReceived) -> None:
        if own.chat.state is not State.OFFERED:
            return
        if own.application.fallback == "answer" and not is_asked_for(call):
            self.answer(own.record.id, None, {})
        else:
            own.chat.reject(own.application.reject_status, "No Answer")

    async def _before_answer(self, chat: ChatSession, dialog: str) -> None:
        """Write down the dialog of a call before the 200 leaves: after a kill nobody else could end it."""
        own = self._owned.get(chat.id)
        if own is None or own.chat is not chat:
            return
        own.record = own.record.changed(answering=dialog)
        try:
            async with asyncio.timeout(_NOTED_IN):
                await own.written()
        except (StoreError, MissingError, TimeoutError) as error:
            # It is better to answer than to be sure.
            logger.info("a call is answered that is not written down yet", session=chat.id, reason=str(error))
            own.change()
        except FencedError:
            self._let_go(own)

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
        self.counters["opened"] += 1
        self._tell_changed(own.record)
        if own.application.greeting and own.record.direction == "inbound" and not own.record.file:
            self._greet(own)
        self._spawn(self.messages.opened(own))

    def _greet(self, own: Owned) -> None:
        chat = own.chat
        greeting = OutgoingMessage(
            message_id=secrets.token_hex(10),
            content_type=_GREETING_TYPE,
            body=own.application.greeting.encode(),
            success_report=False,
        )
        chat.send(greeting)

    def _changed(self, own: Owned) -> None:
        chat = own.chat
        own.change(
            accept_types=chat.accept_types,
            accept_wrapped_types=chat.accept_wrapped_types,
            max_size=chat.max_size or 0,
            held=chat.held,
            stored=chat.to_state() if chat.state is State.OPEN else own.record.stored,
        )
        self._tell_changed(own.record)

    def _ended(self, own: Owned, event: Ended) -> None:
        cause, reason = event.cause.value, event.reason
        self._owned.pop(own.record.id, None)
        self.ended_by[cause] += 1
        own.record = own.record.changed(
            state="ended", cause=cause, sip_status=event.status, sip_reason=reason, ended=self._wall(), stored=""
        )
        self._ending[own.record.id] = own.record
        self._spawn(self._write_end(own, reason or cause))

    async def _write_end(self, own: Owned, reason: str) -> None:
        """Tell that a session is over, then write it down: told twice it is known by its event's id."""
        try:
            await self.messages.ended(own, reason)
            self._tell_changed(own.record)
            await own.end()
        finally:
            self._ending.pop(own.record.id, None)

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
        self.counters["taken_over"] += 1
        return self._take(record, token, chat, application)

    def lose(self, session_id: str, token: int) -> None:
        """Let go of a session that is another pod's by now.

        Args:
            session_id: The session.
            token: Of the claim that counts no more; a later one of ours stays.
        """
        own = self._owned.get(session_id)
        if own is not None and own.token <= token:
            self._let_go(own)

    def _let_go(self, own: Owned) -> None:
        if self._owned.get(own.record.id) is not own:
            return
        del self._owned[own.record.id]
        own.lost = True
        self.counters["lost"] += 1
        if own.record.state == "open":
            own.chat.let_go()
        else:
            # Whoever has it can only say that it is over; so has the peer to be told, whom nobody else can answer.
            own.chat.end_because(Cause.POD_LOST)
        self._spawn(own.stop_writing())

    async def announce_lost(self, record: SessionRecord, found: AgentSession, cause: Cause, reason: str) -> None:
        """Write down, and tell, that a session of a lost pod is over."""
        self.ended_by[cause.value] += 1
        ended = record.changed(
            state="ended", cause=cause.value, sip_reason=reason, ended=self._wall(), stored="", answering=""
        )
        self._tell_changed(ended)
        await self._store.end_agent_session(
            record.id, found.token, ended.to_bytes(), keep=self._settings.ownership.keep_ended
        )

    async def all_ended(self, seconds: float) -> None:
        """Wait until no session is left, but not longer than that."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._owned or self._tasks:
                    self._fewer.clear()
                    await self._fewer.wait()

    async def close(self) -> None:
        """Wait for what is being written."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(own.stop_writing() for own in self._owned.values()), return_exceptions=True)

    # Inside

    async def _create(self, record: SessionRecord) -> AgentSession | None:
        session = AgentSession(
            session_id=record.id,
            application=record.application,
            content=record.to_bytes(),
            pod=self._pod,
            expires_at=self._wall() + self._keep(record),
        )
        is_first = record.id not in self._beginning
        self._beginning.add(record.id)
        try:
            return await self._store.create_agent_session(session, lease=self._settings.ownership.lease)
        finally:
            if is_first:
                # Nothing is awaited between this and its place among the owned.
                self._beginning.discard(record.id)

    def _keep(self, record: SessionRecord) -> float:
        application = self._applications.find(record.application)
        longest = application.max_duration if application is not None else 0.0
        return max(longest, 86_400.0) + self._settings.ownership.keep_ended

    def _take(self, record: SessionRecord, token: int, chat: ChatSession, application: ApplicationSettings) -> Owned:
        own = Owned(
            record,
            token,
            chat,
            application,
            store=self._store,
            keep=self._keep(record),
            wall=self._wall,
            on_lost=self._let_go,
        )
        self._owned[record.id] = own
        return own

    def _tell_changed(self, record: SessionRecord) -> None:
        self._events.tell(change_event(record, self._pod, self._wall()))

    def _spawn(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        self._fewer.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            level = logger.warning if isinstance(error, WigwagError) else logger.error
            level("work on a session failed", reason=repr(error))
