"""What applications are told, as JSON: the contract's names, times as RFC 3339 has them, enumerations as words."""

import base64
from collections.abc import Mapping
from typing import Any, Final

from wigwag.api.ua.v1 import event_pb2, message_pb2, session_pb2
from wigwag.errors import InvalidRequestError
from wigwag.runtime.json_messages import presented, time_of

EVENT_FIELDS: Final = {
    "session_changed": "session",
    "message_received": "message",
    "message_changed": "message",
    "composing": "composing",
    "progress": "progress",
    "file_changed": "file",
    "notification": "notification",
    "report": "report",
}
"""What happened -> where it stands in an event's JSON."""
SESSION_STATES: Final = {
    word: number for number, word in enumerate(("", "starting", "offered", "open", "ended")) if word
}


def session_json(session: session_pb2.Session) -> dict[str, Any]:
    """Return a session."""
    return presented(session)


def message_json(message: message_pb2.Message) -> dict[str, Any]:
    """Return a message: a body that is text as ``text``, another as ``base64``, none of both where there is none."""
    found = presented(message)
    body: bytes = found.pop("body")
    found["text"], found["base64"] = _body(message.content_type, body) if body or not message.size else (None, None)
    if found["requested"] is None:
        found["requested"] = presented(message_pb2.Notifications())
    return found


def _body(content_type: str, body: bytes) -> tuple[str | None, str | None]:
    if content_type.lower().startswith(("text/", "application/json", "message/")):
        try:
            return body.decode(), None
        except UnicodeDecodeError:
            pass
    return None, base64.b64encode(body).decode()


def file_json(file: message_pb2.File) -> dict[str, Any]:
    """Return a file transfer."""
    return presented(file)


def event_json(event: event_pb2.Event) -> dict[str, Any]:
    """Return an event: its ``type``, and beside it what it is about."""
    kind = event.WhichOneof("what") or ""
    found: dict[str, Any] = {
        "event_id": event.event_id,
        "type": kind,
        "occurred_at": time_of(event.occurred_at),
        "application": event.application,
        "session_id": event.session_id,
    }
    if kind:
        what = getattr(event, kind)
        found[EVENT_FIELDS[kind]] = message_json(what) if isinstance(what, message_pb2.Message) else presented(what)
    return found


def body_of(text: str | None, encoded: str | None, field: str = "") -> bytes:
    """Return the body that a request gives as text or in Base64.

    Raises:
        InvalidRequestError: Both, neither, or no Base64.
    """
    if (text is None) == (encoded is None):
        raise InvalidRequestError(f"{field}text: text or base64 is needed, and one only")
    if not text and not encoded:
        raise InvalidRequestError(f"{field}{'text' if text is not None else 'base64'}: empty")
    if text is not None:
        try:
            return text.encode()
        except UnicodeEncodeError as error:
            raise InvalidRequestError(f"{field}text: holds half a surrogate pair, which is no character") from error
    try:
        return base64.b64decode(encoded or "", validate=True)
    except ValueError as error:
        raise InvalidRequestError(f"{field}base64: no Base64") from error


def checked_words(words: Mapping[str, int], field: str, word: str) -> int:
    """Return what a word stands for.

    Raises:
        InvalidRequestError: It is none of them.
    """
    if word not in words:
        raise InvalidRequestError(f"{field}: one of {', '.join(filter(None, words))}")
    return words[word]
