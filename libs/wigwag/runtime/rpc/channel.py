"""Channels to other services: TLS, token, default deadlines, and retries where the contract allows them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from google.protobuf.descriptor import ServiceDescriptor

from wigwag.errors import (
    ConfigurationError,
    ConflictError,
    InvalidRequestError,
    NotAuthenticatedError,
    NotAuthorizedError,
    NotFoundError,
    OutOfRangeError,
    OverloadedError,
    ServiceError,
)
from wigwag.transport.errors import CertificateError
from wigwag.transport.tls import client_context

from .methods import may_be_repeated
from .server import MESSAGE_BYTES
from .types import StreamStreamInterceptor, StreamUnaryInterceptor, UnaryStreamInterceptor, UnaryUnaryInterceptor

_ERRORS: Mapping[grpc.StatusCode, type[ServiceError]] = {
    grpc.StatusCode.NOT_FOUND: NotFoundError,
    grpc.StatusCode.FAILED_PRECONDITION: ConflictError,
    grpc.StatusCode.ALREADY_EXISTS: ConflictError,
    grpc.StatusCode.ABORTED: ConflictError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: OverloadedError,
    grpc.StatusCode.UNAVAILABLE: OverloadedError,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequestError,
    grpc.StatusCode.OUT_OF_RANGE: OutOfRangeError,
    grpc.StatusCode.UNAUTHENTICATED: NotAuthenticatedError,
    grpc.StatusCode.PERMISSION_DENIED: NotAuthorizedError,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTls:
    """How a channel is encrypted."""

    ca_file: str | None = None
    """PEM file of the authorities to trust; None: those that gRPC brings along."""
    certificate: tuple[str, str] | None = None
    """Our own chain and key (mutual TLS)."""


def open_channel(
    target: str,
    *,
    services: Sequence[ServiceDescriptor] = (),
    tls: ClientTls | None = None,
    token: str | None = None,
    timeout: float = 10.0,
    interceptors: Sequence[Any] = (),
) -> grpc.aio.Channel:
    """Return a channel, which connects when it is used and again whenever the connection is lost.

    Args:
        target: ``host:port``.
        services: Contracts whose repeatable methods are tried again, up to four times, when the peer is unavailable.
        tls: None: plain text.
        token: Bearer token sent with each call.
        timeout: Seconds that calls with a single request and response get unless they say otherwise.
        interceptors: What else sees each call, such as tracing.

    Raises:
        ConfigurationError: A file of ``tls`` can't be used.
    """
    own = [kind(token, timeout) for kind in (_UnaryUnary, _UnaryStream, _StreamUnary, _StreamStream)]
    seeing: list[Any] = [*own, *interceptors]
    options = list(_options(services).items())
    if tls is None:
        return grpc.aio.insecure_channel(target, options=options, interceptors=seeing)
    return grpc.aio.secure_channel(target, _credentials(tls), options=options, interceptors=seeing)


def service_error(error: grpc.aio.AioRpcError) -> ServiceError:
    """Return what a failed call means, for ``raise service_error(error) from error``."""
    return error_of(error.code(), error.details() or "")


def error_of(status: grpc.StatusCode, details: str) -> ServiceError:
    """Return what a status of gRPC means."""
    return _ERRORS.get(status, ServiceError)(f"{status.name}: {details}")


def _credentials(tls: ClientTls) -> grpc.ChannelCredentials:
    try:
        # gRPC would find out at the handshake, and say only that it failed.
        client_context(ca_file=tls.ca_file, certificate=tls.certificate)
        authorities = Path(tls.ca_file).read_bytes() if tls.ca_file is not None else None
        chain, key = (Path(path).read_bytes() for path in tls.certificate) if tls.certificate else (None, None)
    except (CertificateError, OSError) as error:
        raise ConfigurationError(str(error)) from error
    return grpc.ssl_channel_credentials(authorities, key, chain)


def _options(services: Sequence[ServiceDescriptor]) -> dict[str, int | str]:
    return {
        "grpc.max_receive_message_length": MESSAGE_BYTES,
        "grpc.max_send_message_length": MESSAGE_BYTES,
        "grpc.keepalive_time_ms": 10_000,
        "grpc.keepalive_timeout_ms": 5_000,
        "grpc.keepalive_permit_without_calls": 1,
        "grpc.http2.max_pings_without_data": 0,
        # By default a pod that restarts would be looked for every two minutes in the end.
        "grpc.initial_reconnect_backoff_ms": 100,
        "grpc.min_reconnect_backoff_ms": 1_000,
        "grpc.max_reconnect_backoff_ms": 2_000,
        # A proxy of the environment knows nothing of pods and must not see tokens.
        "grpc.enable_http_proxy": 0,
        "grpc.service_config": json.dumps(_service_config(services)),
    }


def _service_config(services: Iterable[ServiceDescriptor]) -> dict[str, Any]:
    names = [
        {"service": service.full_name, "method": method.name}
        for service in services
        for method in service.methods
        if may_be_repeated(method)
    ]
    policy = {
        "maxAttempts": 4,
        "initialBackoff": "0.1s",
        "maxBackoff": "1s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    return {"methodConfig": [{"name": names, "retryPolicy": policy}] if names else []}


class _Completing:
    """Adds to each call what the channel knows."""

    def __init__(self, token: str | None, timeout: float) -> None:
        self._token = token
        self._timeout = timeout

    def completed(self, details: grpc.aio.ClientCallDetails, *, single: bool) -> grpc.aio.ClientCallDetails:
        timeout = self._timeout if single and details.timeout is None else details.timeout
        metadata = details.metadata
        if self._token is not None:
            metadata = grpc.aio.Metadata(*(metadata or ()))
            metadata.add("authorization", f"Bearer {self._token}")
        return grpc.aio.ClientCallDetails(
            details.method, timeout, metadata, details.credentials, details.wait_for_ready
        )


class _UnaryUnary(_Completing, UnaryUnaryInterceptor):
    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(self.completed(client_call_details, single=True), request)


class _UnaryStream(_Completing, UnaryStreamInterceptor):
    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(self.completed(client_call_details, single=False), request)


class _StreamUnary(_Completing, StreamUnaryInterceptor):
    async def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return await continuation(self.completed(client_call_details, single=False), request_iterator)


class _StreamStream(_Completing, StreamStreamInterceptor):
    async def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return await continuation(self.completed(client_call_details, single=False), request_iterator)
