"""All interfaces of applications, as the module of the user agent opens them."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from importlib.metadata import version
from typing import Protocol, Self

import structlog

from wigwag.api.ua.v1 import ua_pb2
from wigwag.bus import Bus
from wigwag.runtime.clock import wall
from wigwag.runtime.management import Command
from wigwag.runtime.rpc import RpcService
from wigwag.runtime.status import ModuleStatus, StatusTree
from wigwag.runtime.tracing import Tracing
from wigwag.ua.config import UaSettings
from wigwag.ua.ports import Agent

from .authentication import Authenticator, FindKey
from .feed import EventFeed
from .gateway_failures import GatewayFailures
from .jwt_tokens import JwtTokens
from .mi import Owners, agent_commands
from .pod_rpc import Accept, Deliver, Owner, PodServicer
from .rpc import UaServicer
from .watching import Watching
from .webhooks import KnownApplications, Webhooks

CONNECTIONS = 2_000
"""Of HTTP, WebSockets included."""

logger = structlog.get_logger("wigwag.ua")


class InterfaceApplications(KnownApplications, Owners, Protocol):
    """The applications that are known."""


class Interfaces:
    """Opens the interfaces in two steps: events first, which the use cases need, then ``serve``; ``async with`` closes.

    Args:
        settings: Of the user agent.
        bus: Where events are.
        find_key: Looks for API keys in the database.
        ready: Whether the user agent can serve.
        applications: Who has webhooks, and whose an address is.
        status: Where it is told how they do.
        tracing: Begins spans.

    Attributes:
        rpc_services: For the node; empty before ``serve``.
        commands: Likewise.
        url: Where REST and WebSocket are; empty before ``serve``.

    Raises:
        ConfigurationError: A setting of ``ua.api`` can't be used.
    """

    def __init__(
        self,
        settings: UaSettings,
        *,
        bus: Bus,
        find_key: FindKey,
        ready: Callable[[], bool],
        applications: InterfaceApplications,
        status: StatusTree,
        tracing: Tracing,
    ) -> None:
        self._settings = settings
        self._tracing = tracing
        self._ready = ready
        self._status = status
        self._applications = applications
        self._webhooks = Webhooks(
            bus, applications, private=settings.api.private_webhooks, wall=wall, tell=self._tell_of_webhook
        )
        tokens = JwtTokens(settings.api.jwt) if settings.api.jwt is not None else None
        self._authenticator = Authenticator(settings.api, find_key, tokens)
        self._bus = bus
        self._feed = EventFeed(bus)
        self._watching = Watching(bus, self._feed)
        self._stack = AsyncExitStack()
        self.rpc_services: Sequence[RpcService] = ()
        self.commands: Sequence[Command] = ()
        self.url = ""

    async def __aenter__(self) -> Self:
        """Begin to read events."""
        await self._stack.enter_async_context(self._feed)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Close everything."""
        await self._stack.aclose()

    def watch(self, application: str, request: ua_pb2.WatchRequest) -> AsyncIterator[ua_pb2.WatchResponse]:
        """Yield events of an application; empty: of all."""
        return self._watching.watch(application, request)

    def applications_changed(self) -> None:
        """Applications or keys of the database are others now."""
        self._authenticator.forget()
        self._webhooks.look()

    async def serve(self, agent: Agent, owner: Owner, accept: Accept, deliver: Deliver) -> None:
        """Open what applications and other pods come to.

        Args:
            agent: The use cases.
            owner: What other pods ask.
            accept: Accepts messages that came to other pods.
            deliver: Takes messages that other pods accepted.

        Raises:
            ConfigurationError: The address of ``ua.api`` can't be bound, or its certificate can't be used.
        """
        self.rpc_services = (
            UaServicer(agent, self._authenticator).served(self._ready),
            PodServicer(owner, accept, deliver, largest=self._settings.limits.message_bytes).served(self._ready),
        )
        self.commands = agent_commands(agent, self._applications, wall)
        await self._serve_http(agent)
        await self._stack.enter_async_context(self._webhooks)

    def _tell_of_webhook(self, application: str, works: bool, details: str) -> None:
        identifier = self._status.group("ua").identifier(f"webhook.{application}")
        identifier.become(ModuleStatus.READY if works else ModuleStatus.NOT_READY, details)

    async def _serve_http(self, agent: Agent) -> None:
        # Not at the top: what serves HTTP takes a moment to load, which commands that run no node are spared.
        from wigwag.runtime.http_server import HttpServer, HttpServerOptions

        from .web import web_application
        from .websocket import LARGEST

        api = self._settings.api
        options = HttpServerOptions(
            setting="ua.api",
            host=api.host,
            port=api.port,
            certificate=api.certificate,
            connections=CONNECTIONS,
            websocket_octets=LARGEST,
        )
        application = web_application(
            self._settings,
            agent,
            self._authenticator,
            version=version("wigwag"),
            tracing=self._tracing,
            failures=GatewayFailures(self._bus),
        )
        server = await self._stack.enter_async_context(HttpServer(options, application))
        self.url = server.url
        logger.info("applications are served", api=self.url)
