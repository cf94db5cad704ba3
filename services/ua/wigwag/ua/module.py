"""Joins the user agent: the edge, sessions, messages, and the interfaces of applications; what a process hosts."""

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import structlog

from wigwag.bus import Bus
from wigwag.database import Database
from wigwag.database.applications import RESERVED
from wigwag.database.applications import Applications as ApplicationTable
from wigwag.database.blobs import BlobStore
from wigwag.database.file_parts import FileParts
from wigwag.database.ledger import Ledger
from wigwag.errors import DatabaseError, StoreError, WigwagError
from wigwag.runtime.beside import beside
from wigwag.runtime.clock import wall
from wigwag.runtime.management import Command
from wigwag.runtime.members import Members
from wigwag.runtime.status import ModuleStatus, StatusTree
from wigwag.runtime.telemetry import Reading
from wigwag.runtime.tracing import Tracing
from wigwag.store import Pod, Store

from .api.interfaces import Interfaces
from .applications.registry import Applications
from .at_owner import AtOwner
from .attachment import listen_direct, media_side, sip_side
from .config import ApplicationSettings, EdgeAddresses, PodAccess, UaSettings
from .endpoint.endpoint import Endpoint
from .endpoint.model import EndpointEvent
from .messages.eventlog import EventLog
from .messages.metrics import message_readings
from .messages.pipeline import MessagePipeline
from .readings import call_readings, session_readings
from .service import UserAgent
from .sessions.life import SessionLife
from .sessions.ownership import Ownership
from .sessions.peers import PodChannels
from .sessions.pod_sessions import PodSessions

if TYPE_CHECKING:
    from fastapi import APIRouter

    from wigwag.runtime.rpc import RpcService

TICK: Final = 1.0
"""Seconds between two looks at what is due."""
RELOAD: Final = 5.0
"""Seconds between two looks at the table of applications."""
FIRST_WAIT: Final = 0.2
LONGEST_WAIT: Final = 5.0

logger = structlog.get_logger("wigwag.ua")


class UaModule:
    """The user agent as a process hosts it.

    Args:
        settings: Its settings.
        edge: Where the edge is.
        store: Where sessions are.
        bus: Carries what pods and applications are to know.
        ledger: Where messages are.
        database: Applications, keys, bodies.
        blobs: Large bodies and files; None: in the database too.
        status: Where it tells how it is.
        pod: Id of this process.
        tracing: Begins spans.
        data_dir: For files under way.
        rpc: Returns where other pods reach the gRPC of this process; empty: nowhere yet.
        pods: How to call the others; None: plainly.
        keeps_sessions: Whether other pods, or this one when it comes back, find sessions in the store: then they are
            handed over at the end instead of ended.
        builtin: Applications that are parts of Wigwag (``applications.builtin``).
    """

    def __init__(
        self,
        settings: UaSettings,
        *,
        edge: EdgeAddresses,
        store: Store,
        bus: Bus,
        ledger: Ledger,
        database: Database,
        blobs: BlobStore | None = None,
        status: StatusTree,
        pod: str,
        tracing: Tracing,
        data_dir: Path,
        rpc: Callable[[], str],
        pods: PodAccess | None = None,
        keeps_sessions: bool,
        builtin: Sequence[ApplicationSettings] = (),
    ) -> None:
        self._settings = settings
        self._edge = edge
        self._store = store
        self._bus = bus
        self._ledger = ledger
        self._database = database
        self._blobs = blobs or BlobStore(database, clock=wall)
        self._data_dir = data_dir
        self._tracing = tracing
        self._rpc = rpc
        self._pods = pods or PodAccess()
        self._keeps_sessions = keeps_sessions
        self._pod = f"{pod}.ua"
        self._status = status
        self._main = status.group("ua").identifier(details="loading")
        self._table = ApplicationTable(database)
        self._stack = AsyncExitStack()
        self._is_up = False
        self.applications = Applications(settings.applications, self._load, builtin)
        self.agent: UserAgent
        self.router: APIRouter = _router()
        self.rpc_services: Sequence[RpcService] = ()
        self.commands: Sequence[Command] = ()
        self.url = ""

    # For the node

    async def __aenter__(self) -> Self:
        """Open everything and serve; the edge may come later.

        Raises:
            WigwagError: Something can't be opened; what was open is closed again.
        """
        async with AsyncExitStack() as stack:
            await self._open(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Close everything."""
        await self._stack.aclose()

    def ready(self) -> tuple[bool, Mapping[str, Any]]:
        """Whether sessions can be had, and details for an operator."""
        details = {
            "edge": self._is_up,
            "sessions": len(self._sessions.all_owned),
            "applications": len(self.applications),
        }
        return self._is_up, details

    def readings(self) -> Iterable[Reading]:
        """Yield its metrics."""
        yield from session_readings(self._sessions, self._life)
        yield from message_readings(self._messages, self._events)
        yield from call_readings(self.agent.calls)

    async def drain(self, grace: float) -> None:
        """Take nothing new; hand sessions over, or end them where nobody could go on with them."""
        self._sessions.draining = True
        self._main.set(ModuleStatus.NOT_READY, "draining: nothing new is accepted")
        loop = asyncio.get_running_loop()
        until = loop.time() + grace / 2
        await self._messages.settled(until - loop.time())
        if self._keeps_sessions:
            await self._ownership.hand_over()
            await self._life.all_ended(grace / 4)
            return
        self._ownership.stopped = True
        for own in list(self._sessions.all_owned.values()):
            own.chat.end("the user agent is about to end")
        await self._life.all_ended(grace / 4)

    async def reload_applications(self) -> int:
        """Read applications of the database again, forget what was known of keys, and look at webhooks.

        Returns:
            How many applications there are.

        Raises:
            DatabaseError: They can't be read; what was known stays.
            ValueError: What the database says of one can't be used; likewise.
        """
        count = await self.applications.reload()
        self._interfaces.applications_changed()
        return count

    # Opening

    async def _open(self, stack: AsyncExitStack) -> None:
        settings, loop = self._settings, asyncio.get_running_loop()
        self._members = Members(self._store, Pod(id=self._pod, address="", rpc=""), loop.time, wall)
        with contextlib.suppress(StoreError):
            await self._members.beat()
        await self._reload()
        media = media_side(settings, self._edge)
        if settings.direct is not None:
            listener = await listen_direct(settings.direct, media)
            stack.push_async_callback(listener.close)
        self._endpoint = Endpoint(media, secrets.token_bytes, self._happened)
        self._endpoint.sip = self._sip = sip_side(
            settings, self._edge, self._endpoint, pod=self._pod, wall=wall, on_change=self._reached
        )
        events = self._events = EventLog(self._bus, self._pod)
        await stack.enter_async_context(events.publishing())
        self._sessions = PodSessions(
            settings, pod=self._pod, store=self._store, applications=self.applications, wall=self._members.wall
        )
        self._life = SessionLife(
            settings,
            sessions=self._sessions,
            endpoint=self._endpoint,
            applications=self.applications,
            events=events,
            wall=self._members.wall,
        )
        await self._open_messages(stack, events)
        stack.push_async_callback(self._close)
        for work in (self._ownership.run(), self._attach(), self._tick(), self._reload_now_and_then()):
            await stack.enter_async_context(beside(work))

    async def _open_messages(self, stack: AsyncExitStack, events: EventLog) -> None:
        interfaces = self._interfaces = await stack.enter_async_context(self._made_interfaces())
        channels = await stack.enter_async_context(PodChannels(self._members.rpc, self._pods))
        self._messages = MessagePipeline(
            self._sessions,
            ledger=self._ledger,
            blobs=self._blobs,
            parts=FileParts(self._database),
            events=events,
            settings=self._settings,
            wall=self._members.wall,
            tracing=self._tracing,
            accept_at=channels.accept,
            open_call=lambda pod: channels.stub(pod).Deliver,
            bus=self._bus,
        )
        files = self._messages.with_files(self._life.start)
        self._life.messages = self._messages
        self._ownership = self._sessions.ownership = Ownership(
            self._sessions,
            self._life,
            store=self._store,
            members=self._members,
            endpoint=self._endpoint,
            applications=self.applications,
            messages=self._messages,
            lease=self._settings.ownership.lease,
            is_ready=lambda: self._is_up and self.applications.is_complete,
        )
        await stack.enter_async_context(self._messages)
        owner = AtOwner(
            self._settings,
            sessions=self._sessions,
            life=self._life,
            ownership=self._ownership,
            ledger=self._ledger,
            messages=self._messages,
            files=files,
            elsewhere=channels,
        )
        self.agent = UserAgent(
            self._settings,
            sessions=self._sessions,
            life=self._life,
            store=self._store,
            ledger=self._ledger,
            messages=self._messages,
            files=files,
            bodies=self._blobs,
            applications=self.applications,
            owner=owner,
            watch=interfaces.watch,
        )
        await interfaces.serve(self.agent, owner, self._messages.forwarding.serve, self._messages.handover.serve)
        self.rpc_services, self.commands, self.url = interfaces.rpc_services, interfaces.commands, interfaces.url

    def _made_interfaces(self) -> Interfaces:
        return Interfaces(
            self._settings,
            bus=self._bus,
            find_key=self._table.find_key,
            ready=lambda: self._is_up,
            applications=self.applications,
            status=self._status,
            tracing=self._tracing,
        )

    async def _close(self) -> None:
        await self._life.close()
        await self._endpoint.close()
        await self._sip.close()

    # Work beside

    async def _attach(self) -> None:
        """Reach the edge; once reached, the link looks after itself until the edge refuses for good."""
        pause = FIRST_WAIT
        while True:
            try:
                await self._sip.start()
                pause = FIRST_WAIT
                await self._sip.wait_lost()
            except WigwagError as error:
                logger.warning("the edge is not reached", reason=str(error))
                self._main.set(ModuleStatus.NOT_READY, f"the edge is not reached: {error}")
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_WAIT)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self._members.pod = replace(self._members.pod, rpc=self._rpc())
            self._life.tick()

    async def _reload_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(RELOAD)
            await self._reload()

    async def _reload(self) -> None:
        try:
            await self.applications.reload()
        except (DatabaseError, ValueError) as error:
            logger.warning("applications are not read", reason=str(error))

    async def _load(self) -> Sequence[ApplicationSettings]:
        rows = [row for row in await self._table.list() if row.name not in RESERVED]
        return [ApplicationSettings.model_validate(row.settings()) for row in rows]

    def _happened(self, event: EndpointEvent) -> None:
        self._life.happened(event)

    def _reached(self, up: bool) -> None:
        self._is_up = up
        if up:
            self._main.set(ModuleStatus.READY, "attached to the edge")
        else:
            self._main.set(ModuleStatus.NOT_READY, "the edge is lost")


def _router() -> "APIRouter":
    # Not at the top: what serves HTTP takes a moment to load, and commands that run no node load this module too.
    from fastapi import APIRouter

    return APIRouter()
