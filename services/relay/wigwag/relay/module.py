"""Joins the relay: listeners, credentials, routes, profiles, timers; what a process hosts."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import structlog

from wigwag.bus import Bus
from wigwag.database import Database, Subscribers, relay_routes
from wigwag.database.ledger import Ledger
from wigwag.errors import ConfigurationError
from wigwag.protocols.digest import SigningKeys, StoredCredentials
from wigwag.runtime.credentials import CredentialSource, FileCredentials, FirstOf, HookCredentials
from wigwag.runtime.hep import HepSender
from wigwag.runtime.http_hook import HttpHook
from wigwag.runtime.management import Command
from wigwag.runtime.status import StatusTree
from wigwag.runtime.telemetry import Reading, Readings
from wigwag.runtime.tracing import Tracing
from wigwag.store import Pod, Store, StoreError
from wigwag.transport.admission import Admission, PeerAdmission
from wigwag.transport.channel import Channel
from wigwag.transport.errors import CertificateError, ListenError
from wigwag.transport.listener import Listener

from .certificates import CHECK as CERTIFICATE_CHECK
from .certificates import Certificates
from .cluster import Cluster
from .cluster.pods import PodConnector, PodListener, pod_id
from .config import HookSettings, RelaySettings
from .connecting import OutgoingConnections
from .drain_control import DrainControl, OperatorsDrain
from .draining import Drain, DrainState, DrainView
from .hop import Hop
from .keys import key_file
from .listening import listener_address, listener_options
from .metrics import admission_readings, listener_readings, relay_readings
from .mi import drain_commands, relay_commands
from .operations import Operations
from .profiles import Profiles
from .route_hook import HttpRouteHook
from .routing import RoutingTable
from .service import Relay
from .session_journal import SessionJournal
from .sip.agents import NOBODYS, AgentDirectory
from .sip.module import SipModule
from .sip.routing.config import SipRouteHookSettings
from .status import RelayStatus
from .trace import Traces
from .web import relay_router, routers
from .world import AsyncioRuntime

if TYPE_CHECKING:
    from fastapi import APIRouter

    from wigwag.runtime.rpc import RpcService

TICK = 0.25
"""Seconds between two looks at the clock."""
KEY_CHECK = 5.0
"""Seconds between two looks at the file of signing keys."""

logger = structlog.get_logger("wigwag.relay")


class RelayModule:
    """The relay as a process hosts it.

    Args:
        settings: Its settings.
        database: Subscribers, TCP profiles and routes.
        file_credentials: Users of the settings, who go before subscribers.
        data_dir: Where the signing keys are kept unless the settings say otherwise.
        trace_directory: Where traces are written.
        trace_max_bytes: Largest trace file.
        trace_hep: Shows traced SIP messages to a capture server; None: there is none.
        tracing: Begins spans of traced messages.
        registrations: Where SIP bindings are, whether all pods share it or not.
        store: The store that all pods share; None: this process is the whole relay.
        pod: Id of this pod; None: it makes one up.
        bus: Hears what happens to sessions; None: nobody does.
        reuse_port: Whether other processes of this host listen on the same ports.
        shutdown_grace: Seconds that a drain takes at most unless an operator says otherwise.
        drain_control: What operators drain with; None: they drain the relay alone.
        status: Where it tells how it is.
        ledger: Where SIP messages for services and absent users are kept; None: none are.
        directory: Knows whose sessions and addresses of the user agent are.
    """

    def __init__(
        self,
        settings: RelaySettings,
        *,
        database: Database,
        file_credentials: Sequence[StoredCredentials],
        data_dir: Path,
        trace_directory: Path,
        trace_max_bytes: int,
        tracing: Tracing,
        status: StatusTree,
        trace_hep: HepSender | None = None,
        registrations: Store,
        store: Store | None = None,
        pod: str | None = None,
        bus: Bus | None = None,
        reuse_port: bool = False,
        shutdown_grace: float = 30.0,
        drain_control: DrainControl | None = None,
        ledger: Ledger | None = None,
        directory: AgentDirectory = NOBODYS,
    ) -> None:
        self._settings = settings
        self._database = database
        self._file_credentials = file_credentials
        self._data_dir = data_dir
        self._trace_directory = trace_directory
        self._trace_max_bytes = trace_max_bytes
        self._tracing = tracing
        self._trace_hep = trace_hep
        self._store = store
        self._registrations = registrations
        self._pod = pod or pod_id(settings.cluster)
        self._bus = bus
        self._reuse_port = reuse_port
        self._shutdown_grace = shutdown_grace
        self._drain_control = drain_control
        self._ledger = ledger
        self._directory = directory
        self._status = RelayStatus(status)
        self._status_tree = status
        self._stack = AsyncExitStack()
        self._listeners: list[Listener] = []
        self._profiles = Profiles(database, self._status)
        self._certificates: Certificates
        self._admission = Admission(
            connections=settings.limits.connections, per_address=settings.limits.connections_per_address
        )
        self._key_file = key_file(settings, data_dir)
        self._keys: SigningKeys
        self._drain: Drain
        self.relay: Relay
        self.sip: SipModule | None = None
        self.router: APIRouter
        self.rpc_services: Sequence[RpcService]
        self.commands: Sequence[Command]
        self._traces: Traces
        self._outgoing: OutgoingConnections

    async def __aenter__(self) -> Self:
        """Load what is stored, listen, and start the timers.

        Raises:
            ConfigurationError, DatabaseError, ListenError, CertificateError: What is wrong, by name.
        """
        async with AsyncExitStack() as stack:
            runtime = AsyncioRuntime()
            stack.push_async_callback(runtime.close)
            await self._profiles.load()
            settings = self._settings
            self._outgoing = OutgoingConnections(settings, lambda: self._profiles.table, self._own_addresses)
            self._keys = self._loaded_keys(runtime)
            self._status.keys(self._keys.ids)
            hook = await self._hook(stack, settings.route_hook)
            source = await self._credential_source(stack)
            self.relay = Relay(
                settings,
                runtime=runtime,
                keys=self._keys,
                source=source,
                connector=self._outgoing,
                table=await self._routing_table(),
                hook=self._status.watched_hook(HttpRouteHook(hook)) if hook is not None else None,
            )
            self.relay.tracing = self._tracing
            self._traces = Traces(self.relay, self._trace_directory, self._trace_max_bytes)
            if self._trace_hep is not None:
                await self._trace_hep.start()
                stack.callback(self._trace_hep.close)
                self._traces.hep = self._trace_hep
            stack.callback(self._traces.close)
            self._drain = Drain(self.relay, pace=settings.drain_pace)
            drain = self._drain_for_operators(stack, runtime)
            self._certificates = Certificates(settings, lambda: self._stream_listeners, self._status)
            operations = Operations(
                self._profiles,
                self._certificates,
                self._traces,
                channels=self._channels,
                reload_routes=self._reload_routes,
            )
            self.router = relay_router(self.relay, operations, drain)
            self.commands = [*relay_commands(self.relay, operations), *drain_commands(drain)]
            self._open_rpc(stack, runtime, drain)
            if self._store is not None:
                await self._join(stack, self._store)
            await self._listen(stack)
            await self._open_sip(stack, runtime, source)
            stack.push_async_callback(self._outgoing.close)
            ticker = asyncio.create_task(self._tick())
            stack.callback(ticker.cancel)
            self._status.serving()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Close every connection and listener."""
        await self._stack.aclose()

    @property
    def readings(self) -> Readings:
        """The relay's metrics."""
        return self._read

    def _read(self) -> Iterable[Reading]:
        yield from relay_readings(self.relay)
        yield from listener_readings(self._listeners)
        yield from admission_readings(self._admission)
        if self.sip is not None:
            yield from self.sip.readings()

    def ready(self) -> tuple[bool, Mapping[str, Any]]:
        """Tell whether clients can be served; a database that is away refuses AUTHs, it does not end readiness."""
        details = {
            listener.name: {
                "address": f"{listener.address[0]}:{listener.address[1]}",
                "connections": len(listener.channels),
            }
            for listener in self._listeners
        }
        sip = {} if self.sip is None else {"sip": self.sip.ready_details()}
        return self._status.ready, {"listeners": details, **sip}

    async def drain(self, grace: float) -> None:
        """Accept nothing new, let what is open end and send clients away within ``grace`` seconds; see ``Drain``.

        Cancelling it calls it off: the relay serves again.
        """
        self._status.draining()
        for listener in self._listeners:
            listener.stop_accepting()
        try:
            async with asyncio.TaskGroup() as draining:
                if self.sip is not None:
                    draining.create_task(self.sip.drain(grace))
                await self._drain.run(grace)
        except asyncio.CancelledError:
            self.serve_again()
            raise

    def serve_again(self) -> None:
        """Call a drain off, also one that is done."""
        self._drain.call_off()
        if self.sip is not None:
            self.sip.serve_again()
        for listener in self._listeners:
            listener.accept_again()
            self._status.listening(listener)
        self._tell_of_sip_listeners()
        self._status.serving()

    def drain_view(self) -> DrainView:
        """Return how far a drain is."""
        view = self._drain.view()
        if self.sip is None:
            return view
        # MSRP's part may be done first.
        going_on = view.state == DrainState.DRAINED.value and self.sip.is_draining
        return replace(
            view,
            state=DrainState.DRAINING.value if going_on else view.state,
            connections=view.connections + len(self.sip.edge.streams),
            transactions=view.transactions + self.sip.open_transactions,
        )

    # Opening

    async def _join(self, stack: AsyncExitStack, store: Store) -> None:
        """Become a pod of the cluster."""
        settings, relay = self._settings.cluster, self.relay
        try:
            connector = PodConnector(settings)
        except CertificateError as error:
            raise ConfigurationError(f"relay.cluster, {error}") from error
        listener = PodListener(settings, lambda: cluster.links.accept(cluster))
        address = await listener.start(stack)
        pod = Pod(id=self._pod, address=address)
        cluster = relay.cluster = Cluster(relay, pod=pod, store=store, keys=self._keys, connector=connector)
        stack.push_async_callback(connector.close)
        stack.push_async_callback(cluster.leave)
        stack.callback(cluster.close)
        try:
            await cluster.beat()
        except StoreError as error:
            logger.warning("the store is away; the relay joins when it is back", reason=str(error))
        watching = asyncio.create_task(cluster.watch())
        stack.callback(watching.cancel)
        logger.info("this pod has joined the cluster", pod=pod.id, links=address)

    def _loaded_keys(self, runtime: AsyncioRuntime) -> SigningKeys:
        if self._settings.signing_keys_file is None:
            return self._key_file.load_or_make(runtime.random, runtime.wall())
        # A pod that made keys of its own beside a mistyped path could talk to no other.
        return self._key_file.load(runtime.wall())

    def _drain_for_operators(self, stack: AsyncExitStack, runtime: AsyncioRuntime) -> DrainControl:
        if self._drain_control is not None:
            return self._drain_control
        drain = OperatorsDrain(self, default_grace=self._shutdown_grace, wall=runtime.wall)
        stack.callback(drain.close)
        return drain

    def _open_rpc(self, stack: AsyncExitStack, runtime: AsyncioRuntime, drain: DrainControl) -> None:
        # Not at the top: gRPC takes a moment to load, and commands that run no node load this module too.
        from .rpc import RelayServicer
        from .session_events import SessionEvents

        journal = SessionJournal(self._pod, runtime.wall)
        self.relay.observers.append(journal)
        servicer = RelayServicer(self.relay, journal=journal, drain=drain, pod=self._pod)
        self.rpc_services = (servicer.served(lambda: self.ready()[0]),)
        if self._bus is not None:
            events = SessionEvents(self._bus, journal, self._pod)
            stack.push_async_callback(events.flush)
            publishing = asyncio.create_task(events.run())
            stack.callback(publishing.cancel)

    async def _credential_source(self, stack: AsyncExitStack) -> CredentialSource:
        watched = self._status.watched
        sources: list[CredentialSource] = [
            watched("settings", FileCredentials(self._file_credentials), f"{len(self._file_credentials)} users"),
            watched("database", Subscribers(self._database), "table subscriber"),
        ]
        hook = await self._hook(stack, self._settings.credentials_hook)
        if hook is not None:
            sources.append(watched("hook", HookCredentials(hook), "HTTP service"))
        return FirstOf(sources)

    @staticmethod
    async def _hook(stack: AsyncExitStack, settings: HookSettings | SipRouteHookSettings | None) -> HttpHook | None:
        if settings is None:
            return None
        hook = HttpHook(settings.url, timeout=settings.timeout, cache=settings.cache, token=settings.token)
        return await stack.enter_async_context(hook)

    async def _routing_table(self) -> RoutingTable:
        """Rows of the settings go before those of the database."""
        with self._status.loading_routes() as attempt:
            table = RoutingTable([*self._settings.routes, *await relay_routes(self._database)])
            attempt.result = f"{len(table)} routes loaded"
            return table

    async def _listen(self, stack: AsyncExitStack) -> None:
        for index, settings in enumerate(self._settings.listeners):
            listener = Listener(
                listener_options(settings, self._settings.limits, reuse_port=self._reuse_port),
                lambda: Hop(self.relay),
                admission=PeerAdmission(self._admission) if settings.kind == "peer" else self._admission,
                profiles=lambda: self._profiles.table,
            )
            try:
                await listener.start()
            except (ListenError, CertificateError) as error:
                raise ConfigurationError(f"relay.listeners[{index}], {error}") from error
            stack.push_async_callback(listener.close)
            self._listeners.append(listener)
            self._status.listening(listener)
            self.relay.listeners[settings.name] = listener_address(settings, listener.address[1])

    async def _open_sip(self, stack: AsyncExitStack, runtime: AsyncioRuntime, source: CredentialSource) -> None:
        if not self._settings.sip.listeners:
            return
        hook = await self._hook(stack, self._settings.sip.route_hook)
        sip = SipModule(
            self._settings,
            runtime=runtime,
            keys=self._keys,
            source=source,
            store=self._registrations,
            cluster=self.relay.cluster,
            pod=self._pod,
            admission=self._admission,
            profiles=lambda: self._profiles.table,
            reuse_port=self._reuse_port,
            flush=self.relay.flush,
            ledger=self._ledger,
            status=self._status_tree,
            database=self._database,
            hook=hook,
            bus=self._bus,
            directory=self._directory,
        )
        self.sip = await stack.enter_async_context(sip)
        sip.parts.pager.tracing = self._tracing
        if sip.pager_outbound is not None:
            sip.pager_outbound.tracing = self._tracing
        self.router = routers(self.router, sip.router)
        self.commands = [*self.commands, *sip.commands]
        self._traces.addresses = sip.listeners.addresses
        self._tell_of_sip_listeners()

    def _tell_of_sip_listeners(self) -> None:
        if self.sip is not None:
            for name, host, port in self.sip.addresses():
                self._status.listening_on(name, host, port)
            self._status.look(self._stream_listeners, {})

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        next_look = loop.time() + CERTIFICATE_CHECK
        next_key_look = loop.time() + KEY_CHECK
        while True:
            await asyncio.sleep(TICK)
            self.relay.deadlines.tick(loop.time())
            if loop.time() >= next_key_look:
                next_key_look = loop.time() + KEY_CHECK
                self._refresh_keys()
            if loop.time() >= next_look:
                next_look = loop.time() + CERTIFICATE_CHECK
                self._certificates.look()
            if self._status.due(loop.time()):
                self._status.look(self._stream_listeners, self._refusals())
                if self.sip is not None:
                    self._status.sip(self.sip.condition())
                if self.relay.cluster is not None:
                    others = [pod.id for pod in self.relay.cluster.members.others()]
                    self._status.cluster(others, self.relay.cluster.links.views())

    def _refusals(self) -> dict[str, int]:
        admission = self._admission
        refused = {"refused_total": admission.refused_total, "refused_per_address": admission.refused_per_address}
        sip = self.sip.refusals() if self.sip is not None else {}
        return {**refused, "stalls": self.relay.counters["stalls"], **sip}

    def _refresh_keys(self) -> None:
        try:
            if self._key_file.refresh(self._keys, self.relay.runtime.wall()):
                logger.info("signing keys are in force", ids=self._keys.ids)
        except ConfigurationError as error:
            logger.warning("signing keys stay as they were", reason=str(error))
            self._status.keys(self._keys.ids, problem=str(error))
        else:
            self._status.keys(self._keys.ids)

    @property
    def _stream_listeners(self) -> list[Listener]:
        return [*self._listeners, *(self.sip.listeners.streams if self.sip is not None else ())]

    def _own_addresses(self) -> list[str]:
        sip = [host for _, host, _ in self.sip.addresses()] if self.sip is not None else []
        return [*(listener.address[0] for listener in self._listeners), *sip]

    # For operators

    def _channels(self) -> list[Channel]:
        sip = self.sip.channels() if self.sip is not None else []
        return [*(hop.channel for hop in self.relay.hops.values()), *sip]

    async def _reload_routes(self) -> int:
        table = await self._routing_table()
        self.relay.outbound.table = table
        return len(table) + (await self.sip.reload_routes() if self.sip is not None else 0)
