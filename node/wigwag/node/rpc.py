"""gRPC of the node: the services of all modules behind one address."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from wigwag.runtime.grpc_tracing import trace_interceptors
from wigwag.runtime.rpc import RpcServer, RpcServerOptions, RpcService
from wigwag.runtime.tracing import Tracing

from .settings import RpcSettings


class HostedService(Protocol):
    """What the node needs of a service that it hosts."""

    @property
    def rpc_services(self) -> Sequence[RpcService]:
        """What it serves over gRPC."""


def rpc_server(settings: RpcSettings, modules: Mapping[str, HostedService], tracing: Tracing) -> RpcServer:
    """Return the server, to be entered; its health is that of the modules.

    Whoever gets past authorization operates this node, so the trace that he names is honoured.
    """
    options = RpcServerOptions(
        host=settings.host,
        port=settings.port,
        tokens=[(token.token, token.role) for token in settings.tokens if token.token is not None],
        certificate=settings.certificate,
        client_ca=settings.client_ca,
        default_timeout=settings.default_timeout,
        max_calls=settings.max_calls,
    )
    services = [service for module in modules.values() for service in module.rpc_services]
    return RpcServer(options, services, interceptors=[trace_interceptors(tracing).server])
