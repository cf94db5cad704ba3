from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class StatusChanged(_message.Message):
    __slots__ = ("group", "identifier", "status", "details", "old_status")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    IDENTIFIER_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    OLD_STATUS_FIELD_NUMBER: _ClassVar[int]
    group: str
    identifier: str
    status: int
    details: str
    old_status: int
    def __init__(self, group: _Optional[str] = ..., identifier: _Optional[str] = ..., status: _Optional[int] = ..., details: _Optional[str] = ..., old_status: _Optional[int] = ...) -> None: ...
