"""The user agent in other processes: ``Agents`` by gRPC."""

from collections.abc import Awaitable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Final, Self, TypeVar

import grpc
import grpc.aio

from wigwag.api.ua.v1 import message_pb2, session_pb2, ua_pb2, ua_pb2_grpc
from wigwag.errors import NotFoundError, OverloadedError, ServiceError
from wigwag.runtime.rpc import Backoff, ClientTls, open_channel

from .ports import Handed
from .rpc_sending import SendingStream, meant

_SERVICE: Final = ua_pb2.DESCRIPTOR.services_by_name["UaService"]
_SILENT: Final = (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)
T = TypeVar("T")


class RpcAgents:
    """Implements ``Agents``; ``async with`` opens the channel.

    What is UNAVAILABLE there, or does not answer in time, is an ``OverloadedError`` here: it may or may not be done,
    and asking again, under the same keys, tells. So it is when our token is not taken: no message is given up for that.

    Args:
        target: ``host:port`` of the user agent's gRPC, or of what distributes over its pods.
        tls: None: plain text.
        token: Bearer token that makes us an operator there; None: none is asked for.
        deadline: Seconds for each call, and for a message to be acknowledged.
        backoff: Between two attempts to open the stream of messages.
    """

    def __init__(
        self,
        target: str,
        *,
        tls: ClientTls | None = None,
        token: str | None = None,
        deadline: float = 10.0,
        backoff: Backoff | None = None,
    ) -> None:
        self._target = target
        self._tls = tls
        self._token = token
        self._deadline = deadline
        self._backoff = backoff
        self._channel: grpc.aio.Channel
        self._ua: ua_pb2_grpc.UaServiceStub
        self._sending: SendingStream

    async def __aenter__(self) -> Self:
        """Open the channel; it connects when it is used.

        Raises:
            ConfigurationError: A file of ``tls`` can't be used.
        """
        self._channel = open_channel(
            self._target, services=[_SERVICE], tls=self._tls, token=self._token, timeout=self._deadline
        )
        self._ua = ua_pb2_grpc.UaServiceStub(self._channel)
        self._sending = SendingStream(self._ua.SendMessages, deadline=self._deadline, backoff=self._backoff)
        await self._sending.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it; messages without an acknowledgement are told as such."""
        await self._sending.__aexit__(kind, error, trace)
        await self._channel.close(None)

    async def start(self, request: ua_pb2.StartSessionRequest) -> session_pb2.Session:
        """Call a session-mode user, as whom the request says; the same key starts one session."""
        response: ua_pb2.StartSessionResponse = await _answered(self._ua.StartSession(request))
        return response.session

    async def answer(self, session_id: str, labels: dict[str, str]) -> None:
        """Take a session that was offered; ConflictError: it is offered no more."""
        await _answered(self._ua.AnswerSession(ua_pb2.AnswerSessionRequest(session_id=session_id, labels=labels)))

    async def reject(self, session_id: str, status: int, reason: str) -> None:
        """Turn it away with a SIP status."""
        request = ua_pb2.RejectSessionRequest(session_id=session_id, sip_status=status, sip_reason=reason)
        await _answered(self._ua.RejectSession(request))

    async def end(self, session_id: str) -> None:
        """Hang up; nothing if it is over."""
        with suppress(NotFoundError):
            await _answered(self._ua.EndSession(ua_pb2.EndSessionRequest(session_id=session_id)))

    async def session(self, session_id: str) -> session_pb2.Session:
        """Return a session; NotFoundError."""
        request = ua_pb2.GetSessionRequest(session_id=session_id)
        response: ua_pb2.GetSessionResponse = await _answered(self._ua.GetSession(request))
        return response.session

    async def send(self, messages: Sequence[ua_pb2.OutboundMessage]) -> list[Handed]:
        """Hand in messages, those of one session in order."""
        return await self._sending.send(messages)

    async def settle(
        self, message_id: str, state: "message_pb2.DeliveryState", *, status: int = 0, reason: str = ""
    ) -> None:
        """Say what became of a message of a session-mode user; the same once more only tells him again."""
        request = ua_pb2.SettleMessageRequest(message_id=message_id, state=state, status=status, reason=reason)
        await _answered(self._ua.SettleMessage(request))


async def _answered(call: Awaitable[T]) -> T:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise _meant(error) from error


def _meant(error: grpc.aio.AioRpcError) -> ServiceError:
    if error.code() in _SILENT:
        return OverloadedError(f"the user agent does not answer: {error.details()}")
    return meant(error.code(), error.details() or "")
