from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest

from tests.support.fake_agent import FakeAgent
from tests.support.ua_api import HELPDESK, OPERATE
from wigwag.api.ua.v1 import owner_pb2, owner_pb2_grpc, ua_pb2
from wigwag.errors import ConflictError, WigwagError
from wigwag.runtime.rpc import RpcServer, RpcServerOptions, open_channel, service_error
from wigwag.ua.api.pod_rpc import PodServicer

END = owner_pb2.ControlRequest(end_session=ua_pb2.EndSessionRequest(session_id="s1"))


async def deliver(requests: AsyncIterator[owner_pb2.DeliverRequest]) -> AsyncIterator[owner_pb2.DeliverResponse]:
    async for request in requests:
        yield owner_pb2.DeliverResponse(acknowledged=request.first + len(request.items) - 1)


def server(agent: FakeAgent, **options: Any) -> RpcServer:
    return RpcServer(RpcServerOptions(**options), [PodServicer(agent, deliver).served(lambda: True)])


async def test_another_pod_controls_sessions_of_this_one_and_hands_records_over() -> None:
    agent = FakeAgent()
    async with server(agent) as served, open_channel(served.target) as channel:
        pod: Any = owner_pb2_grpc.UaPodServiceStub(channel)
        await pod.Control(END)
        items = [owner_pb2.DeliverItem(session_id="s1", ledger_id=f"m{number}") for number in range(3)]
        call = pod.Deliver(iter([owner_pb2.DeliverRequest(first=5, items=items)]))
        assert [response.acknowledged async for response in call] == [7]
    assert agent.controls == [END]


async def test_a_session_of_another_pod_is_a_conflict_for_the_caller_too() -> None:
    agent = FakeAgent()
    agent.failure = ConflictError("session s1 is not owned here")
    async with server(agent) as served, open_channel(served.target) as channel:
        pod: Any = owner_pb2_grpc.UaPodServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await pod.Control(END)
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert isinstance(service_error(caught.value), WigwagError)


async def test_keys_of_applications_open_nothing_between_pods() -> None:
    agent = FakeAgent()
    async with (
        server(agent, tokens=((OPERATE, "operate"),)) as served,
        open_channel(served.target, token=HELPDESK) as channel,
    ):
        pod: Any = owner_pb2_grpc.UaPodServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await pod.Control(END)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert not agent.controls
