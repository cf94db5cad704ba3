"""gRPC between services and for operators: server, channel, and streams that outlive a connection."""

from .authorization import Credentials, Role, credentials
from .batched import BatchedStream
from .channel import ClientTls, error_of, open_channel, service_error
from .outbox import BatchLimits, Outbox
from .resuming import Backoff, resumed
from .server import RpcServer, RpcServerOptions, RpcService

__all__ = [
    "Backoff",
    "BatchLimits",
    "BatchedStream",
    "ClientTls",
    "Credentials",
    "Outbox",
    "Role",
    "RpcServer",
    "RpcServerOptions",
    "RpcService",
    "credentials",
    "error_of",
    "open_channel",
    "resumed",
    "service_error",
]
