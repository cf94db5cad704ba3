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
        to_uri: Annotated[str, Query(description="needed, unless session_id or resume_session_id is given")] = "",
        from_uri: str = "",
        name: Annotated[str, Query(max_length=255)] = "",
        sha256: Annotated[str, Query(pattern="^([0-9a-f]{64})?$", description="to be checked")] = "",
        label: Annotated[list[str], Query(description="name:value")] = [],  # noqa: B006
        session_id: Annotated[str, Query(description="in which the SIP user asks for a file: this answers")] = "",
        blob_id: Annotated[str, Query(description="what is sent instead of a body")] = "",
        resume_session_id: Annotated[str, Query(description="whose file is sent on, without a body")] = "",
        offset: Annotated[int, Query(ge=0, lt=2**63, description="octets that are here under the key")] = 0,
        application: Annotated[str, Query(description="only for operators")] = "",
        key: IdempotencyKey = "",
    ) -> models.File:
        """Send the body as a file in a session of its own; it may be of any size up to the limit, and is streamed."""
        length = int(request.headers.get("content-length", "0"))
        described = ua_pb2.FileDescription(
            application=application,
            to_uri=to_uri,
            from_uri=from_uri,
            name=name,
            content_type=request.headers.get("content-type", "application/octet-stream"),
            size=offset + length if length else 0,
            sha256=sha256,
            idempotency_key=key,
            labels=labels_of(label),
            session_id=session_id,
            blob_id=blob_id,
            resume_session_id=resume_session_id,
            offset=offset,
        )
        return models.File(**file_json((await agent.send_file(who, described, request.stream())).file))

    @router.post("/v1/files/fetch", status_code=HTTPStatus.CREATED)
    async def fetch_file(asked: models.FetchFile, who: Who) -> models.File:
        """Ask the SIP user for a file that he offered elsewhere (RFC 5547 pull), or for the rest of one."""
        if not asked.resume_session_id and not (
            asked.name or asked.content_type or asked.size or asked.sha256 or asked.sha1
        ):
            raise InvalidRequestError("name: one of name, content_type, size, sha256 and sha1 is needed")
        fetched = await agent.fetch_file(who, ua_pb2.FetchFileRequest(**asked.model_dump()))
        return models.File(**file_json(fetched.file))


def _add_reading(router: APIRouter, agent: Agent) -> None:
    @router.get("/v1/files")
    async def find_file(
        who: Who,
        idempotency_key: Annotated[str, Query(min_length=1, max_length=255)],
        application: Annotated[str, Query(description="only for operators")] = "",
    ) -> models.File:
        """How the file stands that was sent under a key, and how much of it is here when its connection broke."""
        request = ua_pb2.GetFileRequest(idempotency_key=idempotency_key, application=application)
        return models.File(**file_json((await agent.get_file(who, request)).file))

    @router.get("/v1/files/{session_id}")
    async def get_file(session_id: str, who: Who) -> models.File:
        """How a file stands."""
        found = await agent.get_file(who, ua_pb2.GetFileRequest(session_id=session_id))
        return models.File(**file_json(found.file))

    @router.get("/v1/blobs/{blob_id}", response_class=StreamingResponse)
    async def get_blob(blob_id: str, who: Who, range_: Annotated[str, Header(alias="Range")] = "") -> Response:
        """A body that is kept apart, such as a file that came; Range asks for a part of it."""
        return await blob_response(agent, who, blob_id, range_, "application/octet-stream")
