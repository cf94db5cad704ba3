"""Which pod owns a session: leases renewed, sessions of lost pods taken over, the store filled again when it lost all.

Theory of operation (DESIGN.md section 6). Every pod beats once a second, and renews the leases of its sessions three
times within their length. A pod that is seen dead, and a lease that has run out, free sessions; the claim is atomic, so
it does not matter that several pods try. What could still be done by an owner that was only cut off is prevented where
effects happen: relay and ledger refuse its lower token.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

import structlog

from wigwag.errors import ConflictError, StoreError, WigwagError
from wigwag.runtime.members import Members
from wigwag.store import AgentSession, Store
from wigwag.ua.applications.registry import Applications
from wigwag.ua.endpoint.endpoint import Endpoint
from wigwag.ua.endpoint.model import Cause

from .life import SessionLife
from .owned import Owned, wish_of
from .ports import Messages
from .record import SessionRecord

BEAT: Final = 1.0
"""Seconds between two signs of life."""
_AT_ONCE: Final = 100
"""Sessions that are looked at in one step."""

logger = structlog.get_logger("wigwag.ua")


class Ownership:
    """Keeps what this pod owns, and takes what nobody owns any more.

    Args:
        life: The sessions of this pod.
        store: Where all are.
        members: Which pods there are; beats from here.
        endpoint: Goes on with sessions.
        applications: Whose they are.
        messages: Sends what waits in a session that was taken over.
        lease: Seconds.
        is_ready: Whether sessions can be taken over: the edge is reached.
    """

    def __init__(
        self,
        life: SessionLife,
        *,
        store: Store,
        members: Members,
        endpoint: Endpoint,
        applications: Applications,
        messages: Messages,
        lease: float,
        is_ready: Callable[[], bool],
    ) -> None:
        self._life = life
        self._store = store
        self._members = members
        self._endpoint = endpoint
        self._applications = applications
        self._messages = messages
        self._lease = lease
        self._is_ready = is_ready
        self._claiming: dict[str, asyncio.Task[Owned | None]] = {}
        self.stopped = False
        """Whether nothing is claimed any more: this pod is about to end."""

    async def run(self) -> None:
        """Beat, renew and take over until cancelled."""
        await asyncio.gather(
            self._repeat(BEAT, self._beat),
            self._repeat(self._lease / 3, self._renew),
            self._repeat(BEAT, self._take_what_is_free),
        )

    async def take_over(self, session_id: str) -> Owned | None:
        """Become the owner of a session whose owner is gone; None: it has one, or has ended."""
        own = self._life.owned(session_id)
        if own is not None:
            return own
        task = self._claiming.get(session_id)
        if task is None:
            task = self._claiming[session_id] = asyncio.create_task(self._claim(session_id))
            task.add_done_callback(lambda _: self._claiming.pop(session_id, None))
        return await asyncio.shield(task)

    async def hand_over(self) -> None:
        """Give all sessions back, so that other pods go on with them; those being set up end."""
        self.stopped = True
        for own in list(self._life.all_owned.values()):
            if own.record.state != "open":
                own.chat.end("the pod is about to end")
                continue
            try:
                await own.written()
                self._life.lose(own.record.id)
                await self._store.release_agent_session(own.record.id, own.token)
            except WigwagError as error:
                logger.warning("a session is not handed over", session=own.record.id, reason=str(error))

    async def _beat(self) -> None:
        if await self._members.beat():
            await self._put_again()

    async def _put_again(self) -> None:
        """Write what is ours again: the store came back empty."""
        wall = self._members.wall()
        sessions = [
            AgentSession(
                session_id=own.record.id,
                application=own.record.application,
                content=own.record.to_bytes(),
                pod=self._life.pod,
                token=own.token,
                expires_at=wall + own.keep,
            )
            for own in self._life.all_owned.values()
        ]
        for session_id in await self._store.put_agent_sessions(sessions, lease=self._lease):
            self._life.lose(session_id)

    async def _renew(self) -> None:
        tokens = {own.record.id: own.token for own in self._life.all_owned.values()}
        if not tokens:
            return
        for session_id in await self._store.renew_agent_sessions(self._life.pod, tokens, lease=self._lease):
            own = self._life.owned(session_id)
            if own is not None and own.token == tokens[session_id] and own.record.state != "ended":
                self._life.lose(session_id)

    async def _take_what_is_free(self) -> None:
        if self.stopped or not self._is_ready():
            return
        free = list(await self._store.ownerless_agent_sessions(limit=_AT_ONCE))
        dead = self._members.dead()
        if dead and not self._members.stale:
            free += await self._store.agent_sessions_of(dead)
        wanted = [session_id for session_id in dict.fromkeys(free) if self._life.owned(session_id) is None]
        await asyncio.gather(*(self.take_over(session_id) for session_id in wanted[:_AT_ONCE]), return_exceptions=True)

    async def _claim(self, session_id: str) -> Owned | None:
        if self.stopped or not self._is_ready():
            return None
        dead = () if self._members.stale else tuple(self._members.dead())
        found = await self._store.claim_agent_session(session_id, self._life.pod, lease=self._lease, dead=dead)
        if found is None or found.ended or found.pod != self._life.pod:
            return None
        try:
            record = SessionRecord.from_bytes(found.content)
            return await self._go_on(record, found)
        except (ValueError, ConflictError) as error:
            logger.error("a session can't be gone on with", session=session_id, reason=str(error))
            return None

    async def _go_on(self, record: SessionRecord, found: AgentSession) -> Owned | None:
        application = self._applications.find(record.application)
        if record.state != "open" or not record.stored or application is None:
            await self._life.announce_lost(record, found, Cause.POD_LOST, "the pod that set it up was lost")
            return None
        chat = self._endpoint.restore(record.stored, wish_of(record.wish), token=found.token)
        own = self._life.adopt(record, found.token, chat, application)
        # The dialog's CSeq has jumped: whoever goes on after us has to know.
        own.change(stored=chat.to_state(), last_activity=self._members.wall())
        await self._messages.opened(own)
        return own

    async def _repeat(self, seconds: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            try:
                await work()
            except StoreError as error:
                logger.debug("the store is away", reason=str(error))
            except WigwagError as error:
                logger.warning("sessions could not be looked after", reason=str(error))
            await asyncio.sleep(seconds)
