"""A gRPC server with health, reflection, deadlines, authorization and limits."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from wigwag.errors import ConfigurationError

from .authorization import Authorization, Role
from .certificates import ServerCertificate
from .health import HealthServicer
from .supervision import Supervision
from .types import ServerInterceptor

MESSAGE_BYTES = 4_194_304
"""Largest message that either side takes."""
STREAM_WINDOW = 1_048_576
"""Octets of a stream that wait here for who reads it."""


@dataclass(frozen=True, slots=True)
class RpcService:
    """A service to be served."""

    name: str
    """Full name, ``package.Service``."""
    add: Callable[[grpc.aio.Server], None]
    """Registers its servicer."""
    ready: Callable[[], bool]
    """Whether it can serve; asked at each health check."""
    knows_callers: bool = False
    """Whether it knows callers of its own: it looks at ``credentials()`` in each call, and refuses who is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RpcServerOptions:
    """Where a server listens, and to whom."""

    host: str = "127.0.0.1"
    port: int = 0
    """0: the system chooses."""
    tokens: Sequence[tuple[str, Role]] = field(default=(), repr=False)
    certificate: tuple[str, str] | None = None
    """PEM files (chain, private key); None: plain text."""
    client_ca: str | None = None
    """PEM file; when given, callers show a certificate of these authorities."""
    default_timeout: float = 10.0
    """Seconds that a call without a deadline gets."""
    max_calls: int = 1_000
    """Calls under way; more are refused with RESOURCE_EXHAUSTED."""
    closing: float = 2.0
    """Seconds that calls under way get when the server ends."""


class RpcServer:
    """Serves services until it is closed.

    Args:
        options: Where, and to whom.
        services: What.
        interceptors: What else sees each call that is authorized, and the status that it ends with.

    Attributes:
        target: Where a client on this machine reaches it, ``host:port``.
    """

    def __init__(
        self,
        options: RpcServerOptions,
        services: Sequence[RpcService],
        *,
        interceptors: Sequence[ServerInterceptor] = (),
    ) -> None:
        self._options = options
        self._services = services
        self._interceptors = interceptors
        self.target = ""
        self._health = HealthServicer({service.name: service.ready for service in services})
        self._supervision = Supervision(options.default_timeout)
        self._server: grpc.aio.Server

    async def __aenter__(self) -> Self:
        """Bind and serve.

        Raises:
            ConfigurationError: The address can't be bound or a certificate can't be used; names the setting.
        """
        options = self._options
        own = [service.name for service in self._services if service.knows_callers]
        authorization = Authorization(options.tokens, certificates=options.client_ca is not None, own=own)
        self._server = grpc.aio.server(
            interceptors=(authorization, *self._interceptors, self._supervision),
            options=list(_channel_options().items()),
            maximum_concurrent_rpcs=options.max_calls,
        )
        self._add_services()
        host = f"[{options.host}]" if ":" in options.host else options.host
        port = self._bind(f"{host}:{options.port}")
        self.target = f"{_reachable(options.host)}:{port}"
        await self._server.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Refuse new calls, end streams, let other calls end for ``closing`` seconds."""
        self._health.end()
        stopping = asyncio.create_task(self._server.stop(self._options.closing))
        self._supervision.end_streams()
        await stopping

    def health_changed(self) -> None:
        """Tell those who watch the health at once, rather than within a second."""
        self._health.look()

    def _add_services(self) -> None:
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        for service in self._services:
            service.add(self._server)
        own = (health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME)
        reflection.enable_server_reflection([*(service.name for service in self._services), *own], self._server)

    def _bind(self, address: str) -> int:
        options = self._options
        try:
            if options.certificate is None:
                return self._server.add_insecure_port(address)
            certificate = ServerCertificate(options.certificate, options.client_ca)
            return self._server.add_secure_port(address, certificate.credentials())
        except RuntimeError as error:
            raise ConfigurationError(
                f"rpc.host, rpc.port: {address} can't be bound; choose another port with WIGWAG_RPC__PORT"
            ) from error


def _channel_options() -> Mapping[str, int]:
    return {
        # A fixed window for each stream: a probed one grows with the speed of who sends a file, not of who takes it.
        "grpc.http2.bdp_probe": 0,
        "grpc.http2.lookahead_bytes": STREAM_WINDOW,
        "grpc.max_receive_message_length": MESSAGE_BYTES,
        "grpc.max_send_message_length": MESSAGE_BYTES,
        "grpc.max_concurrent_streams": 256,
        "grpc.server_handshake_timeout_ms": 10_000,
        # Two processes on one port would take turns by chance.
        "grpc.so_reuseport": 0,
        # A peer that is gone without a word is noticed after 15 s; ours ask that often as well.
        "grpc.keepalive_time_ms": 10_000,
        "grpc.keepalive_timeout_ms": 5_000,
        "grpc.keepalive_permit_without_calls": 1,
        "grpc.http2.min_ping_interval_without_data_ms": 5_000,
        "grpc.http2.max_pings_without_data": 0,
    }


def _reachable(host: str) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"[{host}]" if ":" in host else host
