from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class MessageState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MESSAGE_STATE_UNSPECIFIED: _ClassVar[MessageState]
    MESSAGE_STATE_ACCEPTED: _ClassVar[MessageState]
    MESSAGE_STATE_DELIVERED: _ClassVar[MessageState]
    MESSAGE_STATE_DISPLAYED: _ClassVar[MessageState]
    MESSAGE_STATE_FAILED: _ClassVar[MessageState]
    MESSAGE_STATE_UNCONFIRMED: _ClassVar[MessageState]
    MESSAGE_STATE_EXPIRED: _ClassVar[MessageState]
MESSAGE_STATE_UNSPECIFIED: MessageState
MESSAGE_STATE_ACCEPTED: MessageState
MESSAGE_STATE_DELIVERED: MessageState
MESSAGE_STATE_DISPLAYED: MessageState
MESSAGE_STATE_FAILED: MessageState
MESSAGE_STATE_UNCONFIRMED: MessageState
MESSAGE_STATE_EXPIRED: MessageState

class MessageStateChanged(_message.Message):
    __slots__ = ("ledger_id", "version", "state", "conversation", "reason", "content_type")
    LEDGER_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    ledger_id: str
    version: int
    state: MessageState
    conversation: str
    reason: str
    content_type: str
    def __init__(self, ledger_id: _Optional[str] = ..., version: _Optional[int] = ..., state: _Optional[_Union[MessageState, str]] = ..., conversation: _Optional[str] = ..., reason: _Optional[str] = ..., content_type: _Optional[str] = ...) -> None: ...
