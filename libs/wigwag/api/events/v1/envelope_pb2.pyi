import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from wigwag.api.events.v1 import application_pb2 as _application_pb2
from wigwag.api.events.v1 import gateway_pb2 as _gateway_pb2
from wigwag.api.events.v1 import message_pb2 as _message_pb2
from wigwag.api.events.v1 import pager_pb2 as _pager_pb2
from wigwag.api.events.v1 import registration_pb2 as _registration_pb2
from wigwag.api.events.v1 import relay_pb2 as _relay_pb2
from wigwag.api.events.v1 import session_pb2 as _session_pb2
from wigwag.api.events.v1 import status_pb2 as _status_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Envelope(_message.Message):
    __slots__ = ("event_id", "type", "occurred_at", "pod", "version", "relay_session", "status_changed", "message_state_changed", "registration", "pager_message", "pager_request", "pager_result", "session_event", "session_outbound", "gateway_setup_failed", "applications_changed", "gateway_conversation_changed")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    OCCURRED_AT_FIELD_NUMBER: _ClassVar[int]
    POD_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    RELAY_SESSION_FIELD_NUMBER: _ClassVar[int]
    STATUS_CHANGED_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_STATE_CHANGED_FIELD_NUMBER: _ClassVar[int]
    REGISTRATION_FIELD_NUMBER: _ClassVar[int]
    PAGER_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    PAGER_REQUEST_FIELD_NUMBER: _ClassVar[int]
    PAGER_RESULT_FIELD_NUMBER: _ClassVar[int]
    SESSION_EVENT_FIELD_NUMBER: _ClassVar[int]
    SESSION_OUTBOUND_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_SETUP_FAILED_FIELD_NUMBER: _ClassVar[int]
    APPLICATIONS_CHANGED_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_CONVERSATION_CHANGED_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    type: str
    occurred_at: _timestamp_pb2.Timestamp
    pod: str
    version: int
    relay_session: _relay_pb2.RelaySessionEvent
    status_changed: _status_pb2.StatusChanged
    message_state_changed: _message_pb2.MessageStateChanged
    registration: _registration_pb2.RegistrationEvent
    pager_message: _pager_pb2.PagerMessage
    pager_request: _pager_pb2.PagerRequest
    pager_result: _pager_pb2.PagerResult
    session_event: _session_pb2.SessionEvent
    session_outbound: _session_pb2.SessionOutbound
    gateway_setup_failed: _gateway_pb2.GatewaySetupFailed
    applications_changed: _application_pb2.ApplicationsChanged
    gateway_conversation_changed: _gateway_pb2.GatewayConversationChanged
    def __init__(self, event_id: _Optional[str] = ..., type: _Optional[str] = ..., occurred_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., pod: _Optional[str] = ..., version: _Optional[int] = ..., relay_session: _Optional[_Union[_relay_pb2.RelaySessionEvent, _Mapping]] = ..., status_changed: _Optional[_Union[_status_pb2.StatusChanged, _Mapping]] = ..., message_state_changed: _Optional[_Union[_message_pb2.MessageStateChanged, _Mapping]] = ..., registration: _Optional[_Union[_registration_pb2.RegistrationEvent, _Mapping]] = ..., pager_message: _Optional[_Union[_pager_pb2.PagerMessage, _Mapping]] = ..., pager_request: _Optional[_Union[_pager_pb2.PagerRequest, _Mapping]] = ..., pager_result: _Optional[_Union[_pager_pb2.PagerResult, _Mapping]] = ..., session_event: _Optional[_Union[_session_pb2.SessionEvent, _Mapping]] = ..., session_outbound: _Optional[_Union[_session_pb2.SessionOutbound, _Mapping]] = ..., gateway_setup_failed: _Optional[_Union[_gateway_pb2.GatewaySetupFailed, _Mapping]] = ..., applications_changed: _Optional[_Union[_application_pb2.ApplicationsChanged, _Mapping]] = ..., gateway_conversation_changed: _Optional[_Union[_gateway_pb2.GatewayConversationChanged, _Mapping]] = ...) -> None: ...
