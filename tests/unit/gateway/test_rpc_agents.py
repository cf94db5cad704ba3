"""What the user agent's statuses mean to the gateway."""

from typing import Any

import grpc
import grpc.aio
import pytest

from wigwag.api.ua.v1 import message_pb2, ua_pb2, ua_pb2_grpc
from wigwag.bus.consuming import is_temporary
from wigwag.gateway.rpc_agents import RpcAgents


class Refusing(ua_pb2_grpc.UaServiceServicer):
    """A user agent that answers every call with one status."""

    def __init__(self, status: grpc.StatusCode) -> None:
        self._status = status

    async def SettleMessage(self, request: Any, context: Any) -> Any:  # noqa: N802 (gRPC's name)
        await context.abort(self._status, "no")

    async def SendMessages(self, requests: Any, context: Any) -> Any:  # noqa: N802 (gRPC's name)
        await context.abort(self._status, "no")
        yield ua_pb2.SendMessagesResponse()


@pytest.mark.parametrize("status", ["UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED", "UNAVAILABLE"])
async def test_no_message_is_given_up_because_the_user_agent_does_not_take_us(status: str) -> None:
    server = grpc.aio.server()
    ua_pb2_grpc.add_UaServiceServicer_to_server(Refusing(grpc.StatusCode[status]), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with RpcAgents(f"127.0.0.1:{port}", deadline=1.0) as agents:
            with pytest.raises(Exception) as refused:
                await agents.settle("m1", message_pb2.DELIVERY_STATE_DELIVERED)
            (handed,) = await agents.send([ua_pb2.OutboundMessage(session_id="s", idempotency_key="k")])
    finally:
        await server.stop(None)
    assert is_temporary(refused.value)
    assert handed.error is not None
    assert is_temporary(handed.error)
