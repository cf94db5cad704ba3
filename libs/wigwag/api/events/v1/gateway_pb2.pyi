from wigwag.api.gateway.v1 import conversation_pb2 as _conversation_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GatewaySetupFailed(_message.Message):
    __slots__ = ("key", "from_uri", "to_uri", "request_uri", "code", "reason", "message_ids", "remedy")
    KEY_FIELD_NUMBER: _ClassVar[int]
    FROM_URI_FIELD_NUMBER: _ClassVar[int]
    TO_URI_FIELD_NUMBER: _ClassVar[int]
    REQUEST_URI_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_IDS_FIELD_NUMBER: _ClassVar[int]
    REMEDY_FIELD_NUMBER: _ClassVar[int]
    key: str
    from_uri: str
    to_uri: str
    request_uri: str
    code: int
    reason: str
    message_ids: _containers.RepeatedScalarFieldContainer[str]
    remedy: str
    def __init__(self, key: _Optional[str] = ..., from_uri: _Optional[str] = ..., to_uri: _Optional[str] = ..., request_uri: _Optional[str] = ..., code: _Optional[int] = ..., reason: _Optional[str] = ..., message_ids: _Optional[_Iterable[str]] = ..., remedy: _Optional[str] = ...) -> None: ...

class GatewayConversationChanged(_message.Message):
    __slots__ = ("conversation",)
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    conversation: _conversation_pb2.Conversation
    def __init__(self, conversation: _Optional[_Union[_conversation_pb2.Conversation, _Mapping]] = ...) -> None: ...
