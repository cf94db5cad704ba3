"""The composition root: joins database, services and admin API into one process, and ends it in good order."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Self

import structlog

from wigwag.bus import Bus
from wigwag.database import BlobStore, Database
from wigwag.database.ledger import Ledger
from wigwag.relay.cluster.pods import pod_id
from wigwag.runtime.agents import GATEWAY
from wigwag.runtime.beside import beside
from wigwag.runtime.clock import wall
from wigwag.runtime.management import Commands
from wigwag.runtime.status_commands import status_commands
from wigwag.runtime.status_events import StatusEvents
from wigwag.runtime.status_publisher import BusStatusPublisher
from wigwag.runtime.status_sharing import StatusSharing
from wigwag.runtime.telemetry import Telemetry
from wigwag.runtime.tracing import Tracing
from wigwag.store import Store
from wigwag.store.memory import MemoryStore

from .admin import admin_application
from .blob_settings import BlobSettings
from .blobs import open_blobs
from .bus import bus_readings, open_bus
from .collecting import collect_rarely
from .data_directory import AdminNote, make_data_directory
from .ledger import ledger_readings, open_ledger
from .messages_api import messages_router
from .mi import mi_router
from .mi_core import core_commands, statistics_commands
from .modules import CONSTRUCTORS, UA, Module, Surroundings
from .node_status import BUS, STORE, Availability, NodeStatus
from .observing import Observing
from .server import AdminServer
from .settings import RedisSettings, Settings
from .status_api import status_router
from .workers import Worker

if TYPE_CHECKING:
    from .agents import KnownApplications
    from .applications import Reloading

logger = structlog.get_logger(__name__)


_LATE = 3.0
"""Seconds beyond the grace that a service's drain may take to notice its end."""


class Node:
    """One process and the services it hosts.

    Args:
        settings: All settings.
        services: Names of the services, as ``modules.chosen`` returns them.
        constructors: How each is made.
        worker: Which of several workers this process is, if it is one.
    """

    def __init__(
        self,
        settings: Settings,
        services: Sequence[str],
        *,
        constructors: Mapping[str, Any] = CONSTRUCTORS,
        worker: Worker | None = None,
    ) -> None:
        self.settings = settings if worker is None else worker.settings(settings)
        self._worker = worker
        self.modules: dict[str, Module] = {}
        self.admin_url = ""
        self.rpc_target = ""
        self._rpc_address = ""
        self.pod = pod_id(self.settings.relay.cluster)
        self.status = NodeStatus(services, public_groups=settings.node.status_groups, now=wall)
        self._started = wall()
        self._services = services
        self._constructors = constructors
        self._draining = False
        self._reloading: Reloading
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Open the database, the store and the bus, then the services, then the admin API.

        Raises:
            WigwagError: Something can't be opened; what was open is closed again.
        """
        self.status.initialising()
        async with AsyncExitStack() as stack:
            make_data_directory(self.settings.node.data_dir)
            database = await stack.enter_async_context(Database(self.settings.database_url))
            observing = await stack.enter_async_context(Observing(self.settings.telemetry, version("wigwag"), self.pod))
            telemetry = observing.telemetry
            store = await stack.enter_async_context(open_store(self.settings.redis, self.status.availability(STORE)))
            bus = await self._open_bus(stack)
            telemetry.register(lambda: bus_readings(bus))
            blobs = await stack.enter_async_context(
                open_blobs(self.settings.blobs if self._has_messages else BlobSettings(), database, self.status)
            )
            ledger = await stack.enter_async_context(self._open_ledger(database, bus, observing.tracing, blobs))
            telemetry.register(lambda: ledger_readings(ledger))
            surroundings = Surroundings(
                self.settings,
                database,
                store,
                bus,
                self.status.tree,
                self.pod,
                observing.tracing,
                shares_ports=self._worker is not None,
                ledger=ledger,
                blobs=blobs,
                services=tuple(self._services),
                modules=self.modules,
                applications=await self._open_applications(stack, database, bus),
                rpc=lambda: self._rpc_address,
            )
            for name in self._services:
                module: Module = self._constructors[name](surroundings)
                await stack.enter_async_context(module)
                if (reload := getattr(module, "reload_applications", None)) is not None:
                    self._reloading.followers.append(reload)
                telemetry.register(module.readings)
                self.modules[name] = module
            telemetry.register(self.status.readings)
            sharing = StatusSharing(self.status.tree, self.pod, store, now=wall)
            await stack.enter_async_context(beside(sharing.run()))
            await self._open_rpc(stack, observing.tracing)
            await self._open_admin(stack, telemetry, sharing, ledger)
            self.status.running()
            self._stack = stack.pop_all()
        logger.info("node is running", services=list(self.modules), admin=self.admin_url, rpc=self.rpc_target)
        return self

    def _open_ledger(
        self, database: Database, bus: Bus, tracing: Tracing, blobs: BlobStore
    ) -> AbstractAsyncContextManager[Ledger]:
        return open_ledger(database, bus, self.pod, self.status, tracing, blobs=blobs, sweeps=self._has_messages)

    @property
    def _has_messages(self) -> bool:
        """Whether a service of this process writes messages."""
        return bool(self.settings.relay.sip.listeners) or bool({UA, GATEWAY} & set(self._services))

    async def _open_applications(self, stack: AsyncExitStack, database: Database, bus: Bus) -> "KnownApplications":
        # Commands that run no node are spared the time that the relay takes to load.
        from .agents import KnownApplications
        from .applications import Reloading

        applications = KnownApplications(self.settings, database)
        reloading = self._reloading = Reloading(applications, bus, pod=self.pod, now=wall)
        await applications.refresh()
        await stack.enter_async_context(beside(applications.run()))
        if self.settings.kafka.bootstrap_servers and (self.settings.relay.sip.listeners or UA in self._services):
            await stack.enter_async_context(beside(reloading.run()))
        return applications

    async def _open_bus(self, stack: AsyncExitStack) -> Bus:
        servers = self.settings.kafka.bootstrap_servers
        place = f"Kafka at {servers}" if servers else "a log in the data directory"
        tell = self.status.availability(BUS, place, ready=True)
        worker = self._worker.number if self._worker is not None else 1
        bus = await stack.enter_async_context(open_bus(self.settings, worker=worker, on_availability=tell))
        events = StatusEvents(self.status.tree, BusStatusPublisher(bus, self.pod))
        stack.push_async_callback(events.flush)
        await stack.enter_async_context(beside(events.run()))
        return bus

    async def _open_rpc(self, stack: AsyncExitStack, tracing: Tracing) -> None:
        # Commands that run no node are spared the time that gRPC takes to load.
        from .rpc import advertised, rpc_server

        readiness = self.status.readiness
        services = [
            replace(service, ready=partial(readiness.is_ready, name))
            for name, module in self.modules.items()
            for service in module.rpc_services
        ]
        rpc = await stack.enter_async_context(rpc_server(self.settings.rpc, services, tracing))
        readiness.observe(lambda name, ready: rpc.health_changed())
        self.rpc_target = rpc.target
        self._rpc_address = advertised(self.settings.rpc, rpc.target)

    async def _open_admin(
        self, stack: AsyncExitStack, telemetry: Telemetry, sharing: StatusSharing, ledger: Ledger
    ) -> None:
        from .applications import applications_router

        settings = self.settings.admin
        application = admin_application(
            settings,
            self.modules,
            telemetry,
            version=version("wigwag"),
            readiness=self.status.readiness,
            routers=[
                mi_router(self._commands(sharing)),
                status_router(sharing),
                messages_router(ledger),
                applications_router(self._reloading),
            ],
        )
        server = await stack.enter_async_context(AdminServer(settings, application))
        self.admin_url = server.url
        if self._worker is not None and self._worker.number > 1:
            return  # The note is the first worker's, who has the ports of the settings.
        note = AdminNote(self.settings.node.data_dir)
        note.write(server.url, self.rpc_target, str(getattr(self.modules.get(UA), "url", "")))
        stack.callback(note.remove)

    def _commands(self, sharing: StatusSharing) -> Commands:
        commands, started = Commands(), self._started
        readings = [module.readings for module in self.modules.values()]
        commands.add(*core_commands(commands, version=version("wigwag"), started=started, now=wall))
        commands.add(*statistics_commands([*readings, self.status.readings], started=started, now=wall))
        commands.add(*status_commands(sharing, self.status.tree), self._reloading.command())
        for module in self.modules.values():
            commands.add(*module.commands)
        return commands

    async def drain(self) -> None:
        """Take nothing new, finish what is open; not longer than ``node.shutdown_grace``."""
        self._draining = True
        self.status.terminating()
        grace = self.settings.node.shutdown_grace
        logger.info("draining", seconds=grace)
        try:
            async with asyncio.timeout(grace + _LATE):
                await asyncio.gather(*(module.drain(grace) for module in self.modules.values()))
        except TimeoutError:
            logger.warning("not everything ended in time; closing what is left", seconds=grace)

    @property
    def draining(self) -> bool:
        """Whether the node is about to end."""
        return self._draining

    def watch_parent(self, gone: Callable[[], None]) -> None:
        """Call ``gone`` when this is a worker and its parent is gone."""
        if self._worker is not None:
            self._worker.watch_parent(gone)

    async def __aexit__(self, *exc_info: object) -> None:
        """Close everything, the admin API first."""
        await self._stack.aclose()
        logger.info("node has ended")


def open_store(
    settings: RedisSettings, on_availability: Availability = lambda available, detail: None
) -> AbstractAsyncContextManager[Store]:
    """Return the store, to be entered: Redis where there is a URL, else the process itself.

    Args:
        settings: Where it is.
        on_availability: Told whether it answers.

    Raises:
        ConfigurationError: The URL can't be used.
    """
    if settings.url is None:
        return MemoryStore(on_availability=on_availability)
    from wigwag.store.redis import RedisStore

    return RedisStore(
        settings.url,
        ca_file=settings.ca_file,
        timeout=settings.timeout,
        prefix=settings.prefix,
        on_availability=on_availability,
    )


async def serve(node: Node, on_running: Callable[[Node], None] = lambda node: None) -> None:
    """Run the node until SIGTERM or SIGINT, then drain it; a second signal ends the process at once.

    Args:
        node: What to run.
        on_running: Called once everything is open.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _on_signal, stop, number)
    node.watch_parent(stop.set)
    async with node:
        collect_rarely()
        on_running(node)
        await stop.wait()
        await node.drain()


def _on_signal(stop: asyncio.Event, number: signal.Signals) -> None:
    if stop.is_set():
        os._exit(128 + number)
    logger.info("signal received", signal=number.name)
    stop.set()


def run_in_loop(work: Coroutine[Any, Any, None]) -> None:
    """Run ``work`` in a loop of uvloop where there is one, else of asyncio."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(work)
        return
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)
