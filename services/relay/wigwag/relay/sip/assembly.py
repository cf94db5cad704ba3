"""Puts an edge together from its parts; sockets and background work are brought in from outside."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from wigwag.bus import Bus
from wigwag.database.ledger import Ledger
from wigwag.protocols.digest import Algorithm, NonceIssuer, SigningKeys
from wigwag.protocols.sip.transactions import SipTimers, Transactions
from wigwag.relay.config import RelaySettings
from wigwag.runtime.credentials import CredentialSource
from wigwag.store import Store

from .agents import NOBODYS, AgentDirectory, UserAgents
from .authentication.authenticator import Authenticator, pod_tag
from .config import SipSettings
from .edge import Edge
from .flows.flow import DatagramSender, SipAddress
from .flows.next_hops import NextHops
from .gateway.calls import GatewayCalls
from .gateway.probing import Prober
from .own_names import OwnNames
from .pager.mode import PagerMode
from .ports import Neighbours
from .protection.protection import Protection
from .protection.screening import BlockLists
from .proxy.proxy import Proxy
from .registrar.events import RegistrationEvents
from .registrar.locations import Locations
from .registrar.own_bindings import OwnBindings
from .registrar.registrar import Registrar
from .registrar.upkeep import Upkeep
from .registrar.waker import Pusher, Waker
from .routing.router import Router


class SipRuntime(Protocol):
    """Clock, chance and background work."""

    @property
    def now(self) -> Callable[[], float]:
        """Seconds, monotonic."""

    def wall(self) -> float:
        """Seconds since the epoch."""

    def random(self, octets: int) -> bytes:
        """Bytes that nobody can predict."""

    async def sleep(self, seconds: float) -> None:
        """Let so much time pass."""

    def spawn(self, work: Awaitable[None]) -> None:
        """Run ``work`` beside; what it raises is logged."""

    def log(self, event: str, **fields: object) -> None:
        """Write one line."""


@dataclass(frozen=True, slots=True)
class RegistrationParts:
    """What looks after bindings."""

    own: OwnBindings
    upkeep: Upkeep
    events: RegistrationEvents


@dataclass(frozen=True, slots=True)
class SipParts:
    """An edge and what stands beside it."""

    edge: Edge
    locations: Locations
    registrar: Registrar
    authenticator: Authenticator
    registrations: RegistrationParts
    block_lists: BlockLists
    pager: PagerMode

    def tick(self, now: float) -> None:
        """Look at what is due."""
        for tick in self.ticks:
            tick(now)

    @property
    def ticks(self) -> Sequence[Callable[[float], None]]:
        """Those that look at what is due."""
        return self.edge.transactions.handle_timeout, self.edge.proxy.tick, self.pager.tick


def assemble(
    settings: RelaySettings,
    *,
    addresses: Sequence[SipAddress],
    sockets: Mapping[str, tuple[DatagramSender, SipAddress]],
    runtime: SipRuntime,
    keys: SigningKeys,
    source: CredentialSource,
    store: Store,
    next_hops: NextHops,
    router: Router,
    pod: str,
    clustered: bool,
    wall: Callable[[], float],
    bus: Bus | None = None,
    pusher: Pusher | None = None,
    ledger: Ledger | None = None,
    directory: AgentDirectory = NOBODYS,
) -> SipParts:
    """Return an edge that is ready for messages.

    Args:
        settings: All of the relay's settings.
        addresses: The listeners, in the order of the settings.
        sockets: The UDP listeners among them, by name.
        runtime: Clock, chance and background work.
        keys: Sign nonces, branches and routes.
        source: Where credentials are looked up.
        store: Where registrations are.
        next_hops: Reaches who is not registered.
        router: Decides where requests go.
        pod: Id of this pod.
        clustered: Whether there can be other pods.
        wall: The store's clock.
        bus: Hears what happens to registrations; None: nobody does.
        pusher: Reaches devices that sleep; None: nobody can.
        ledger: Where messages for services and absent users are kept; None: none are.
        directory: Knows whose sessions and addresses of the user agent are.
    """
    sip = settings.sip
    domain = directory.domain
    edge = _edge(settings, addresses, sockets, runtime, keys, source, next_hops, pod, domain, clustered=clustered)
    locations = Locations(store, runtime.now, wall, runtime.sleep)
    authenticator = _authenticator(settings, edge, runtime, keys, source, pod)
    registrations = _registrations(sip, edge, store, locations, pod, wall, bus)
    registrar = _registrar(edge, registrations, store, locations, pod, wall)
    edge.waker = _waker(sip, edge, runtime, locations, wall, pusher)
    pager = PagerMode(edge, sip.pager, ledger=ledger, source=source, spawn=runtime.spawn, wall=runtime.wall)
    edge.neighbours = Neighbours(
        authentication=authenticator,
        registering=registrar,
        locating=locations,
        routing=router,
        screening=(block_lists := BlockLists()),
        services=pager,
        agents=_agents(settings, edge, locations, directory, wall),
    )
    registrations.events.silent = edge.neighbours.agents.aor
    return SipParts(edge, locations, registrar, authenticator, registrations, block_lists, pager)


def _edge(
    settings: RelaySettings,
    addresses: Sequence[SipAddress],
    sockets: Mapping[str, tuple[DatagramSender, SipAddress]],
    runtime: SipRuntime,
    keys: SigningKeys,
    source: CredentialSource,
    next_hops: NextHops,
    pod: str,
    agents: str,
    *,
    clustered: bool,
) -> Edge:
    sip = settings.sip
    transactions = Transactions(
        SipTimers(t1=sip.timers.t1, t2=sip.timers.t2, t4=sip.timers.t4), limit=sip.limits.transactions
    )
    proxy = Proxy(
        transactions=transactions,
        keys=keys,
        next_hops=next_hops,
        timers=sip.timers,
        pod=pod if clustered else "",
        now=runtime.now,
        spawn=runtime.spawn,
        random=runtime.random,
        trusts=lambda flow: edge.is_trusted(flow),  # noqa: PLW0108 - the edge is made below
    )
    edge = Edge(
        sip,
        pod=pod,
        names=OwnNames(sip.domains or settings.domains, addresses, sip.aliases, agents=agents),
        transactions=transactions,
        proxy=proxy,
        now=runtime.now,
        spawn=runtime.spawn,
        log=runtime.log,
        protection=_protection(sip, runtime),
        secret=runtime.random(16),
    )
    edge.addresses = {address.name: address for address in addresses}
    edge.sockets = dict(sockets)
    if sip.gateway.probe:
        edge.devices.ask = Prober(edge, runtime.random).ask
    edge.gateway = GatewayCalls(edge, sip.gateway, devices=edge.devices, source=source, spawn=runtime.spawn)
    return edge


def _registrations(
    settings: SipSettings,
    edge: Edge,
    store: Store,
    locations: Locations,
    pod: str,
    wall: Callable[[], float],
    bus: Bus | None,
) -> RegistrationParts:
    own = OwnBindings(pod, edge.streams)
    events = RegistrationEvents(bus, pod, wall, refreshes=settings.registrar.refresh_events)
    upkeep = Upkeep(own, store=store, locations=locations, events=events, trusts=edge.trusts, wall=wall)
    return RegistrationParts(own, upkeep, events)


def _registrar(
    edge: Edge,
    registrations: RegistrationParts,
    store: Store,
    locations: Locations,
    pod: str,
    wall: Callable[[], float],
) -> Registrar:
    return Registrar(
        edge,
        edge.settings.registrar,
        store=store,
        locations=locations,
        own=registrations.own,
        upkeep=registrations.upkeep,
        events=registrations.events,
        pod=pod,
        wall=wall,
    )


def _agents(
    settings: RelaySettings, edge: Edge, locations: Locations, directory: AgentDirectory, wall: Callable[[], float]
) -> UserAgents:
    agents = UserAgents(edge, locations, names=settings.agents, directory=directory, wall=wall)
    edge.proxy.lead_to_agents(agents.aor, list(edge.addresses.values()))
    return agents


def _waker(
    settings: SipSettings,
    edge: Edge,
    runtime: SipRuntime,
    locations: Locations,
    wall: Callable[[], float],
    pusher: Pusher | None,
) -> Waker | None:
    if settings.push is None or pusher is None:
        return None
    return Waker(
        settings.push,
        pusher,
        locations=locations,
        flows=edge.flow,
        now=runtime.now,
        wall=wall,
        spawn=runtime.spawn,
        log=runtime.log,
    )


def _protection(sip: SipSettings, runtime: SipRuntime) -> Protection:
    return Protection(sip.protection, sip.trusted_networks, now=runtime.now, wall=runtime.wall, log=runtime.log)


def _authenticator(
    settings: RelaySettings, edge: Edge, runtime: SipRuntime, keys: SigningKeys, source: CredentialSource, pod: str
) -> Authenticator:
    def algorithms(realm: str) -> tuple[Algorithm, ...]:
        names = settings.domain_digest_algorithms.get(realm, settings.digest_algorithms)
        return tuple(map(Algorithm, names))

    return Authenticator(
        edge,
        source=source,
        nonces=NonceIssuer(keys, settings.sip.nonce_lifetime),
        lifetime=settings.sip.nonce_lifetime,
        algorithms=algorithms,
        instance=runtime.random(8),
        tag=pod_tag(pod),
        wall=runtime.wall,
        random=runtime.random,
    )
