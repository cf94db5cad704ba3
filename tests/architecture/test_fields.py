"""No setting, and no field of the contract or of REST, that does nothing: each is read where it decides, or is set."""

import ast
import inspect
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor
from pydantic import BaseModel

import wigwag.ua.config
from wigwag.api.ua.v1 import event_pb2, message_pb2, session_pb2, ua_pb2
from wigwag.runtime.settings import Section
from wigwag.ua.api import commands, models

ROOT = Path(__file__).parents[2]
UA = ROOT / "services" / "ua"
INTERFACES = UA / "wigwag" / "ua" / "api"
AROUND = (ROOT / "libs" / "wigwag" / "runtime", ROOT / "node")
CONTRACT = (ua_pb2, event_pb2, message_pb2, session_pb2)
OF_STREAMS = {"SendMessagesRequest", "SendFileRequest", "SendMessageRequest", "WatchRequest", "GetMessageBodyRequest"}
"""What they hold the interfaces take apart themselves."""
ASKED_IN_PARTS = {"OutboundMessage", "FileDescription"}
BOTH_WAYS = {"CpimHeader", "Notifications", "Reports"}


@cache
def names_in(*folders: Path, without: tuple[Path, ...] = ()) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names that code reads as attributes, or says as text, and those that it sets."""
    read: set[str] = set()
    written: set[str] = set()
    for folder in folders:
        for file in folder.rglob("*.py"):
            if not any(file.is_relative_to(each) for each in without):
                _collect(ast.parse(file.read_text()), read, written)
    return frozenset(read), frozenset(written)


def _collect(tree: ast.AST, read: set[str], written: set[str]) -> None:
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name, ctx=ast.Load()):
                read.add(name)
            case ast.Attribute(attr=name) | ast.keyword(arg=str(name)):
                written.add(name)
            case ast.Constant(value=str(text)):
                read.add(text.replace("-", "_"))
            case _:
                pass


def sections() -> Iterator[tuple[str, str]]:
    for name, kind in vars(wigwag.ua.config).items():
        if inspect.isclass(kind) and issubclass(kind, Section) and kind is not Section:
            yield from ((name, field) for field in kind.model_fields)


def messages() -> Iterator[Descriptor]:
    for module in CONTRACT:
        yield from module.DESCRIPTOR.message_types_by_name.values()


def is_asked(message: Descriptor) -> bool:
    return message.name.endswith("Request") or message.name in ASKED_IN_PARTS | BOTH_WAYS


@pytest.mark.parametrize(("section", "field"), list(sections()))
def test_every_setting_is_read(section: str, field: str) -> None:
    read, _ = names_in(UA, *AROUND, without=(UA / "wigwag" / "ua" / "config.py",))
    assert field in read, f"{section}.{field} decides nothing"


@pytest.mark.parametrize("message", [each for each in messages() if is_asked(each)], ids=lambda each: each.name)
def test_every_field_that_is_asked_is_read_behind_the_interfaces(message: Descriptor) -> None:
    without = () if message.name in OF_STREAMS else (INTERFACES,)
    read, _ = names_in(UA, AROUND[0], without=without)
    assert [field.name for field in message.fields if field.name not in read] == []


@pytest.mark.parametrize("message", [each for each in messages() if not is_asked(each)], ids=lambda each: each.name)
def test_every_field_that_is_told_is_set(message: Descriptor) -> None:
    # Messages within messages are filled in place: ``told.message_changed.state = ...``.
    read, written = names_in(UA, AROUND[0], without=(INTERFACES / "models.py",))
    assert [field.name for field in message.fields if field.name not in read | written] == []


def test_every_value_of_an_enumeration_is_used() -> None:
    text = "\n".join(file.read_text() for folder in (UA, AROUND[0]) for file in folder.rglob("*.py"))
    unused = []
    for module in CONTRACT:
        for enumeration in module.DESCRIPTOR.enum_types_by_name.values():
            prefix = enumeration.values[0].name.removesuffix("UNSPECIFIED")
            for value in enumeration.values[1:]:
                word = value.name.removeprefix(prefix)
                if not any(each in text for each in (value.name, f"Cause.{word}", f'"{word.lower()}"')):
                    unused.append(value.name)
    assert unused == []


def fields_of(message: Any) -> set[str]:
    return {field.name for field in message.DESCRIPTOR.fields}


@pytest.mark.parametrize(
    ("model", "message", "differs"),
    [
        # A body is text or Base64.
        (models.Message, message_pb2.Message, {"body", "text", "base64"}),
        (models.Session, session_pb2.Session, set()),
        (models.File, message_pb2.File, set()),
        (models.Notifications, message_pb2.Notifications, set()),
        (models.Reports, message_pb2.Reports, set()),
        (models.CpimHeader, message_pb2.CpimHeader, set()),
        (models.MessageWhere, ua_pb2.GetMessageResponse, set()),
        (models.MessagePage, ua_pb2.ListMessagesResponse, set()),
        (models.SessionPage, ua_pb2.ListSessionsResponse, set()),
        (models.Accepted, ua_pb2.SendMessageResponse, set()),
        # What stands in the path, the query or a header.
        (models.StartSession, ua_pb2.StartSessionRequest, {"idempotency_key"}),
        (models.AnswerSession, ua_pb2.AnswerSessionRequest, {"session_id"}),
        (models.RejectSession, ua_pb2.RejectSessionRequest, {"session_id"}),
        (models.HoldSession, ua_pb2.HoldSessionRequest, {"session_id"}),
        (models.Composing, ua_pb2.SetComposingRequest, {"session_id"}),
        (models.FetchFile, ua_pb2.FetchFileRequest, set()),
        (
            models.SendMessage,
            ua_pb2.OutboundMessage,
            {"session_id", "idempotency_key", "body", "text", "base64", "traceparent"},
        ),
        (commands.Start, ua_pb2.StartSessionRequest, set()),
        # Any command may have a traceparent.
        (commands.Send, ua_pb2.OutboundMessage, {"body", "text", "base64", "traceparent"}),
        (commands.Answer, ua_pb2.AnswerSessionRequest, set()),
        (commands.Reject, ua_pb2.RejectSessionRequest, set()),
        (commands.Hold, ua_pb2.HoldSessionRequest, set()),
        (commands.Compose, ua_pb2.SetComposingRequest, set()),
        (commands.Display, ua_pb2.MarkDisplayedRequest, set()),
        (commands.OfSession, ua_pb2.EndSessionRequest, set()),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_rest_has_the_fields_of_the_contract(model: type[BaseModel], message: Any, differs: set[str]) -> None:
    assert set(model.model_fields) ^ fields_of(message) == differs
