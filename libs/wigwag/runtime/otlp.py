"""Telemetry's way to an OpenTelemetry collector: OTLP over gRPC, in threads of its own.

Theory of operation. Ended spans wait in a bounded queue for one thread that sends them in batches; metrics are read in
the event loop, where the integers are at home, and sent by another thread. A collector that is away, slow or refuses
costs nothing but what was meant for it: spans beyond the queue are dropped and counted, an outage is told once in the
log, and closing waits ``FLUSH_SECONDS`` at most.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import grpc
import structlog
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from opentelemetry.trace import Tracer

from .instruments import Reading
from .names import TELEMETRY_METRIC_EXPORTS, TELEMETRY_SPANS

LARGEST_QUEUE = 2048
"""Ended spans that may wait."""
LARGEST_BATCH = 512
BATCH_DELAY = 1.0
"""Seconds that a span waits for others."""
FLUSH_SECONDS = 2.0
"""Longest wait for the last spans and metrics when the process ends."""

_LIMITS = SpanLimits(
    max_span_attributes=32, max_events=0, max_links=0, max_span_attribute_length=256, max_attribute_length=256
)
_EXPORTER_LOG = logging.getLogger("opentelemetry.exporter.otlp.proto.grpc.exporter")

logger = structlog.get_logger("wigwag.telemetry")


@dataclass(frozen=True, slots=True, kw_only=True)
class OtlpOptions:
    """Where the collector is and how it is reached."""

    endpoint: str
    """``http://host:port`` or ``https://host:port``."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with every call, such as a credential; names in lower case."""
    authorities: bytes | None = None
    """PEM of the authorities that may have signed the collector's certificate; None: the system's."""
    timeout: float = 5.0
    """Seconds that one call may take, tries included."""

    @property
    def secure(self) -> bool:
        """Whether the connection is encrypted."""
        return self.endpoint.startswith("https:")


class OtlpExport:
    """Takes spans from ``tracer`` and metrics from whoever is given to ``start``.

    Args:
        options: Where the collector is.
        resource: What describes this process.

    Attributes:
        tracer: Where spans are begun.
        metric_exports: Exports of metrics by outcome.
    """

    def __init__(self, options: OtlpOptions, resource: Resource) -> None:
        self._outage = Outage(options.endpoint)
        credentials = grpc.ssl_channel_credentials(options.authorities) if options.secure else None
        headers = dict(options.headers)
        self._spans = OTLPSpanExporter(
            options.endpoint, not options.secure, credentials, headers, timeout=options.timeout
        )
        self._metrics = OTLPMetricExporter(
            options.endpoint, not options.secure, credentials, headers, timeout=options.timeout
        )
        self._queue = SpanQueue(self._spans, self._outage)
        self._provider = TracerProvider(ParentBased(ALWAYS_ON), resource, shutdown_on_exit=False, span_limits=_LIMITS)
        self._provider.add_span_processor(self._queue)
        self.tracer: Tracer = self._provider.get_tracer("wigwag")
        self._metric_lock = threading.Lock()
        self.metric_exports = {"exported": 0, "failed": 0}
        self._collect: Callable[[], MetricsData | None] = lambda: None
        self._periodic: asyncio.Task[None] | None = None

    def start(self, collect: Callable[[], MetricsData | None], interval: float) -> None:
        """Export metrics from now on.

        Args:
            collect: Reads them; called in the event loop.
            interval: Seconds between two exports.
        """
        self._collect = collect
        self._periodic = asyncio.create_task(self._export_periodically(interval))

    async def _export_periodically(self, interval: float) -> None:
        while True:
            await asyncio.sleep(interval)
            await asyncio.to_thread(self._export, self._collect())

    def _export(self, data: MetricsData | None) -> None:
        if data is None:
            return
        with self._metric_lock:
            exported = self._metrics.export(data) is MetricExportResult.SUCCESS
        self.metric_exports["exported" if exported else "failed"] += 1
        if exported:
            self._outage.over(self._queue.lost)

    def readings(self) -> Iterable[Reading]:
        """Yield what became of the telemetry."""
        queue = self._queue
        for outcome, value in (("exported", queue.exported), ("failed", queue.failed), ("dropped", queue.dropped)):
            yield TELEMETRY_SPANS.read(value, outcome=outcome)
        for outcome, value in self.metric_exports.items():
            yield TELEMETRY_METRIC_EXPORTS.read(value, outcome=outcome)

    async def close(self) -> None:
        """Send what is left, for ``FLUSH_SECONDS`` at most."""
        if self._periodic is not None:
            self._periodic.cancel()
        finishing = asyncio.ensure_future(self._finish())
        done, _ = await asyncio.wait([finishing], timeout=FLUSH_SECONDS)
        if not done:
            self._outage.silent = True
            # An exporter that is shut down cuts its call short and refuses the rest at once.
            self._spans.shutdown()
            self._metrics.shutdown()
        await finishing
        self._outage.close()

    async def _finish(self) -> None:
        await asyncio.to_thread(self._provider.shutdown)
        # Read now, so that the last metrics tell of the last spans.
        await asyncio.to_thread(self._export, self._collect())
        self._metrics.shutdown()


class SpanQueue(BatchSpanProcessor):
    """The queue of ended spans, with its own bound: the newest is left out when it is full, and counted.

    ``ended`` is written by the thread that ends spans only, the other numbers by the one that exports.
    """

    def __init__(self, exporter: SpanExporter, outage: "Outage") -> None:
        self._ended = self.dropped = self.exported = self.failed = 0
        self._closed = False
        self._taker = _Taker(exporter, self, outage)
        super().__init__(
            self._taker,
            max_queue_size=LARGEST_QUEUE,
            schedule_delay_millis=BATCH_DELAY * 1000,
            max_export_batch_size=LARGEST_BATCH,
        )

    @property
    def lost(self) -> int:
        """Spans that were not exported."""
        return self.dropped + self.failed

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a span."""
        if self._closed or self._ended - self.exported - self.failed >= LARGEST_QUEUE:
            self.dropped += 1
            return
        self._ended += 1
        super().on_end(span)

    def shutdown(self) -> None:
        """Send what waits and take no more."""
        self._closed = True
        super().shutdown()  # type: ignore[no-untyped-call]


class _Taker(SpanExporter):
    """The exporter, counted."""

    def __init__(self, exporter: SpanExporter, queue: SpanQueue, outage: "Outage") -> None:
        self._exporter = exporter
        self._queue = queue
        self._outage = outage

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            self._queue.exported += len(spans)
            self._outage.over(self._queue.lost)
        else:
            self._queue.failed += len(spans)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


class Outage(logging.Filter):
    """Lets the exporters say once that they fail, not at each try, and says when they work again.

    Args:
        endpoint: Of the collector.
    """

    def __init__(self, endpoint: str) -> None:
        super().__init__()
        self._endpoint = endpoint
        self._told = False
        self.silent = False
        _EXPORTER_LOG.addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a line of the exporters is shown; their warnings are about tries that are repeated."""
        if record.levelno < logging.ERROR or self._told or self.silent:
            return False
        self._told = True
        return True

    def over(self, lost: int) -> None:
        """Something was exported."""
        if self._told:
            self._told = False
            logger.info("telemetry is exported again", endpoint=self._endpoint, lost=lost)

    def close(self) -> None:
        """Leave the exporters' log alone."""
        _EXPORTER_LOG.removeFilter(self)
