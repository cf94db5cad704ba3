import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from wigwag.api.gateway.v1 import conversation_pb2 as _conversation_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class MessageState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MESSAGE_STATE_UNSPECIFIED: _ClassVar[MessageState]
    MESSAGE_STATE_ACCEPTED: _ClassVar[MessageState]
    MESSAGE_STATE_DELIVERED: _ClassVar[MessageState]
    MESSAGE_STATE_DISPLAYED: _ClassVar[MessageState]
    MESSAGE_STATE_FAILED: _ClassVar[MessageState]
    MESSAGE_STATE_UNCONFIRMED: _ClassVar[MessageState]
    MESSAGE_STATE_EXPIRED: _ClassVar[MessageState]
MESSAGE_STATE_UNSPECIFIED: MessageState
MESSAGE_STATE_ACCEPTED: MessageState
MESSAGE_STATE_DELIVERED: MessageState
MESSAGE_STATE_DISPLAYED: MessageState
MESSAGE_STATE_FAILED: MessageState
MESSAGE_STATE_UNCONFIRMED: MessageState
MESSAGE_STATE_EXPIRED: MessageState

class Message(_message.Message):
    __slots__ = ("message_id", "conversation", "origin", "way", "sender", "recipient", "accepted_at", "settled_at", "state", "status", "reason", "content_type", "size", "has_body")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    WAY_FIELD_NUMBER: _ClassVar[int]
    SENDER_FIELD_NUMBER: _ClassVar[int]
    RECIPIENT_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_AT_FIELD_NUMBER: _ClassVar[int]
    SETTLED_AT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    HAS_BODY_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    conversation: str
    origin: _conversation_pb2.Mode
    way: _conversation_pb2.Mode
    sender: str
    recipient: str
    accepted_at: _timestamp_pb2.Timestamp
    settled_at: _timestamp_pb2.Timestamp
    state: MessageState
    status: int
    reason: str
    content_type: str
    size: int
    has_body: bool
    def __init__(self, message_id: _Optional[str] = ..., conversation: _Optional[str] = ..., origin: _Optional[_Union[_conversation_pb2.Mode, str]] = ..., way: _Optional[_Union[_conversation_pb2.Mode, str]] = ..., sender: _Optional[str] = ..., recipient: _Optional[str] = ..., accepted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., settled_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., state: _Optional[_Union[MessageState, str]] = ..., status: _Optional[int] = ..., reason: _Optional[str] = ..., content_type: _Optional[str] = ..., size: _Optional[int] = ..., has_body: _Optional[bool] = ...) -> None: ...

class Hop(_message.Message):
    __slots__ = ("ledger_id", "direction", "service", "state", "attempt", "owner", "status", "reason", "created_at", "updated_at", "expires_at")
    LEDGER_ID_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    ledger_id: str
    direction: str
    service: str
    state: MessageState
    attempt: int
    owner: str
    status: int
    reason: str
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, ledger_id: _Optional[str] = ..., direction: _Optional[str] = ..., service: _Optional[str] = ..., state: _Optional[_Union[MessageState, str]] = ..., attempt: _Optional[int] = ..., owner: _Optional[str] = ..., status: _Optional[int] = ..., reason: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
