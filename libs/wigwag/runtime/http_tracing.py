"""Trace context over HTTP: a span for a request, or for a command of a WebSocket, that a server answers."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from .grpc_tracing import using
from .instruments import Attribute, AttributeValue, SpanName
from .traceparent import parse
from .tracing import SILENT, Span, Tracing

_FAULT: Final = 500
"""From which on a status is an error of the server; others tell the caller of an error of his own."""


@contextmanager
def serving(
    tracing: Tracing,
    name: SpanName,
    traceparent: str | None,
    attributes: Mapping[Attribute, AttributeValue] | None = None,
) -> Iterator[Span]:
    """Answer inside a span: it goes on with the caller's trace, or a trace begins here by the sampling ratio.

    Args:
        tracing: Begins it.
        name: Its declared name.
        traceparent: What the caller sent, who has to be known; None, or malformed: nothing.
        attributes: What is known now.
    """
    parent = parse(traceparent)
    if parent is None and not tracing.sampling:
        yield SILENT
        return
    if parent is None and not tracing.sampled():
        with using(SILENT):
            yield SILENT
        return
    with using(tracing.begin(name, str(parent) if parent is not None else None, attributes)) as span, span:
        yield span


def ended(span: Span, attribute: Attribute, status: int) -> None:
    """End a span with the status of the answer."""
    span.set(attribute, status)
    span.end(error=str(status) if status >= _FAULT else "")
