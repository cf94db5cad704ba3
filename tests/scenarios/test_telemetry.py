"""A node in a process of its own and a collector beside it, there or not."""

import asyncio
import signal
import time
from pathlib import Path
from typing import Any

import httpx

from tests.support.live_relay import Clients, relay_settings
from tests.support.node import RelayNode, relay_node
from tests.support.otlp_receiver import otlp_receiver, plain
from tests.support.processes import free_port, wait_until
from tests.support.waiting import until

ENDS_WITHIN = 10.0


def settings(endpoint: str, **more: Any) -> dict[str, Any]:
    return {
        **relay_settings(),
        "telemetry": {"otlp_endpoint": endpoint, "metrics_interval": 0.1, "sample_ratio": 1.0, **more},
    }


def end(node: RelayNode) -> tuple[int, float]:
    """Send SIGTERM; returns the exit status and the seconds until the end."""
    before = time.monotonic()
    node.process.send_signal(signal.SIGTERM)
    return node.process.wait(ENDS_WITHIN), time.monotonic() - before


def failed_exports(node: RelayNode) -> float:
    """Return how many exports of metrics have failed, as its /metrics says."""
    lines = httpx.get(f"{node.url}/metrics", trust_env=False).text.splitlines()
    name = "wigwag_telemetry_metric_exports_total{"
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name) and '"failed"' in line)


async def test_a_collector_gets_the_metrics_of_a_running_node_and_the_last_ones_when_it_ends(tmp_path: Path) -> None:
    async with otlp_receiver() as receiver:
        with relay_node(tmp_path, settings(receiver.endpoint, service_name="relay", service_instance="pod-7")) as node:
            await until(lambda: "wigwag.relay.sessions_granted" in receiver.metrics())
            assert receiver.value("wigwag.node.memory") > 10_000_000
            assert receiver.value("wigwag.relay.sessions", state="active") == 0
            assert receiver.resource()["service.instance.id"] == "pod-7"
            exports = len(receiver.metric_requests)
            status, _ = await asyncio.to_thread(end, node)
        assert status == 0
        assert len(receiver.metric_requests) > exports


async def test_a_message_is_traced_until_the_receivers_response(tmp_path: Path) -> None:
    async with otlp_receiver() as receiver:
        with relay_node(tmp_path, settings(receiver.endpoint)) as node:
            async with Clients(node) as clients:
                alice, bob = await clients.join("alice"), await clients.join("bob")
                assert (await alice.send(alice.path_to(bob), b"hello", message_id="seen"))[1] == 200
                await bob.message("seen")
            status, _ = await asyncio.to_thread(end, node)
        assert status == 0
        (span,) = receiver.spans()
        assert (span.name, span.parent_span_id) == ("wigwag.relay.send", b"")
        assert plain(span.attributes) == {"msrp.message_id": "seen", "msrp.octets": 5, "msrp.status": 200}
        assert span.end_time_unix_nano > span.start_time_unix_nano
        assert receiver.value("wigwag.telemetry.spans", outcome="exported") == 1


async def test_a_client_cannot_join_a_trace(tmp_path: Path) -> None:
    async with otlp_receiver() as receiver:
        with relay_node(tmp_path, settings(receiver.endpoint, sample_ratio=0.0)) as node:
            async with Clients(node) as clients:
                alice, bob = await clients.join("alice"), await clients.join("bob")
                headers = ("traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",)
                sent = await alice.send(alice.path_to(bob), b"hello", message_id="seen", headers=headers)
                assert sent[1] == 200
                await bob.message("seen")
            await asyncio.to_thread(end, node)
        assert receiver.metric_requests
        assert receiver.spans() == []


async def test_without_its_collector_a_node_runs_and_ends_in_time(tmp_path: Path) -> None:
    port = free_port()
    with relay_node(tmp_path, settings(f"http://127.0.0.1:{port}")) as node:
        await asyncio.to_thread(wait_until, lambda: failed_exports(node) > 0, seconds=20, what="failed export")
        async with otlp_receiver(port) as receiver:
            await until(lambda: receiver.metric_requests, 15)
        status, seconds = await asyncio.to_thread(end, node)
    told = [line for line in node.log_lines() if "export" in line["event"]]
    assert (status, seconds < 5) == (0, True)
    assert told[0]["level"] == "error"
    assert "UNAVAILABLE" in told[0]["event"]
    assert [line["event"] for line in told[1:]] == ["telemetry is exported again"]
