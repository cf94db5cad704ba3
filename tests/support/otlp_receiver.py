"""An OpenTelemetry collector, as far as taking spans and metrics over OTLP goes."""

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class OtlpReceiver:
    """Keeps what it gets.

    Attributes:
        endpoint: Where it listens.
        refusal: Status that every export is answered with; None: taken.
    """

    def __init__(self) -> None:
        self.endpoint = ""
        self.refusal: grpc.StatusCode | None = None
        self.trace_requests: list[traces.ExportTraceServiceRequest] = []
        self.metric_requests: list[metrics.ExportMetricsServiceRequest] = []
        self.metadata: list[dict[str, str | bytes]] = []

    def spans(self) -> list[Span]:
        """Return all spans, in the order they came."""
        return [
            span
            for request in self.trace_requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def metrics(self) -> dict[str, Metric]:
        """Return the newest of each metric, by name."""
        return {metric.name: metric for request in self.metric_requests for metric in _metrics_of(request)}

    def value(self, name: str, **attributes: str) -> float:
        """Return the newest value of a metric; KeyError when it has none with these attributes."""
        metric = self.metrics()[name]
        for point in metric.sum.data_points or metric.gauge.data_points:
            if plain(point.attributes) == attributes:
                return point.as_double if point.HasField("as_double") else float(point.as_int)
        raise KeyError(attributes)

    def resource(self) -> dict[str, Any]:
        """Return what the sender of the last metrics says about itself."""
        return plain(self.metric_requests[-1].resource_metrics[0].resource.attributes)

    def handler(
        self, service: str, kept: list[Any], request_type: Any, response: Any
    ) -> "grpc.GenericRpcHandler[Any, Any]":
        """Return a gRPC service whose Export keeps requests in ``kept``."""

        async def export(request: Any, context: Any) -> Any:
            if self.refusal is not None:
                await context.abort(self.refusal, "refused by the test")
            self.metadata.append(dict(context.invocation_metadata()))
            kept.append(request)
            return response()

        method = grpc.unary_unary_rpc_method_handler(
            export, request_type.FromString, lambda message: message.SerializeToString()
        )
        return grpc.method_handlers_generic_handler(service, {"Export": method})


@asynccontextmanager
async def otlp_receiver(port: int = 0) -> AsyncIterator[OtlpReceiver]:
    """Run a receiver on loopback.

    Args:
        port: Where to listen; 0: the system chooses.
    """
    receiver = OtlpReceiver()
    server = grpc.aio.server()
    package = "opentelemetry.proto.collector"
    server.add_generic_rpc_handlers(
        (
            receiver.handler(
                f"{package}.trace.v1.TraceService",
                receiver.trace_requests,
                traces.ExportTraceServiceRequest,
                traces.ExportTraceServiceResponse,
            ),
            receiver.handler(
                f"{package}.metrics.v1.MetricsService",
                receiver.metric_requests,
                metrics.ExportMetricsServiceRequest,
                metrics.ExportMetricsServiceResponse,
            ),
        )
    )
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    receiver.endpoint = f"http://127.0.0.1:{bound}"
    try:
        yield receiver
    finally:
        await server.stop(None)


def plain(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    """Return OTLP attributes as a dictionary."""
    return {item.key: _value(item) for item in attributes}


def _value(item: KeyValue) -> Any:
    return getattr(item.value, item.value.WhichOneof("value") or "string_value")


def _metrics_of(request: metrics.ExportMetricsServiceRequest) -> Iterator[Metric]:
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            yield from scope.metrics
