"""Joins SIP at the edge: listeners, transactions, proxy, registrar, pods, timers; a part of the relay's module."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final, Self

import structlog

from wigwag.bus import Bus
from wigwag.database import Blocks, Database
from wigwag.database.ledger import Ledger
from wigwag.protocols.digest import SigningKeys
from wigwag.relay.config import RelaySettings
from wigwag.relay.metrics import listener_readings
from wigwag.relay.views import SipCondition
from wigwag.runtime.credentials import CredentialSource
from wigwag.runtime.http_hook import HttpHook
from wigwag.runtime.management import Command
from wigwag.runtime.status import StatusTree
from wigwag.runtime.telemetry import Reading
from wigwag.store import Gap, RegistrationChanged, Store
from wigwag.transport.admission import Admission
from wigwag.transport.channel import Channel
from wigwag.transport.profiles import ProfileTable

from .agents import NOBODYS, AgentDirectory
from .assembly import SipParts, assemble
from .draining import SipDrain
from .edge import Edge
from .edge_readings import edge_readings
from .flows.connecting import outbound
from .flows.listening import SipListeners
from .flows.outbound import Outbound
from .pager.outbound import PagerOutbound
from .pager.readings import pager_readings
from .pager.sender import PagerSender
from .pods import SipPods
from .protection.mi import protection_commands
from .registrar.mi import registration_commands
from .registrar.readings import registration_readings
from .registrar.registered_users import RegisteredUsers
from .registrar.work import RegistrationWork
from .routing.mi import routing_commands
from .routing.pinging import Pinger
from .routing.router import Router
from .routing.work import RoutingWork, routing_readings

if TYPE_CHECKING:
    from fastapi import APIRouter

    from wigwag.relay.cluster import Cluster
    from wigwag.relay.world import AsyncioRuntime

TICK: Final = 0.05
"""Seconds between two looks at the clock; retransmissions are so exact."""
LOOK_FOR_PODS: Final = 1.0
"""Seconds between two looks for pods to which no link stands."""
LOOK_AT_POOLS: Final = 2.0
"""Seconds between two looks at who is up, for the status."""

logger = structlog.get_logger("wigwag.relay.sip")


class SipModule:
    """SIP as the relay hosts it.

    Args:
        settings: All of the relay's settings.
        runtime: Clock, chance and background work.
        keys: Sign nonces, branches and routes.
        source: Where credentials are looked up.
        store: Where registrations are.
        cluster: The other pods; None: there can be none.
        pod: Id of this pod.
        admission: Limits on open connections.
        profiles: TCP profiles that hold now.
        reuse_port: Whether other processes of this host listen on the same ports.
        flush: Sends what waits for other pods.
        status: Where it tells how it is.
        database: Where rows of the routing table and block lists are; None: there are none.
        hook: Decides in place of the table; None: nobody does.
        ledger: Where messages for services and absent users are kept; None: none are.
        bus: Hears what happens to registrations, and brings messages that are to be sent; None: neither.
        directory: Knows whose sessions and addresses of the user agent are.
    """

    def __init__(
        self,
        settings: RelaySettings,
        *,
        runtime: "AsyncioRuntime",
        keys: SigningKeys,
        source: CredentialSource,
        store: Store,
        cluster: "Cluster | None",
        pod: str,
        admission: Admission,
        profiles: Callable[[], ProfileTable],
        reuse_port: bool,
        flush: Callable[[], None],
        status: StatusTree,
        database: Database | None = None,
        hook: HttpHook | None = None,
        ledger: Ledger | None = None,
        bus: Bus | None = None,
        directory: AgentDirectory = NOBODYS,
    ) -> None:
        self._settings = settings
        self._runtime = runtime
        self._keys = keys
        self._source = source
        self._store = store
        self._cluster = cluster
        self._pod = pod
        self._flush = flush
        self._ledger = ledger
        self._directory = directory
        self._alive: frozenset[str] = frozenset()
        self.pager_outbound: PagerOutbound | None = None
        self._profiles = profiles
        self.routing = Router(settings.sip, now=runtime.now, hook=hook)
        self._routing_work = RoutingWork(self.routing, database=database, status=status)
        self._status = status
        self._bus = bus
        self._database = database
        self._pusher: HttpHook | None = None
        self._work: RegistrationWork
        self.router: APIRouter
        self.commands: Sequence[Command]
        self._stack = AsyncExitStack()
        self._drain: SipDrain
        self.edge: Edge
        self.parts: SipParts
        self.outbound: Outbound
        self._pinger: Pinger
        self.listeners = SipListeners(
            settings.sip, admission=admission, profiles=profiles, reuse_port=reuse_port, edge=lambda: self.edge
        )

    async def __aenter__(self) -> Self:
        """Listen, and start the timers.

        Raises:
            ConfigurationError: A listener can't be opened.
        """
        async with AsyncExitStack() as stack:
            await self._routing_work.reload()
            await self._open_pusher(stack)
            async with AsyncExitStack() as opening:
                # Neither of these two gives way to the loop: nothing is received before the edge is there.
                await self.listeners.open(opening)
                self._assemble()
                self.listeners.serve()
                opening.push_async_callback(self.outbound.close)
                await self._look_after_registrations(stack)
                # Connections are closed first: what they leave behind has to be let go.
                stack.push_async_callback(opening.pop_all().aclose)
            self._open_to_operators()
            watching = asyncio.create_task(self._watch())
            stack.callback(watching.cancel)
            ticker = asyncio.create_task(self._tick())
            stack.callback(ticker.cancel)
            self._drain = SipDrain(self.edge, pace=self._settings.drain_pace)
            stack.push_async_callback(self._drain.finish)
            await self._send_for_services(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Answer what is open, for two seconds at most, and close every connection and listener."""
        await self._stack.aclose()

    async def _send_for_services(self, stack: AsyncExitStack) -> None:
        """Consume what services want to be sent as SIP MESSAGE."""
        settings = self._settings.sip.pager
        if self._bus is None or self._ledger is None or not settings.outbound:
            return
        sender = PagerSender(self.edge)
        self.pager_outbound = PagerOutbound(sender, self._ledger, pod=self._pod, wall=self._runtime.wall)
        await stack.enter_async_context(self.pager_outbound.consuming(self._bus, settings.in_flight))

    async def drain(self, grace: float) -> None:
        """Send the connections away within ``grace`` seconds; see ``SipDrain``. Cancelling it calls it off."""
        for listener in self.listeners.streams:
            listener.stop_accepting()
        await self._drain.run(grace)

    def serve_again(self) -> None:
        """Call a drain off, also one that is done."""
        self._drain.call_off()
        for listener in self.listeners.streams:
            listener.accept_again()

    # For the status and for operators

    def addresses(self) -> list[tuple[str, str, int]]:
        """Return where it listens: name, address, port."""
        datagrams = [(listener.name, *listener.address) for listener in self.listeners.datagrams]
        return [*datagrams, *((listener.name, *listener.address) for listener in self.listeners.streams)]

    def channels(self) -> list[Channel]:
        """Return the open connections."""
        return [flow.channel for flow in self.edge.streams.values() if flow.channel is not None]

    def ready_details(self) -> dict[str, str]:
        """Return where it listens, as readiness shows it."""
        return {name: f"{host}:{port}" for name, host, port in self.addresses()}

    def refusals(self) -> dict[str, int]:
        """Return the counters whose growth is an event."""
        shedding, protection = self.edge.shedding, self.edge.protection
        return {
            "sip_refused": shedding.refused + shedding.dropped,
            "sip_banned": protection.bans.imposed,
            "sip_over_rate": protection.datagrams_dropped + protection.users_refused + protection.connections_refused,
        }

    def condition(self) -> SipCondition:
        """Return how SIP is."""
        return SipCondition(overload=self.edge.shedding.overload.level, bans=len(self.edge.protection.bans))

    @property
    def is_draining(self) -> bool:
        """Whether connections are being sent away right now."""
        return self._drain.is_running

    @property
    def open_transactions(self) -> int:
        """Requests that have no final answer yet."""
        return self._drain.open_transactions

    def _assemble(self) -> None:
        listeners = self.listeners
        addresses = {address.name: address for address in listeners.addresses}
        self.outbound = outbound(
            self._settings,
            edge=lambda: self.edge,
            addresses=listeners.addresses,
            profiles=self._profiles,
            now=self._runtime.now,
        )
        self.parts = assemble(
            self._settings,
            addresses=listeners.addresses,
            sockets={each.name: (each, addresses[each.name]) for each in listeners.datagrams},
            runtime=self._runtime,
            keys=self._keys,
            source=self._source,
            store=self._store,
            next_hops=self.outbound,
            router=self.routing,
            pod=self._pod,
            clustered=self._cluster is not None,
            wall=self._wall,
            bus=self._bus,
            pusher=self._pusher,
            ledger=self._ledger,
            directory=self._directory,
        )
        self.edge = self.parts.edge
        self._pinger = Pinger(
            self.edge, pools=lambda: self.routing.pools, spawn=self._runtime.spawn, random=self._runtime.random
        )
        if self._cluster is not None:
            pods = SipPods(
                self.edge,
                self._cluster.members,
                self._cluster.links,
                store=self._store,
                counts=self.parts.authenticator.nonce_counts,
                nonce_lifetime=self._settings.sip.nonce_lifetime,
                wall=self._runtime.wall,
                flush=self._flush,
            )
            self.edge.pods = self._cluster.links.sip = self.parts.authenticator.counts = pods

    def _open_to_operators(self) -> None:
        # Not at the top: what serves HTTP takes a moment to load, and commands that run no node load this module too.
        from wigwag.relay.web import routers

        from .protection.web import protection_router
        from .registrar.web import registration_router
        from .routing.web import routing_router

        users, protection = RegisteredUsers(self._store, self.parts), self.edge.protection
        self.router = routers(
            routing_router(self._routing_work), registration_router(users), protection_router(protection)
        )
        self.commands = [
            *routing_commands(self._routing_work),
            *registration_commands(users, self._work),
            *protection_commands(protection),
        ]

    async def reload_routes(self) -> int:
        """Read the routing table and its pools again; on an error the old ones stay."""
        return await self._routing_work.reload()

    def readings(self) -> Iterable[Reading]:
        """Yield the metrics of SIP."""
        streams = {listener.name: len(listener.channels) for listener in self.listeners.streams}
        yield from edge_readings(self.edge, self.listeners.datagrams, streams)
        yield from listener_readings(self.listeners.streams)
        yield from routing_readings(self.routing, self.outbound)
        yield from registration_readings(self.parts)
        yield from pager_readings(self.parts.pager, self.pager_outbound)

    async def _open_pusher(self, stack: AsyncExitStack) -> None:
        push = self._settings.sip.push
        if push is not None:
            hook = HttpHook(push.url, timeout=push.timeout, cache=0.0, token=push.token)
            self._pusher = await stack.enter_async_context(hook)

    async def _look_after_registrations(self, stack: AsyncExitStack) -> None:
        self._work = RegistrationWork(
            self.parts,
            store=self._store,
            cluster=self._cluster,
            pod=self._pod,
            blocks=Blocks(self._database) if self._database is not None else None,
            status=self._status,
        )
        await self._work.start()
        stack.push_async_callback(self._work.close)

    def _wall(self) -> float:
        return self._cluster.members.wall() if self._cluster is not None else self._runtime.wall()

    async def _watch(self) -> None:
        """Take note of registrations that change at other pods."""
        async for change in self._store.changes():
            if isinstance(change, RegistrationChanged | Gap):
                self._work.noticed(change)

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        next_look = next_pool_look = 0.0
        due = loop.time() + TICK
        while True:
            await asyncio.sleep(TICK)
            now = loop.time()
            late, due = max(0.0, now - due), now + TICK
            shedding = self.edge.shedding
            shedding.measured(late, self.listeners.waiting(now))
            self.listeners.read_ahead(wanted=shedding.queue.is_open)
            fire([*self.parts.ticks, self.listeners.tick, self._pinger.tick], now)
            if now >= next_pool_look:
                next_pool_look = now + LOOK_AT_POOLS
                self._routing_work.look()
            if self.edge.pods is not None and now >= next_look:
                next_look = now + LOOK_FOR_PODS
                self.edge.pods.prepare()
                self._look_for_lost_pods(now)
            self._flush()

    def _look_for_lost_pods(self, now: float) -> None:
        assert self._cluster is not None
        alive = frozenset(pod.id for pod in self._cluster.members.others())
        if self._alive - alive:
            self.parts.pager.pod_lost(now)
        self._alive = alive


def fire(ticks: Iterable[Callable[[float], None]], now: float) -> None:
    """Let each look at what is due; what one message breaks must not stop the timers of all others."""
    for tick in ticks:
        try:
            tick(now)
        except Exception:
            logger.exception("a timer of SIP failed")
