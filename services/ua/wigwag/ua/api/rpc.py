"""The gRPC service of applications."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, Final, cast

import grpc
import grpc.aio

from wigwag.api.ua.v1 import ua_pb2, ua_pb2_grpc
from wigwag.errors import InvalidRequestError
from wigwag.runtime.rpc import RpcService, credentials
from wigwag.runtime.rpc.types import Context
from wigwag.ua.ports import Agent, Caller, Outcome

from .authentication import OPERATOR, Authenticator
from .sending import SendingStream

SERVICE: Final = ua_pb2.DESCRIPTOR.services_by_name["UaService"]
PIECE: Final = 1_048_576
"""Octets of a part of a file or a body, at most."""
PATIENCE: Final = 30.0
"""Seconds between two parts of a file."""


class UaServicer(ua_pb2_grpc.UaServiceServicer):
    """Serves ``wigwag.api.ua.v1.UaService``.

    Args:
        agent: The use cases.
        authenticator: Tells who calls.
        patience: Seconds between two parts of a file.
    """

    def __init__(self, agent: Agent, authenticator: Authenticator, *, patience: float = PATIENCE) -> None:
        self._agent = agent
        self._authenticator = authenticator
        self._patience = patience
        self._sending: set[asyncio.Task[Any]] = set()

    def served(self, ready: Callable[[], bool]) -> RpcService:
        """Return the service for a server; ``ready`` tells whether the user agent can serve."""

        def add(server: grpc.aio.Server) -> None:
            ua_pb2_grpc.add_UaServiceServicer_to_server(self, server)

        return RpcService(SERVICE.full_name, add, ready, knows_callers=True)

    async def _caller(self) -> Caller:
        shown = credentials()
        if shown.role is not None:
            return OPERATOR
        return await self._authenticator.caller(shown.bearers, asked=shown.asked)

    # Sessions

    async def StartSession(self, request: ua_pb2.StartSessionRequest, context: Context) -> ua_pb2.StartSessionResponse:
        """Call a SIP user."""
        return await self._agent.start_session(await self._caller(), request)

    async def AnswerSession(
        self, request: ua_pb2.AnswerSessionRequest, context: Context
    ) -> ua_pb2.AnswerSessionResponse:
        """Take a session that was offered."""
        return await self._agent.answer_session(await self._caller(), request)

    async def RejectSession(
        self, request: ua_pb2.RejectSessionRequest, context: Context
    ) -> ua_pb2.RejectSessionResponse:
        """Turn it away."""
        return await self._agent.reject_session(await self._caller(), request)

    async def EndSession(self, request: ua_pb2.EndSessionRequest, context: Context) -> ua_pb2.EndSessionResponse:
        """End a session."""
        return await self._agent.end_session(await self._caller(), request)

    async def HoldSession(self, request: ua_pb2.HoldSessionRequest, context: Context) -> ua_pb2.HoldSessionResponse:
        """Stop what the peer sends, or let it come again."""
        return await self._agent.hold_session(await self._caller(), request)

    async def GetSession(self, request: ua_pb2.GetSessionRequest, context: Context) -> ua_pb2.GetSessionResponse:
        """Return a session."""
        return await self._agent.get_session(await self._caller(), request)

    async def ListSessions(self, request: ua_pb2.ListSessionsRequest, context: Context) -> ua_pb2.ListSessionsResponse:
        """Return a page of sessions."""
        return await self._agent.list_sessions(await self._caller(), request)

    # Messages

    async def SendMessage(self, request: ua_pb2.SendMessageRequest, context: Context) -> ua_pb2.SendMessageResponse:
        """Send a message."""
        caller = await self._caller()
        sending = asyncio.create_task(self._agent.send_messages(caller, [request.message]))
        self._keep(sending)
        # A caller who leaves must not cut off what is being written down.
        outcome: Outcome
        (outcome,) = await asyncio.shield(sending)
        if outcome.error is not None:
            raise outcome.error
        return ua_pb2.SendMessageResponse(
            message_id=outcome.message_id, duplicate=outcome.duplicate, state=cast(Any, outcome.state)
        )

    async def SendMessages(
        self, requests: AsyncIterator[ua_pb2.SendMessagesRequest], context: Context
    ) -> AsyncIterator[ua_pb2.SendMessagesResponse]:
        """Send many; each is acknowledged once."""
        stream = SendingStream(self._agent, await self._caller(), self._keep)
        async with aclosing(cast(Any, stream.responses(requests))) as responses:
            async for response in responses:
                yield response

    def _keep(self, task: "asyncio.Task[Any]") -> None:
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def GetMessage(self, request: ua_pb2.GetMessageRequest, context: Context) -> ua_pb2.GetMessageResponse:
        """Return a message and where it is."""
        return await self._agent.get_message(await self._caller(), request)

    async def ListMessages(self, request: ua_pb2.ListMessagesRequest, context: Context) -> ua_pb2.ListMessagesResponse:
        """Return a page of a session's messages."""
        return await self._agent.list_messages(await self._caller(), request)

    async def GetMessageBody(
        self, request: ua_pb2.GetMessageBodyRequest, context: Context
    ) -> AsyncIterator[ua_pb2.GetMessageBodyResponse]:
        """Yield a body that is kept as a blob."""
        async with aclosing(cast(Any, self._agent.message_body(await self._caller(), request))) as pieces:
            async for piece in pieces:
                for first in range(0, len(piece), PIECE):
                    yield ua_pb2.GetMessageBodyResponse(data=piece[first : first + PIECE])

    async def SetComposing(self, request: ua_pb2.SetComposingRequest, context: Context) -> ua_pb2.SetComposingResponse:
        """Tell the peer that somebody types, or has stopped."""
        await self._agent.set_composing(await self._caller(), request)
        return ua_pb2.SetComposingResponse()

    async def MarkDisplayed(
        self, request: ua_pb2.MarkDisplayedRequest, context: Context
    ) -> ua_pb2.MarkDisplayedResponse:
        """Tell the sender of a message that it was shown."""
        await self._agent.mark_displayed(await self._caller(), request)
        return ua_pb2.MarkDisplayedResponse()

    async def SettleMessage(
        self, request: ua_pb2.SettleMessageRequest, context: Context
    ) -> ua_pb2.SettleMessageResponse:
        """Say what became of a message of a SIP user."""
        return await self._agent.settle_message(await self._caller(), request)

    # Files

    async def SendFile(
        self, requests: AsyncIterator[ua_pb2.SendFileRequest], context: Context
    ) -> ua_pb2.SendFileResponse:
        """Send a file."""
        caller = await self._caller()
        parts = aiter(requests)
        first = await self._next_part(parts, context)
        if first is None or first.WhichOneof("part") != "file":
            raise InvalidRequestError("file: the first request has to describe it")
        return await self._agent.send_file(caller, first.file, self._data(parts, context))

    async def _data(self, parts: AsyncIterator[ua_pb2.SendFileRequest], context: Context) -> AsyncIterator[bytes]:
        while (part := await self._next_part(parts, context)) is not None:
            if part.WhichOneof("part") != "data":
                raise InvalidRequestError("data: every request after the first carries a part of the file")
            if len(part.data) > PIECE:
                raise InvalidRequestError(f"data: more than {PIECE} octets")
            yield part.data

    async def _next_part(
        self, parts: AsyncIterator[ua_pb2.SendFileRequest], context: Context
    ) -> ua_pb2.SendFileRequest | None:
        waited = asyncio.timeout(self._patience)
        try:
            async with waited:
                return await anext(parts)
        except StopAsyncIteration:
            return None
        except TimeoutError:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, f"no part came for {self._patience:g} s")

    async def GetFile(self, request: ua_pb2.GetFileRequest, context: Context) -> ua_pb2.GetFileResponse:
        """Return how a file stands."""
        return await self._agent.get_file(await self._caller(), request)

    async def FetchFile(self, request: ua_pb2.FetchFileRequest, context: Context) -> ua_pb2.FetchFileResponse:
        """Ask for a file."""
        return await self._agent.fetch_file(await self._caller(), request)

    # Events

    async def Watch(self, request: ua_pb2.WatchRequest, context: Context) -> AsyncIterator[ua_pb2.WatchResponse]:
        """Yield events."""
        async with aclosing(cast(Any, self._agent.watch(await self._caller(), request))) as responses:
            async for response in responses:
                yield response
