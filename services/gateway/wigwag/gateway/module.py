"""Joins the gateway: conversations, flows, waking; what a process hosts."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TYPE_CHECKING, Any, Final, Self

import structlog

from wigwag.api.events.v1.gateway_pb2 import GatewaySetupFailed
from wigwag.bus import Bus
from wigwag.database.ledger import Ledger
from wigwag.errors import WigwagError
from wigwag.runtime.beside import beside
from wigwag.runtime.clock import wall
from wigwag.runtime.credentials import CredentialSource
from wigwag.runtime.events import GATEWAY_EVENTS, PAGER_OUTBOUND, envelope
from wigwag.runtime.http_hook import HttpHook
from wigwag.runtime.management import Command
from wigwag.runtime.status import ModuleStatus, StatusTree
from wigwag.runtime.telemetry import Reading
from wigwag.store import Store

from .config import GatewaySettings
from .conversations.book import Book
from .conversations.setup import Setup
from .destinations import Destinations
from .flows.consuming import TOPICS, Consuming
from .flows.into_session import IntoSession
from .flows.notifications import Notifications
from .flows.outcomes import Outcomes
from .flows.page_messages import PageMessages
from .flows.parts import PartsOfRows
from .flows.reading import GROUP
from .flows.session_changes import SessionChanges
from .flows.session_messages import SessionMessages
from .flows.telling import Telling
from .flows.to_devices import ToDevices
from .flows.waking import LEASE, Waking
from .lanes import Lanes
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
        source: Which users there are.
        status: Where it tells how it is.
        pod: Id of this process.
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
        source: CredentialSource,
        status: StatusTree,
        pod: str,
        clock: Callable[[], float] = wall,
    ) -> None:
        self._settings = settings
        self._agents = agents
        self._store = store
        self._bus = bus
        self._ledger = ledger
        self._pod = f"{pod}.gateway"
        self._main = status.group("gateway").identifier(details="loading")
        self._stack = AsyncExitStack()
        self._consumer = AsyncExitStack()
        self._tasks: set[asyncio.Task[None]] = set()
        self._wall = clock
        self._rows = Rows(ledger, clock)
        self._destinations = Destinations(store, source, settings)
        self.book = Book(store, agents, settings, wall=clock)
        self.router: APIRouter = _router()
        self.rpc_services: Sequence[RpcService] = ()
        self.commands: Sequence[Command] = ()

    async def __aenter__(self) -> Self:
        """Begin to work.

        Raises:
            WigwagError: The bus can't be used.
        """
        async with AsyncExitStack() as stack:
            await self._open(stack)
            self._stack = stack.pop_all()
        self._main.set(ModuleStatus.READY, "consuming")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Finish what is under way, and end."""
        await self._consumer.aclose()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()

    def ready(self) -> tuple[bool, Mapping[str, Any]]:
        """Whether messages are worked off, and details for an operator."""
        return True, {}

    async def drain(self, grace: float) -> None:
        """Take no more records; other pods do."""
        await self._consumer.aclose()

    @property
    def readings(self) -> Callable[[], Iterable[Reading]]:
        """Its metrics."""
        return tuple

    async def _open(self, stack: AsyncExitStack) -> None:
        if isinstance(self._agents, AbstractAsyncContextManager):
            await stack.enter_async_context(self._agents)
        self._bus.declare(*TOPICS, PAGER_OUTBOUND, GATEWAY_EVENTS)
        consuming, waking = self.flows(await self._wake_up(stack))
        await stack.enter_async_context(beside(self._sweep(waking)))
        names = [topic.name for topic in TOPICS]
        await self._consumer.enter_async_context(self._bus.consume(GROUP, names, consuming.handle, in_flight=IN_FLIGHT))

    async def _wake_up(self, stack: AsyncExitStack) -> WakeUp | None:
        if self._settings.wake_url is None:
            return None
        hook = HttpHook(self._settings.wake_url, timeout=TIMEOUT, cache=QUIET)
        return WakeUp(await stack.enter_async_context(hook))

    def flows(self, wake_up: WakeUp | None = None) -> tuple[Consuming, Waking]:
        """Return what is done with records, and what wakes that which waits."""
        settings, rows, book, agents = self._settings, self._rows, self.book, self._agents
        setup = Setup(book, settings, wall=self._wall, wake_up=wake_up, spawn=self._spawn)
        waking = Waking(self._ledger, self._bus, book, setup, self._destinations, pod=self._pod)
        to_devices = ToDevices(rows, self._bus, pod=self._pod)
        notifications = Notifications(rows, agents)
        parts = PartsOfRows(rows, settings)
        into_session = IntoSession(rows, book, agents, settings, notifications)
        telling = Telling(self._ledger, rows, book, settings)
        lanes = Lanes()
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
                notifications=notifications,
            ),
            SessionChanges(
                rows,
                book,
                self._destinations,
                agents=agents,
                setup=setup,
                waking=waking,
                to_devices=to_devices,
                tell_failure=self._tell_failure,
                tell_end=telling.departed,
            ),
            Outcomes(rows, lanes, book, agents=agents, waking=waking, parts=parts, settings=settings),
            telling,
            waking,
        )
        return consuming, waking

    async def _tell_failure(self, event: GatewaySetupFailed, session_id: str) -> None:
        value = envelope(event, event_id=f"{session_id}:failed", at=self._wall(), pod=self._pod)
        await self._bus.publish(GATEWAY_EVENTS.name, value, key=event.key)

    async def _sweep(self, waking: Waking) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            try:
                if await self._ledger.hold_lease(LEASE, self._pod, seconds=LEASE_TIME):
                    await waking.sweep(self._wall())
            except WigwagError as error:
                logger.info("what waits is not looked at", reason=str(error))

    def _spawn(self, work: Awaitable[None]) -> "asyncio.Task[None]":
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _router() -> "APIRouter":
    # Not at the top: what serves HTTP takes a moment to load, and commands that run no node load this module too.
    from fastapi import APIRouter

    return APIRouter()
