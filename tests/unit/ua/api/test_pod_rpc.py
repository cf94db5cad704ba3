from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest

from tests.support.fake_agent import FakeAgent
from tests.support.ua_api import HELPDESK, OPERATE
from wigwag.api.ua.v1 import owner_pb2, owner_pb2_grpc, ua_pb2
from wigwag.errors import ConflictError, InvalidRequestError, OverloadedError, WigwagError
from wigwag.runtime.rpc import RpcServer, RpcServerOptions, open_channel, service_error
from wigwag.ua.api.pod_rpc import PodServicer
from wigwag.ua.config import PodAccess
from wigwag.ua.sessions.peers import PodChannels

END = owner_pb2.ControlRequest(end_session=ua_pb2.EndSessionRequest(session_id="s1"))


async def deliver(requests: AsyncIterator[owner_pb2.DeliverRequest]) -> AsyncIterator[owner_pb2.DeliverResponse]:
    async for request in requests:
        yield owner_pb2.DeliverResponse(acknowledged=request.first + len(request.items) - 1)


async def accept(batch: owner_pb2.AcceptBatch) -> owner_pb2.AcceptResponse:
    outcomes = [
        owner_pb2.AcceptOutcome(message_id=str(len(message.body)))
        for group in batch.groups
        for message in group.messages
    ]
    return owner_pb2.AcceptResponse(groups=[owner_pb2.AcceptedGroup(owned=True, outcomes=outcomes)])


def server(agent: FakeAgent, **options: Any) -> RpcServer:
    servicer = PodServicer(agent, accept, deliver, largest=10_485_760)
    return RpcServer(RpcServerOptions(**options), [servicer.served(lambda: True)])


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


async def test_messages_larger_than_a_frame_are_handed_to_their_owner() -> None:
    async with (
        server(FakeAgent()) as served,
        PodChannels(lambda pod: served.target if pod == "pod-2" else "", PodAccess()) as channels,
    ):
        message = ua_pb2.OutboundMessage(body=b"x" * 9_000_000)
        batch = owner_pb2.AcceptBatch(groups=[owner_pb2.AcceptGroup(session_id="s1", messages=[message])])
        response = await channels.accept("pod-2", batch)
        assert response.groups[0].outcomes[0].message_id == "9000000"
        with pytest.raises(OverloadedError):
            await channels.accept("pod-3", batch)
        message.body = b"x" * 30_000_000
        with pytest.raises(InvalidRequestError):
            await channels.accept("pod-2", owner_pb2.AcceptBatch(groups=[owner_pb2.AcceptGroup(messages=[message])]))
