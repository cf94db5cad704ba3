"""Joins SIP at the edge: listeners, transactions, proxy, registrar, pods, timers; a part of the relay's module."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final, Self

import structlog

from wigwag.protocols.digest import Algorithm, NonceIssuer, SigningKeys
from wigwag.protocols.sip.transactions import SipTimers, Transactions
from wigwag.relay.config import RelaySettings
from wigwag.runtime.credentials import CredentialSource
from wigwag.store import Gap, RegistrationChanged, Store
from wigwag.transport.admission import Admission
from wigwag.transport.profiles import ProfileTable

from .authentication import Authenticator, pod_tag
from .defaults import NoNextHops, NoRoutes, NoScreening, NoServices
from .edge import Edge
from .listening import SipListeners
from .locations import Locations
from .own_names import OwnNames
from .pods import SipPods
from .ports import Neighbours
from .proxy import Proxy
from .registrar import Registrar

if TYPE_CHECKING:
    from wigwag.relay.cluster import Cluster
    from wigwag.relay.world import AsyncioRuntime

TICK: Final = 0.05
"""Seconds between two looks at the clock; retransmissions are so exact."""

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
    ) -> None:
        self._settings = settings
        self._runtime = runtime
        self._keys = keys
        self._source = source
        self._store = store
        self._cluster = cluster
        self._pod = pod
        self._flush = flush
        self._stack = AsyncExitStack()
        self.edge: Edge
        self.listeners = SipListeners(
            settings.sip, admission=admission, profiles=profiles, reuse_port=reuse_port, edge=lambda: self.edge
        )

    async def __aenter__(self) -> Self:
        """Listen, and start the timers.

        Raises:
            ConfigurationError: A listener can't be opened.
        """
        async with AsyncExitStack() as stack:
            await self.listeners.open(stack)
            self._make_edge(stack)
            watching = asyncio.create_task(self._watch())
            stack.callback(watching.cancel)
            ticker = asyncio.create_task(self._tick())
            stack.callback(ticker.cancel)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Close every connection and listener."""
        await self._stack.aclose()

    def _make_edge(self, stack: AsyncExitStack) -> None:
        settings, runtime = self._settings.sip, self._runtime
        timers = SipTimers(t1=settings.timers.t1, t2=settings.timers.t2, t4=settings.timers.t4)
        transactions = Transactions(timers, limit=settings.limits.transactions)
        addresses = self.listeners.addresses
        domains = settings.domains or self._settings.domains
        proxy = Proxy(
            transactions=transactions,
            keys=self._keys,
            next_hops=NoNextHops(),
            timers=settings.timers,
            pod=self._pod if self._cluster is not None else "",
            now=runtime.now,
            spawn=runtime.spawn,
            random=runtime.random,
        )
        self.edge = Edge(
            settings,
            names=OwnNames(domains, addresses),
            transactions=transactions,
            proxy=proxy,
            now=runtime.now,
            spawn=runtime.spawn,
            log=runtime.log,
        )
        self.edge.addresses = {address.name: address for address in addresses}
        self.edge.sockets = {
            listener.name: (listener, self.edge.addresses[listener.name]) for listener in self.listeners.datagrams
        }
        self.locations = Locations(self._store, runtime.now, self._wall)
        self.edge.neighbours = self._neighbours()
        if self._cluster is not None:
            pods = SipPods(self.edge, self._cluster.members, self._cluster.links, self._flush)
            self.edge.pods = self._cluster.links.sip = pods

    def _neighbours(self) -> Neighbours:
        settings, runtime, edge = self._settings, self._runtime, self.edge
        authenticator = Authenticator(
            edge,
            source=self._source,
            nonces=NonceIssuer(self._keys, settings.sip.nonce_lifetime),
            lifetime=settings.sip.nonce_lifetime,
            algorithms=self._algorithms,
            instance=runtime.random(8),
            tag=pod_tag(self._pod),
            counts=None,
            wall=runtime.wall,
            random=runtime.random,
        )
        registrar = Registrar(
            edge,
            settings.sip.registrar,
            store=self._store,
            locations=self.locations,
            pod=self._pod,
            wall=self._wall,
        )
        return Neighbours(
            authentication=authenticator,
            registering=registrar,
            locating=self.locations,
            routing=NoRoutes(),
            screening=NoScreening(),
            services=NoServices(),
        )

    def _algorithms(self, realm: str) -> tuple[Algorithm, ...]:
        names = self._settings.domain_digest_algorithms.get(realm, self._settings.digest_algorithms)
        return tuple(map(Algorithm, names))

    def _wall(self) -> float:
        return self._cluster.members.wall() if self._cluster is not None else self._runtime.wall()

    async def _watch(self) -> None:
        """Take note of registrations that change at other pods."""
        async for change in self._store.changes():
            if isinstance(change, RegistrationChanged | Gap):
                self.locations.changed(change)

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(TICK)
            now = loop.time()
            self.edge.transactions.handle_timeout(now)
            self.edge.proxy.tick(now)
            self.listeners.tick(now)
            self._flush()
