"""Messages of the contracts as JSON: the contract's names, times as RFC 3339 has them, enumerations as words."""

from typing import Any

from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp


def presented(message: Message) -> dict[str, Any]:
    """Return a message of the contract as JSON has it, every field of it."""
    found: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        found[field.name] = _field(message, field)
    return found


def _field(message: Message, field: Any) -> Any:
    value = getattr(message, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return dict(value)
    if field.is_repeated:
        return [_value(field, each) for each in value]
    if field.message_type is not None and not message.HasField(field.name):
        return None
    return _value(field, value)


def _value(field: Any, value: Any) -> Any:
    if field.enum_type is not None:
        return word_of(field.enum_type, value)
    if isinstance(value, Timestamp):
        return time_of(value)
    if isinstance(value, Message):
        return presented(value)
    return value


def word_of(enumeration: EnumDescriptor, number: int) -> str:
    """Return what a number stands for, ``SESSION_STATE_OPEN`` as ``open``; empty: unspecified; a number: unknown."""
    known = enumeration.values_by_number.get(number)
    if known is None:
        return str(number)
    unspecified = enumeration.values_by_number[0].name
    prefix = unspecified.removesuffix("UNSPECIFIED")
    return "" if known.number == 0 else known.name.removeprefix(prefix).lower()


def time_of(moment: Timestamp) -> str:
    """Return a time as RFC 3339 has it, in UTC, to the microsecond."""
    text: str = moment.ToJsonString()
    return text
