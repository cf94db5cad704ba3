import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PagerReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PAGER_REASON_UNSPECIFIED: _ClassVar[PagerReason]
    PAGER_REASON_ROUTE: _ClassVar[PagerReason]
    PAGER_REASON_ABSENT: _ClassVar[PagerReason]
    PAGER_REASON_SESSION_MODE: _ClassVar[PagerReason]

class PagerOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PAGER_OUTCOME_UNSPECIFIED: _ClassVar[PagerOutcome]
    PAGER_OUTCOME_DELIVERED: _ClassVar[PagerOutcome]
    PAGER_OUTCOME_ACCEPTED: _ClassVar[PagerOutcome]
    PAGER_OUTCOME_FAILED: _ClassVar[PagerOutcome]
    PAGER_OUTCOME_UNCONFIRMED: _ClassVar[PagerOutcome]
    PAGER_OUTCOME_EXPIRED: _ClassVar[PagerOutcome]
PAGER_REASON_UNSPECIFIED: PagerReason
PAGER_REASON_ROUTE: PagerReason
PAGER_REASON_ABSENT: PagerReason
PAGER_REASON_SESSION_MODE: PagerReason
PAGER_OUTCOME_UNSPECIFIED: PagerOutcome
PAGER_OUTCOME_DELIVERED: PagerOutcome
PAGER_OUTCOME_ACCEPTED: PagerOutcome
PAGER_OUTCOME_FAILED: PagerOutcome
PAGER_OUTCOME_UNCONFIRMED: PagerOutcome
PAGER_OUTCOME_EXPIRED: PagerOutcome

class PagerHeader(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class PagerMessage(_message.Message):
    __slots__ = ("message_id", "from_aor", "to_aor", "service", "identity", "content_type", "body", "request_uri", "call_id", "cseq", "from_tag", "headers", "conversation", "received_at", "expires_at", "reason", "answered_by", "traceparent")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    FROM_AOR_FIELD_NUMBER: _ClassVar[int]
    TO_AOR_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_URI_FIELD_NUMBER: _ClassVar[int]
    CALL_ID_FIELD_NUMBER: _ClassVar[int]
    CSEQ_FIELD_NUMBER: _ClassVar[int]
    FROM_TAG_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_BY_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    from_aor: str
    to_aor: str
    service: str
    identity: str
    content_type: str
    body: bytes
    request_uri: str
    call_id: str
    cseq: int
    from_tag: str
    headers: _containers.RepeatedCompositeFieldContainer[PagerHeader]
    conversation: str
    received_at: _timestamp_pb2.Timestamp
    expires_at: _timestamp_pb2.Timestamp
    reason: PagerReason
    answered_by: _timestamp_pb2.Timestamp
    traceparent: str
    def __init__(self, message_id: _Optional[str] = ..., from_aor: _Optional[str] = ..., to_aor: _Optional[str] = ..., service: _Optional[str] = ..., identity: _Optional[str] = ..., content_type: _Optional[str] = ..., body: _Optional[bytes] = ..., request_uri: _Optional[str] = ..., call_id: _Optional[str] = ..., cseq: _Optional[int] = ..., from_tag: _Optional[str] = ..., headers: _Optional[_Iterable[_Union[PagerHeader, _Mapping]]] = ..., conversation: _Optional[str] = ..., received_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., reason: _Optional[_Union[PagerReason, str]] = ..., answered_by: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., traceparent: _Optional[str] = ...) -> None: ...

class PagerRequest(_message.Message):
    __slots__ = ("message_id", "attempt", "from_uri", "to_uri", "identity", "content_type", "body", "headers", "conversation", "expires_at", "call_id", "cseq", "from_tag", "bindings", "predecessor", "traceparent")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    FROM_URI_FIELD_NUMBER: _ClassVar[int]
    TO_URI_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    CALL_ID_FIELD_NUMBER: _ClassVar[int]
    CSEQ_FIELD_NUMBER: _ClassVar[int]
    FROM_TAG_FIELD_NUMBER: _ClassVar[int]
    BINDINGS_FIELD_NUMBER: _ClassVar[int]
    PREDECESSOR_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    attempt: int
    from_uri: str
    to_uri: str
    identity: str
    content_type: str
    body: bytes
    headers: _containers.RepeatedCompositeFieldContainer[PagerHeader]
    conversation: str
    expires_at: _timestamp_pb2.Timestamp
    call_id: str
    cseq: int
    from_tag: str
    bindings: _containers.RepeatedScalarFieldContainer[str]
    predecessor: str
    traceparent: str
    def __init__(self, message_id: _Optional[str] = ..., attempt: _Optional[int] = ..., from_uri: _Optional[str] = ..., to_uri: _Optional[str] = ..., identity: _Optional[str] = ..., content_type: _Optional[str] = ..., body: _Optional[bytes] = ..., headers: _Optional[_Iterable[_Union[PagerHeader, _Mapping]]] = ..., conversation: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., call_id: _Optional[str] = ..., cseq: _Optional[int] = ..., from_tag: _Optional[str] = ..., bindings: _Optional[_Iterable[str]] = ..., predecessor: _Optional[str] = ..., traceparent: _Optional[str] = ...) -> None: ...

class PagerResult(_message.Message):
    __slots__ = ("message_id", "attempt", "outcome", "status", "reason", "conversation", "sent")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    SENT_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    attempt: int
    outcome: PagerOutcome
    status: int
    reason: str
    conversation: str
    sent: bool
    def __init__(self, message_id: _Optional[str] = ..., attempt: _Optional[int] = ..., outcome: _Optional[_Union[PagerOutcome, str]] = ..., status: _Optional[int] = ..., reason: _Optional[str] = ..., conversation: _Optional[str] = ..., sent: _Optional[bool] = ...) -> None: ...
