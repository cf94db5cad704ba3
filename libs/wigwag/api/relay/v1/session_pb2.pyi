import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SessionState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SESSION_STATE_UNSPECIFIED: _ClassVar[SessionState]
    SESSION_STATE_ACTIVE: _ClassVar[SessionState]
    SESSION_STATE_SUSPENDED: _ClassVar[SessionState]
    SESSION_STATE_ENDED: _ClassVar[SessionState]

class SessionChangeKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SESSION_CHANGE_KIND_UNSPECIFIED: _ClassVar[SessionChangeKind]
    SESSION_CHANGE_KIND_PRESENT: _ClassVar[SessionChangeKind]
    SESSION_CHANGE_KIND_GRANTED: _ClassVar[SessionChangeKind]
    SESSION_CHANGE_KIND_REFRESHED: _ClassVar[SessionChangeKind]
    SESSION_CHANGE_KIND_SUSPENDED: _ClassVar[SessionChangeKind]
    SESSION_CHANGE_KIND_RESUMED: _ClassVar[SessionChangeKind]
    SESSION_CHANGE_KIND_MOVED: _ClassVar[SessionChangeKind]
    SESSION_CHANGE_KIND_ENDED: _ClassVar[SessionChangeKind]
SESSION_STATE_UNSPECIFIED: SessionState
SESSION_STATE_ACTIVE: SessionState
SESSION_STATE_SUSPENDED: SessionState
SESSION_STATE_ENDED: SessionState
SESSION_CHANGE_KIND_UNSPECIFIED: SessionChangeKind
SESSION_CHANGE_KIND_PRESENT: SessionChangeKind
SESSION_CHANGE_KIND_GRANTED: SessionChangeKind
SESSION_CHANGE_KIND_REFRESHED: SessionChangeKind
SESSION_CHANGE_KIND_SUSPENDED: SessionChangeKind
SESSION_CHANGE_KIND_RESUMED: SessionChangeKind
SESSION_CHANGE_KIND_MOVED: SessionChangeKind
SESSION_CHANGE_KIND_ENDED: SessionChangeKind

class Session(_message.Message):
    __slots__ = ("id", "user", "realm", "client_uri", "state", "listener", "remote", "connection_id", "create_time", "expire_time", "messages_in", "messages_out", "bytes_in", "bytes_out", "reports", "failures", "pod")
    ID_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    REALM_FIELD_NUMBER: _ClassVar[int]
    CLIENT_URI_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    LISTENER_FIELD_NUMBER: _ClassVar[int]
    REMOTE_FIELD_NUMBER: _ClassVar[int]
    CONNECTION_ID_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_IN_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_OUT_FIELD_NUMBER: _ClassVar[int]
    BYTES_IN_FIELD_NUMBER: _ClassVar[int]
    BYTES_OUT_FIELD_NUMBER: _ClassVar[int]
    REPORTS_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    POD_FIELD_NUMBER: _ClassVar[int]
    id: str
    user: str
    realm: str
    client_uri: str
    state: SessionState
    listener: str
    remote: str
    connection_id: int
    create_time: _timestamp_pb2.Timestamp
    expire_time: _timestamp_pb2.Timestamp
    messages_in: int
    messages_out: int
    bytes_in: int
    bytes_out: int
    reports: int
    failures: int
    pod: str
    def __init__(self, id: _Optional[str] = ..., user: _Optional[str] = ..., realm: _Optional[str] = ..., client_uri: _Optional[str] = ..., state: _Optional[_Union[SessionState, str]] = ..., listener: _Optional[str] = ..., remote: _Optional[str] = ..., connection_id: _Optional[int] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., messages_in: _Optional[int] = ..., messages_out: _Optional[int] = ..., bytes_in: _Optional[int] = ..., bytes_out: _Optional[int] = ..., reports: _Optional[int] = ..., failures: _Optional[int] = ..., pod: _Optional[str] = ...) -> None: ...

class SessionChange(_message.Message):
    __slots__ = ("sequence", "kind", "change_time", "session", "reason")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    CHANGE_TIME_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    kind: SessionChangeKind
    change_time: _timestamp_pb2.Timestamp
    session: Session
    reason: str
    def __init__(self, sequence: _Optional[int] = ..., kind: _Optional[_Union[SessionChangeKind, str]] = ..., change_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., session: _Optional[_Union[Session, _Mapping]] = ..., reason: _Optional[str] = ...) -> None: ...
