import asyncio
import logging
import socket
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import grpc
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from structlog.testing import capture_logs

from tests.support.otlp_receiver import otlp_receiver, plain
from tests.support.processes import free_port
from tests.support.waiting import until
from wigwag.runtime.names import MESSAGE_ID, RELAY_SEND, STATUS, TELEMETRY_SPANS
from wigwag.runtime.otlp import FLUSH_SECONDS, LARGEST_QUEUE, OtlpExport, OtlpOptions, Outage, SpanQueue
from wigwag.runtime.telemetry import Telemetry, process_resource
from wigwag.runtime.tracing import Tracing

EXPORTER_LOG = "opentelemetry.exporter.otlp.proto.grpc.exporter"


class Exporting:
    """An export and what a node has beside it."""

    def __init__(self, endpoint: str, interval: float = 3600) -> None:
        resource = process_resource("1.2", name="test", instance="pod-0")
        self.export = OtlpExport(OtlpOptions(endpoint=endpoint, headers={"authorization": "Bearer x"}), resource)
        self.telemetry = Telemetry(resource, collects=True)
        self.telemetry.register(self.export.readings)
        self.tracing = Tracing(self.export.tracer, ratio=1)
        self.export.start(self.telemetry.collect, interval)

    def spans(self, outcome: str) -> float:
        (found,) = [
            reading.value
            for reading in self.export.readings()
            if reading.metric is TELEMETRY_SPANS and reading.attributes == {"outcome": outcome}
        ]
        return found


@asynccontextmanager
async def exporting(endpoint: str, interval: float = 3600) -> AsyncIterator[Exporting]:
    found = Exporting(endpoint, interval)
    try:
        yield found
    finally:
        await found.export.close()
        found.telemetry.close()


async def test_what_is_left_when_the_process_ends_arrives() -> None:
    async with otlp_receiver() as receiver:
        async with exporting(receiver.endpoint) as node:
            span = node.tracing.begin(RELAY_SEND, attributes={MESSAGE_ID: "abcd"})
            span.set(STATUS, 200)
            span.end()
        (arrived,) = receiver.spans()
        assert f"00-{arrived.trace_id.hex()}-{arrived.span_id.hex()}"[:52] == span.traceparent[:52]
        assert plain(arrived.attributes) == {"msrp.message_id": "abcd", "msrp.status": 200}
        assert receiver.value("wigwag.telemetry.spans", outcome="exported") == 1
        assert receiver.metrics()["wigwag.telemetry.spans"].unit == "{span}"
        about = receiver.resource()
        assert (about["service.name"], about["service.version"], about["service.instance.id"]) == (
            "test",
            "1.2",
            "pod-0",
        )
        assert {call["authorization"] for call in receiver.metadata} == {"Bearer x"}


async def test_spans_and_metrics_arrive_while_the_process_runs() -> None:
    async with otlp_receiver() as receiver, exporting(receiver.endpoint, interval=0.05) as node:
        for _ in range(3):
            node.tracing.begin(RELAY_SEND).end()
        await until(lambda: len(receiver.spans()) == 3)
        await until(
            lambda: receiver.metric_requests and receiver.value("wigwag.telemetry.spans", outcome="exported") == 3
        )


async def closing_time(node: Exporting) -> float:
    loop = asyncio.get_running_loop()
    before = loop.time()
    await node.export.close()
    node.telemetry.close()
    return loop.time() - before


async def test_a_collector_that_is_away_does_not_hold_the_process_up() -> None:
    node = Exporting(f"http://127.0.0.1:{free_port()}")
    for _ in range(700):
        node.tracing.begin(RELAY_SEND).end()
    assert await closing_time(node) < FLUSH_SECONDS + 1
    assert (node.spans("exported"), node.spans("failed")) == (0, 700)


async def test_a_collector_that_never_answers_does_not_hold_the_process_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        node = Exporting(f"http://127.0.0.1:{silent.getsockname()[1]}", interval=0.05)
        node.tracing.begin(RELAY_SEND).end()
        assert await closing_time(node) < FLUSH_SECONDS + 1
    assert node.spans("failed") == 1


async def test_a_span_that_ends_after_the_end_is_dropped() -> None:
    node = Exporting(f"http://127.0.0.1:{free_port()}")
    span = node.tracing.begin(RELAY_SEND)
    await closing_time(node)
    span.end()
    assert node.spans("dropped") == 1


async def test_an_outage_is_told_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    async with otlp_receiver() as receiver, exporting(receiver.endpoint, interval=0.02) as node:
        receiver.refusal = grpc.StatusCode.UNAUTHENTICATED
        with capture_logs() as lines:
            node.tracing.begin(RELAY_SEND).end()
            await until(lambda: node.spans("failed") == 1)
            await until(lambda: node.export.metric_exports["failed"] >= 3)
            receiver.refusal = None
            await until(lambda: lines)
            await until(lambda: receiver.metric_requests)
        told = [record for record in caplog.records if record.name == EXPORTER_LOG]
        assert len(told) == 1
        assert "UNAUTHENTICATED" in told[0].getMessage()
        assert [(line["event"], line["endpoint"], line["lost"]) for line in lines] == [
            ("telemetry is exported again", receiver.endpoint, 1)
        ]


def test_the_exporters_log_is_left_as_it_was() -> None:
    outage = Outage("http://localhost:4317")
    assert outage in logging.getLogger(EXPORTER_LOG).filters
    outage.close()
    assert outage not in logging.getLogger(EXPORTER_LOG).filters


class BlockedExporter(SpanExporter):
    """An exporter that takes its time."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.taken = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        assert self.go_on.wait(20)
        self.taken += len(spans)
        return SpanExportResult.SUCCESS


def test_a_full_queue_leaves_out_the_newest_and_counts_them() -> None:
    exporter, outage = BlockedExporter(), Outage("http://localhost:4317")
    queue = SpanQueue(exporter, outage)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(queue)
    tracing = Tracing(provider.get_tracer("test"), ratio=1)
    for _ in range(LARGEST_QUEUE + 100):
        tracing.begin(RELAY_SEND).end()
    assert (queue.dropped, queue.exported) == (100, 0)
    exporter.go_on.set()
    provider.shutdown()
    outage.close()
    assert (queue.dropped, queue.exported, exporter.taken) == (100, LARGEST_QUEUE, LARGEST_QUEUE)
