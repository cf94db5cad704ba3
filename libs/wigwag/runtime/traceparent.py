"""The W3C trace context in the headers of records, gRPC calls and pod link frames.

A traceparent is read from our own pods and services only; what a client sends as one is a header like any other.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

HEADER = "traceparent"
"""Name of the header of bus records and of gRPC metadata (W3C Trace Context section 3.2)."""
LENGTH = 55
"""Characters of a traceparent of version 00, the only one we write and read."""

# version-format = trace-id "-" parent-id "-" trace-flags, in lower-case hexadecimal (W3C Trace Context section 3.2.2)
_FORMAT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_SAMPLED = 0x01


class Traceparent(NamedTuple):
    """Where a trace goes on."""

    trace_id: int
    span_id: int
    flags: int

    @property
    def sampled(self) -> bool:
        """Whether the trace is recorded."""
        return bool(self.flags & _SAMPLED)

    def __str__(self) -> str:
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{self.flags:02x}"


def parse(value: str | bytes | None) -> Traceparent | None:
    """Return what a traceparent says; None for one that is missing or malformed, which is never an error.

    Identifiers that are zero are invalid (W3C Trace Context sections 3.2.2.3 and 3.2.2.4).
    """
    if value is None or len(value) != LENGTH:
        return None
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    found = _FORMAT.fullmatch(text)
    if found is None:
        return None
    parsed = Traceparent(*(int(part, 16) for part in found.groups()))
    return parsed if parsed.trace_id and parsed.span_id else None


def as_header(traceparent: str) -> list[tuple[str, bytes]]:
    """Return the headers by which a bus record carries a trace: one, or none for an empty traceparent."""
    return [(HEADER, traceparent.encode())] if traceparent else []


def from_headers(headers: Mapping[str, bytes] | Iterable[tuple[str, bytes]]) -> str | None:
    """Return the traceparent of a record's headers; None when there is no valid one."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return _first_valid(pairs)


def as_metadata(traceparent: str) -> tuple[tuple[str, str], ...]:
    """Return the gRPC metadata by which a call carries a trace: one entry, or none for an empty traceparent."""
    return ((HEADER, traceparent),) if traceparent else ()


def from_metadata(metadata: Iterable[tuple[str, str | bytes]] | None) -> str | None:
    """Return the traceparent of a call's metadata; None when there is no valid one."""
    return _first_valid(metadata or ())


def _first_valid(pairs: Iterable[tuple[str, str | bytes]]) -> str | None:
    for name, value in pairs:
        if name == HEADER:
            parsed = parse(value)
            return str(parsed) if parsed is not None else None
    return None
