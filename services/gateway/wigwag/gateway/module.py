"""Joins the gateway: conversations, flows, waking; what a process hosts."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

import structlog

from wigwag.bus import Bus, Record
from wigwag.database import BlobStore, Database, MessageArchive
from wigwag.database.ledger import Ledger
from wigwag.errors import WigwagError
from wigwag.runtime.beside import beside
from wigwag.runtime.clock import wall
from wigwag.runtime.credentials import CredentialSource
from wigwag.runtime.events import GATEWAY_EVENTS, PAGER_OUTBOUND
from wigwag.runtime.http_hook import HttpHook
from wigwag.runtime.management import Command
from wigwag.runtime.message_history import History
from wigwag.runtime.names import GATEWAY_ARCHIVE_WAITING, GATEWAY_CONVERSATIONS_KNOWN, GATEWAY_LANES_WAITING
from wigwag.runtime.status import ModuleStatus, StatusTree
from wigwag.runtime.telemetry import Reading
from wigwag.runtime.tracing import Tracing
from wigwag.store import Store

from .api.mi import gateway_commands
from .api.watching import Watching
from .archiving import Archiving
from .config import GatewaySettings
from .conversations.book import Book
from .conversations.setup import Setup
from .destinations import Destinations
from .events import Events
from .flows.consuming import TOPICS, Consuming
from .flows.into_session import IntoSession
from .flows.notifications import Notifications
from .flows.outcomes import Outcomes
from .flows.page_messages import PageMessages
from .flows.parts import PartsOfRows
from .flows.reading import GROUP
from .flows.session_backlog import SessionBacklog
from .flows.session_changes import SessionChanges
from .flows.session_messages import SessionMessages
from .flows.telling import Telling
from .flows.to_devices import ToDevices
from .flows.waking import LEASE, Waking
from .lanes import Lanes
from .metrics import CountedAgents, Counters
from .operations import Operations
from .ports import Agents
from .rows import Rows
from .wake_up import QUIET, TIMEOUT, WakeUp

if TYPE_CHECKING:
    from fastapi import APIRouter

    from wigwag.runtime.rpc import RpcService

SWEEP: Final = 5.0
"""Seconds between two looks for what nobody woke."""
LEASE_TIME: Final = 15.0
IN_FLIGHT: Final = 256

logger = structlog.get_logger("wigwag.gateway")


class GatewayModule:
    """The gateway as a process hosts it.

    Args:
        settings: Its settings.
        agents: The user agent; opened and closed here if it is to be.
        store: Conversations, and who is registered.
        bus: What there is to do.
        ledger: Where messages are.
        database: Where the archive and large bodies are.
        blobs: Large bodies, if they are elsewhere.
        source: Which users there are.
        status: Where it tells how it is.
        pod: Id of this process.
        tracing: Goes on with the traces of messages; None: nothing is traced here.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        *,
        agents: Agents,
        store: Store,
        bus: Bus,
        ledger: Ledger,
        database: Database,
        blobs: BlobStore | None = None,
        source: CredentialSource,
        status: StatusTree,
        pod: str,
        tracing: Tracing | None = None,
        clock: Callable[[], float] = wall,
    ) -> None:
        self._settings = settings
        self._counters = Counters()
        self._connection = agents
        self._agents = CountedAgents(agents, self._counters)
        self._bus = bus
        self._ledger = ledger
        self._pod = f"{pod}.gateway"
        self._tracing = tracing or Tracing()
        group = status.group("gateway")
        self._main = group.identifier(details="loading")
        self._reach = group.identifier("ua", details="not asked yet")
        self._stack = AsyncExitStack()
        self._consumer = AsyncExitStack()
        self._tasks: set[asyncio.Task[None]] = set()
        self._wall = clock
        self._problem: str | None = None
        self._is_consuming = False
        self._lanes = Lanes()
        self._rows = Rows(ledger, clock, self._counters)
        self._destinations = Destinations(store, source, settings)
        self._events = Events(bus, pod=self._pod, wall=clock, counters=self._counters)
        self._archive = MessageArchive(database)
        self._archiving = Archiving(ledger, self._archive, settings.archive, self._counters.archive)
        self.book = Book(store, self._agents, settings, wall=clock, tell=self._events.conversation_changed)
        self.operations = Operations(
            store,
            self.book,
            self._agents,
            ledger=ledger,
            rows=self._rows,
            history=History(
                ledger,
                self._archive,
                blobs or BlobStore(database, clock=clock),
                archives=settings.archive.enabled,
                wall=clock,
            ),
            watching=Watching(bus),
        )
        self.router: APIRouter = _router(self.operations)
        self.rpc_services: Sequence[RpcService] = (_rpc(self.operations, lambda: self._is_consuming),)
        self.commands: Sequence[Command] = gateway_commands(self.operations)

    async def __aenter__(self) -> Self:
        """Begin to work.

        Raises:
            WigwagError: The bus can't be used.
        """
        async with AsyncExitStack() as stack:
            await self._open(stack)
            self._stack = stack.pop_all()
        self._is_consuming = True
        self._main.set(ModuleStatus.READY, "consuming")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Finish what is under way, and end."""
        await self._end_consuming()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()

    def ready(self) -> tuple[bool, Mapping[str, Any]]:
        """Whether messages are worked off, and details for an operator."""
        details = {
            "consuming": self._is_consuming,
            "user_agent": self._agents.problem or "reached",
            "last_record": self._problem or "handled",
            "waiting_lanes": self._lanes.waiting,
            "archive": self._settings.archive.enabled,
        }
        return self._main.ready, details

    async def drain(self, grace: float) -> None:
        """Take no more records; other pods do."""
        self._main.set(ModuleStatus.NOT_READY, "draining: other pods go on")
        await self._end_consuming()

    @property
    def readings(self) -> Callable[[], Iterable[Reading]]:
        """Its metrics."""
        return self._read

    def _read(self) -> Iterable[Reading]:
        yield from self._counters.readings()
        yield GATEWAY_CONVERSATIONS_KNOWN.read(self.book.known)
        yield GATEWAY_LANES_WAITING.read(self._lanes.waiting)
        yield GATEWAY_ARCHIVE_WAITING.read(self._archiving.batches.waiting)

    async def _end_consuming(self) -> None:
        self._is_consuming = False
        await self._consumer.aclose()

    async def _open(self, stack: AsyncExitStack) -> None:
        if isinstance(self._connection, AbstractAsyncContextManager):
            await stack.enter_async_context(self._connection)
        self._bus.declare(*TOPICS, PAGER_OUTBOUND, GATEWAY_EVENTS)
        consuming, waking = self.flows(await self._wake_up(stack))
        stack.callback(waking.forget_pauses)
        await stack.enter_async_context(beside(self._sweep(waking)))
        if self._settings.archive.enabled:
            await stack.enter_async_context(self._archiving.batches)
            await self._consumer.enter_async_context(self._archiving.consuming(self._bus))
        await self._consumer.enter_async_context(
            self._bus.consume(
                GROUP,
                [topic.name for topic in TOPICS],
                partial(self._handle, consuming),
                in_flight=IN_FLIGHT,
                group_handler=partial(self._handle_group, consuming),
            )
        )

    async def _handle(self, consuming: Consuming, record: Record) -> None:
        await self._noted(consuming.handle(record), record.topic, 1)

    async def _handle_group(self, consuming: Consuming, records: Sequence[Record]) -> None:
        await self._noted(consuming.handle_group(records), records[0].topic, len(records))

    async def _noted(self, handling: Awaitable[None], topic: str, count: int) -> None:
        try:
            await handling
        except Exception as error:
            self._problem = str(error) or type(error).__name__
            raise
        self._problem = None
        self._counters.records[topic] += count

    async def _wake_up(self, stack: AsyncExitStack) -> WakeUp | None:
        if self._settings.wake_url is None:
            return None
        token = self._settings.wake_token
        hook = HttpHook(self._settings.wake_url, timeout=TIMEOUT, cache=QUIET, token=token)
        return WakeUp(await stack.enter_async_context(hook), self._counters.wake_calls)

    def flows(self, wake_up: WakeUp | None = None) -> tuple[Consuming, Waking]:
        """Return what is done with records, and what wakes that which waits."""
        settings, rows, book, agents, counters = self._settings, self._rows, self.book, self._agents, self._counters
        setup = Setup(book, settings, wall=self._wall, wake_up=wake_up, spawn=self._spawn)
        waking = self._waking(setup)
        to_devices = ToDevices(rows, self._bus, pod=self._pod, tracing=self._tracing)
        notifications = Notifications(rows, agents)
        parts = PartsOfRows(rows, settings)
        into_session = IntoSession(rows, book, agents, settings, notifications=notifications, tracing=self._tracing)
        telling = Telling(self._ledger, rows, book, parts=parts, settings=settings, counters=counters)
        lanes = self._lanes
        consuming = Consuming(
            PageMessages(
                rows,
                lanes,
                book,
                self._destinations,
                setup=setup,
                into_session=into_session,
                to_devices=to_devices,
                notifications=notifications,
                tell_waiting=telling.page_messages_wait,
            ),
            SessionMessages(
                rows,
                lanes,
                book,
                self._destinations,
                agents=agents,
                setup=setup,
                to_devices=to_devices,
                settings=settings,
                parts=parts,
                backlog=SessionBacklog(rows, book, setup, parts),
                notifications=notifications,
                tell_waiting=telling.session_messages_wait,
            ),
            SessionChanges(
                rows,
                book,
                self._destinations,
                agents=agents,
                setup=setup,
                waking=waking,
                to_devices=to_devices,
                tell_failure=self._events.setup_failed,
                tell_end=telling.departed,
                tell_waiting=telling.page_messages_wait,
            ),
            Outcomes(rows, lanes, book, agents=agents, waking=waking, parts=parts, settings=settings),
            telling,
            waking,
        )
        return consuming, waking

    def _waking(self, setup: Setup) -> Waking:
        return Waking(
            self._ledger,
            self._bus,
            self.book,
            setup,
            self._destinations,
            pod=self._pod,
            spawn=self._spawn,
            counters=self._counters,
        )

    async def _sweep(self, waking: Waking) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            self._show_reach()
            try:
                if await self._ledger.hold_lease(LEASE, self._pod, seconds=LEASE_TIME):
                    await waking.sweep(self._wall())
                    await self._archiving.forget(self._wall())
            except WigwagError as error:
                logger.info("what waits is not looked at", reason=str(error))
            except Exception:
                # Whoever holds the lease next may manage it; nobody would if each stopped to try.
                logger.exception("what waits is not looked at")

    def _show_reach(self) -> None:
        problem = self._agents.problem
        status = ModuleStatus.READY if problem is None else ModuleStatus.NOT_READY
        self._reach.become(status, problem or "reached")

    def _spawn(self, work: Awaitable[None]) -> "asyncio.Task[None]":
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _router(operations: Operations) -> "APIRouter":
    # Not at the top: what serves HTTP takes a moment to load, and commands that run no node load this module too.
    from .api.web import gateway_router

    return gateway_router(operations)


def _rpc(operations: Operations, ready: Callable[[], bool]) -> "RpcService":
    from .api.rpc import GatewayServicer

    return GatewayServicer(operations).served(ready)
