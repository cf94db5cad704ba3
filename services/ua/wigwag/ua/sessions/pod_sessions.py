"""The sessions of this pod, and where those of others are found."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from wigwag.errors import ConflictError, NotFoundError, OverloadedError
from wigwag.store import AgentSession, Store
from wigwag.ua.applications.registry import Applications
from wigwag.ua.config import ApplicationSettings, UaSettings
from wigwag.ua.endpoint.model import Cause, OutgoingMessage
from wigwag.ua.endpoint.session import ChatSession
from wigwag.ua.lookups import Lookups

from .owned import Owned
from .record import SessionRecord

if TYPE_CHECKING:
    from .ownership import Ownership

_KEEP_UNTOLD: Final = 60.0
"""Seconds for which a session stays in the store that nobody was told of."""


class PodSessions:
    """Which sessions this pod owns, and which are about to begin or to end here (``Sessions``).

    Args:
        settings: Of the user agent.
        pod: Id of this pod.
        store: Where sessions are.
        applications: Whose they are.
        wall: Seconds since 1970, by the store's clock.

    Attributes:
        pod: Id of this pod.
        ownership: Takes sessions over; set before anything happens.
        on_lost: Told of a session that another pod owns by now; likewise.
        draining: Whether nothing new is taken.
    """

    def __init__(
        self,
        settings: UaSettings,
        *,
        pod: str,
        store: Store,
        applications: Applications,
        wall: Callable[[], float],
    ) -> None:
        self.pod = pod
        self.ownership: Ownership
        self.on_lost: Callable[[Owned], None]
        self.draining = False
        self._settings = settings
        self._store = store
        self._lookups = Lookups(store.find_agent_sessions)
        self._applications = applications
        self._wall = wall
        self._owned: dict[str, Owned] = {}
        self._beginning: set[str] = set()
        """Ids of sessions that are being written down for the first time."""
        self._ending: dict[str, SessionRecord] = {}
        """Sessions that are over, whose end is not written down yet."""

    # Here

    @property
    def all_owned(self) -> Mapping[str, Owned]:
        """The sessions of this pod, by id: always the same mapping."""
        return self._owned

    def owned(self, session_id: str) -> Owned | None:
        """Return a session of this pod; None: it is another's, or nobody's."""
        return self._owned.get(session_id)

    def of_ours(self, session_id: str) -> Owned:
        """Return a session of this pod.

        Raises:
            NotFoundError: It is another's, or nobody's.
        """
        own = self._owned.get(session_id)
        if own is None:
            raise NotFoundError(f"there is no session {session_id!r} on this pod")
        return own

    def is_between(self, session_id: str) -> bool:
        """Tell whether a session is about to begin, or to end, here: nobody has to go on with it."""
        return session_id in self._beginning or session_id in self._ending

    def record_here(self, session_id: str) -> SessionRecord | None:
        """Return a session as this pod knows it; None: it is none of its own. What is stored may be older."""
        own = self._owned.get(session_id)
        return own.record if own is not None else self._ending.get(session_id)

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

    # Anywhere

    async def find(self, session_id: str) -> SessionRecord:
        """Return a session wherever it is.

        Raises:
            NotFoundError: There is none.
            StoreError: The store is away and it is not ours.
        """
        record = self.record_here(session_id)
        return record if record is not None else (await self.stored(session_id))[0]

    async def stored(self, session_id: str) -> tuple[SessionRecord, AgentSession]:
        """Return a session as the store has it.

        Raises:
            NotFoundError: There is none.
        """
        found = await self._lookups.find(session_id)
        if found is None:
            raise NotFoundError(f"there is no session {session_id!r}")
        return SessionRecord.from_bytes(found.content), found

    async def owner_of(self, session_id: str) -> str:
        """Return the pod that owns it; empty: none."""
        record = self.record_here(session_id)
        if record is not None:
            return self.pod if session_id in self._owned else ""
        found = await self._lookups.find(session_id)
        return found.pod if found is not None and not found.ended else ""

    async def seen(self, session_id: str) -> tuple[SessionRecord, str]:
        """Return a session and the pod that has it (empty: none), as fresh as this pod knows; errors as ``find``."""
        here = self.record_here(session_id)
        if here is not None:
            return here, self.pod if here.state != "ended" else ""
        record, session = await self.stored(session_id)
        return record, session.pod

    def freshest(self, record: SessionRecord) -> SessionRecord:
        """Return a stored session as this pod knows it, if it is one of its own."""
        here = self.record_here(record.id)
        return here if here is not None else record

    async def take_over(self, session_id: str) -> Owned | None:
        """Become the owner of a session whose owner is gone; None: it has one, or has ended."""
        return await self.ownership.take_over(session_id)

    async def confirm(self) -> None:
        """Make sure that what we own is ours still (``Ownership.confirm``)."""
        await self.ownership.confirm()

    # Beginning

    def admit(self) -> None:
        """Let a session begin.

        Raises:
            OverloadedError: There are as many as may be, or the pod is about to end.
        """
        self.check_staying()
        if len(self._owned) >= self._settings.limits.sessions:
            raise OverloadedError("there are as many sessions as may be")

    def check_staying(self) -> None:
        """Raise OverloadedError if this pod is about to end."""
        if self.draining:
            raise OverloadedError("this pod is about to end")

    async def create(self, record: SessionRecord) -> AgentSession:
        """Write a session down for the first time; ``take`` or ``take_back`` has to follow at once.

        Raises:
            ConflictError: There is a session of that id.
            StoreError: The store is away.
        """
        session = AgentSession(
            session_id=record.id,
            application=record.application,
            content=record.to_bytes(),
            pod=self.pod,
            expires_at=self._wall() + self._keep(record),
        )
        is_first = record.id not in self._beginning
        self._beginning.add(record.id)
        try:
            created = await self._store.create_agent_session(session, lease=self._settings.ownership.lease)
        finally:
            if is_first:
                # Nothing is awaited between this and its place among the owned.
                self._beginning.discard(record.id)
        if created is None:
            raise ConflictError(f"there is a session {record.id} already")
        return created

    async def take_back(self, record: SessionRecord, created: AgentSession, cause: Cause) -> None:
        """Note that a session which nobody was told of will not be."""
        ended = record.changed(state="ended", cause=cause.value, ended=self._wall())
        await self._store.end_agent_session(record.id, created.token, ended.to_bytes(), keep=_KEEP_UNTOLD)

    def take(self, record: SessionRecord, token: int, chat: ChatSession, application: ApplicationSettings) -> Owned:
        """Have a session from now on."""
        own = Owned(
            record,
            token,
            chat,
            application,
            store=self._store,
            keep=self._keep(record),
            wall=self._wall,
            on_lost=self.on_lost,
        )
        self._owned[record.id] = own
        return own

    def _keep(self, record: SessionRecord) -> float:
        application = self._applications.find(record.application)
        longest = application.max_duration if application is not None else 0.0
        return max(longest, 86_400.0) + self._settings.ownership.keep_ended

    # Ending

    def remove(self, own: Owned) -> bool:
        """Have a session no longer; False: it was not here."""
        if self._owned.get(own.record.id) is not own:
            return False
        del self._owned[own.record.id]
        return True

    def begin_end(self, record: SessionRecord) -> None:
        """Have a session no longer that is over, and whose end is about to be written down."""
        self._owned.pop(record.id, None)
        self._ending[record.id] = record

    def end_written(self, session_id: str) -> None:
        """Hear that nothing is left to be written of it."""
        self._ending.pop(session_id, None)

    async def end_stored(self, record: SessionRecord, found: AgentSession) -> None:
        """Write down that a session is over which nobody goes on with."""
        await self._store.end_agent_session(
            record.id, found.token, record.to_bytes(), keep=self._settings.ownership.keep_ended
        )
