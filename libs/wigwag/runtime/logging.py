"""Logs: structlog and the standard library through the same processors; never bodies, never credentials.

A peer decides much of what is logged. Control characters, line separators and direction marks in its texts are written
as escapes, so that nobody can forge a line or hide one.
"""

import logging
import sys
import traceback
import warnings
from collections.abc import Mapping
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

HIDDEN = "[hidden]"
LONGEST_TEXT = 2_000
"""Longer texts are cut, in characters."""

_SECRET_PARTS = (
    "authorization",
    "authentication_info",
    "password",
    "passwd",
    "secret",
    "ha1",
    "nonce",
    "token",
    "body",
    "cookie",
    "private_key",
)


def configure(
    *,
    level: str = "info",
    style: Literal["auto", "text", "json"] = "auto",
    stream: TextIO | None = None,
) -> None:
    """Send every log of the process to one stream.

    Args:
        level: Lowest level shown: ``debug``, ``info``, ``warning`` or ``error``.
        style: ``text``, ``json`` (one object a line), or ``auto``: text on a terminal.
        stream: Where to; None: standard error.
    """
    stream = stream or sys.stderr
    as_text = style == "text" or (style == "auto" and stream.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="%H:%M:%S.%f" if as_text else "iso", utc=not as_text),
        structlog.processors.StackInfoRenderer(),
        trace_identifiers,
        redact,
    ]
    last: list[Processor] = _text_processors(stream) if as_text else _json_processors()
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.PositionalArgumentsFormatter(), *shared],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    _quieten()
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def trace_identifiers(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Show the field ``span`` as the identifiers of its trace and of itself; a silent one as nothing."""
    traceparent = getattr(event.pop("span", None), "traceparent", "")
    if traceparent:
        event["trace_id"], event["span_id"] = traceparent.split("-")[1:3]
    return event


def redact(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Hide what may be a credential or a body and escape what could pass for another line."""
    return {key: HIDDEN if _is_secret(key) else _safe(value) for key, value in event.items()}


def _is_secret(key: str) -> bool:
    lowered = key.lower().replace("-", "_")
    return any(part in lowered for part in _SECRET_PARTS)


def _safe(value: Any) -> Any:
    match value:
        case str():
            return escaped(value)
        case bytes() | bytearray() | memoryview():
            return f"[{len(value)} bytes]"
        case Mapping():
            return {str(key): HIDDEN if _is_secret(str(key)) else _safe(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_safe(item) for item in value]
        case None | bool() | int() | float() | BaseException():
            return value
        case _:
            return escaped(str(value))


def escaped(text: str) -> str:
    r"""Return the text, cut to 2,000 characters, with escapes for what is not printable, such as ``\n``."""
    if len(text) > LONGEST_TEXT:
        text = f"{text[:LONGEST_TEXT]}... ({len(text)} characters)"
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def _text_processors(stream: TextIO) -> list[Processor]:
    return [
        structlog.processors.ExceptionRenderer(_barred_traceback),
        structlog.dev.ConsoleRenderer(colors=stream.isatty(), pad_event_to=36),
    ]


def _json_processors() -> list[Processor]:
    return [
        structlog.processors.ExceptionRenderer(_barred_traceback),
        structlog.processors.JSONRenderer(default=str),
    ]


def _barred_traceback(exc_info: ExcInfo) -> str:
    """Return a traceback with a bar before each line: what a peer put into an exception can't pass for a log line."""
    return "\n".join(f"    | {escaped(line)}" for line in "".join(traceback.format_exception(*exc_info)).splitlines())


def _quieten() -> None:
    """Keep libraries that log each request at ``info`` to warnings."""
    for name in ("uvicorn", "httpx", "httpcore", "alembic", "asyncio", "aiosqlite"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
    logging.captureWarnings(capture=True)
    warnings.simplefilter("default")
