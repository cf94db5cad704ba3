import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from wigwag.api.ua.v1 import message_pb2 as _message_pb2
from wigwag.api.ua.v1 import session_pb2 as _session_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Event(_message.Message):
    __slots__ = ("event_id", "occurred_at", "application", "session_id", "session_changed", "message_received", "message_changed", "composing", "progress", "file_changed", "notification", "report")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    OCCURRED_AT_FIELD_NUMBER: _ClassVar[int]
    APPLICATION_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_CHANGED_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_RECEIVED_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_CHANGED_FIELD_NUMBER: _ClassVar[int]
    COMPOSING_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    FILE_CHANGED_FIELD_NUMBER: _ClassVar[int]
    NOTIFICATION_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    occurred_at: _timestamp_pb2.Timestamp
    application: str
    session_id: str
    session_changed: _session_pb2.Session
    message_received: _message_pb2.Message
    message_changed: _message_pb2.Message
    composing: Composing
    progress: Progress
    file_changed: _message_pb2.File
    notification: Notification
    report: Report
    def __init__(self, event_id: _Optional[str] = ..., occurred_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., application: _Optional[str] = ..., session_id: _Optional[str] = ..., session_changed: _Optional[_Union[_session_pb2.Session, _Mapping]] = ..., message_received: _Optional[_Union[_message_pb2.Message, _Mapping]] = ..., message_changed: _Optional[_Union[_message_pb2.Message, _Mapping]] = ..., composing: _Optional[_Union[Composing, _Mapping]] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., file_changed: _Optional[_Union[_message_pb2.File, _Mapping]] = ..., notification: _Optional[_Union[Notification, _Mapping]] = ..., report: _Optional[_Union[Report, _Mapping]] = ...) -> None: ...

class Composing(_message.Message):
    __slots__ = ("active", "content_type")
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    active: bool
    content_type: str
    def __init__(self, active: _Optional[bool] = ..., content_type: _Optional[str] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("sip_status", "sip_reason")
    SIP_STATUS_FIELD_NUMBER: _ClassVar[int]
    SIP_REASON_FIELD_NUMBER: _ClassVar[int]
    sip_status: int
    sip_reason: str
    def __init__(self, sip_status: _Optional[int] = ..., sip_reason: _Optional[str] = ...) -> None: ...

class Notification(_message.Message):
    __slots__ = ("message_id", "kind", "status")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    kind: str
    status: str
    def __init__(self, message_id: _Optional[str] = ..., kind: _Optional[str] = ..., status: _Optional[str] = ...) -> None: ...

class Report(_message.Message):
    __slots__ = ("message_id", "status", "reason", "first_octet", "last_octet", "total")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FIRST_OCTET_FIELD_NUMBER: _ClassVar[int]
    LAST_OCTET_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    status: int
    reason: str
    first_octet: int
    last_octet: int
    total: int
    def __init__(self, message_id: _Optional[str] = ..., status: _Optional[int] = ..., reason: _Optional[str] = ..., first_octet: _Optional[int] = ..., last_octet: _Optional[int] = ..., total: _Optional[int] = ...) -> None: ...
