"""Types of wigwag.api.relay.v1, for asyncio; written by scripts/contracts.py."""

from collections.abc import AsyncIterator
from typing import Any

import grpc.aio

from wigwag.api.relay.v1 import relay_pb2 as messages

class RelayServiceStub:
    def __init__(self, channel: grpc.aio.Channel) -> None: ...
    ListSessions: grpc.aio.UnaryUnaryMultiCallable[messages.ListSessionsRequest, messages.ListSessionsResponse]
    GetSession: grpc.aio.UnaryUnaryMultiCallable[messages.GetSessionRequest, messages.GetSessionResponse]
    EndSession: grpc.aio.UnaryUnaryMultiCallable[messages.EndSessionRequest, messages.EndSessionResponse]
    WatchSessions: grpc.aio.UnaryStreamMultiCallable[messages.WatchSessionsRequest, messages.WatchSessionsResponse]
    Drain: grpc.aio.UnaryUnaryMultiCallable[messages.DrainRequest, messages.DrainResponse]
    CancelDrain: grpc.aio.UnaryUnaryMultiCallable[messages.CancelDrainRequest, messages.CancelDrainResponse]
    GetDrain: grpc.aio.UnaryUnaryMultiCallable[messages.GetDrainRequest, messages.GetDrainResponse]

class RelayServiceServicer:
    async def ListSessions(
        self, request: messages.ListSessionsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> messages.ListSessionsResponse: ...
    async def GetSession(
        self, request: messages.GetSessionRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> messages.GetSessionResponse: ...
    async def EndSession(
        self, request: messages.EndSessionRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> messages.EndSessionResponse: ...
    def WatchSessions(
        self, request: messages.WatchSessionsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[messages.WatchSessionsResponse]: ...
    async def Drain(
        self, request: messages.DrainRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> messages.DrainResponse: ...
    async def CancelDrain(
        self, request: messages.CancelDrainRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> messages.CancelDrainResponse: ...
    async def GetDrain(
        self, request: messages.GetDrainRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> messages.GetDrainResponse: ...

def add_RelayServiceServicer_to_server(
    servicer: RelayServiceServicer, server: grpc.aio.Server
) -> None: ...
