"""Metrics: plain integers that services count with, read by OpenTelemetry's observable instruments when somebody looks.

A service registers a callable that yields its readings; nothing happens on the hot path but ``+= 1``.
"""

from collections.abc import Callable, Iterable

import structlog
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricReader, MetricsData
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from wigwag.errors import LocalProtocolError

from .instruments import Instrument, Metric, Reading, Readings
from .names import METRICS

__all__ = ["Instrument", "Metric", "Reading", "Readings", "Telemetry", "process_resource"]

logger = structlog.get_logger("wigwag.telemetry")


def process_resource(version: str, *, name: str = "wigwag", instance: str = "") -> Resource:
    """Return what tells this process from others in everything that it exports.

    Args:
        version: The program's version.
        name: What the installation calls the service.
        instance: Unique among the processes of that name; empty: OpenTelemetry makes one up.
    """
    described = {"service.name": name, "service.version": version}
    if instance:
        described["service.instance.id"] = instance
    return Resource.create(described)


class Telemetry:
    """The process's metrics.

    Theory of operation. There is an instrument for each declared metric. OpenTelemetry asks them one by one, while
    readings of services come all at once; so a round of readings is kept and handed out metric by metric, and a metric
    that is asked for again begins the next round. One look therefore reads each service once. All looks happen in the
    event loop's thread, where the numbers change.

    Args:
        resource: What describes the process, or its version.
        metrics: The declarations; readings of others are refused.
        collects: Whether ``collect`` is going to be called.
    """

    def __init__(
        self, resource: Resource | str, *, metrics: Iterable[Metric] = METRICS, collects: bool = False
    ) -> None:
        self._registry = CollectorRegistry()
        self._collector = InMemoryMetricReader() if collects else None
        readers: list[MetricReader] = [PrometheusMetricReader(registry=self._registry)]
        if self._collector is not None:
            readers.append(self._collector)
        if isinstance(resource, str):
            resource = process_resource(resource)
        # Shut down by ``close``; a hook at the interpreter's exit would keep every instance of a test run alive.
        self._provider = MeterProvider(readers, resource=resource, shutdown_on_exit=False)
        self._rounds = _Rounds(metrics)
        meter = self._provider.get_meter("wigwag")
        for metric in self._rounds.metrics:
            make = (
                meter.create_observable_counter
                if metric.instrument is Instrument.COUNTER
                else meter.create_observable_gauge
            )
            make(metric.name, [_callback(self._rounds, metric)], metric.unit, metric.description)

    def register(self, readings: Readings) -> None:
        """Add a service.

        Args:
            readings: Yields all of the service's readings.

        Raises:
            LocalProtocolError: One of them is not declared.
        """
        self._rounds.add(readings)

    def prometheus(self) -> tuple[bytes, str]:
        """Return the metrics in Prometheus' text form, and its content type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST

    def collect(self) -> MetricsData | None:
        """Return the metrics as OpenTelemetry has them; None when there are none."""
        return self._collector.get_metrics_data() if self._collector is not None else None

    def close(self) -> None:
        """Let the instruments go."""
        self._provider.shutdown()


class _Rounds:
    """The current round of readings."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self.metrics = tuple(metrics)
        self._sources: list[Readings] = []
        self._waiting: set[Metric] = set()
        self._observations: dict[Metric, list[Observation]] = {}

    def add(self, readings: Readings) -> None:
        known = set(self.metrics)
        undeclared = {reading.metric.name for reading in readings() if reading.metric not in known}
        if undeclared:
            raise LocalProtocolError(f"metrics that are not declared: {', '.join(sorted(undeclared))}")
        self._sources.append(readings)

    def take(self, metric: Metric) -> list[Observation]:
        if metric not in self._waiting:
            self._waiting = set(self.metrics)
            self._read()
        self._waiting.discard(metric)
        return self._observations.pop(metric, [])

    def _read(self) -> None:
        self._observations = {}
        for source in self._sources:
            try:
                for reading in source():
                    observation = Observation(reading.value, dict(reading.attributes))
                    self._observations.setdefault(reading.metric, []).append(observation)
            except Exception:
                # A bug in one service's readings must not hide those of the others.
                logger.exception("readings failed")


def _callback(rounds: _Rounds, metric: Metric) -> Callable[[CallbackOptions], Iterable[Observation]]:
    return lambda options: rounds.take(metric)
