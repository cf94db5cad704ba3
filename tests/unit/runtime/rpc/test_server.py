import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.support.rpc import RelayService
from tests.support.waiting import until
from wigwag.api.relay.v1 import relay_pb2
from wigwag.api.relay.v1.relay_pb2_grpc import RelayServiceStub
from wigwag.errors import ConfigurationError, ConflictError, StoreError, WigwagError
from wigwag.runtime.grpc_tracing import trace_interceptors
from wigwag.runtime.rpc import RpcServer, RpcServerOptions, RpcService, open_channel
from wigwag.runtime.tracing import Tracing

RELAY = "wigwag.api.relay.v1.RelayService"
STATUS = health_pb2.HealthCheckResponse


class Behaviours:
    """A service whose methods behave as a test wants."""

    def __init__(self) -> None:
        self.error: Exception = ConflictError("no")
        self.remaining: list[float | None] = []
        self.cancelled = 0
        self.watching = 0
        self.go_on = asyncio.Event()

    async def fail(self, request: bytes, context: Any) -> bytes:
        raise self.error

    async def deadline(self, request: bytes, context: Any) -> bytes:
        try:
            self.remaining.append(context.time_remaining())
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return b"done"

    async def watch(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        self.watching += 1
        try:
            yield b"first"
            await asyncio.Event().wait()
        finally:
            self.watching -= 1

    def service(self) -> RpcService:
        handlers = {
            "Fail": grpc.unary_unary_rpc_method_handler(self.fail),
            "Deadline": grpc.unary_unary_rpc_method_handler(self.deadline),
            "Watch": grpc.unary_stream_rpc_method_handler(self.watch),
        }
        handler = grpc.method_handlers_generic_handler("wigwag.test.B", handlers)
        return RpcService("wigwag.test.B", lambda server: server.add_generic_rpc_handlers([handler]), lambda: True)


async def code_of(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asyncio.wait_for(call, 10)
    return caught.value.code(), caught.value.details() or ""


async def health(channel: grpc.aio.Channel, service: str) -> Any:
    answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service))
    return answer.status


async def test_health_follows_the_service_and_the_server_is_healthy_while_any_is() -> None:
    relay, other = RelayService(), Behaviours().service()
    async with (
        RpcServer(RpcServerOptions(), [relay.service, other]) as server,
        open_channel(server.target) as channel,
    ):
        assert await health(channel, RELAY) == STATUS.SERVING
        relay.can_serve = False
        assert await health(channel, RELAY) == STATUS.NOT_SERVING
        assert await health(channel, "") == STATUS.SERVING
        listed = await health_pb2_grpc.HealthStub(channel).List(health_pb2.HealthListRequest())
        assert {name: answer.status for name, answer in listed.statuses.items()} == {
            "": STATUS.SERVING,
            RELAY: STATUS.NOT_SERVING,
            other.name: STATUS.SERVING,
        }


async def test_the_health_of_an_unknown_service_is_not_found() -> None:
    async with RelayService().served() as server, open_channel(server.target) as channel:
        assert await code_of(health(channel, "none")) == (grpc.StatusCode.NOT_FOUND, "no service 'none'")


async def test_who_watches_the_health_sees_it_flip() -> None:
    relay = RelayService()
    async with relay.served() as server, open_channel(server.target) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=RELAY))
        unknown = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service="none"))
        assert (await watch.read()).status == STATUS.SERVING
        assert (await unknown.read()).status == STATUS.SERVICE_UNKNOWN
        relay.can_serve = False
        server.health_changed()
        assert (await asyncio.wait_for(watch.read(), 0.9)).status == STATUS.NOT_SERVING


async def test_reflection_lists_the_services() -> None:
    async with RelayService().served() as server, open_channel(server.target) as channel:
        call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(
            iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        )
        listed = {service.name for service in (await call.read()).list_services_response.service}
    assert listed == {RELAY, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConflictError("two"), (grpc.StatusCode.FAILED_PRECONDITION, "two")),
        (StoreError("away"), (grpc.StatusCode.UNAVAILABLE, "away")),
        (WigwagError("odd"), (grpc.StatusCode.INTERNAL, "odd")),
        (ValueError("secret"), (grpc.StatusCode.INTERNAL, "an internal error; the log has the details")),
        (TimeoutError("secret"), (grpc.StatusCode.INTERNAL, "an internal error; the log has the details")),
    ],
)
async def test_errors_become_statuses_and_bugs_tell_nothing(
    error: Exception, expected: tuple[grpc.StatusCode, str]
) -> None:
    behaviours = Behaviours()
    behaviours.error = error
    async with (
        RpcServer(RpcServerOptions(), [behaviours.service()]) as server,
        open_channel(server.target) as channel,
    ):
        assert await code_of(channel.unary_unary("/wigwag.test.B/Fail", None, None)(b"")) == expected


async def test_a_call_without_a_deadline_gets_the_servers() -> None:
    behaviours = Behaviours()
    async with (
        RpcServer(RpcServerOptions(default_timeout=0.05), [behaviours.service()]) as server,
        grpc.aio.insecure_channel(server.target) as channel,
    ):
        code, _ = await code_of(channel.unary_unary("/wigwag.test.B/Deadline", None, None)(b""))
    assert code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert (behaviours.remaining, behaviours.cancelled) == ([None], 1)


async def test_a_callers_deadline_ends_the_work_too() -> None:
    behaviours = Behaviours()
    async with (
        RpcServer(RpcServerOptions(), [behaviours.service()]) as server,
        open_channel(server.target) as channel,
    ):
        call = channel.unary_unary("/wigwag.test.B/Deadline", None, None)(b"", timeout=0.05)
        assert (await code_of(call))[0] is grpc.StatusCode.DEADLINE_EXCEEDED
        await until(lambda: behaviours.cancelled)


async def test_our_channel_sets_a_deadline_that_a_call_may_exceed() -> None:
    behaviours = Behaviours()
    behaviours.go_on.set()
    async with (
        RpcServer(RpcServerOptions(), [behaviours.service()]) as server,
        open_channel(server.target, timeout=5.0) as channel,
    ):
        method = channel.unary_unary("/wigwag.test.B/Deadline", None, None)
        assert await method(b"") == b"done"
        assert await method(b"", timeout=60.0) == b"done"
    ours, longer = behaviours.remaining
    assert ours is not None
    assert longer is not None
    # What is left of a deadline is rounded on its way.
    assert 4.0 < ours < 6.0
    assert 50.0 < longer < 70.0


async def test_a_stream_ends_with_the_server_at_once_and_a_call_under_way_may_end() -> None:
    behaviours = Behaviours()
    server = RpcServer(RpcServerOptions(closing=10.0), [behaviours.service()])
    async with open_channel((await server.__aenter__()).target) as channel:
        watch = channel.unary_stream("/wigwag.test.B/Watch", None, None)(b"")
        assert await watch.read() == b"first"
        under_way = asyncio.ensure_future(channel.unary_unary("/wigwag.test.B/Deadline", None, None)(b""))
        await until(lambda: behaviours.remaining)
        closing = asyncio.create_task(server.__aexit__())
        assert await code_of(watch.read()) == (grpc.StatusCode.UNAVAILABLE, "the server ends")
        assert behaviours.watching == 0
        behaviours.go_on.set()
        assert await under_way == b"done"
        await asyncio.wait_for(closing, 5)


async def test_a_stream_that_the_caller_leaves_ends() -> None:
    behaviours = Behaviours()
    async with (
        RpcServer(RpcServerOptions(), [behaviours.service()]) as server,
        open_channel(server.target) as channel,
    ):
        watch = channel.unary_stream("/wigwag.test.B/Watch", None, None)(b"")
        await watch.read()
        watch.cancel()
        await until(lambda: behaviours.watching == 0)


async def test_more_calls_than_allowed_are_refused() -> None:
    behaviours = Behaviours()
    async with (
        RpcServer(RpcServerOptions(max_calls=1), [behaviours.service()]) as server,
        open_channel(server.target) as channel,
    ):
        method = channel.unary_unary("/wigwag.test.B/Deadline", None, None)
        first = asyncio.ensure_future(method(b""))
        await until(lambda: behaviours.remaining)
        assert (await code_of(method(b"")))[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
        behaviours.go_on.set()
        await first


async def test_a_message_that_is_too_large_is_refused() -> None:
    async with RelayService().served() as server, grpc.aio.insecure_channel(server.target) as channel:
        call = RelayServiceStub(channel).GetSession(relay_pb2.GetSessionRequest(session_id="x" * 4_194_304))
        assert (await code_of(call))[0] is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_an_unknown_method_is_unimplemented() -> None:
    async with RelayService().served() as server, open_channel(server.target) as channel:
        code, _ = await code_of(channel.unary_unary(f"/{RELAY}/Nothing", None, None)(b""))
    assert code is grpc.StatusCode.UNIMPLEMENTED


async def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"rpc.port: 127.0.0.1:{port} can't be bound"):
            async with RelayService().served(port=port):
                pass


async def test_two_servers_never_share_a_port() -> None:
    async with RelayService().served() as server:
        port = int(server.target.rpartition(":")[2])
        with pytest.raises(ConfigurationError):
            async with RelayService().served(port=port):
                pass


async def test_an_interceptor_sees_the_status_that_the_caller_gets() -> None:
    behaviours, exporter, provider = Behaviours(), InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing = trace_interceptors(Tracing(provider.get_tracer("test"), ratio=1.0))
    async with (
        RpcServer(RpcServerOptions(), [behaviours.service()], interceptors=[tracing.server]) as server,
        open_channel(server.target, interceptors=[tracing.client]) as channel,
    ):
        code, _ = await code_of(channel.unary_unary("/wigwag.test.B/Fail", None, None)(b""))
        await until(exporter.get_finished_spans)
    (span,) = exporter.get_finished_spans()
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert "FAILED_PRECONDITION" in (span.attributes or {}).values()
    provider.shutdown()
