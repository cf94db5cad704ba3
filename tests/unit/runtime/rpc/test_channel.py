from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest

from wigwag.api.relay.v1 import relay_pb2
from wigwag.api.relay.v1.relay_pb2_grpc import (
    RelayServiceServicer,
    RelayServiceStub,
    add_RelayServiceServicer_to_server,
)
from wigwag.errors import (
    ConflictError,
    InvalidRequestError,
    NotAuthenticatedError,
    NotFoundError,
    OutOfRangeError,
    OverloadedError,
    ServiceError,
)
from wigwag.relay.rpc import SERVICE
from wigwag.runtime.rpc import open_channel, service_error


class Unavailable(RelayServiceServicer):
    """Answers only after some refusals."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.calls: list[str] = []

    async def answered(self, method: str, context: Any) -> None:
        self.calls.append(method)
        if len(self.calls) <= self.refusals:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not yet")

    async def GetDrain(self, request: Any, context: Any) -> relay_pb2.GetDrainResponse:
        await self.answered("GetDrain", context)
        return relay_pb2.GetDrainResponse()

    async def EndSession(self, request: Any, context: Any) -> relay_pb2.EndSessionResponse:
        await self.answered("EndSession", context)
        return relay_pb2.EndSessionResponse()

    @asynccontextmanager
    async def served(self) -> AsyncIterator[RelayServiceStub]:
        server = grpc.aio.server()
        add_RelayServiceServicer_to_server(self, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with open_channel(f"127.0.0.1:{port}", services=[SERVICE]) as channel:
            yield RelayServiceStub(channel)
        await server.stop(0)


async def test_a_call_that_changes_nothing_is_tried_again() -> None:
    service = Unavailable(2)
    async with service.served() as relay:
        await relay.GetDrain(relay_pb2.GetDrainRequest())
    assert service.calls == ["GetDrain"] * 3


async def test_a_call_that_may_have_been_carried_out_is_sent_once() -> None:
    service = Unavailable(2)
    async with service.served() as relay:
        with pytest.raises(grpc.aio.AioRpcError, match="not yet"):
            await relay.EndSession(relay_pb2.EndSessionRequest())
    assert service.calls == ["EndSession"]


async def test_a_call_is_not_tried_for_ever() -> None:
    service = Unavailable(99)
    async with service.served() as relay:
        with pytest.raises(grpc.aio.AioRpcError, match="not yet"):
            await relay.GetDrain(relay_pb2.GetDrainRequest())
    assert len(service.calls) == 4


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.NOT_FOUND, NotFoundError),
        (grpc.StatusCode.FAILED_PRECONDITION, ConflictError),
        (grpc.StatusCode.UNAVAILABLE, OverloadedError),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, OverloadedError),
        (grpc.StatusCode.INVALID_ARGUMENT, InvalidRequestError),
        (grpc.StatusCode.UNAUTHENTICATED, NotAuthenticatedError),
        (grpc.StatusCode.OUT_OF_RANGE, OutOfRangeError),
        (grpc.StatusCode.INTERNAL, ServiceError),
    ],
)
def test_a_failed_call_becomes_an_error_of_ours(code: grpc.StatusCode, kind: type[ServiceError]) -> None:
    error = service_error(grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), "why", ""))
    assert type(error) is kind
    assert str(error) == f"{code.name}: why"
