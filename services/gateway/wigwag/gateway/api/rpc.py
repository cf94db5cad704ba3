"""The gRPC service of operators."""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, Final, cast

import grpc.aio

from wigwag.api.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from wigwag.gateway.operations import Operations
from wigwag.runtime.rpc import RpcService
from wigwag.runtime.rpc.types import Context

SERVICE: Final = gateway_pb2.DESCRIPTOR.services_by_name["GatewayService"]


class GatewayServicer(gateway_pb2_grpc.GatewayServiceServicer):
    """Serves ``wigwag.api.gateway.v1.GatewayService``.

    Args:
        operations: The use cases.
    """

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    def served(self, ready: Callable[[], bool]) -> RpcService:
        """Return the service for a server; ``ready`` tells whether the gateway works."""

        def add(server: grpc.aio.Server) -> None:
            gateway_pb2_grpc.add_GatewayServiceServicer_to_server(self, server)

        return RpcService(SERVICE.full_name, add, ready)

    async def ListConversations(
        self, request: gateway_pb2.ListConversationsRequest, context: Context
    ) -> gateway_pb2.ListConversationsResponse:
        """Return a page of conversations."""
        return await self._operations.list_conversations(request)

    async def GetConversation(
        self, request: gateway_pb2.GetConversationRequest, context: Context
    ) -> gateway_pb2.GetConversationResponse:
        """Return a conversation."""
        return await self._operations.get_conversation(request)

    async def EndConversation(
        self, request: gateway_pb2.EndConversationRequest, context: Context
    ) -> gateway_pb2.EndConversationResponse:
        """Hang up."""
        return await self._operations.end_conversation(request)

    async def ListMessages(
        self, request: gateway_pb2.ListMessagesRequest, context: Context
    ) -> gateway_pb2.ListMessagesResponse:
        """Return a page of messages."""
        return await self._operations.list_messages(request)

    async def GetMessage(
        self, request: gateway_pb2.GetMessageRequest, context: Context
    ) -> gateway_pb2.GetMessageResponse:
        """Return a message and where it is."""
        return await self._operations.get_message(request)

    async def PurgeUser(self, request: gateway_pb2.PurgeUserRequest, context: Context) -> gateway_pb2.PurgeUserResponse:
        """Remove the bodies of a user's messages."""
        return await self._operations.purge_user(request)

    async def Watch(
        self, request: gateway_pb2.WatchRequest, context: Context
    ) -> AsyncIterator[gateway_pb2.WatchResponse]:
        """Yield events."""
        async with aclosing(cast(Any, self._operations.watch(request))) as responses:
            async for response in responses:
                yield response
