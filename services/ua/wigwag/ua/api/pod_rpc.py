"""The gRPC service between pods: control calls for sessions of this pod."""

from collections.abc import AsyncIterator, Callable
from typing import Final, Protocol

import grpc.aio

from wigwag.api.ua.v1 import owner_pb2, owner_pb2_grpc
from wigwag.runtime.rpc import RpcService
from wigwag.runtime.rpc.types import Context

SERVICE: Final = owner_pb2.DESCRIPTOR.services_by_name["UaPodService"]

Deliver = Callable[[AsyncIterator[owner_pb2.DeliverRequest]], AsyncIterator[owner_pb2.DeliverResponse]]
"""Takes records from another pod; acknowledges frames."""


class Owner(Protocol):
    """What is done in sessions of this pod."""

    async def control(self, request: owner_pb2.ControlRequest) -> None:
        """Do what another pod was asked; ConflictError: the session is not this pod's."""


class PodServicer(owner_pb2_grpc.UaPodServiceServicer):
    """Serves ``wigwag.api.ua.v1.UaPodService``.

    Args:
        owner: Carries out control calls.
        deliver: Takes records.
    """

    def __init__(self, owner: Owner, deliver: Deliver) -> None:
        self._owner = owner
        self._deliver = deliver

    def served(self, ready: Callable[[], bool]) -> RpcService:
        """Return the service for a server; ``ready`` tells whether the user agent can serve."""

        def add(server: grpc.aio.Server) -> None:
            owner_pb2_grpc.add_UaPodServiceServicer_to_server(self, server)

        return RpcService(SERVICE.full_name, add, ready)

    async def Control(self, request: owner_pb2.ControlRequest, context: Context) -> owner_pb2.ControlResponse:
        """Do something in a session of this pod."""
        await self._owner.control(request)
        return owner_pb2.ControlResponse()

    async def Deliver(
        self, requests: AsyncIterator[owner_pb2.DeliverRequest], context: Context
    ) -> AsyncIterator[owner_pb2.DeliverResponse]:
        """Take records that another pod accepted."""
        async for response in self._deliver(requests):
            yield response
