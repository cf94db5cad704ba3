import io
import json
import logging
import threading
from collections.abc import Iterator

import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.support.logs import reset_logs
from wigwag.runtime.logging import configure
from wigwag.runtime.names import MESSAGE_ID, RELAY_DELIVER, RELAY_SEND, RPC_CALL, STATUS
from wigwag.runtime.traceparent import parse
from wigwag.runtime.tracing import LONGEST_ERROR, SILENT, Tracing

FOREIGN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0"
UNSAMPLED, SAMPLED = FOREIGN + "0", FOREIGN + "1"


class Recorder:
    """A tracer, and what it has recorded."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer("test")

    def names(self) -> list[str]:
        return [span.name for span in self.exporter.get_finished_spans()]


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    yield recorder
    recorder.provider.shutdown()


def test_a_span_ends_with_what_is_known_then(recorder: Recorder) -> None:
    span = Tracing(recorder.tracer, ratio=1).begin(RELAY_SEND, attributes={MESSAGE_ID: "abcd"})
    span.set(STATUS, 200)
    assert (span.recorded, recorder.names()) == (True, [])
    span.end()
    (found,) = recorder.exporter.get_finished_spans()
    assert (found.name, dict(found.attributes or {})) == (
        "wigwag.relay.send",
        {"msrp.message_id": "abcd", "msrp.status": 200},
    )
    assert found.status.is_unset


def test_a_span_ends_once(recorder: Recorder) -> None:
    span = Tracing(recorder.tracer, ratio=1).begin(RELAY_SEND)
    span.end(error="408 " + "x" * 1000)
    span.end()
    span.set(STATUS, 200)
    (found,) = recorder.exporter.get_finished_spans()
    assert found.status.description == ("408 " + "x" * 1000)[:LONGEST_ERROR]
    assert dict(found.attributes or {}) == {}


def test_one_trace_goes_through_three_processes(recorder: Recorder) -> None:
    first, second, third = (Tracing(recorder.tracer, ratio=ratio) for ratio in (1, 0, 0.5))
    send = first.begin(RELAY_SEND)
    call = second.begin(RPC_CALL, send.traceparent)
    deliver = third.begin(RELAY_DELIVER, call.traceparent.encode())
    for span in (send, deliver, call):
        span.end()
    spans = {span.name: span for span in recorder.exporter.get_finished_spans()}
    assert len({span.context.trace_id for span in spans.values() if span.context}) == 1
    above = spans["wigwag.relay.deliver"].parent
    assert above is not None
    assert above.span_id == int(call.traceparent[36:52], 16)


def test_a_span_that_is_begun_inside_another_is_not_its_child_unless_told(recorder: Recorder) -> None:
    tracing = Tracing(recorder.tracer, ratio=1)
    with tracing.begin(RELAY_SEND), tracing.begin(RELAY_SEND):
        pass
    assert [span.parent for span in recorder.exporter.get_finished_spans()] == [None, None]


@pytest.mark.parametrize("parent", ["", "nonsense", b"\xff" * 55, "0" * 55])
def test_a_parent_that_is_no_traceparent_begins_no_trace(recorder: Recorder, parent: str | bytes) -> None:
    span = Tracing(recorder.tracer, ratio=1).begin(RELAY_DELIVER, parent)
    span.end()
    assert (span.traceparent, recorder.names()) == ("", [])


def test_an_unsampled_trace_is_passed_on_unrecorded(recorder: Recorder) -> None:
    span = Tracing(recorder.tracer, ratio=1).begin(RELAY_DELIVER, UNSAMPLED)
    assert (span.recorded, span.traceparent) == (False, UNSAMPLED)


def test_a_trace_passes_through_a_process_that_exports_nothing() -> None:
    span = Tracing().begin(RELAY_DELIVER, SAMPLED)
    span.end(error="lost")
    assert (span.recorded, span.traceparent) == (False, SAMPLED)


def test_nothing_begins_when_tracing_is_off() -> None:
    tracing = Tracing(ratio=1)
    assert (tracing.sampling, tracing.sampled()) == (False, False)
    assert tracing.begin(RELAY_SEND) is SILENT


def test_a_collector_alone_begins_no_trace(recorder: Recorder) -> None:
    tracing = Tracing(recorder.tracer)
    assert not tracing.sampling
    assert not tracing.sampled()
    tracing.begin(RELAY_DELIVER, SAMPLED).end()
    assert recorder.names() == ["wigwag.relay.deliver"]


@pytest.mark.parametrize(("ratio", "expected"), [(0.0, 0), (0.25, 25), (0.5, 50), (1.0, 100)])
def test_the_ratio_of_traces_is_recorded(recorder: Recorder, ratio: float, expected: int) -> None:
    draws = iter(index / 100 for index in range(100))
    tracing = Tracing(recorder.tracer, ratio=ratio, chance=lambda: next(draws))
    assert sum(tracing.sampled() for _ in range(100)) == expected


def test_an_exception_ends_a_span_with_its_name(recorder: Recorder) -> None:
    with pytest.raises(ValueError), Tracing(recorder.tracer, ratio=1).begin(RELAY_SEND):
        raise ValueError("with a secret of the user's")
    assert recorder.exporter.get_finished_spans()[0].status.description == "ValueError"


def test_tracing_that_is_off_has_no_thread() -> None:
    before = threading.active_count()
    Tracing().begin(RELAY_SEND).end()
    assert threading.active_count() == before


def test_a_log_line_names_the_trace_of_its_span(recorder: Recorder) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    stream = io.StringIO()
    configure(style="json", stream=stream)
    try:
        span = Tracing(recorder.tracer, ratio=1).begin(RELAY_SEND)
        structlog.get_logger("a").info("traced", span=span)
        structlog.get_logger("a").info("silent", span=SILENT)
    finally:
        root.handlers, root.level = handlers, level
        logging.captureWarnings(capture=False)
        reset_logs()
    traced, silent = map(json.loads, stream.getvalue().splitlines())
    parsed = parse(span.traceparent)
    assert parsed is not None
    assert (int(traced["trace_id"], 16), int(traced["span_id"], 16)) == parsed[:2]
    assert not {"span", "trace_id", "span_id"} & set(silent)
    assert "span" not in traced
