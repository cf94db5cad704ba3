"""What makes the node visible: metrics, traces, and their way to a collector, as the settings say."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

from wigwag.errors import ConfigurationError
from wigwag.runtime.process_readings import ProcessReadings
from wigwag.runtime.telemetry import Telemetry, process_resource
from wigwag.runtime.tracing import Tracing

from .settings import TelemetrySettings, header_pairs

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

    from wigwag.runtime.otlp import OtlpExport


class Observing:
    """Metrics and traces of one node; entered before its services and left after them.

    Args:
        settings: Where telemetry goes, and how much of it.
        version: The program's version.
        pod: Id of this process among all pods.

    Attributes:
        telemetry: Takes readings.
        tracing: Begins spans.
    """

    def __init__(self, settings: TelemetrySettings, version: str, pod: str) -> None:
        self._settings = settings
        resource = process_resource(version, name=settings.service_name, instance=settings.service_instance or pod)
        self._export = self._make_export(resource)
        self.telemetry = Telemetry(resource, collects=self._export is not None)
        tracer = self._export.tracer if self._export is not None else None
        self.tracing = Tracing(tracer, ratio=settings.sample_ratio)
        self._process = ProcessReadings()
        self._stack = AsyncExitStack()

    def _make_export(self, resource: "Resource") -> "OtlpExport | None":
        if self._settings.otlp_endpoint is None:
            return None
        # gRPC and its threads cost some 11 MiB, which a node without a collector need not pay.
        from wigwag.runtime.otlp import OtlpExport, OtlpOptions

        options = OtlpOptions(
            endpoint=self._settings.otlp_endpoint,
            headers=header_pairs(self._settings.headers),
            authorities=_authorities(self._settings.ca_file),
        )
        return OtlpExport(options, resource)

    async def __aenter__(self) -> Self:
        """Measure and export from now on."""
        self._stack.callback(self.telemetry.close)
        self.telemetry.register(self._process.readings)
        self._process.start()
        self._stack.callback(self._process.stop)
        if self._export is not None:
            self.telemetry.register(self._export.readings)
            self._export.start(self.telemetry.collect, self._settings.metrics_interval)
            self._stack.push_async_callback(self._export.close)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Export what is left, for two seconds at most."""
        await self._stack.aclose()


def _authorities(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"telemetry.ca_file: {path} cannot be read: {error.strerror}") from error
