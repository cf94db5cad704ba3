"""Errors over HTTP, as problem+json has them (RFC 9457)."""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from wigwag.errors import (
    BusError,
    ConflictError,
    DatabaseError,
    InvalidRequestError,
    NotAuthenticatedError,
    NotAuthorizedError,
    NotFoundError,
    OutOfRangeError,
    OverloadedError,
    StoreError,
    WigwagError,
)
from wigwag.runtime.error_table import http_status

PROBLEM_JSON: Final = "application/problem+json"
PATH: Final = "/v1/problems/"
RETRY_AFTER: Final = "1"
"""Seconds."""
_ROUTING: Final = {
    404: "there is nothing at {path}; /v1/openapi.json lists what there is",
    405: "{method} does nothing at {path}; /v1/openapi.json lists what there is",
}
"""Instead of the bare phrases of HTTP."""
_SAID: Final = {
    "missing": "missing",
    "extra_forbidden": "there is no such field",
    "json_invalid": "no JSON: {error}",
    "string_pattern_mismatch": "does not have the form {pattern}",
    "timezone_aware": "has no time zone, such as the Z of 2026-11-26T03:00:00Z",
    "model_attributes_type": "a JSON object is needed",
    "value_error": "{error}",
}
"""What is wrong, in the words of who made the request, by pydantic's name for it."""
_FIELD: Final = re.compile(r"([a-z][a-z0-9_.]*): ")

logger = structlog.get_logger(__name__)


class Problem(NamedTuple):
    """A kind of error."""

    name: str
    meaning: str


_OTHER: Final = Problem("internal-error", "A defect of the server: its log has the details.")
_UNAVAILABLE: Final = Problem(
    "unavailable", "Something that the server needs is away. Send the same request again, under the same key."
)
KINDS: Final[Mapping[type[WigwagError], Problem]] = {
    InvalidRequestError: Problem("invalid-request", "A field is malformed; `errors` names it. Don't send it again."),
    NotAuthenticatedError: Problem("not-authenticated", "No API key or token came, or none that holds."),
    NotAuthorizedError: Problem("not-authorized", "The key or token does not allow this."),
    NotFoundError: Problem("not-found", "It does not exist, or belongs to another application."),
    ConflictError: Problem("conflict", "The state of the session or message forbids it."),
    OutOfRangeError: Problem("out-of-range", "What the resume token stands for is kept no more: begin anew."),
    OverloadedError: Problem("overloaded", "A limit is reached. Send the same request again later."),
    StoreError: _UNAVAILABLE,
    DatabaseError: _UNAVAILABLE,
    BusError: _UNAVAILABLE,
}
_BY_STATUS: Final[Mapping[int, Problem]] = {
    400: Problem("bad-request", "The request is no HTTP request that makes sense here."),
    404: Problem("not-found", "It does not exist, or belongs to another application."),
    405: Problem("method-not-allowed", "The path is right, the method is not."),
    408: Problem("too-slow", "The body came too slowly."),
    413: Problem("too-large", "The body is larger than the server takes."),
    415: Problem("unsupported-media-type", "The body is not of the type that is expected here."),
    416: Problem("range-not-satisfiable", "The body is shorter than the range."),
    421: Problem("misdirected", "The Host header names another server."),
}


def kind_of(error: WigwagError) -> Problem:
    """Return what kind of problem an error is."""
    return next((KINDS[kind] for kind in type(error).__mro__ if kind in KINDS), _OTHER)


def problem_json(error: WigwagError) -> dict[str, Any]:
    """Return an error as RFC 9457 has it; where its text begins with a field, ``errors`` names it."""
    status = http_status(error)
    content = _content(kind_of(error), status, str(error))
    field = _FIELD.match(str(error))
    if isinstance(error, InvalidRequestError) and field is not None:
        content["errors"] = [{"field": field[1], "detail": str(error)[field.end() :]}]
    return content


def problem_of(error: WigwagError) -> JSONResponse:
    """Return the response to a request that failed."""
    status = http_status(error)
    headers = {}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = RETRY_AFTER
    if isinstance(error, NotAuthenticatedError):
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(problem_json(error), status, headers, PROBLEM_JSON)


def problem_for(status: int, detail: str, **members: Any) -> JSONResponse:
    """Return the response for a status that HTTP itself demands."""
    kind = _BY_STATUS.get(status, _OTHER if status >= 500 else _BY_STATUS[400])
    return JSONResponse({**_content(kind, status, detail), **members}, status, media_type=PROBLEM_JSON)


def _content(kind: Problem, status: int, detail: str) -> dict[str, Any]:
    return {
        "type": PATH + kind.name,
        "title": kind.name.replace("-", " ").capitalize(),
        "status": int(status),
        "detail": detail,
    }


def add_error_handlers(application: FastAPI) -> None:
    """Let every error of an application become a problem."""

    @application.exception_handler(WigwagError)
    async def on_wigwag_error(request: Request, error: WigwagError) -> JSONResponse:
        if kind_of(error) is _OTHER:
            logger.error("request failed", path=request.url.path, exc_info=error)
        return problem_of(error)

    @application.exception_handler(HTTPException)
    async def on_http_exception(request: Request, error: HTTPException) -> JSONResponse:
        known = _ROUTING.get(error.status_code) if error.detail == HTTPStatus(error.status_code).phrase else None
        detail = known.format(method=request.method, path=request.url.path) if known else str(error.detail)
        response = problem_for(error.status_code, detail)
        response.headers.update(error.headers or {})
        return response

    @application.exception_handler(RequestValidationError)
    async def on_invalid_request(request: Request, error: RequestValidationError) -> JSONResponse:
        reasons = [_reason(item) for item in error.errors()]
        content = _content(
            KINDS[InvalidRequestError], 422, "; ".join(f"{each['field']}: {each['detail']}" for each in reasons)
        )
        return JSONResponse({**content, "errors": reasons}, 422, media_type=PROBLEM_JSON)

    @application.exception_handler(ClientDisconnect)
    async def on_client_gone(request: Request, error: ClientDisconnect) -> JSONResponse:
        return problem_for(400, "the client left before its request was complete")

    @application.exception_handler(Exception)
    async def on_bug(request: Request, error: Exception) -> JSONResponse:
        logger.error("request failed", path=request.url.path, exc_info=error)
        return problem_for(500, "an internal error; the log has the details")


def _reason(item: Mapping[str, Any]) -> dict[str, str]:
    location: Sequence[str | int] = item["loc"]
    # What can't be read has no fields: the place in its text is part of the detail.
    field = "" if item["type"] == "json_invalid" else ".".join(str(part) for part in location[1:])
    return {"field": field or str(location[0]), "detail": said_of(item)}


def said_of(item: Mapping[str, Any]) -> str:
    """Return what is wrong with a field, as pydantic found it."""
    known = _SAID.get(item["type"])
    return known.format_map(item.get("ctx", {})) if known is not None else str(item["msg"])


def problems_router() -> APIRouter:
    """Return the routes that say what each type of problem means."""
    router = APIRouter(prefix=PATH.rstrip("/"), tags=["problems"])
    meanings = {each.name: each.meaning for each in (*KINDS.values(), *_BY_STATUS.values(), _OTHER)}

    @router.get("/{name}", response_class=PlainTextResponse)
    async def meaning(name: str) -> PlainTextResponse:
        """What a type of problem means, and whether to send the request again."""
        if name not in meanings:
            raise NotFoundError("there is no such problem")
        return PlainTextResponse(meanings[name] + "\n")

    return router
