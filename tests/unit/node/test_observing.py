import threading
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.support.otlp_receiver import otlp_receiver, plain
from wigwag.errors import ConfigurationError
from wigwag.node.observing import Observing
from wigwag.node.settings import TelemetrySettings, header_pairs
from wigwag.runtime.names import METRICS, RELAY_SEND


def of_telemetry() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("Otel")]


async def test_without_a_collector_there_is_no_thread_and_no_trace() -> None:
    async with Observing(TelemetrySettings(), "1", "pod.1") as observing:
        assert of_telemetry() == []
        assert not observing.tracing.sampling
        assert b"wigwag_node_loop_lag_max_seconds{" in observing.telemetry.prometheus()[0]


async def test_a_collector_gets_traces_and_what_the_process_uses() -> None:
    async with otlp_receiver() as receiver:
        settings = TelemetrySettings(
            otlp_endpoint=receiver.endpoint, sample_ratio=1.0, headers="X-Tenant=a, authorization=Bearer b=="
        )
        async with Observing(settings, "1", "pod.1") as observing:
            observing.tracing.begin(RELAY_SEND).end()
            assert len(of_telemetry()) == 1
        assert of_telemetry() == []
        assert [span.name for span in receiver.spans()] == ["wigwag.relay.send"]
        assert receiver.value("wigwag.node.memory") > 10_000_000
        assert {metric.name for metric in METRICS} >= receiver.metrics().keys()
        assert {(call["x-tenant"], call["authorization"]) for call in receiver.metadata} == {("a", "Bearer b==")}
        scope = receiver.trace_requests[0].resource_spans[0].resource
        assert plain(scope.attributes)["service.name"] == "wigwag"
        assert plain(scope.attributes)["service.instance.id"] == "pod.1"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"sample_ratio": 0.5}, "needs otlp_endpoint"),
        ({"otlp_endpoint": "collector:4317"}, "http://host:port"),
        ({"otlp_endpoint": "http://localhost"}, "http://host:port"),
        ({"otlp_endpoint": "http://localhost:99999"}, "http://host:port"),
        ({"otlp_endpoint": "http://[::1"}, "http://host:port"),
        ({"otlp_endpoint": "grpc://localhost:4317"}, "http://host:port"),
        ({"otlp_endpoint": "http://user@localhost:4317"}, "http://host:port"),
        ({"otlp_endpoint": "http://localhost:4317/v1/traces"}, "http://host:port"),
        ({"otlp_endpoint": "http://collector.example:4317"}, "readable on the way"),
        ({"otlp_endpoint": "http://localhost:4317", "ca_file": "ca.pem"}, "no use with http"),
        ({"otlp_endpoint": "http://localhost:4317", "headers": "secret"}, "name=value"),
        ({"otlp_endpoint": "http://localhost:4317", "headers": "a b=c"}, "name=value"),
        ({"otlp_endpoint": "http://localhost:4317", "headers": "a=ü"}, "name=value"),
        ({"otlp_endpoint": "http://localhost:4317", "sample_ratio": 1.5}, "less than or equal to 1"),
    ],
)
def test_a_wrong_setting_is_refused_with_the_reason(values: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason) as raised:
        TelemetrySettings(**values)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "values",
    [
        {"otlp_endpoint": "http://127.0.0.1:4317", "sample_ratio": 0.01},
        {"otlp_endpoint": "http://[::1]:4317/"},
        {"otlp_endpoint": "http://collector.example:4317", "insecure": True},
        {"otlp_endpoint": "https://collector.example:4317", "ca_file": "ca.pem"},
    ],
)
def test_a_right_setting_is_taken(values: dict[str, Any]) -> None:
    assert TelemetrySettings(**values).otlp_endpoint == values["otlp_endpoint"]


def test_headers_may_hold_equals_signs_and_blanks() -> None:
    assert header_pairs("A=b=c, d = e f ,") == {"a": "b=c", "d": "e f"}
    assert header_pairs(None) == {}


def test_a_file_of_authorities_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    settings = TelemetrySettings(otlp_endpoint="https://localhost:4317", ca_file=tmp_path / "missing.pem")
    with pytest.raises(ConfigurationError, match=r"telemetry\.ca_file.*missing\.pem"):
        Observing(settings, "1", "pod.1")
