import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.support.waiting import until
from wigwag.runtime.grpc_tracing import current_span, trace_interceptors, using
from wigwag.runtime.names import RELAY_SEND
from wigwag.runtime.tracing import Tracing


class Recorder:
    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    def tracing(self, ratio: float = 0.0) -> Tracing:
        return Tracing(self.provider.get_tracer("test"), ratio=ratio)

    def spans(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self.exporter.get_finished_spans()}


def identifiers(span: ReadableSpan) -> tuple[int, int]:
    """Return the identifiers of a span's parent (0: none) and of itself."""
    assert span.context is not None
    return span.parent.span_id if span.parent is not None else 0, span.context.span_id


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    yield recorder
    recorder.provider.shutdown()


class Echo:
    """A service that says which trace it was called in, or fails as the request wants."""

    def __init__(self) -> None:
        self.entered = 0
        self.cancelled = 0

    async def unary(self, request: bytes, context: Any) -> bytes:
        self.entered += 1
        match request:
            case b"abort":
                await context.abort(grpc.StatusCode.NOT_FOUND, "not here")
            case b"bug":
                raise ValueError("a bug")
            case b"hang":
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    self.cancelled += 1
                    raise
        return current_span().traceparent.encode()

    async def stream(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield current_span().traceparent.encode()


@asynccontextmanager
async def served(serving: Tracing, calling: Tracing) -> AsyncIterator[tuple[Any, Any, Echo]]:
    echo = Echo()
    server = grpc.aio.server(interceptors=[trace_interceptors(serving).server])
    handlers = {
        "Echo": grpc.unary_unary_rpc_method_handler(echo.unary),
        "Stream": grpc.unary_stream_rpc_method_handler(echo.stream),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Service", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    interceptors: Any = [trace_interceptors(calling).client]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", interceptors=interceptors) as channel:
        unary: Any = channel.unary_unary
        stream: Any = channel.unary_stream
        yield unary("/test.Service/Echo"), stream("/test.Service/Stream"), echo
    await server.stop(None)


async def test_a_call_continues_the_callers_trace(recorder: Recorder) -> None:
    caller = recorder.tracing(ratio=1)
    async with served(recorder.tracing(), caller) as (call, _, _):
        with caller.begin(RELAY_SEND) as span, using(span):
            seen = (await call(b"")).decode()
    spans = recorder.spans()
    send, calling, serving = (spans[name] for name in ("wigwag.relay.send", "wigwag.rpc.call", "wigwag.rpc.serve"))
    assert identifiers(calling)[0] == identifiers(send)[1]
    assert identifiers(serving)[0] == identifiers(calling)[1]
    assert seen[3:35] == span.trace_id
    assert dict(serving.attributes or {}) == {"rpc.method": "test.Service/Echo", "rpc.response.status_code": "OK"}
    assert dict(calling.attributes or {}) == dict(serving.attributes or {})


async def test_a_trace_may_be_given_as_metadata(recorder: Recorder) -> None:
    parent = recorder.tracing(ratio=1).begin(RELAY_SEND)
    metadata = (("other", "kept"), ("traceparent", parent.traceparent))
    async with served(recorder.tracing(), recorder.tracing()) as (call, _, _):
        seen = (await call(b"", metadata=metadata)).decode()
    assert seen[3:35] == parent.trace_id
    assert set(recorder.spans()) == {"wigwag.rpc.call", "wigwag.rpc.serve"}


async def test_a_call_without_a_trace_has_no_span(recorder: Recorder) -> None:
    async with served(recorder.tracing(), recorder.tracing(ratio=1)) as (call, stream, _):
        assert await call(b"") == b""
        assert [item async for item in stream(b"")] == [b""]
    assert recorder.spans() == {}


async def test_a_sampled_call_begins_a_trace_at_the_server(recorder: Recorder) -> None:
    async with served(recorder.tracing(ratio=1), Tracing()) as (call, _, _):
        assert len(await call(b"")) == 55
    assert set(recorder.spans()) == {"wigwag.rpc.serve"}


@pytest.mark.parametrize("hostile", ["", "nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
async def test_a_malformed_traceparent_is_as_none(recorder: Recorder, hostile: str) -> None:
    async with served(recorder.tracing(), Tracing()) as (call, _, _):
        assert await call(b"", metadata=(("traceparent", hostile),)) == b""
    assert recorder.spans() == {}


@pytest.mark.parametrize(
    ("request_", "status", "is_fault"), [(b"abort", "NOT_FOUND", False), (b"bug", "UNKNOWN", True)]
)
async def test_a_failed_call_is_an_error_of_the_one_whose_it_is(
    recorder: Recorder, request_: bytes, status: str, is_fault: bool
) -> None:
    caller = recorder.tracing(ratio=1)
    async with served(recorder.tracing(), caller) as (call, _, _):
        with using(caller.begin(RELAY_SEND)), pytest.raises(grpc.aio.AioRpcError) as raised:
            await call(request_)
    assert raised.value.code().name == status
    spans = recorder.spans()
    assert (spans["wigwag.rpc.serve"].attributes or {})["rpc.response.status_code"] == status
    assert spans["wigwag.rpc.serve"].status.description == (status if is_fault else None)
    assert spans["wigwag.rpc.call"].status.description == status


async def test_a_cancelled_call_is_cancelled_at_the_server_and_ends_both_spans(recorder: Recorder) -> None:
    caller = recorder.tracing(ratio=1)
    async with served(recorder.tracing(), caller) as (call, _, echo):
        with using(caller.begin(RELAY_SEND)):
            calling = asyncio.ensure_future(call(b"hang"))
        await until(lambda: echo.entered)
        calling.cancel()
        await until(lambda: echo.cancelled and len(recorder.spans()) == 2)
    codes = {name: (span.attributes or {})["rpc.response.status_code"] for name, span in recorder.spans().items()}
    assert codes == {"wigwag.rpc.call": "CANCELLED", "wigwag.rpc.serve": "CANCELLED"}
