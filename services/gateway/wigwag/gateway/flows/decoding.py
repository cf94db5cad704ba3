"""The body of a MESSAGE without its Content-Encoding (RFC 3261 section 20.12): MSRP has none.

Devices compress what they may think every device understands, notifications above all. A coding that nobody here knows
stays, and is refused with 415 where the body would have to be sent.
"""

import zlib
from dataclasses import replace
from datetime import UTC
from typing import Final

from wigwag.api.events.v1.pager_pb2 import PagerMessage
from wigwag.gateway.kinds import Content, RefusedError, read
from wigwag.gateway.wrapping import Headers, PageMessage

_FIELD: Final = "content-encoding"
_CODINGS: Final = frozenset(("deflate", "gzip", "x-gzip"))
_ZLIB_OR_GZIP: Final = 32 + zlib.MAX_WBITS
LARGEST: Final = 65_536
"""Octets of a body that is taken out of its coding."""


def page_message(message: PagerMessage) -> PageMessage:
    """Return a message as its content is looked at; what can't be read says so by its error."""
    headers: Headers = tuple((header.name, header.value) for header in message.headers)
    content, headers = _decoded(message, headers)
    return PageMessage(
        content=content,
        sender=message.from_aor,
        recipient=message.to_aor,
        headers=headers,
        received_at=message.received_at.ToDatetime(UTC),
        call_id=message.call_id,
    )


def _decoded(message: PagerMessage, headers: Headers) -> tuple[Content, Headers]:
    codings = [value.strip().lower() for name, value in headers if name.lower() == _FIELD]
    if len(codings) != 1 or codings[0] not in _CODINGS:
        return read(message.content_type, message.body), headers
    rest = tuple(header for header in headers if header[0].lower() != _FIELD)
    try:
        return read(message.content_type, decoded(message.body)), rest
    except RefusedError as error:
        return replace(read(message.content_type, message.body), error=error), headers


def decoded(body: bytes, largest: int = LARGEST) -> bytes:
    """Return what was compressed with zlib or gzip (RFC 1950, RFC 1952).

    Args:
        body: As it came.
        largest: Octets of the result.

    Raises:
        RefusedError: It is malformed (400), or larger (413).
    """
    machine = zlib.decompressobj(_ZLIB_OR_GZIP)
    try:
        found = machine.decompress(body, largest + 1)
    except zlib.error as error:
        raise RefusedError(400, "a body that is not compressed as its Content-Encoding says") from error
    if len(found) > largest:
        raise RefusedError(413, f"more than {largest} octets in a compressed body")
    if not machine.eof or machine.unused_data:
        raise RefusedError(400, "a compressed body that has no end, or more behind it")
    return found
