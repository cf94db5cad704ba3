"""Types of wigwag.api.ua.v1, for asyncio; written by scripts/contracts.py."""

from collections.abc import AsyncIterator
from typing import Any

import grpc.aio

from wigwag.api.ua.v1 import owner_pb2 as messages

class UaPodServiceStub:
    def __init__(self, channel: grpc.aio.Channel) -> None: ...
    Accept: grpc.aio.StreamUnaryMultiCallable[messages.AcceptRequest, messages.AcceptResponse]
    Deliver: grpc.aio.StreamStreamMultiCallable[messages.DeliverRequest, messages.DeliverResponse]
    Control: grpc.aio.UnaryUnaryMultiCallable[messages.ControlRequest, messages.ControlResponse]

class UaPodServiceServicer:
    async def Accept(
        self, request_iterator: AsyncIterator[messages.AcceptRequest], context: grpc.aio.ServicerContext[Any, Any]
    ) -> messages.AcceptResponse: ...
    def Deliver(
        self, request_iterator: AsyncIterator[messages.DeliverRequest], context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[messages.DeliverResponse]: ...
    async def Control(
        self, request: messages.ControlRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> messages.ControlResponse: ...

def add_UaPodServiceServicer_to_server(
    servicer: UaPodServiceServicer, server: grpc.aio.Server
) -> None: ...
