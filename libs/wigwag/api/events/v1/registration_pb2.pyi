import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RegistrationChange(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REGISTRATION_CHANGE_UNSPECIFIED: _ClassVar[RegistrationChange]
    REGISTRATION_CHANGE_REGISTERED: _ClassVar[RegistrationChange]
    REGISTRATION_CHANGE_REFRESHED: _ClassVar[RegistrationChange]
    REGISTRATION_CHANGE_UNREGISTERED: _ClassVar[RegistrationChange]
    REGISTRATION_CHANGE_EXPIRED: _ClassVar[RegistrationChange]
    REGISTRATION_CHANGE_FLOW_LOST: _ClassVar[RegistrationChange]
REGISTRATION_CHANGE_UNSPECIFIED: RegistrationChange
REGISTRATION_CHANGE_REGISTERED: RegistrationChange
REGISTRATION_CHANGE_REFRESHED: RegistrationChange
REGISTRATION_CHANGE_UNREGISTERED: RegistrationChange
REGISTRATION_CHANGE_EXPIRED: RegistrationChange
REGISTRATION_CHANGE_FLOW_LOST: RegistrationChange

class RegistrationEvent(_message.Message):
    __slots__ = ("change", "aor", "contact", "key", "instance", "reg_id", "user_agent", "expires_at", "pod", "transport", "remote", "reason")
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    AOR_FIELD_NUMBER: _ClassVar[int]
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    REG_ID_FIELD_NUMBER: _ClassVar[int]
    USER_AGENT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    POD_FIELD_NUMBER: _ClassVar[int]
    TRANSPORT_FIELD_NUMBER: _ClassVar[int]
    REMOTE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    change: RegistrationChange
    aor: str
    contact: str
    key: str
    instance: str
    reg_id: int
    user_agent: str
    expires_at: _timestamp_pb2.Timestamp
    pod: str
    transport: str
    remote: str
    reason: str
    def __init__(self, change: _Optional[_Union[RegistrationChange, str]] = ..., aor: _Optional[str] = ..., contact: _Optional[str] = ..., key: _Optional[str] = ..., instance: _Optional[str] = ..., reg_id: _Optional[int] = ..., user_agent: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., pod: _Optional[str] = ..., transport: _Optional[str] = ..., remote: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...
