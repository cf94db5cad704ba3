"""Which pod owns a session: leases renewed, sessions of lost pods taken over, the store filled again when it lost all.

Theory of operation (DESIGN.md section 6). Every pod beats once a second, and renews the leases of its sessions three
times within their length. A pod that is seen dead, and a lease that has run out, free sessions; the claim is atomic, so
it does not matter that several pods try. What could still be done by an owner that was only cut off is prevented where
effects happen: relay and ledger refuse its lower token.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any, Final

import structlog

from wigwag.errors import StoreError, WigwagError
from wigwag.runtime.clock import monotonic
from wigwag.runtime.members import Members
from wigwag.store import AgentSession, Store
from wigwag.ua.applications.registry import Applications
from wigwag.ua.config import ApplicationSettings
from wigwag.ua.endpoint.endpoint import Endpoint
from wigwag.ua.endpoint.model import Cause

from .life import SessionLife
from .owned import Owned, wish_of
from .pod_sessions import PodSessions
from .ports import Messages
from .record import SessionRecord
from .surety import Surety

BEAT: Final = 1.0
"""Seconds between two signs of life."""
_AT_ONCE: Final = 100
"""Sessions that are taken, or given back, in one step."""
_PAGE: Final = 1_000
_CONFIRMED_IN: Final = 1.0
"""Seconds for which what is ours is asked for before we go on as if it were."""

logger = structlog.get_logger("wigwag.ua")


class Ownership:
    """Keeps what this pod owns, and takes what nobody owns any more.

    Args:
        sessions: Those of this pod.
        life: What becomes of them.
        store: Where all are.
        members: Which pods there are; beats from here.
        endpoint: Goes on with sessions.
        applications: Whose they are.
        messages: Sends what waits in a session that was taken over.
        lease: Seconds.
        is_ready: Whether sessions can be taken over: the edge is reached.
        now: Seconds, monotonic.
    """

    def __init__(
        self,
        sessions: PodSessions,
        life: SessionLife,
        *,
        store: Store,
        members: Members,
        endpoint: Endpoint,
        applications: Applications,
        messages: Messages,
        lease: float,
        is_ready: Callable[[], bool],
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._sessions = sessions
        self._life = life
        self._store = store
        self._members = members
        self._endpoint = endpoint
        self._applications = applications
        self._messages = messages
        self._lease = lease
        self._is_ready = is_ready
        self._claiming: dict[str, asyncio.Task[Owned | None]] = {}
        self._now = now
        self._surety = Surety(lease, self._ask, now=now)
        self._store_is_empty = False
        """Whether what is ours has to be written again."""
        self._has_predecessor = True
        """Whether a process of our name may have left sessions behind: nobody sees it dead, because we beat for it."""
        self.stopped = False
        """Whether nothing is claimed any more: this pod is about to end."""

    async def run(self) -> None:
        """Beat, renew and take over until cancelled."""
        await asyncio.gather(
            self._repeat(BEAT, self.beat),
            self._repeat(self._lease / 3, self.renew),
            self._repeat(BEAT, self.take_what_is_free),
        )

    async def take_over(self, session_id: str) -> Owned | None:
        """Become the owner of a session whose owner is gone; None: it has one, or has ended."""
        own = self._sessions.owned(session_id)
        if own is not None or self._sessions.is_between(session_id):
            return own
        task = self._claiming.get(session_id)
        if task is None:
            task = self._claiming[session_id] = asyncio.create_task(self._claim(session_id))
            task.add_done_callback(lambda _: self._claiming.pop(session_id, None))
        return await asyncio.shield(task)

    async def confirm(self) -> None:
        """Make sure that what we own is ours still, if time may have told otherwise: this process may have slept.

        What is ours afterwards was ours all the time. While the store is away nobody else can claim either, and we go
        on: whoever is cut off from it alone learns from the relay.
        """
        await self._surety.confirm()

    async def _ask(self) -> bool:
        try:
            async with asyncio.timeout(_CONFIRMED_IN):
                await self.renew()
        except (StoreError, TimeoutError):
            return False
        return True

    async def hand_over(self) -> None:
        """Give all sessions back, so that other pods go on with them; those being set up end."""
        self.stopped = True
        await asyncio.gather(*self._claiming.values(), return_exceptions=True)
        sessions = list(self._sessions.all_owned.values())
        for first in range(0, len(sessions), _AT_ONCE):
            await asyncio.gather(*map(self._give_back, sessions[first : first + _AT_ONCE]))

    async def _give_back(self, own: Owned) -> None:
        if own.record.state != "open":
            own.chat.end("the pod is about to end")
            return
        try:
            await own.written()
        except WigwagError as error:
            # It is another's already, or its lease runs out.
            logger.warning("a session is not handed over", session=own.record.id, reason=str(error))
        await self._messages.leaving(own)
        # First we let go: what comes for it from here on waits at the relay for its next owner.
        self._life.lose(own.record.id, own.token)
        try:
            await self._store.release_agent_session(own.record.id, own.token)
        except StoreError as error:
            logger.warning("a session is not given back", session=own.record.id, reason=str(error))

    # What is done again and again

    async def beat(self) -> None:
        """Tell that this pod lives; fill the store when it came back empty, as often as it takes.

        Raises:
            StoreError: The store is away.
        """
        began = self._now()
        self._store_is_empty = await self._members.beat() or self._store_is_empty
        self._surety.beaten(began)
        if self._store_is_empty:
            await self._put_again()
            self._store_is_empty = False

    async def store_is_complete(self) -> bool:
        """Tell whether the store has all sessions: False when it has just lost what it held, which all write again.

        Raises:
            StoreError: It is away.
        """
        await self.beat()
        return not self._members.are_writing_again

    async def _put_again(self) -> None:
        """Write what is ours again: the store came back empty."""
        wall = self._members.wall()
        tokens = {own.record.id: own.token for own in self._sessions.all_owned.values()}
        sessions = [
            AgentSession(
                session_id=own.record.id,
                application=own.record.application,
                content=own.record.to_bytes(),
                pod=self._sessions.pod,
                token=own.token,
                expires_at=wall + own.keep,
            )
            for own in self._sessions.all_owned.values()
        ]
        for session_id in await self._store.put_agent_sessions(sessions, lease=self._lease):
            self._life.lose(session_id, tokens[session_id])

    async def renew(self) -> None:
        """Renew the leases of our sessions, and let go of what is another's by now; StoreError as ``beat``."""
        began = self._now()
        tokens = {own.record.id: own.token for own in self._sessions.all_owned.values()}
        if tokens:
            for session_id in await self._store.renew_agent_sessions(self._sessions.pod, tokens, lease=self._lease):
                self._life.lose(session_id, tokens[session_id])
        self._surety.renewed(began)

    async def take_what_is_free(self) -> None:
        """Take sessions until there are no more: a pod may leave thousands behind; StoreError as ``beat``."""
        tried: set[str] = set()
        is_ready = self._is_ready()
        while wanted := [session_id for session_id in await self._free() if session_id not in tried][:_AT_ONCE]:
            tried.update(wanted)
            await asyncio.gather(*map(self.take_over, wanted), return_exceptions=True)
        self._has_predecessor = self._has_predecessor and not is_ready

    async def _free(self) -> list[str]:
        if self.stopped or not self._is_ready():
            return []
        free = list(await self._store.ownerless_agent_sessions(limit=_PAGE))
        gone = [] if self._members.stale else list(self._members.dead())
        if self._has_predecessor:
            gone.append(self._sessions.pod)
        if gone:
            free += await self._store.agent_sessions_of(gone)
        # Pods that begin at the same end would be in each other's way.
        random.shuffle(free)
        return [session_id for session_id in dict.fromkeys(free) if self._sessions.owned(session_id) is None]

    async def _claim(self, session_id: str) -> Owned | None:
        if self.stopped or not self._is_ready():
            return None
        dead = () if self._members.stale else tuple(self._members.dead())
        found = await self._store.claim_agent_session(session_id, self._sessions.pod, lease=self._lease, dead=dead)
        if found is None or found.ended or found.pod != self._sessions.pod:
            return None
        if self.stopped:
            await self._store.release_agent_session(session_id, found.token)
            return None
        try:
            record = SessionRecord.from_bytes(found.content)
        except ValueError as error:
            logger.error("a stored session can't be read", session=session_id, reason=str(error))
            await self._store.end_agent_session(session_id, found.token, found.content, keep=0.0)
            return None
        return await self._go_on(record, found)

    async def _go_on(self, record: SessionRecord, found: AgentSession) -> Owned | None:
        if record.state != "open" or not record.stored:
            self._hang_up(record)
            await self._life.announce_lost(record, found, Cause.POD_LOST, "the pod that set it up was lost")
            return None
        try:
            wish = wish_of(record.wish)
            chat = self._endpoint.restore(record.stored, wish, token=found.token)
        except (ValueError, WigwagError) as error:
            logger.error("a session can't be gone on with", session=record.id, reason=str(error))
            await self._life.announce_lost(record, found, Cause.POD_LOST, f"it can't be gone on with: {error}")
            return None
        # Of one that was deleted meanwhile the sessions go on, as they do at a pod that is not lost.
        application = self._applications.find(record.application) or ApplicationSettings(name=record.application)
        own = self._life.adopt(record, found.token, chat, application)
        own.transfer = wish.file
        # The dialog's CSeq has jumped: whoever goes on after us has to know.
        own.change(stored=chat.to_state(), last_activity=self._members.wall())
        await self._messages.taken_over(own)
        return own

    def _hang_up(self, record: SessionRecord) -> None:
        """End a call that a lost pod answered, or was about to: its peer may have it for open."""
        if not record.answering:
            return
        try:
            self._endpoint.hang_up(record.answering)
        except (ValueError, WigwagError) as error:
            logger.warning("a call of a lost pod is not ended by BYE", session=record.id, reason=str(error))

    async def _repeat(self, seconds: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            try:
                await work()
            except StoreError as error:
                logger.debug("the store is away", reason=str(error))
            except WigwagError as error:
                logger.warning("sessions could not be looked after", reason=str(error))
            except Exception:
                # A pod that stopped beating for it would lose all its sessions.
                logger.exception("sessions could not be looked after")
            await asyncio.sleep(seconds)
