"""Files over HTTP: ``/v1/files`` sends and fetches, ``/v1/blobs`` reads."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from starlette.responses import StreamingResponse

from wigwag.api.ua.v1 import ua_pb2
from wigwag.errors import InvalidRequestError
from wigwag.ua.ports import Agent

from . import models
from .blob_responses import blob_response
from .presenting import file_json
from .web_sessions import IdempotencyKey, Who, labels_of

_OCTETS: dict[str, Any] = {
    "requestBody": {
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        "required": True,
    }
}


def files_router(agent: Agent) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["files"])
    _add_sending(router, agent)
    _add_reading(router, agent)
    return router


def _add_sending(router: APIRouter, agent: Agent) -> None:
    @router.post("/v1/files", status_code=HTTPStatus.CREATED, openapi_extra=_OCTETS)
    async def send_file(
        request: Request,
        who: Who,
        to_uri: str,
        from_uri: str = "",
        name: Annotated[str, Query(max_length=255)] = "",
        sha256: Annotated[str, Query(pattern="^([0-9a-f]{64})?$", description="to be checked")] = "",
        label: Annotated[list[str], Query(description="name:value")] = [],  # noqa: B006
        application: Annotated[str, Query(description="only for operators")] = "",
        key: IdempotencyKey = "",
    ) -> models.File:
        """Send the body as a file in a session of its own; it may be of any size up to the limit, and is streamed."""
        described = ua_pb2.FileDescription(
            application=application,
            to_uri=to_uri,
            from_uri=from_uri,
            name=name,
            content_type=request.headers.get("content-type", "application/octet-stream"),
            size=int(request.headers.get("content-length", "0")),
            sha256=sha256,
            idempotency_key=key,
            labels=labels_of(label),
        )
        return models.File(**file_json((await agent.send_file(who, described, request.stream())).file))

    @router.post("/v1/files/fetch", status_code=HTTPStatus.CREATED)
    async def fetch_file(asked: models.FetchFile, who: Who) -> models.File:
        """Ask the SIP user for a file that he offered elsewhere (RFC 5547 pull)."""
        if not (asked.name or asked.content_type or asked.size or asked.sha256):
            raise InvalidRequestError("name: one of name, content_type, size and sha256 is needed")
        fetched = await agent.fetch_file(who, ua_pb2.FetchFileRequest(**asked.model_dump()))
        return models.File(**file_json(fetched.file))


def _add_reading(router: APIRouter, agent: Agent) -> None:
    @router.get("/v1/blobs/{blob_id}", response_class=StreamingResponse)
    async def get_blob(blob_id: str, who: Who, range_: Annotated[str, Header(alias="Range")] = "") -> Response:
        """A body that is kept apart, such as a file that came; Range asks for a part of it."""
        return await blob_response(agent, who, blob_id, range_, "application/octet-stream")
