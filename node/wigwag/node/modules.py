"""Services by name, and how each is made; ``all`` is one more row."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from wigwag.errors import ConfigurationError
from wigwag.protocols.digest import StoredCredentials
from wigwag.runtime.agents import GATEWAY
from wigwag.runtime.hep import HepSender
from wigwag.runtime.management import Command
from wigwag.runtime.status import StatusTree
from wigwag.runtime.telemetry import Readings
from wigwag.runtime.tracing import Tracing

from .settings import Settings, TraceSettings

if TYPE_CHECKING:
    from fastapi import APIRouter

    from wigwag.bus import Bus
    from wigwag.database import BlobStore, Database
    from wigwag.database.ledger import Ledger
    from wigwag.relay.module import RelayModule
    from wigwag.runtime.rpc import RpcService
    from wigwag.store import Store
    from wigwag.ua.module import UaModule

    from .agents import KnownApplications


class Module(Protocol):
    """A service as the node hosts it; entered as a context before it serves."""

    @property
    def router(self) -> "APIRouter":
        """Its part of the admin API."""

    @property
    def rpc_services(self) -> "Sequence[RpcService]":
        """What it serves over gRPC."""

    @property
    def readings(self) -> Readings:
        """Its metrics."""

    @property
    def commands(self) -> Sequence[Command]:
        """Its MI commands."""

    def ready(self) -> tuple[bool, Mapping[str, Any]]:
        """Whether it can serve, as ``main`` of its group of the status tree says, and details for an operator."""

    async def drain(self, grace: float) -> None:
        """Accept nothing new and finish what is open, within ``grace`` seconds."""

    async def __aenter__(self) -> Any:
        """Open what it needs and serve."""

    async def __aexit__(self, *exc_info: Any) -> Any:
        """Close everything."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a service is made from."""

    settings: Settings
    database: "Database"
    store: "Store"
    bus: "Bus"
    status: StatusTree
    """Where it tells how it is; its own group has its name, and ``main`` there says whether it can serve."""
    pod: str
    """Id of this process among all pods."""
    tracing: Tracing = field(default_factory=Tracing)
    shares_ports: bool = False
    """Whether other processes of this host listen on the same ports."""
    ledger: "Ledger | None" = None
    """Accepted messages; None: none are accepted."""
    blobs: "BlobStore | None" = None
    """Large bodies and files; None: they are in the database."""
    services: Sequence[str] = ()
    """Names of all services of this process."""
    modules: "Mapping[str, Module]" = field(default_factory=dict)
    """Those that serve already; the relay does before the user agent is made."""
    applications: "KnownApplications | None" = None
    """Whose SIP addresses are; None: nobody's."""
    rpc: Callable[[], str] = lambda: ""
    """Returns where other pods reach the gRPC of this process; empty: nowhere yet."""


def _relay(surroundings: Surroundings) -> Module:
    from wigwag.relay.module import RelayModule

    from .agents import directory, is_embedded, with_internal_listeners
    from .gateway import with_gateway

    settings = surroundings.settings
    if GATEWAY in surroundings.services:
        edge = with_gateway(settings.relay, sessions=settings.gateway.sessions_for_absent)
        settings = settings.model_copy(update={"relay": edge})
    if not settings.relay.listeners and not settings.relay.sip.listeners:
        raise ConfigurationError(
            "relay.listeners is empty, and relay.sip.listeners too: the relay needs a listener, or run with --demo"
        )
    is_for_agent = UA in surroundings.services and is_embedded(settings)
    return RelayModule(
        with_internal_listeners(settings) if is_for_agent else settings.relay,
        database=surroundings.database,
        file_credentials=file_credentials(settings),
        data_dir=settings.node.data_dir,
        trace_directory=settings.trace_directory,
        trace_max_bytes=settings.trace.max_bytes,
        trace_hep=_hep(settings.trace),
        status=surroundings.status,
        pod=surroundings.pod,
        bus=surroundings.bus,
        tracing=surroundings.tracing,
        registrations=surroundings.store,
        store=surroundings.store if settings.redis.url is not None else None,
        reuse_port=surroundings.shares_ports,
        shutdown_grace=settings.node.shutdown_grace,
        ledger=surroundings.ledger,
        directory=directory(settings, surroundings.store, surroundings.applications),
    )


def _ua(surroundings: Surroundings) -> Module:
    from wigwag.ua.applications.builtin import gateway_application
    from wigwag.ua.module import UaModule

    from .agents import edge_addresses, pod_access

    settings = surroundings.settings
    gateway = settings.gateway
    if surroundings.ledger is None:
        raise ConfigurationError("the user agent needs a ledger")
    relay = surroundings.modules.get("relay")
    return UaModule(
        settings.ua,
        edge=edge_addresses(settings, cast("RelayModule | None", relay)),
        store=surroundings.store,
        bus=surroundings.bus,
        ledger=surroundings.ledger,
        database=surroundings.database,
        blobs=surroundings.blobs,
        status=surroundings.status,
        pod=surroundings.pod,
        tracing=surroundings.tracing,
        data_dir=settings.node.data_dir,
        rpc=surroundings.rpc,
        pods=pod_access(settings),
        keeps_sessions=settings.redis.url is not None,
        builtin=[
            gateway_application(
                idle_timeout=gateway.idle_timeout,
                max_duration=gateway.max_duration,
                message_bytes=gateway.limits.message_bytes,
            )
        ],
    )


def _gateway(surroundings: Surroundings) -> Module:
    from wigwag.database import Subscribers
    from wigwag.gateway.module import GatewayModule
    from wigwag.runtime.credentials import FileCredentials, FirstOf

    from .gateway import gateway_agents

    settings = surroundings.settings
    if surroundings.ledger is None:
        raise ConfigurationError("the gateway needs a ledger")
    users = FirstOf([FileCredentials(file_credentials(settings)), Subscribers(surroundings.database)])
    return GatewayModule(
        settings.gateway,
        agents=gateway_agents(settings, cast("UaModule | None", surroundings.modules.get(UA))),
        store=surroundings.store,
        bus=surroundings.bus,
        ledger=surroundings.ledger,
        database=surroundings.database,
        blobs=surroundings.blobs,
        source=users,
        status=surroundings.status,
        pod=surroundings.pod,
        tracing=surroundings.tracing,
    )


def _hep(settings: TraceSettings) -> HepSender | None:
    server = settings.hep_server
    return HepSender(*server, capture_id=settings.hep_capture_id, node="wigwag") if server is not None else None


UA: Final = "ua"
"""Name of the user agent's service."""
NEED_SIP: Final = (UA, GATEWAY)
"""Services that have nothing to do where there is no SIP."""
CONSTRUCTORS: Mapping[str, Callable[[Surroundings], Module]] = {"relay": _relay, UA: _ua, GATEWAY: _gateway}
GROUPS: Mapping[str, tuple[str, ...]] = {"all": tuple(CONSTRUCTORS)}


def chosen(names: Sequence[str]) -> list[str]:
    """Return the services meant by the names, groups spelled out, each once, as they are started; no name means all.

    Raises:
        ConfigurationError: A name is unknown; lists the known ones.
    """
    found: dict[str, None] = {}
    for name in names or ["all"]:
        if name not in CONSTRUCTORS and name not in GROUPS:
            known = ", ".join([*CONSTRUCTORS, *GROUPS])
            raise ConfigurationError(f"there is no service {name!r}; known are: {known}")
        found.update(dict.fromkeys(GROUPS.get(name, (name,))))
    return [name for name in CONSTRUCTORS if name in found]


def without_idle(names: Sequence[str], asked: Sequence[str], settings: Settings) -> list[str]:
    """Return the services to host: without those that need SIP where there is none and nobody asked for them by name.

    Args:
        names: What ``chosen`` returned.
        asked: What it was given.
        settings: All settings.
    """
    from .agents import is_embedded

    has_no_edge = is_embedded(settings) and not settings.relay.sip.listeners
    return [name for name in names if name not in NEED_SIP or name in asked or not has_no_edge]


def file_credentials(settings: Settings) -> list[StoredCredentials]:
    """Return the users of the settings as the digest code wants them."""
    return [
        StoredCredentials(
            username=user.username,
            domain=user.domain,
            password=user.password,
            ha1=user.ha1,
            ha1_sha256=user.ha1_sha256,
            ha1_sha512t256=user.ha1_sha512t256,
            may_relay=user.may_relay,
        )
        for user in settings.users
    ]
