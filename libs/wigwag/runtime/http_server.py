"""An ASGI application on a socket: uvicorn inside the node's own loop, without its hands on signals."""

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from wigwag.errors import ConfigurationError
from wigwag.transport.errors import CertificateError
from wigwag.transport.tls import ServerTls

_CLOSING: Final = 2
"""Seconds that requests under way get when the node ends."""
_HEADERS: Final = 20.0
"""Seconds that a client has for the head of a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpServerOptions:
    """Where a server listens."""

    setting: str
    """Name of the section of the settings, for errors: ``admin``."""
    host: str
    port: int
    """0: the system chooses."""
    certificate: tuple[str, str] | None = None
    """PEM files (chain, key); None: plain HTTP."""
    connections: int = 256
    """Above which requests are answered 503."""
    websocket_octets: int = 0
    """Octets of the largest message of a WebSocket; 0: there are none."""


class HttpServer:
    """Serves an application.

    Args:
        options: Where.
        application: The ASGI application.

    Attributes:
        url: Where it is reached from this machine, with the port that was bound.

    Raises:
        ConfigurationError: The certificate can't be used; names the setting.
    """

    def __init__(self, options: HttpServerOptions, application: Callable[..., Any]) -> None:
        self._options = options
        self.url = ""
        context = _context(options)
        configuration = uvicorn.Config(
            application,
            http=_Protocol,
            ws="websockets-sansio" if options.websocket_octets else "none",
            ws_max_size=options.websocket_octets or 1,
            ws_per_message_deflate=False,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=options.connections,
            timeout_graceful_shutdown=_CLOSING,
            ssl_context_factory=None if context is None else lambda configuration, default: context,
        )
        self._server = _Server(configuration)
        self._serving: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Bind and serve.

        Raises:
            ConfigurationError: The address can't be bound; names the settings.
        """
        bound = _bind(self._options)
        scheme: Literal["http", "https"] = "http" if self._options.certificate is None else "https"
        self.url = f"{scheme}://{_reachable(self._options.host)}:{bound.getsockname()[1]}"
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


class _Protocol(H11Protocol):
    """HTTP/1.1 whose clients may not take for ever with the head of a request."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_head()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._wait_for_head()

    def _wait_for_head(self) -> None:
        asked = self.cycle
        self.loop.call_later(_HEADERS, self._is_late, asked)

    def _is_late(self, asked: Any) -> None:
        if self.cycle is asked and self.transport.get_protocol() is self:
            self.transport.close()


def _context(options: HttpServerOptions) -> ssl.SSLContext | None:
    if options.certificate is None:
        return None
    try:
        return ServerTls([options.certificate]).context()
    except CertificateError as error:
        raise ConfigurationError(f"{options.setting}.certificate: {error}") from error


def _bind(options: HttpServerOptions) -> socket.socket:
    host = options.host
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        reason = f"{options.setting}.host: {host} is no address of this machine ({error.strerror})"
        raise ConfigurationError(reason) from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(128)
    except OSError as error:
        bound.close()
        raise ConfigurationError(_reason(options, error)) from error
    bound.setblocking(False)
    return bound


def _reason(options: HttpServerOptions, error: OSError) -> str:
    setting, host, port = options.setting, options.host, options.port
    if error.errno == errno.EADDRINUSE:
        variable = f"WIGWAG_{setting.upper().replace('.', '__')}__PORT"
        return f"{setting}.port: {host} port {port} is in use; choose another with {variable}"
    if error.errno == errno.EACCES:
        return f"{setting}.port: port {port} needs a privilege that this process does not have"
    return f"{setting}.host: {host} port {port} can't be bound: {error.strerror}"


def _reachable(host: str) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"[{host}]" if ":" in host else host
