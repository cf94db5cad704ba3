import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from wigwag.api.ua.v1 import event_pb2 as _event_pb2
from wigwag.api.ua.v1 import message_pb2 as _message_pb2
from wigwag.api.ua.v1 import session_pb2 as _session_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StartSessionRequest(_message.Message):
    __slots__ = ("application", "to_uri", "from_uri", "from_display_name", "accept_types", "subject", "timeout", "labels", "idempotency_key", "request_uri")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    APPLICATION_FIELD_NUMBER: _ClassVar[int]
    TO_URI_FIELD_NUMBER: _ClassVar[int]
    FROM_URI_FIELD_NUMBER: _ClassVar[int]
    FROM_DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    ACCEPT_TYPES_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_URI_FIELD_NUMBER: _ClassVar[int]
    application: str
    to_uri: str
    from_uri: str
    from_display_name: str
    accept_types: _containers.RepeatedScalarFieldContainer[str]
    subject: str
    timeout: _duration_pb2.Duration
    labels: _containers.ScalarMap[str, str]
    idempotency_key: str
    request_uri: str
    def __init__(self, application: _Optional[str] = ..., to_uri: _Optional[str] = ..., from_uri: _Optional[str] = ..., from_display_name: _Optional[str] = ..., accept_types: _Optional[_Iterable[str]] = ..., subject: _Optional[str] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., labels: _Optional[_Mapping[str, str]] = ..., idempotency_key: _Optional[str] = ..., request_uri: _Optional[str] = ...) -> None: ...

class StartSessionResponse(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: _session_pb2.Session
    def __init__(self, session: _Optional[_Union[_session_pb2.Session, _Mapping]] = ...) -> None: ...

class AnswerSessionRequest(_message.Message):
    __slots__ = ("session_id", "accept_types", "labels")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    ACCEPT_TYPES_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    accept_types: _containers.RepeatedScalarFieldContainer[str]
    labels: _containers.ScalarMap[str, str]
    def __init__(self, session_id: _Optional[str] = ..., accept_types: _Optional[_Iterable[str]] = ..., labels: _Optional[_Mapping[str, str]] = ...) -> None: ...

class AnswerSessionResponse(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: _session_pb2.Session
    def __init__(self, session: _Optional[_Union[_session_pb2.Session, _Mapping]] = ...) -> None: ...

class RejectSessionRequest(_message.Message):
    __slots__ = ("session_id", "sip_status", "sip_reason")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    SIP_STATUS_FIELD_NUMBER: _ClassVar[int]
    SIP_REASON_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    sip_status: int
    sip_reason: str
    def __init__(self, session_id: _Optional[str] = ..., sip_status: _Optional[int] = ..., sip_reason: _Optional[str] = ...) -> None: ...

class RejectSessionResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class OutboundMessage(_message.Message):
    __slots__ = ("session_id", "content_type", "body", "idempotency_key", "notifications", "expires_at", "cpim_headers", "reference", "reports", "traceparent")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    NOTIFICATIONS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    CPIM_HEADERS_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    REPORTS_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    content_type: str
    body: bytes
    idempotency_key: str
    notifications: _message_pb2.Notifications
    expires_at: _timestamp_pb2.Timestamp
    cpim_headers: _containers.RepeatedCompositeFieldContainer[_message_pb2.CpimHeader]
    reference: str
    reports: _message_pb2.Reports
    traceparent: str
    def __init__(self, session_id: _Optional[str] = ..., content_type: _Optional[str] = ..., body: _Optional[bytes] = ..., idempotency_key: _Optional[str] = ..., notifications: _Optional[_Union[_message_pb2.Notifications, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., cpim_headers: _Optional[_Iterable[_Union[_message_pb2.CpimHeader, _Mapping]]] = ..., reference: _Optional[str] = ..., reports: _Optional[_Union[_message_pb2.Reports, _Mapping]] = ..., traceparent: _Optional[str] = ...) -> None: ...

class SendMessageRequest(_message.Message):
    __slots__ = ("message",)
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    message: OutboundMessage
    def __init__(self, message: _Optional[_Union[OutboundMessage, _Mapping]] = ...) -> None: ...

class SendMessageResponse(_message.Message):
    __slots__ = ("message_id", "duplicate", "state")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    duplicate: bool
    state: _message_pb2.DeliveryState
    def __init__(self, message_id: _Optional[str] = ..., duplicate: _Optional[bool] = ..., state: _Optional[_Union[_message_pb2.DeliveryState, str]] = ...) -> None: ...

class SendMessagesRequest(_message.Message):
    __slots__ = ("sequence", "message", "more")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    message: OutboundMessage
    more: _containers.RepeatedCompositeFieldContainer[OutboundMessage]
    def __init__(self, sequence: _Optional[int] = ..., message: _Optional[_Union[OutboundMessage, _Mapping]] = ..., more: _Optional[_Iterable[_Union[OutboundMessage, _Mapping]]] = ...) -> None: ...

class SendMessagesResponse(_message.Message):
    __slots__ = ("acknowledgements",)
    ACKNOWLEDGEMENTS_FIELD_NUMBER: _ClassVar[int]
    acknowledgements: _containers.RepeatedCompositeFieldContainer[Acknowledgement]
    def __init__(self, acknowledgements: _Optional[_Iterable[_Union[Acknowledgement, _Mapping]]] = ...) -> None: ...

class Acknowledgement(_message.Message):
    __slots__ = ("sequence", "message_id", "duplicate", "code", "error")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    message_id: str
    duplicate: bool
    code: int
    error: str
    def __init__(self, sequence: _Optional[int] = ..., message_id: _Optional[str] = ..., duplicate: _Optional[bool] = ..., code: _Optional[int] = ..., error: _Optional[str] = ...) -> None: ...

class SendFileRequest(_message.Message):
    __slots__ = ("file", "data")
    FILE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    file: FileDescription
    data: bytes
    def __init__(self, file: _Optional[_Union[FileDescription, _Mapping]] = ..., data: _Optional[bytes] = ...) -> None: ...

class FileDescription(_message.Message):
    __slots__ = ("application", "to_uri", "from_uri", "name", "content_type", "size", "sha256", "idempotency_key", "labels", "session_id", "blob_id", "resume_session_id", "offset")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    APPLICATION_FIELD_NUMBER: _ClassVar[int]
    TO_URI_FIELD_NUMBER: _ClassVar[int]
    FROM_URI_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    BLOB_ID_FIELD_NUMBER: _ClassVar[int]
    RESUME_SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    application: str
    to_uri: str
    from_uri: str
    name: str
    content_type: str
    size: int
    sha256: str
    idempotency_key: str
    labels: _containers.ScalarMap[str, str]
    session_id: str
    blob_id: str
    resume_session_id: str
    offset: int
    def __init__(self, application: _Optional[str] = ..., to_uri: _Optional[str] = ..., from_uri: _Optional[str] = ..., name: _Optional[str] = ..., content_type: _Optional[str] = ..., size: _Optional[int] = ..., sha256: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., session_id: _Optional[str] = ..., blob_id: _Optional[str] = ..., resume_session_id: _Optional[str] = ..., offset: _Optional[int] = ...) -> None: ...

class GetFileRequest(_message.Message):
    __slots__ = ("session_id", "idempotency_key", "application")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    APPLICATION_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    idempotency_key: str
    application: str
    def __init__(self, session_id: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., application: _Optional[str] = ...) -> None: ...

class GetFileResponse(_message.Message):
    __slots__ = ("file",)
    FILE_FIELD_NUMBER: _ClassVar[int]
    file: _message_pb2.File
    def __init__(self, file: _Optional[_Union[_message_pb2.File, _Mapping]] = ...) -> None: ...

class SendFileResponse(_message.Message):
    __slots__ = ("file",)
    FILE_FIELD_NUMBER: _ClassVar[int]
    file: _message_pb2.File
    def __init__(self, file: _Optional[_Union[_message_pb2.File, _Mapping]] = ...) -> None: ...

class FetchFileRequest(_message.Message):
    __slots__ = ("application", "to_uri", "from_uri", "name", "content_type", "size", "sha256", "resume_session_id", "sha1")
    APPLICATION_FIELD_NUMBER: _ClassVar[int]
    TO_URI_FIELD_NUMBER: _ClassVar[int]
    FROM_URI_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    RESUME_SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    SHA1_FIELD_NUMBER: _ClassVar[int]
    application: str
    to_uri: str
    from_uri: str
    name: str
    content_type: str
    size: int
    sha256: str
    resume_session_id: str
    sha1: str
    def __init__(self, application: _Optional[str] = ..., to_uri: _Optional[str] = ..., from_uri: _Optional[str] = ..., name: _Optional[str] = ..., content_type: _Optional[str] = ..., size: _Optional[int] = ..., sha256: _Optional[str] = ..., resume_session_id: _Optional[str] = ..., sha1: _Optional[str] = ...) -> None: ...

class FetchFileResponse(_message.Message):
    __slots__ = ("file",)
    FILE_FIELD_NUMBER: _ClassVar[int]
    file: _message_pb2.File
    def __init__(self, file: _Optional[_Union[_message_pb2.File, _Mapping]] = ...) -> None: ...

class SetComposingRequest(_message.Message):
    __slots__ = ("session_id", "active", "content_type")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    active: bool
    content_type: str
    def __init__(self, session_id: _Optional[str] = ..., active: _Optional[bool] = ..., content_type: _Optional[str] = ...) -> None: ...

class SetComposingResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class MarkDisplayedRequest(_message.Message):
    __slots__ = ("message_id",)
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    def __init__(self, message_id: _Optional[str] = ...) -> None: ...

class MarkDisplayedResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SettleMessageRequest(_message.Message):
    __slots__ = ("message_id", "state", "status", "reason")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    state: _message_pb2.DeliveryState
    status: int
    reason: str
    def __init__(self, message_id: _Optional[str] = ..., state: _Optional[_Union[_message_pb2.DeliveryState, str]] = ..., status: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class SettleMessageResponse(_message.Message):
    __slots__ = ("message",)
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    message: _message_pb2.Message
    def __init__(self, message: _Optional[_Union[_message_pb2.Message, _Mapping]] = ...) -> None: ...

class HoldSessionRequest(_message.Message):
    __slots__ = ("session_id", "hold")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    HOLD_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    hold: bool
    def __init__(self, session_id: _Optional[str] = ..., hold: _Optional[bool] = ...) -> None: ...

class HoldSessionResponse(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: _session_pb2.Session
    def __init__(self, session: _Optional[_Union[_session_pb2.Session, _Mapping]] = ...) -> None: ...

class EndSessionRequest(_message.Message):
    __slots__ = ("session_id",)
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    def __init__(self, session_id: _Optional[str] = ...) -> None: ...

class EndSessionResponse(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: _session_pb2.Session
    def __init__(self, session: _Optional[_Union[_session_pb2.Session, _Mapping]] = ...) -> None: ...

class GetSessionRequest(_message.Message):
    __slots__ = ("session_id",)
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    def __init__(self, session_id: _Optional[str] = ...) -> None: ...

class GetSessionResponse(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: _session_pb2.Session
    def __init__(self, session: _Optional[_Union[_session_pb2.Session, _Mapping]] = ...) -> None: ...

class ListSessionsRequest(_message.Message):
    __slots__ = ("application", "state", "remote_uri", "labels", "page_size", "page_token")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    APPLICATION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REMOTE_URI_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    application: str
    state: _session_pb2.SessionState
    remote_uri: str
    labels: _containers.ScalarMap[str, str]
    page_size: int
    page_token: str
    def __init__(self, application: _Optional[str] = ..., state: _Optional[_Union[_session_pb2.SessionState, str]] = ..., remote_uri: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListSessionsResponse(_message.Message):
    __slots__ = ("sessions", "next_page_token")
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    sessions: _containers.RepeatedCompositeFieldContainer[_session_pb2.Session]
    next_page_token: str
    def __init__(self, sessions: _Optional[_Iterable[_Union[_session_pb2.Session, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetMessageRequest(_message.Message):
    __slots__ = ("message_id",)
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    def __init__(self, message_id: _Optional[str] = ...) -> None: ...

class GetMessageResponse(_message.Message):
    __slots__ = ("message", "pod", "attempts")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    POD_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    message: _message_pb2.Message
    pod: str
    attempts: int
    def __init__(self, message: _Optional[_Union[_message_pb2.Message, _Mapping]] = ..., pod: _Optional[str] = ..., attempts: _Optional[int] = ...) -> None: ...

class ListMessagesRequest(_message.Message):
    __slots__ = ("session_id", "page_size", "page_token")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    page_size: int
    page_token: str
    def __init__(self, session_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListMessagesResponse(_message.Message):
    __slots__ = ("messages", "next_page_token")
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    messages: _containers.RepeatedCompositeFieldContainer[_message_pb2.Message]
    next_page_token: str
    def __init__(self, messages: _Optional[_Iterable[_Union[_message_pb2.Message, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetMessageBodyRequest(_message.Message):
    __slots__ = ("blob_id", "offset")
    BLOB_ID_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    blob_id: str
    offset: int
    def __init__(self, blob_id: _Optional[str] = ..., offset: _Optional[int] = ...) -> None: ...

class GetMessageBodyResponse(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("application", "resume_token", "session_ids")
    APPLICATION_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SESSION_IDS_FIELD_NUMBER: _ClassVar[int]
    application: str
    resume_token: str
    session_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, application: _Optional[str] = ..., resume_token: _Optional[str] = ..., session_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class WatchResponse(_message.Message):
    __slots__ = ("events", "resume_token")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[_event_pb2.Event]
    resume_token: str
    def __init__(self, events: _Optional[_Iterable[_Union[_event_pb2.Event, _Mapping]]] = ..., resume_token: _Optional[str] = ...) -> None: ...
