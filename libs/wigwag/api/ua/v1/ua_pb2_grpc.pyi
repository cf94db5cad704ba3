"""Types of wigwag.api.ua.v1, for asyncio; written by scripts/contracts.py."""

from collections.abc import AsyncIterator
from typing import Any

import grpc.aio

from wigwag.api.ua.v1 import ua_pb2 as messages

class UaServiceStub:
    def __init__(self, channel: grpc.aio.Channel) -> None: ...
    StartSession: grpc.aio.UnaryUnaryMultiCallable[messages.StartSessionRequest, messages.StartSessionResponse]
    AnswerSession: grpc.aio.UnaryUnaryMultiCallable[messages.AnswerSessionRequest, messages.AnswerSessionResponse]
    RejectSession: grpc.aio.UnaryUnaryMultiCallable[messages.RejectSessionRequest, messages.RejectSessionResponse]
    SendMessage: grpc.aio.UnaryUnaryMultiCallable[messages.SendMessageRequest, messages.SendMessageResponse]
    SendMessages: grpc.aio.StreamStreamMultiCallable[messages.SendMessagesRequest, messages.SendMessagesResponse]
    SendFile: grpc.aio.StreamUnaryMultiCallable[messages.SendFileRequest, messages.SendFileResponse]
    GetFile: grpc.aio.UnaryUnaryMultiCallable[messages.GetFileRequest, messages.GetFileResponse]
    FetchFile: grpc.aio.UnaryUnaryMultiCallable[messages.FetchFileRequest, messages.FetchFileResponse]
    SetComposing: grpc.aio.UnaryUnaryMultiCallable[messages.SetComposingRequest, messages.SetComposingResponse]
    MarkDisplayed: grpc.aio.UnaryUnaryMultiCallable[messages.MarkDisplayedRequest, messages.MarkDisplayedResponse]
    SettleMessage: grpc.aio.UnaryUnaryMultiCallable[messages.SettleMessageRequest, messages.SettleMessageResponse]
    HoldSession: grpc.aio.UnaryUnaryMultiCallable[messages.HoldSessionRequest, messages.HoldSessionResponse]
    EndSession: grpc.aio.UnaryUnaryMultiCallable[messages.EndSessionRequest, messages.EndSessionResponse]
    GetSession: grpc.aio.UnaryUnaryMultiCallable[messages.GetSessionRequest, messages.GetSessionResponse]
    ListSessions: grpc.aio.UnaryUnaryMultiCallable[messages.ListSessionsRequest, messages.ListSessionsResponse]
    GetMessage: grpc.aio.UnaryUnaryMultiCallable[messages.GetMessageRequest, messages.GetMessageResponse]
    ListMessages: grpc.aio.UnaryUnaryMultiCallable[messages.ListMessagesRequest, messages.ListMessagesResponse]
    GetMessageBody: grpc.aio.UnaryStreamMultiCallable[messages.GetMessageBodyRequest, messages.GetMessageBodyResponse]
    Watch: grpc.aio.UnaryStreamMultiCallable[messages.WatchRequest, messages.WatchResponse]

class UaServiceServicer:
    async def StartSession(
        self, request: messages.StartSessionRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> messages.StartSessionResponse: ...
    async def AnswerSession(
        self, request: messages.AnswerSessionRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> messages.AnswerSessionResponse: ...
    async def RejectSession(
        self, request: messages.RejectSessionRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> messages.RejectSessionResponse: ...
    async def SendMessage(
        self, request: messages.SendMessageRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> messages.SendMessageResponse: ...
    def SendMessages(
        self, request_iterator: AsyncIterator[messages.SendMessagesRequest], context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[messages.SendMessagesResponse]: ...
    async def SendFile(
        self, request_iterator: AsyncIterator[messages.SendFileRequest], context: grpc.aio.ServicerContext[Any, Any]
    ) -> messages.SendFileResponse: ...
    async def GetFile(
        self, request: messages.GetFileRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> messages.GetFileResponse: ...
    async def FetchFile(
        self, request: messages.FetchFileRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> messages.FetchFileResponse: ...
    async def SetComposing(
        self, request: messages.SetComposingRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> messages.SetComposingResponse: ...
    async def MarkDisplayed(
        self, request: messages.MarkDisplayedRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> messages.MarkDisplayedResponse: ...
    async def SettleMessage(
        self, request: messages.SettleMessageRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> messages.SettleMessageResponse: ...
    async def HoldSession(
        self, request: messages.HoldSessionRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> messages.HoldSessionResponse: ...
    async def EndSession(
        self, request: messages.EndSessionRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> messages.EndSessionResponse: ...
    async def GetSession(
        self, request: messages.GetSessionRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> messages.GetSessionResponse: ...
    async def ListSessions(
        self, request: messages.ListSessionsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> messages.ListSessionsResponse: ...
    async def GetMessage(
        self, request: messages.GetMessageRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> messages.GetMessageResponse: ...
    async def ListMessages(
        self, request: messages.ListMessagesRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> messages.ListMessagesResponse: ...
    def GetMessageBody(
        self, request: messages.GetMessageBodyRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[messages.GetMessageBodyResponse]: ...
    def Watch(
        self, request: messages.WatchRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[messages.WatchResponse]: ...

def add_UaServiceServicer_to_server(
    servicer: UaServiceServicer, server: grpc.aio.Server
) -> None: ...
