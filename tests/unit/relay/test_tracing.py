"""A traced SEND: its span lasts until its outcome is known, also across two pods."""

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.support.relay import FakeClient, ok_to, send
from tests.support.relay_cluster import ClusterUnderTest
from tests.support.relay_pair import PEER, Pair, kinds, pair
from wigwag.runtime.tracing import Tracing


class Recorder:
    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    def tracing(self, ratio: float = 1.0) -> Tracing:
        return Tracing(self.provider.get_tracer("test"), ratio=ratio)

    def spans(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self.exporter.get_finished_spans()}

    def statuses(self) -> list[object]:
        return [(span.attributes or {}).get("msrp.status") for span in self.exporter.get_finished_spans()]


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    yield recorder
    recorder.provider.shutdown()


async def traced_pair(recorder: Recorder) -> Pair:
    found = await pair()
    found.under_test.relay.tracing = recorder.tracing()
    return found


async def test_a_span_ends_with_the_receivers_response(recorder: Recorder) -> None:
    found = await traced_pair(recorder)
    assert kinds(found.peer_sends(b"hello", message_id="mess1")) == ["200"]
    (frame,) = found.delivered()
    assert recorder.spans() == {}
    found.client_answers(frame)
    assert dict(recorder.spans()["wigwag.relay.send"].attributes or {}) == {
        "msrp.message_id": "mess1",
        "msrp.octets": 5,
        "msrp.status": 200,
    }


async def test_a_refusal_is_an_error(recorder: Recorder) -> None:
    found = await traced_pair(recorder)
    found.peer_sends()
    found.client_answers(found.delivered()[0], "415 no such type")
    assert recorder.statuses() == [415]
    assert recorder.spans()["wigwag.relay.send"].status.description == "415 no such type"


async def test_silence_is_an_error(recorder: Recorder) -> None:
    found = await traced_pair(recorder)
    found.peer_sends()
    found.under_test.advance(31)
    assert recorder.statuses() == [408]


async def test_a_lost_receiver_is_an_error(recorder: Recorder) -> None:
    found = await traced_pair(recorder)
    found.peer_sends()
    found.client.channel.hop.disconnected("gone")
    assert recorder.statuses() == [408]


async def test_a_send_that_nobody_answers_ends_when_it_has_left(recorder: Recorder) -> None:
    found = await traced_pair(recorder)
    found.peer_sends(fields="Failure-Report: no\r\n")
    assert recorder.statuses() == [None]


async def test_a_large_chunk_ends_with_its_last_part(recorder: Recorder) -> None:
    found = await traced_pair(recorder)
    found.peer_sends(b"x" * 150_000)
    assert recorder.statuses() == []
    assert len(found.delivered_and_answered()) == 3
    assert recorder.statuses() == [200]


async def test_a_sender_that_vanishes_ends_its_span(recorder: Recorder) -> None:
    found = await traced_pair(recorder)
    found.peer.receive(found.frame(b"x" * 150_000)[:100_000])
    found.peer.hop.disconnected("gone")
    assert recorder.spans()["wigwag.relay.send"].status.description == "the sender is gone"


async def test_one_send_of_a_read_is_traced_and_the_others_take_the_fast_path(recorder: Recorder) -> None:
    found = await traced_pair(recorder)
    sends = [found.frame(transaction_id=f"t{index:03}", message_id=f"m{index:03}") for index in range(10)]
    found.peer.receive(b"".join(sends))
    assert len(found.delivered_and_answered()) == 10
    assert recorder.statuses() == [200]


async def test_without_sampling_no_send_is_traced(recorder: Recorder) -> None:
    found = await traced_pair(recorder)
    found.under_test.relay.tracing = recorder.tracing(ratio=0)
    found.peer_sends()
    found.delivered_and_answered()
    assert recorder.spans() == {}


async def across_pods(recorder: Recorder, ratio: float, answer: str) -> None:
    """Let a peer at one pod send to a client at the other, who answers; only the peer's pod begins traces."""
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        one.relay.tracing, two.relay.tracing = recorder.tracing(ratio=0), recorder.tracing(ratio)
        client = FakeClient(one, one.connect(), "alice", "msrps://alice.invalid:9/a;tcp")
        await client.authenticate()
        await cluster.settle()
        two.connect().receive(send(f"{client.use_path} {client.uri}", PEER))
        await cluster.settle()
        client.channel.receive(ok_to(client.channel.taken()[0], answer))
        await cluster.settle()


@pytest.mark.parametrize(("answer", "status"), [("200 OK", 200), ("413 too much", 413)])
async def test_one_trace_shows_a_message_crossing_two_pods(recorder: Recorder, answer: str, status: int) -> None:
    await across_pods(recorder, 1, answer)
    sent, delivered = (recorder.spans()[name] for name in ("wigwag.relay.send", "wigwag.relay.deliver"))
    assert sent.context is not None
    assert delivered.parent is not None
    assert (delivered.parent.trace_id, delivered.parent.span_id) == (sent.context.trace_id, sent.context.span_id)
    assert recorder.statuses() == [status, status]


async def test_an_untraced_message_crosses_two_pods_untraced(recorder: Recorder) -> None:
    await across_pods(recorder, 0, "200 OK")
    assert recorder.spans() == {}
