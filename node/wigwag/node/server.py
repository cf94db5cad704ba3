"""The admin API on a socket: uvicorn inside the node's own loop, without its hands on signals."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable, Generator
from typing import Any, Self

import uvicorn

from wigwag.errors import ConfigurationError

from .settings import AdminSettings

_CLOSING = 2
"""Seconds that requests under way get when the node ends."""


class AdminServer:
    """Serves the admin application.

    Args:
        settings: Where to bind.
        application: The ASGI application.

    Attributes:
        url: Where it is reached from this machine, with the port that was bound.
    """

    def __init__(self, settings: AdminSettings, application: Callable[..., Any]) -> None:
        self._settings = settings
        self.url = ""
        configuration = uvicorn.Config(
            application,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=256,
            timeout_graceful_shutdown=_CLOSING,
        )
        self._server = _Server(configuration)
        self._serving: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Bind and serve.

        Raises:
            ConfigurationError: The address can't be bound; names the settings.
        """
        bound = _bind(self._settings.host, self._settings.port)
        self.url = f"http://{_reachable(self._settings.host)}:{bound.getsockname()[1]}"
        self._serving = asyncio.create_task(self._server.serve(sockets=[bound]))
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Close, after requests under way."""
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals to the node, which drains its services before it closes this server."""
        yield


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigurationError(f"admin.host: {host} is no address of this machine ({error.strerror})") from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(128)
    except OSError as error:
        bound.close()
        raise ConfigurationError(_reason(host, port, error)) from error
    bound.setblocking(False)
    return bound


def _reason(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"admin.port: {host} port {port} is in use; choose another with WIGWAG_ADMIN__PORT"
    if error.errno == errno.EACCES:
        return f"admin.port: port {port} needs a privilege that this process does not have"
    return f"admin.host: {host} port {port} can't be bound: {error.strerror}"


def _reachable(host: str) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"[{host}]" if ":" in host else host
