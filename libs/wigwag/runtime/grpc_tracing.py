"""Trace context over gRPC: a span for each unary call, at both ends, by interceptors.

A stream lasts as long as its two processes: it gets no span, its records carry the traceparent themselves. A server
honours what callers send, so these interceptors stand behind authorization; where a service knows its callers by
itself, what it says to a stranger (UNAUTHENTICATED) leaves no span in the trace that he names.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import grpc
import grpc.aio
import structlog

from .names import RPC_CALL, RPC_METHOD, RPC_SERVE, RPC_STATUS
from .traceparent import HEADER, as_metadata, from_metadata
from .tracing import SILENT, Span, Tracing

UNDECIDED = Span(None, "")
"""A silent span where nobody has decided yet: a trace may begin below it."""
_CURRENT: ContextVar[Span] = ContextVar("wigwag_span", default=UNDECIDED)


class TraceInterceptors(NamedTuple):
    """What to give to ``grpc.aio.server`` and to ``grpc.aio.insecure_channel`` or ``secure_channel``."""

    server: "grpc.aio.ServerInterceptor[Any, Any]"
    client: "grpc.aio.UnaryUnaryClientInterceptor[Any, Any]"


def trace_interceptors(tracing: Tracing) -> TraceInterceptors:
    """Return the interceptors of a process.

    Args:
        tracing: Where their spans are begun.
    """
    return TraceInterceptors(_Serving(tracing), _Calling(tracing))


def current_span() -> Span:
    """Return the span of the call that is being answered, or the one of ``using``; ``UNDECIDED`` elsewhere."""
    return _CURRENT.get()


@contextmanager
def using(span: Span) -> Iterator[Span]:
    """Make ``span`` the parent of calls made inside, and name its trace in log lines."""
    token = _CURRENT.set(span)
    try:
        with structlog.contextvars.bound_contextvars(span=span):
            yield span
    finally:
        _CURRENT.reset(token)


Handler = Callable[[Any, Any], Awaitable[Any]]

_FAULTS = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
"""What is an error of the server; the other statuses tell the caller of an error of his own."""


# The interceptors are generic to the type checker only.
class _Serving(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing

    async def intercept_service(self, continuation: Any, handler_call_details: grpc.HandlerCallDetails) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None or handler.unary_unary is None:
            return handler
        parent = from_metadata(handler_call_details.invocation_metadata)
        if parent is None and not self._tracing.sampling:
            return handler
        handle = self._decided(handler.unary_unary, handler_call_details.method, parent)
        return grpc.unary_unary_rpc_method_handler(handle, handler.request_deserializer, handler.response_serializer)

    def _decided(self, handle: Handler, method: str, parent: str | None) -> Handler:
        if parent is not None or self._tracing.sampled():
            return self._traced(handle, method, parent)

        async def handle_silently(request: Any, context: Any) -> Any:
            _CURRENT.set(SILENT)
            return await handle(request, context)

        return handle_silently

    def _traced(self, handle: Handler, method: str, parent: str | None) -> Handler:
        async def handle_in_span(request: Any, context: Any) -> Any:
            span = self._tracing.begin(RPC_SERVE, parent, {RPC_METHOD: method.lstrip("/")})
            raised: BaseException | None = None
            try:
                with using(span):
                    return await handle(request, context)
            except BaseException as error:
                raised = error
                raise
            finally:
                status = _served_status(context.code(), raised)
                if parent is not None and status is grpc.StatusCode.UNAUTHENTICATED:
                    span.discard()
                _end(span, status, _FAULTS)

        return handle_in_span


class _Calling(grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[type-arg]
    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing

    async def intercept_unary_unary(
        self, continuation: Any, client_call_details: grpc.aio.ClientCallDetails, request: Any
    ) -> Any:
        metadata = tuple(client_call_details.metadata or ())
        parent = from_metadata(metadata) or current_span().traceparent
        if not parent:
            return await continuation(client_call_details, request)
        method = client_call_details.method
        span = self._tracing.begin(RPC_CALL, parent, {RPC_METHOD: _text(method).lstrip("/")})
        kept = (pair for pair in metadata if pair[0] != HEADER)
        onward = grpc.aio.Metadata(*kept, *as_metadata(span.traceparent))
        details = grpc.aio.ClientCallDetails(
            method,
            client_call_details.timeout,
            onward,
            client_call_details.credentials,
            client_call_details.wait_for_ready,
        )
        return await _ended(span, continuation(details, request))


def _text(method: str | bytes) -> str:
    """Return a method's name, which the stubs call text and which is bytes."""
    return method.decode() if isinstance(method, bytes) else method


async def _ended(span: Span, calling: Any) -> Any:
    """Wait until the call has a status, which ends the span; returns the call."""
    call = None
    status = grpc.StatusCode.CANCELLED
    try:
        call = await calling
        status = await call.code()
    except grpc.aio.AioRpcError as error:
        status = error.code()
        raise
    except asyncio.CancelledError:
        if call is not None:
            call.cancel()
        raise
    finally:
        _end(span, status, frozenset(grpc.StatusCode) - {grpc.StatusCode.OK})
    return call


def _served_status(told: Any, raised: BaseException | None) -> grpc.StatusCode:
    """Return the status that the caller gets: what the handler set, else what gRPC makes of how it ended."""
    for status in grpc.StatusCode:
        if told in (status, status.value[0]) and status is not grpc.StatusCode.OK:
            return status
    if raised is None:
        return grpc.StatusCode.OK
    return grpc.StatusCode.CANCELLED if isinstance(raised, asyncio.CancelledError) else grpc.StatusCode.UNKNOWN


def _end(span: Span, status: grpc.StatusCode, errors: Collection[grpc.StatusCode]) -> None:
    span.set(RPC_STATUS, status.name)
    span.end(error=status.name if status in errors else "")
