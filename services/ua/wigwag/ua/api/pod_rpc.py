"""The gRPC service between pods: control calls, and messages, for sessions of this pod."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, Protocol

import grpc.aio
from google.protobuf.message import DecodeError

from wigwag.api.ua.v1 import owner_pb2, owner_pb2_grpc
from wigwag.errors import InvalidRequestError
from wigwag.runtime.rpc import RpcService
from wigwag.runtime.rpc.types import Context

SERVICE: Final = owner_pb2.DESCRIPTOR.services_by_name["UaPodService"]

Deliver = Callable[[AsyncIterator[owner_pb2.DeliverRequest]], AsyncIterator[owner_pb2.DeliverResponse]]
"""Takes records from another pod; acknowledges frames."""
Accept = Callable[[owner_pb2.AcceptBatch], Awaitable[owner_pb2.AcceptResponse]]
"""Accepts messages for sessions of this pod."""
SPARE: Final = 16 * 1_048_576
"""Octets of a batch beyond those of its largest message: what a stream of messages may have under way, and more."""


class Owner(Protocol):
    """What is done in sessions of this pod."""

    async def control(self, request: owner_pb2.ControlRequest) -> None:
        """Do what another pod was asked; ConflictError: the session is not this pod's."""


class PodServicer(owner_pb2_grpc.UaPodServiceServicer):
    """Serves ``wigwag.api.ua.v1.UaPodService``.

    Args:
        owner: Carries out control calls.
        accept: Accepts messages.
        deliver: Takes records.
        largest: Octets of a message.
    """

    def __init__(self, owner: Owner, accept: Accept, deliver: Deliver, *, largest: int) -> None:
        self._owner = owner
        self._accept = accept
        self._most = largest + SPARE
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

    async def Accept(
        self, requests: AsyncIterator[owner_pb2.AcceptRequest], context: Context
    ) -> owner_pb2.AcceptResponse:
        """Accept messages that came to another pod."""
        content, octets = bytearray(), 0
        async for request in requests:
            octets += len(request.piece)
            if octets <= self._most:
                content += request.piece
        # Not before the end: gRPC's client does not always hear why it is refused while it sends.
        if octets > self._most:
            raise InvalidRequestError(f"a batch of more than {self._most} octets")
        try:
            batch = owner_pb2.AcceptBatch.FromString(bytes(content))
        except DecodeError as error:
            raise InvalidRequestError("no AcceptBatch") from error
        return await self._accept(batch)

    async def Deliver(
        self, requests: AsyncIterator[owner_pb2.DeliverRequest], context: Context
    ) -> AsyncIterator[owner_pb2.DeliverResponse]:
        """Take records that another pod accepted."""
        async for response in self._deliver(requests):
            yield response
