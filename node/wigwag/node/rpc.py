"""gRPC of the node: the services of all modules behind one address."""

from collections.abc import Sequence

from wigwag.runtime.grpc_tracing import trace_interceptors
from wigwag.runtime.rpc import RpcServer, RpcServerOptions, RpcService
from wigwag.runtime.tracing import Tracing

from .settings import RpcSettings


def rpc_server(settings: RpcSettings, services: Sequence[RpcService], tracing: Tracing) -> RpcServer:
    """Return the server, to be entered; its health is that of the services.

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
    return RpcServer(options, services, interceptors=[trace_interceptors(tracing).server])
