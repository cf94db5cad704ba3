"""One trace shows a message that crosses two pods, exported by both to one collector."""

import asyncio
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.cluster import Cluster, running
from tests.support.endpoint_plan import Plan, pairs
from tests.support.endpoint_process import EndpointProcess, settle, verified
from tests.support.otlp_receiver import OtlpReceiver, otlp_receiver, plain
from tests.support.processes import wait_until
from tests.support.redis_server import RedisServer

MESSAGES = 20
PATIENCE = 30.0
"""Seconds."""


def exchange(cluster: Cluster, directory: Path) -> int:
    """Let two clients, each at a pod of its own, send each other some messages; returns how many."""
    directory.mkdir()
    with ExitStack() as stack:
        processes = []
        for side, pod in zip(("left", "right"), cluster.pods, strict=True):
            plan = Plan(
                name=side, directory=str(directory), relay=cluster.endpoint_relay(pods=[pod]),
                clients=pairs(1, 1, reverse=side == "right"), rate=MESSAGES,
            )  # fmt: skip
            processes.append(stack.enter_context(EndpointProcess(plan)))
        wait_until(lambda: all(one.status.sent >= MESSAGES for one in processes), seconds=PATIENCE, what="messages")
        settle(processes)
        counts = verified(processes)
    assert counts["delivered"] == counts["sent"]
    return counts["sent"]


def traces_of(receiver: OtlpReceiver) -> list[list[tuple[str, Span]]]:
    """Return the spans of each trace in the order in which they began, each with the pod that exported it."""
    traces = defaultdict(list)
    for request in receiver.trace_requests:
        for resource in request.resource_spans:
            pod = str(plain(resource.resource.attributes)["service.instance.id"])
            for scope in resource.scope_spans:
                for span in scope.spans:
                    traces[span.trace_id].append((pod, span))
    return [sorted(spans, key=lambda found: found[1].start_time_unix_nano) for spans in traces.values()]


def assert_crosses_pods(trace: list[tuple[str, Span]]) -> None:
    """Hold that the trace tells of one message: sent at one pod, delivered at the other."""
    assert len(trace) == 2, f"{len(trace)} spans: {trace}"
    (sender, sent), (receiver, delivered) = trace
    assert (sent.name, sent.parent_span_id) == ("wigwag.relay.send", b"")
    assert (delivered.name, delivered.parent_span_id) == ("wigwag.relay.deliver", sent.span_id)
    assert sender != receiver
    assert plain(sent.attributes)["msrp.status"] == plain(delivered.attributes)["msrp.status"] == 200


async def test_one_trace_shows_a_message_from_its_senders_pod_to_its_receivers(
    redis: RedisServer, tmp_path: Path
) -> None:
    async with otlp_receiver() as receiver:
        telemetry = {"otlp_endpoint": receiver.endpoint, "sample_ratio": 1.0}
        pods = Cluster(tmp_path, 2, redis_url=redis.url, sections={"telemetry": telemetry})
        sent = await asyncio.to_thread(sent_through, pods, tmp_path / "load")
        # Pods that end in good order have exported all they had.
        traces = traces_of(receiver)
    # Of what comes in one read one SEND is traced.
    assert MESSAGES < len(traces) <= sent
    for trace in traces:
        assert_crosses_pods(trace)
    print(f"\n{sent} messages, {len(traces)} traces, each of one message over two pods")


def sent_through(pods: Cluster, directory: Path) -> int:
    """Exchange messages through pods that are started and ended for it; returns how many."""
    with running(pods) as cluster:
        sent = exchange(cluster, directory)
        for pod in cluster.pods:
            pod.terminate()
        assert [pod.wait_until_ended() for pod in cluster.pods] == [0, 0]
    return sent
