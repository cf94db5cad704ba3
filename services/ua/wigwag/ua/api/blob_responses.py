"""Bodies as responses, whole or in part."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from http import HTTPStatus
from typing import Any, cast

from starlette.responses import Response, StreamingResponse

from wigwag.api.ua.v1 import ua_pb2
from wigwag.ua.ports import Agent, Caller

from .ranges import Part, part_of


async def blob_response(agent: Agent, who: Caller, blob_id: str, wanted: str, content_type: str) -> Response:
    """Return a body that is kept as a blob, streamed.

    Args:
        agent: Has it.
        who: Who asks.
        blob_id: Its id.
        wanted: The Range header; empty: all.
        content_type: Of the body.
    """
    size = await agent.body_size(who, blob_id)
    part = part_of(wanted, size)
    first, last = part or (0, size - 1)
    pieces = agent.message_body(who, ua_pb2.GetMessageBodyRequest(blob_id=blob_id, offset=first))
    headers = _headers(content_type, part, last + 1 - first, size)
    return StreamingResponse(_bounded(pieces, last + 1 - first), _status(part), headers)


def whole_response(body: bytes, wanted: str, content_type: str) -> Response:
    """Return a body that is at hand."""
    part = part_of(wanted, len(body))
    if part is not None:
        content = body[part.first : part.last + 1]
        return Response(content, _status(part), _headers(content_type, part, len(content), len(body)))
    return Response(body, headers=_headers(content_type, None, len(body), len(body)))


async def _bounded(pieces: AsyncIterator[bytes], length: int) -> AsyncIterator[bytes]:
    async with aclosing(cast(Any, pieces)):
        async for piece in pieces:
            if len(piece) >= length:
                yield piece[:length]
                return
            length -= len(piece)
            yield piece


def _status(part: Part | None) -> int:
    return HTTPStatus.OK if part is None else HTTPStatus.PARTIAL_CONTENT


def _headers(content_type: str, part: Part | None, length: int, size: int) -> dict[str, str]:
    headers = {
        "Content-Type": _safe(content_type),
        "Content-Length": str(length),
        "Accept-Ranges": "bytes",
        # The type is the SIP user's word: a browser must not run what he sends in this server's name.
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Content-Disposition": "attachment",
    }
    if part is not None:
        headers["Content-Range"] = f"bytes {part.first}-{part.last}/{size}"
    return headers


def _safe(content_type: str) -> str:
    """Return a media type that can stand in a header; whatever a SIP user wrote, it ends no line."""
    if content_type.isascii() and content_type.isprintable() and "/" in content_type:
        return content_type
    return "application/octet-stream"
