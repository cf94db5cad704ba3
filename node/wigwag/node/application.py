"""The composition root: joins database, services and admin API into one process, and ends it in good order."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Self

import structlog

from wigwag.database import Database
from wigwag.runtime.telemetry import Telemetry
from wigwag.runtime.tracing import Tracing
from wigwag.store import Store
from wigwag.store.memory import MemoryStore

from .admin import admin_application
from .bus import bus_readings, open_bus
from .data_directory import AdminNote, make_data_directory
from .modules import CONSTRUCTORS, Module, Surroundings
from .observing import Observing
from .server import AdminServer
from .settings import RedisSettings, Settings
from .workers import Worker

if TYPE_CHECKING:
    from wigwag.runtime.rpc import RpcServer

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
        self._services = services
        self._constructors = constructors
        self._draining = False
        self._stack = AsyncExitStack()
        self._rpc: RpcServer

    async def __aenter__(self) -> Self:
        """Open the database, the store and the bus, then the services, then the admin API.

        Raises:
            WigwagError: Something can't be opened; what was open is closed again.
        """
        async with AsyncExitStack() as stack:
            make_data_directory(self.settings.node.data_dir)
            database = await stack.enter_async_context(Database(self.settings.database_url))
            observing = await stack.enter_async_context(Observing(self.settings.telemetry, version("wigwag")))
            telemetry = observing.telemetry
            store = await stack.enter_async_context(open_store(self.settings.redis))
            bus = await stack.enter_async_context(
                open_bus(self.settings, worker=self._worker.number if self._worker else 1)
            )
            telemetry.register(lambda: bus_readings(bus))
            surroundings = Surroundings(
                self.settings, database, store, bus, observing.tracing, shares_ports=self._worker is not None
            )
            for name in self._services:
                module: Module = self._constructors[name](surroundings)
                await stack.enter_async_context(module)
                telemetry.register(module.readings)
                self.modules[name] = module
            views = {name: _Draining(self, module) for name, module in self.modules.items()}
            await self._open_rpc(stack, views, observing.tracing)
            await self._open_admin(stack, telemetry, views)
            self._stack = stack.pop_all()
        logger.info("node is running", services=list(self.modules), admin=self.admin_url, rpc=self.rpc_target)
        return self

    async def _open_rpc(self, stack: AsyncExitStack, views: "Mapping[str, _Draining]", tracing: Tracing) -> None:
        # Commands that run no node are spared the time that gRPC takes to load.
        from .rpc import rpc_server

        self._rpc = await stack.enter_async_context(rpc_server(self.settings.rpc, views, tracing))
        self.rpc_target = self._rpc.target

    async def _open_admin(self, stack: AsyncExitStack, telemetry: Telemetry, views: "Mapping[str, _Draining]") -> None:
        settings = self.settings.admin
        application = admin_application(settings, views, telemetry, version=version("wigwag"))
        server = await stack.enter_async_context(AdminServer(settings, application))
        self.admin_url = server.url
        if self._worker is not None and self._worker.number > 1:
            return  # The note is the first worker's, who has the ports of the settings.
        note = AdminNote(self.settings.node.data_dir)
        note.write(server.url, self.rpc_target)
        stack.callback(note.remove)

    async def drain(self) -> None:
        """Take nothing new, finish what is open; not longer than ``node.shutdown_grace``."""
        self._draining = True
        self._rpc.health_changed()
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


def open_store(settings: RedisSettings) -> AbstractAsyncContextManager[Store]:
    """Return the store, to be entered: Redis where there is a URL, else the process itself.

    Raises:
        ConfigurationError: The URL can't be used.
    """
    if settings.url is None:
        return MemoryStore()
    from wigwag.store.redis import RedisStore

    return RedisStore(settings.url, ca_file=settings.ca_file, timeout=settings.timeout, prefix=settings.prefix)


class _Draining:
    """A module as the admin API sees it: not ready once the node drains."""

    def __init__(self, node: Node, module: Module) -> None:
        self._node = node
        self._module = module
        self.router = module.router
        self.rpc_services = [replace(service, ready=self._can_serve) for service in module.rpc_services]

    def _can_serve(self) -> bool:
        return self.ready()[0]

    def ready(self) -> tuple[bool, Mapping[str, Any]]:
        is_ready, details = self._module.ready()
        return is_ready and not self._node.draining, details


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
