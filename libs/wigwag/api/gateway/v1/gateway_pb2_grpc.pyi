"""Types of wigwag.api.gateway.v1, for asyncio; written by scripts/contracts.py."""

from collections.abc import AsyncIterator
from typing import Any

import grpc.aio

from wigwag.api.gateway.v1 import gateway_pb2 as messages

class GatewayServiceStub:
    def __init__(self, channel: grpc.aio.Channel) -> None: ...
    ListConversations: grpc.aio.UnaryUnaryMultiCallable[messages.ListConversationsRequest, messages.ListConversationsResponse]
    GetConversation: grpc.aio.UnaryUnaryMultiCallable[messages.GetConversationRequest, messages.GetConversationResponse]
    EndConversation: grpc.aio.UnaryUnaryMultiCallable[messages.EndConversationRequest, messages.EndConversationResponse]
    ListMessages: grpc.aio.UnaryUnaryMultiCallable[messages.ListMessagesRequest, messages.ListMessagesResponse]
    GetMessage: grpc.aio.UnaryUnaryMultiCallable[messages.GetMessageRequest, messages.GetMessageResponse]
    PurgeUser: grpc.aio.UnaryUnaryMultiCallable[messages.PurgeUserRequest, messages.PurgeUserResponse]
    Watch: grpc.aio.UnaryStreamMultiCallable[messages.WatchRequest, messages.WatchResponse]

class GatewayServiceServicer:
    async def ListConversations(
        self, request: messages.ListConversationsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> messages.ListConversationsResponse: ...
    async def GetConversation(
        self, request: messages.GetConversationRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> messages.GetConversationResponse: ...
    async def EndConversation(
        self, request: messages.EndConversationRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> messages.EndConversationResponse: ...
    async def ListMessages(
        self, request: messages.ListMessagesRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> messages.ListMessagesResponse: ...
    async def GetMessage(
        self, request: messages.GetMessageRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> messages.GetMessageResponse: ...
    async def PurgeUser(
        self, request: messages.PurgeUserRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> messages.PurgeUserResponse: ...
    def Watch(
        self, request: messages.WatchRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[messages.WatchResponse]: ...

def add_GatewayServiceServicer_to_server(
    servicer: GatewayServiceServicer, server: grpc.aio.Server
) -> None: ...
