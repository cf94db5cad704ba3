import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class MessageDirection(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MESSAGE_DIRECTION_UNSPECIFIED: _ClassVar[MessageDirection]
    MESSAGE_DIRECTION_OUTBOUND: _ClassVar[MessageDirection]
    MESSAGE_DIRECTION_INBOUND: _ClassVar[MessageDirection]

class DeliveryState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DELIVERY_STATE_UNSPECIFIED: _ClassVar[DeliveryState]
    DELIVERY_STATE_ACCEPTED: _ClassVar[DeliveryState]
    DELIVERY_STATE_DELIVERED: _ClassVar[DeliveryState]
    DELIVERY_STATE_DISPLAYED: _ClassVar[DeliveryState]
    DELIVERY_STATE_FAILED: _ClassVar[DeliveryState]
    DELIVERY_STATE_UNCONFIRMED: _ClassVar[DeliveryState]
    DELIVERY_STATE_EXPIRED: _ClassVar[DeliveryState]

class FailureReports(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FAILURE_REPORTS_UNSPECIFIED: _ClassVar[FailureReports]
    FAILURE_REPORTS_YES: _ClassVar[FailureReports]
    FAILURE_REPORTS_NO: _ClassVar[FailureReports]
    FAILURE_REPORTS_PARTIAL: _ClassVar[FailureReports]

class FileState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FILE_STATE_UNSPECIFIED: _ClassVar[FileState]
    FILE_STATE_OFFERED: _ClassVar[FileState]
    FILE_STATE_RUNNING: _ClassVar[FileState]
    FILE_STATE_COMPLETED: _ClassVar[FileState]
    FILE_STATE_FAILED: _ClassVar[FileState]
    FILE_STATE_DECLINED: _ClassVar[FileState]
    FILE_STATE_REQUESTED: _ClassVar[FileState]
    FILE_STATE_UPLOADING: _ClassVar[FileState]
MESSAGE_DIRECTION_UNSPECIFIED: MessageDirection
MESSAGE_DIRECTION_OUTBOUND: MessageDirection
MESSAGE_DIRECTION_INBOUND: MessageDirection
DELIVERY_STATE_UNSPECIFIED: DeliveryState
DELIVERY_STATE_ACCEPTED: DeliveryState
DELIVERY_STATE_DELIVERED: DeliveryState
DELIVERY_STATE_DISPLAYED: DeliveryState
DELIVERY_STATE_FAILED: DeliveryState
DELIVERY_STATE_UNCONFIRMED: DeliveryState
DELIVERY_STATE_EXPIRED: DeliveryState
FAILURE_REPORTS_UNSPECIFIED: FailureReports
FAILURE_REPORTS_YES: FailureReports
FAILURE_REPORTS_NO: FailureReports
FAILURE_REPORTS_PARTIAL: FailureReports
FILE_STATE_UNSPECIFIED: FileState
FILE_STATE_OFFERED: FileState
FILE_STATE_RUNNING: FileState
FILE_STATE_COMPLETED: FileState
FILE_STATE_FAILED: FileState
FILE_STATE_DECLINED: FileState
FILE_STATE_REQUESTED: FileState
FILE_STATE_UPLOADING: FileState

class Notifications(_message.Message):
    __slots__ = ("positive_delivery", "negative_delivery", "display", "processing")
    POSITIVE_DELIVERY_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_DELIVERY_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_FIELD_NUMBER: _ClassVar[int]
    PROCESSING_FIELD_NUMBER: _ClassVar[int]
    positive_delivery: bool
    negative_delivery: bool
    display: bool
    processing: bool
    def __init__(self, positive_delivery: _Optional[bool] = ..., negative_delivery: _Optional[bool] = ..., display: _Optional[bool] = ..., processing: _Optional[bool] = ...) -> None: ...

class Reports(_message.Message):
    __slots__ = ("success", "failure")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    success: bool
    failure: FailureReports
    def __init__(self, success: _Optional[bool] = ..., failure: _Optional[_Union[FailureReports, str]] = ...) -> None: ...

class Message(_message.Message):
    __slots__ = ("message_id", "session_id", "direction", "content_type", "body", "blob_id", "size", "state", "version", "status", "reason", "accepted_at", "settled_at", "cpim_headers", "imdn_message_id", "requested", "reference", "reports")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    BLOB_ID_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_AT_FIELD_NUMBER: _ClassVar[int]
    SETTLED_AT_FIELD_NUMBER: _ClassVar[int]
    CPIM_HEADERS_FIELD_NUMBER: _ClassVar[int]
    IMDN_MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    REPORTS_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    session_id: str
    direction: MessageDirection
    content_type: str
    body: bytes
    blob_id: str
    size: int
    state: DeliveryState
    version: int
    status: int
    reason: str
    accepted_at: _timestamp_pb2.Timestamp
    settled_at: _timestamp_pb2.Timestamp
    cpim_headers: _containers.RepeatedCompositeFieldContainer[CpimHeader]
    imdn_message_id: str
    requested: Notifications
    reference: str
    reports: Reports
    def __init__(self, message_id: _Optional[str] = ..., session_id: _Optional[str] = ..., direction: _Optional[_Union[MessageDirection, str]] = ..., content_type: _Optional[str] = ..., body: _Optional[bytes] = ..., blob_id: _Optional[str] = ..., size: _Optional[int] = ..., state: _Optional[_Union[DeliveryState, str]] = ..., version: _Optional[int] = ..., status: _Optional[int] = ..., reason: _Optional[str] = ..., accepted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., settled_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., cpim_headers: _Optional[_Iterable[_Union[CpimHeader, _Mapping]]] = ..., imdn_message_id: _Optional[str] = ..., requested: _Optional[_Union[Notifications, _Mapping]] = ..., reference: _Optional[str] = ..., reports: _Optional[_Union[Reports, _Mapping]] = ...) -> None: ...

class CpimHeader(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class File(_message.Message):
    __slots__ = ("session_id", "name", "content_type", "size", "sha256", "state", "transferred", "blob_id", "direction", "reason", "sha1")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    TRANSFERRED_FIELD_NUMBER: _ClassVar[int]
    BLOB_ID_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SHA1_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    name: str
    content_type: str
    size: int
    sha256: str
    state: FileState
    transferred: int
    blob_id: str
    direction: MessageDirection
    reason: str
    sha1: str
    def __init__(self, session_id: _Optional[str] = ..., name: _Optional[str] = ..., content_type: _Optional[str] = ..., size: _Optional[int] = ..., sha256: _Optional[str] = ..., state: _Optional[_Union[FileState, str]] = ..., transferred: _Optional[int] = ..., blob_id: _Optional[str] = ..., direction: _Optional[_Union[MessageDirection, str]] = ..., reason: _Optional[str] = ..., sha1: _Optional[str] = ...) -> None: ...
