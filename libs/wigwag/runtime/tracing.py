"""Traces: spans that are begun in one callback and ended in another, continued from pod to pod by a traceparent.

Theory of operation. Whether a trace is recorded is decided once, where it begins (``sampled``), and everybody who goes
on with it follows: a span with a parent is recorded if, and only if, the parent is (W3C flag "sampled"). Nothing here
uses context variables, because a relayed message goes through callbacks of several connections; the span is passed on
by hand. Where nothing is recorded ``begin`` returns a silent span that accepts everything and does nothing, so that
callers need no second path. Hot code asks ``sampling`` first, a plain attribute that is False unless a collector is
configured and the ratio is above zero.
"""

import random
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from opentelemetry import trace
from opentelemetry.context import Context

from .instruments import Attribute, AttributeValue, SpanKind, SpanName
from .traceparent import Traceparent, parse

LONGEST_ERROR = 256
"""Characters of an error's text that are kept."""

_KINDS = {
    SpanKind.SERVER: trace.SpanKind.SERVER,
    SpanKind.CLIENT: trace.SpanKind.CLIENT,
    SpanKind.INTERNAL: trace.SpanKind.INTERNAL,
}
_NOWHERE = Context()


class Span:
    """An operation under way; also a context, which ends it with the exception that leaves it.

    Attributes:
        traceparent: By which another process goes on with it, 55 characters; empty when there is no trace.
    """

    __slots__ = ("_span", "traceparent")

    def __init__(self, span: trace.Span | None, traceparent: str) -> None:
        self._span = span
        self.traceparent = traceparent

    @property
    def recorded(self) -> bool:
        """Whether it is recorded and not ended yet."""
        return self._span is not None

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits; empty when there is no trace."""
        return self.traceparent[3:35]

    def set(self, attribute: Attribute, value: AttributeValue) -> None:
        """Add an attribute; nothing happens once the span has ended."""
        if self._span is not None:
            self._span.set_attribute(attribute, value)

    def end(self, *, error: str = "") -> None:
        """End it; only the first call counts.

        Args:
            error: What went wrong; empty when nothing did.
        """
        span, self._span = self._span, None
        if span is None:
            return
        if error:
            span.set_status(trace.StatusCode.ERROR, error[:LONGEST_ERROR])
        span.end()

    def discard(self) -> None:
        """Forget it: it is never exported, and what follows does nothing."""
        self._span = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end(error=kind.__name__ if kind is not None else "")


SILENT = Span(None, "")
"""A span of no trace."""


class Tracing:
    """Begins spans.

    Args:
        tracer: Where recorded spans go; None: nowhere, tracing is off.
        ratio: How many of the traces that begin here are recorded, from 0 (none) to 1 (all).
        chance: Draws from [0, 1).

    Attributes:
        sampling: Whether traces may begin here at all; hot code tests this before anything else.
    """

    __slots__ = ("_chance", "_ratio", "_tracer", "sampling")

    def __init__(
        self, tracer: trace.Tracer | None = None, *, ratio: float = 0.0, chance: Callable[[], float] = random.random
    ) -> None:
        self._tracer = tracer
        self._ratio = ratio
        self._chance = chance
        self.sampling = tracer is not None and ratio > 0

    def sampled(self) -> bool:
        """Decide whether a trace that would begin now is recorded."""
        return self.sampling and self._chance() < self._ratio

    def begin(
        self,
        name: SpanName,
        parent: str | bytes | None = None,
        attributes: Mapping[Attribute, AttributeValue] | None = None,
    ) -> Span:
        """Begin a span.

        Args:
            name: A declared name.
            parent: Traceparent to go on with: the span is recorded if its trace is; one that is empty or malformed
                gives a silent span. None: a trace begins here and is recorded; ask ``sampled`` first.
            attributes: What is known now.
        """
        above = None if parent is None else parse(parent)
        if parent is not None and (above is None or not above.sampled):
            return Span(None, str(above)) if above is not None else SILENT
        if self._tracer is None:
            return Span(None, str(above)) if above is not None else SILENT
        span = self._tracer.start_span(
            name.name,
            _context(above),
            _KINDS[name.kind],
            {str(key): value for key, value in (attributes or {}).items()},
        )
        return Span(span, _traceparent(span))


def _context(parent: Traceparent | None) -> Context:
    if parent is None:
        return _NOWHERE
    above = trace.SpanContext(
        parent.trace_id, parent.span_id, is_remote=True, trace_flags=trace.TraceFlags(parent.flags)
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(above), _NOWHERE)


def _traceparent(span: trace.Span) -> str:
    context = span.get_span_context()
    return str(Traceparent(context.trace_id, context.span_id, context.trace_flags))
