"""gRPC of the node: the services of all modules behind one address."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from wigwag.runtime.rpc import RpcServer, RpcServerOptions, RpcService

from .settings import RpcSettings


class HostedService(Protocol):
    """What the node needs of a service that it hosts."""

    @property
    def rpc_services(self) -> Sequence[RpcService]:
        """What it serves over gRPC."""


def rpc_server(settings: RpcSettings, modules: Mapping[str, HostedService]) -> RpcServer:
    """Return the server, to be entered; its health is that of the modules."""
    options = RpcServerOptions(
        host=settings.host,
        port=settings.port,
        tokens=[(token.token, token.role) for token in settings.tokens if token.token is not None],
        certificate=settings.certificate,
        client_ca=settings.client_ca,
        default_timeout=settings.default_timeout,
        max_calls=settings.max_calls,
    )
    return RpcServer(options, [service for module in modules.values() for service in module.rpc_services])
