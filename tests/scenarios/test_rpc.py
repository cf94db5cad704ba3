"""gRPC of a running node: where it is found, what it shows of real clients, and how it ends."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.support.node import RunningNode, demo_environment, json_of, running_node
from wigwag.api.relay.v1 import relay_pb2, session_pb2
from wigwag.api.relay.v1.relay_pb2_grpc import RelayServiceStub
from wigwag.node.data_directory import AdminNote
from wigwag.runtime.rpc import open_channel

SECONDS = 30.0


@pytest.fixture
def node(tmp_path: Path) -> Iterator[RunningNode]:
    with running_node(demo_environment(tmp_path), tmp_path, "--demo") as running:
        yield running


@pytest.fixture
async def channel(node: RunningNode) -> AsyncIterator[grpc.aio.Channel]:
    target = AdminNote(node.data_dir).rpc()
    assert target is not None
    async with open_channel(target) as opened:
        yield opened


async def until_two(watch: Any, kind: session_pb2.SessionChangeKind) -> list[session_pb2.SessionChange]:
    """Read changes until two of a kind have come."""
    seen: list[session_pb2.SessionChange] = []
    while sum(change.kind == kind for change in seen) < 2:
        seen += (await watch.read()).changes
    return seen


async def test_a_watch_sees_real_clients_come_and_go_and_ends_with_the_node(
    node: RunningNode, channel: grpc.aio.Channel
) -> None:
    relay = RelayServiceStub(channel)
    watch = relay.WatchSessions(relay_pb2.WatchSessionsRequest())
    async with asyncio.timeout(SECONDS):
        demo = asyncio.create_task(asyncio.to_thread(node.command, "demo", "--megabytes", "1"))
        seen = await until_two(watch, session_pb2.SESSION_CHANGE_KIND_SUSPENDED)
        assert (await demo).returncode == 0
        status = json_of(await asyncio.to_thread(node.command, "status", "--json"))
        sessions = (await relay.ListSessions(relay_pb2.ListSessionsRequest())).sessions
        assert {session.pod for session in sessions} == {status["pods"][0]["pod"]}
        for session in sessions:
            await relay.EndSession(relay_pb2.EndSessionRequest(session_id=session.id))
        seen += await until_two(watch, session_pb2.SESSION_CHANGE_KIND_ENDED)
        node.process.send_signal(signal.SIGTERM)
        with pytest.raises(grpc.aio.AioRpcError, match="the server ends"):
            await watch.read()
        code = await asyncio.to_thread(node.process.wait, SECONDS)
    assert code == 0
    granted = {change.session.user for change in seen if change.kind == session_pb2.SESSION_CHANGE_KIND_GRANTED}
    assert granted == {"alice", "bob"}
    assert [change.sequence for change in seen] == list(range(1, len(seen) + 1))


async def test_a_drain_turns_the_node_unready_until_it_is_taken_back(
    node: RunningNode, channel: grpc.aio.Channel
) -> None:
    relay = RelayServiceStub(channel)
    health = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
    async with asyncio.timeout(SECONDS):
        assert (await health.read()).status == health_pb2.HealthCheckResponse.SERVING
        await relay.Drain(relay_pb2.DrainRequest())
        assert (await health.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        drain = await relay.GetDrain(relay_pb2.GetDrainRequest())
        assert drain.status.state in (relay_pb2.DRAIN_STATE_DRAINING, relay_pb2.DRAIN_STATE_DRAINED)
        assert not node.is_ready()
        again = await relay.CancelDrain(relay_pb2.CancelDrainRequest())
        assert again.status.state == relay_pb2.DRAIN_STATE_SERVING
        assert (await health.read()).status == health_pb2.HealthCheckResponse.SERVING
        demo = await asyncio.to_thread(node.command, "demo", "--megabytes", "1")
    assert demo.returncode == 0, demo.stderr
