import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ConversationState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONVERSATION_STATE_UNSPECIFIED: _ClassVar[ConversationState]
    CONVERSATION_STATE_STARTING: _ClassVar[ConversationState]
    CONVERSATION_STATE_OPEN: _ClassVar[ConversationState]
    CONVERSATION_STATE_CLOSED: _ClassVar[ConversationState]

class Mode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODE_UNSPECIFIED: _ClassVar[Mode]
    MODE_PAGE: _ClassVar[Mode]
    MODE_SESSION: _ClassVar[Mode]
CONVERSATION_STATE_UNSPECIFIED: ConversationState
CONVERSATION_STATE_STARTING: ConversationState
CONVERSATION_STATE_OPEN: ConversationState
CONVERSATION_STATE_CLOSED: ConversationState
MODE_UNSPECIFIED: Mode
MODE_PAGE: Mode
MODE_SESSION: Mode

class Conversation(_message.Message):
    __slots__ = ("key", "page", "session", "state", "session_id", "started_by", "generation", "created_at", "closed_at", "reason", "failures")
    KEY_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    STARTED_BY_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    CLOSED_AT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    key: str
    page: str
    session: str
    state: ConversationState
    session_id: str
    started_by: Mode
    generation: int
    created_at: _timestamp_pb2.Timestamp
    closed_at: _timestamp_pb2.Timestamp
    reason: str
    failures: int
    def __init__(self, key: _Optional[str] = ..., page: _Optional[str] = ..., session: _Optional[str] = ..., state: _Optional[_Union[ConversationState, str]] = ..., session_id: _Optional[str] = ..., started_by: _Optional[_Union[Mode, str]] = ..., generation: _Optional[int] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., closed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., reason: _Optional[str] = ..., failures: _Optional[int] = ...) -> None: ...

class SetupFailed(_message.Message):
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

class Event(_message.Message):
    __slots__ = ("event_id", "occurred_at", "conversation_changed", "setup_failed")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    OCCURRED_AT_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_CHANGED_FIELD_NUMBER: _ClassVar[int]
    SETUP_FAILED_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    occurred_at: _timestamp_pb2.Timestamp
    conversation_changed: Conversation
    setup_failed: SetupFailed
    def __init__(self, event_id: _Optional[str] = ..., occurred_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., conversation_changed: _Optional[_Union[Conversation, _Mapping]] = ..., setup_failed: _Optional[_Union[SetupFailed, _Mapping]] = ...) -> None: ...
