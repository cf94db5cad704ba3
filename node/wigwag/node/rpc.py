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


def advertised(settings: RpcSettings, target: str) -> str:
    """Return where other pods reach the gRPC of this process.

    Args:
        settings: Of gRPC.
        target: Where a client on this machine does, ``host:port``.
    """
    host, _, port = target.rpartition(":")
    host = settings.advertised_host or host
    literal = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"{literal}:{settings.advertised_port or port}"
