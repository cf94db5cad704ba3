"""All interfaces of applications, as the module of the user agent opens them."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Protocol, Self

from wigwag.api.ua.v1 import ua_pb2
from wigwag.bus import Bus
from wigwag.runtime.management import Command
from wigwag.runtime.rpc import RpcService
from wigwag.ua.config import UaSettings
from wigwag.ua.ports import Agent

from .authentication import Authenticator, FindKey
from .feed import EventFeed
from .pod_rpc import Deliver, Owner, PodServicer
from .rpc import UaServicer
from .watching import Watching


class OwningAgent(Agent, Owner, Protocol):
    """The use cases, and what other pods ask."""


class Interfaces:
    """Opens the interfaces in two steps: events first, which the use cases need, then ``serve``; ``async with`` closes.

    Args:
        settings: Of the user agent.
        bus: Where events are.
        find_key: Looks for API keys in the database.
        ready: Whether the user agent can serve.

    Attributes:
        rpc_services: For the node; empty before ``serve``.
        commands: Likewise.
    """

    def __init__(self, settings: UaSettings, *, bus: Bus, find_key: FindKey, ready: Callable[[], bool]) -> None:
        self._settings = settings
        self._ready = ready
        self._authenticator = Authenticator(settings.api, find_key)
        self._feed = EventFeed(bus)
        self._watching = Watching(bus, self._feed)
        self._stack = AsyncExitStack()
        self.rpc_services: Sequence[RpcService] = ()
        self.commands: Sequence[Command] = ()

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

    async def serve(self, agent: OwningAgent, deliver: Deliver | None = None) -> None:
        """Open what applications and other pods come to.

        Args:
            agent: The use cases.
            deliver: Takes messages that other pods accepted; None: no other pod comes.
        """
        self.rpc_services = (UaServicer(agent, self._authenticator).served(self._ready),)
        if deliver is not None:
            self.rpc_services += (PodServicer(agent, deliver).served(self._ready),)
