"""Metrics: plain integers that services count with, read by OpenTelemetry's observable instruments when somebody looks.

A service registers a callable that yields its readings; nothing happens on the hot path but ``+= 1``.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest


class Instrument(Enum):
    """How a value behaves."""

    COUNTER = "only grows"
    GAUGE = "goes up and down"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One value at the moment of reading."""

    name: str
    """``wigwag.<service>.<noun>``."""
    value: float
    description: str
    unit: str = "1"
    """As OpenTelemetry writes units: ``By``, ``s``, ``{connection}``."""
    instrument: Instrument = Instrument.COUNTER
    attributes: Mapping[str, str] = field(default_factory=dict)


Readings = Callable[[], Iterable[Reading]]


class Telemetry:
    """The process's metrics.

    Theory of operation. OpenTelemetry asks each instrument by itself, while a service's readings come all at once. So
    a round of readings is kept and handed out name by name; a name asked for again begins the next round. One scrape
    therefore reads each service once.

    Args:
        version: The program's version, an attribute of everything.
    """

    def __init__(self, version: str) -> None:
        self._registry = CollectorRegistry()
        self._reader = PrometheusMetricReader(registry=self._registry)
        resource = Resource.create({"service.name": "wigwag", "service.version": version})
        # Shut down by ``close``; a hook at the interpreter's exit would keep every instance of a test run alive.
        self._provider = MeterProvider([self._reader], resource=resource, shutdown_on_exit=False)
        self._meter = self._provider.get_meter("wigwag")

    def register(self, readings: Readings) -> None:
        """Add a service.

        Args:
            readings: Yields all of the service's readings; the names yielded now are the ones ever shown.
        """
        source = _Source(readings)
        for reading in {reading.name: reading for reading in readings()}.values():
            make = (
                self._meter.create_observable_counter
                if reading.instrument is Instrument.COUNTER
                else self._meter.create_observable_gauge
            )
            make(
                reading.name,
                callbacks=[_callback(source, reading.name)],
                unit=reading.unit,
                description=reading.description,
            )

    def prometheus(self) -> tuple[bytes, str]:
        """Return the metrics in Prometheus' text form, and its content type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST

    def close(self) -> None:
        """Let the instruments go."""
        self._provider.shutdown()


class _Source:
    """A service's current round of readings."""

    def __init__(self, readings: Readings) -> None:
        self._readings = readings
        self._round: dict[str, list[Observation]] = {}

    def take(self, name: str) -> list[Observation]:
        if name not in self._round:
            self._round = {}
            for reading in self._readings():
                observations = self._round.setdefault(reading.name, [])
                observations.append(Observation(reading.value, dict(reading.attributes)))
        return self._round.pop(name, [])


def _callback(source: _Source, name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
    return lambda options: source.take(name)
