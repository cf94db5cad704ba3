from wigwag.api.ua.v1 import message_pb2 as _message_pb2
from wigwag.api.ua.v1 import ua_pb2 as _ua_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AcceptRequest(_message.Message):
    __slots__ = ("piece",)
    PIECE_FIELD_NUMBER: _ClassVar[int]
    piece: bytes
    def __init__(self, piece: _Optional[bytes] = ...) -> None: ...

class AcceptBatch(_message.Message):
    __slots__ = ("groups",)
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    groups: _containers.RepeatedCompositeFieldContainer[AcceptGroup]
    def __init__(self, groups: _Optional[_Iterable[_Union[AcceptGroup, _Mapping]]] = ...) -> None: ...

class AcceptGroup(_message.Message):
    __slots__ = ("session_id", "messages", "traceparent")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    messages: _containers.RepeatedCompositeFieldContainer[_ua_pb2.OutboundMessage]
    traceparent: str
    def __init__(self, session_id: _Optional[str] = ..., messages: _Optional[_Iterable[_Union[_ua_pb2.OutboundMessage, _Mapping]]] = ..., traceparent: _Optional[str] = ...) -> None: ...

class AcceptResponse(_message.Message):
    __slots__ = ("groups",)
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    groups: _containers.RepeatedCompositeFieldContainer[AcceptedGroup]
    def __init__(self, groups: _Optional[_Iterable[_Union[AcceptedGroup, _Mapping]]] = ...) -> None: ...

class AcceptedGroup(_message.Message):
    __slots__ = ("owned", "outcomes")
    OWNED_FIELD_NUMBER: _ClassVar[int]
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    owned: bool
    outcomes: _containers.RepeatedCompositeFieldContainer[AcceptOutcome]
    def __init__(self, owned: _Optional[bool] = ..., outcomes: _Optional[_Iterable[_Union[AcceptOutcome, _Mapping]]] = ...) -> None: ...

class AcceptOutcome(_message.Message):
    __slots__ = ("message_id", "duplicate", "state", "status", "error")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    duplicate: bool
    state: _message_pb2.DeliveryState
    status: str
    error: str
    def __init__(self, message_id: _Optional[str] = ..., duplicate: _Optional[bool] = ..., state: _Optional[_Union[_message_pb2.DeliveryState, str]] = ..., status: _Optional[str] = ..., error: _Optional[str] = ...) -> None: ...

class DeliverRequest(_message.Message):
    __slots__ = ("first", "items")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    first: int
    items: _containers.RepeatedCompositeFieldContainer[DeliverItem]
    def __init__(self, first: _Optional[int] = ..., items: _Optional[_Iterable[_Union[DeliverItem, _Mapping]]] = ...) -> None: ...

class DeliverItem(_message.Message):
    __slots__ = ("session_id", "ledger_id")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    LEDGER_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    ledger_id: str
    def __init__(self, session_id: _Optional[str] = ..., ledger_id: _Optional[str] = ...) -> None: ...

class DeliverResponse(_message.Message):
    __slots__ = ("acknowledged",)
    ACKNOWLEDGED_FIELD_NUMBER: _ClassVar[int]
    acknowledged: int
    def __init__(self, acknowledged: _Optional[int] = ...) -> None: ...

class ControlRequest(_message.Message):
    __slots__ = ("answer_session", "reject_session", "end_session", "set_composing", "mark_displayed", "hold_session", "take_over", "settle_message", "answer_file")
    ANSWER_SESSION_FIELD_NUMBER: _ClassVar[int]
    REJECT_SESSION_FIELD_NUMBER: _ClassVar[int]
    END_SESSION_FIELD_NUMBER: _ClassVar[int]
    SET_COMPOSING_FIELD_NUMBER: _ClassVar[int]
    MARK_DISPLAYED_FIELD_NUMBER: _ClassVar[int]
    HOLD_SESSION_FIELD_NUMBER: _ClassVar[int]
    TAKE_OVER_FIELD_NUMBER: _ClassVar[int]
    SETTLE_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FILE_FIELD_NUMBER: _ClassVar[int]
    answer_session: _ua_pb2.AnswerSessionRequest
    reject_session: _ua_pb2.RejectSessionRequest
    end_session: _ua_pb2.EndSessionRequest
    set_composing: _ua_pb2.SetComposingRequest
    mark_displayed: _ua_pb2.MarkDisplayedRequest
    hold_session: _ua_pb2.HoldSessionRequest
    take_over: TakeOverRequest
    settle_message: _ua_pb2.SettleMessageRequest
    answer_file: AnswerFileRequest
    def __init__(self, answer_session: _Optional[_Union[_ua_pb2.AnswerSessionRequest, _Mapping]] = ..., reject_session: _Optional[_Union[_ua_pb2.RejectSessionRequest, _Mapping]] = ..., end_session: _Optional[_Union[_ua_pb2.EndSessionRequest, _Mapping]] = ..., set_composing: _Optional[_Union[_ua_pb2.SetComposingRequest, _Mapping]] = ..., mark_displayed: _Optional[_Union[_ua_pb2.MarkDisplayedRequest, _Mapping]] = ..., hold_session: _Optional[_Union[_ua_pb2.HoldSessionRequest, _Mapping]] = ..., take_over: _Optional[_Union[TakeOverRequest, _Mapping]] = ..., settle_message: _Optional[_Union[_ua_pb2.SettleMessageRequest, _Mapping]] = ..., answer_file: _Optional[_Union[AnswerFileRequest, _Mapping]] = ...) -> None: ...

class AnswerFileRequest(_message.Message):
    __slots__ = ("session_id", "ledger_id")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    LEDGER_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    ledger_id: str
    def __init__(self, session_id: _Optional[str] = ..., ledger_id: _Optional[str] = ...) -> None: ...

class TakeOverRequest(_message.Message):
    __slots__ = ("session_id",)
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    def __init__(self, session_id: _Optional[str] = ...) -> None: ...

class ControlResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
