"""Calls between the pods of the user agent (``UaPodService``)."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final, Self

import grpc.aio

from wigwag.api.ua.v1 import owner_pb2, owner_pb2_grpc
from wigwag.errors import OverloadedError
from wigwag.runtime.rpc import ClientTls, open_channel, service_error
from wigwag.ua.config import PodAccess

_PIECE: Final = 1_048_576
"""Octets of a frame, of the four times as many that gRPC takes here."""


class PodChannels:
    """One channel to each other pod, opened when it is first needed.

    Args:
        address: Returns where the gRPC of a pod is reached; empty: nowhere.
        access: How they are called.
    """

    def __init__(self, address: Callable[[str], str], access: PodAccess) -> None:
        self._address = address
        is_tls = access.encrypted
        self._tls = ClientTls(ca_file=access.ca_file, certificate=access.certificate) if is_tls else None
        self._token = access.token
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the channels."""
        await self._stack.aclose()

    def stub(self, pod: str) -> owner_pb2_grpc.UaPodServiceStub:
        """Return what calls a pod.

        Raises:
            OverloadedError: It is not known where it is.
        """
        address = self._address(pod)
        if not address:
            raise OverloadedError(f"it is not known where pod {pod} is reached")
        channel = self._channels.get(address)
        if channel is None:
            channel = self._channels[address] = open_channel(address, tls=self._tls, token=self._token)
            self._stack.push_async_callback(channel.close, None)
        return owner_pb2_grpc.UaPodServiceStub(channel)

    async def control(self, pod: str, request: owner_pb2.ControlRequest) -> None:
        """Have the owner of a session do something.

        Raises:
            ServiceError: What it answered; OverloadedError when it is not reached.
        """
        try:
            await self.stub(pod).Control(request)
        except grpc.aio.AioRpcError as error:
            raise service_error(error) from error

    async def accept(self, pod: str, batch: owner_pb2.AcceptBatch) -> owner_pb2.AcceptResponse:
        """Have the owner of sessions accept messages for them.

        Raises:
            ServiceError: What it answered; OverloadedError when it is not reached.
        """
        try:
            return await self.stub(pod).Accept(_pieces(batch.SerializeToString()))
        except grpc.aio.AioRpcError as error:
            raise service_error(error) from error


async def _pieces(content: bytes) -> AsyncIterator[owner_pb2.AcceptRequest]:
    for first in range(0, len(content), _PIECE):
        yield owner_pb2.AcceptRequest(piece=content[first : first + _PIECE])
