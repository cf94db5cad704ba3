import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SessionDirection(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SESSION_DIRECTION_UNSPECIFIED: _ClassVar[SessionDirection]
    SESSION_DIRECTION_OUTBOUND: _ClassVar[SessionDirection]
    SESSION_DIRECTION_INBOUND: _ClassVar[SessionDirection]

class SessionState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SESSION_STATE_UNSPECIFIED: _ClassVar[SessionState]
    SESSION_STATE_STARTING: _ClassVar[SessionState]
    SESSION_STATE_OFFERED: _ClassVar[SessionState]
    SESSION_STATE_OPEN: _ClassVar[SessionState]
    SESSION_STATE_ENDED: _ClassVar[SessionState]

class EndCause(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    END_CAUSE_UNSPECIFIED: _ClassVar[EndCause]
    END_CAUSE_ENDED_HERE: _ClassVar[EndCause]
    END_CAUSE_ENDED_BY_PEER: _ClassVar[EndCause]
    END_CAUSE_BUSY: _ClassVar[EndCause]
    END_CAUSE_DECLINED: _ClassVar[EndCause]
    END_CAUSE_NOT_FOUND: _ClassVar[EndCause]
    END_CAUSE_NO_COMMON_TYPE: _ClassVar[EndCause]
    END_CAUSE_TIMEOUT: _ClassVar[EndCause]
    END_CAUSE_CANCELLED: _ClassVar[EndCause]
    END_CAUSE_POD_LOST: _ClassVar[EndCause]
    END_CAUSE_IDLE: _ClassVar[EndCause]
    END_CAUSE_TOO_LONG: _ClassVar[EndCause]
    END_CAUSE_PEER_LOST: _ClassVar[EndCause]
    END_CAUSE_MEDIA_FAILED: _ClassVar[EndCause]
    END_CAUSE_REFUSED: _ClassVar[EndCause]
SESSION_DIRECTION_UNSPECIFIED: SessionDirection
SESSION_DIRECTION_OUTBOUND: SessionDirection
SESSION_DIRECTION_INBOUND: SessionDirection
SESSION_STATE_UNSPECIFIED: SessionState
SESSION_STATE_STARTING: SessionState
SESSION_STATE_OFFERED: SessionState
SESSION_STATE_OPEN: SessionState
SESSION_STATE_ENDED: SessionState
END_CAUSE_UNSPECIFIED: EndCause
END_CAUSE_ENDED_HERE: EndCause
END_CAUSE_ENDED_BY_PEER: EndCause
END_CAUSE_BUSY: EndCause
END_CAUSE_DECLINED: EndCause
END_CAUSE_NOT_FOUND: EndCause
END_CAUSE_NO_COMMON_TYPE: EndCause
END_CAUSE_TIMEOUT: EndCause
END_CAUSE_CANCELLED: EndCause
END_CAUSE_POD_LOST: EndCause
END_CAUSE_IDLE: EndCause
END_CAUSE_TOO_LONG: EndCause
END_CAUSE_PEER_LOST: EndCause
END_CAUSE_MEDIA_FAILED: EndCause
END_CAUSE_REFUSED: EndCause

class Session(_message.Message):
    __slots__ = ("session_id", "application", "direction", "state", "local_uri", "remote_uri", "remote_display_name", "accept_types", "accept_wrapped_types", "max_size", "created_at", "opened_at", "ended_at", "answer_by", "end_cause", "sip_status", "sip_reason", "held", "pod", "call_id", "labels", "subject")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    APPLICATION_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    LOCAL_URI_FIELD_NUMBER: _ClassVar[int]
    REMOTE_URI_FIELD_NUMBER: _ClassVar[int]
    REMOTE_DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    ACCEPT_TYPES_FIELD_NUMBER: _ClassVar[int]
    ACCEPT_WRAPPED_TYPES_FIELD_NUMBER: _ClassVar[int]
    MAX_SIZE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    OPENED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    ANSWER_BY_FIELD_NUMBER: _ClassVar[int]
    END_CAUSE_FIELD_NUMBER: _ClassVar[int]
    SIP_STATUS_FIELD_NUMBER: _ClassVar[int]
    SIP_REASON_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    POD_FIELD_NUMBER: _ClassVar[int]
    CALL_ID_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    application: str
    direction: SessionDirection
    state: SessionState
    local_uri: str
    remote_uri: str
    remote_display_name: str
    accept_types: _containers.RepeatedScalarFieldContainer[str]
    accept_wrapped_types: _containers.RepeatedScalarFieldContainer[str]
    max_size: int
    created_at: _timestamp_pb2.Timestamp
    opened_at: _timestamp_pb2.Timestamp
    ended_at: _timestamp_pb2.Timestamp
    answer_by: _timestamp_pb2.Timestamp
    end_cause: EndCause
    sip_status: int
    sip_reason: str
    held: bool
    pod: str
    call_id: str
    labels: _containers.ScalarMap[str, str]
    subject: str
    def __init__(self, session_id: _Optional[str] = ..., application: _Optional[str] = ..., direction: _Optional[_Union[SessionDirection, str]] = ..., state: _Optional[_Union[SessionState, str]] = ..., local_uri: _Optional[str] = ..., remote_uri: _Optional[str] = ..., remote_display_name: _Optional[str] = ..., accept_types: _Optional[_Iterable[str]] = ..., accept_wrapped_types: _Optional[_Iterable[str]] = ..., max_size: _Optional[int] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., opened_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ended_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., answer_by: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_cause: _Optional[_Union[EndCause, str]] = ..., sip_status: _Optional[int] = ..., sip_reason: _Optional[str] = ..., held: _Optional[bool] = ..., pod: _Optional[str] = ..., call_id: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., subject: _Optional[str] = ...) -> None: ...
