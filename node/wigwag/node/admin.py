"""The admin API's application: health, metrics, the services' routers, errors as problem+json (RFC 9457)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Protocol

import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from wigwag.errors import WigwagError
from wigwag.runtime.error_table import http_status
from wigwag.runtime.readiness import Readiness
from wigwag.runtime.telemetry import Telemetry

from .guard import Guard
from .settings import AdminSettings

logger = structlog.get_logger(__name__)


class HostedService(Protocol):
    """What the node needs of a service that it hosts."""

    @property
    def router(self) -> APIRouter:
        """Its part of the API."""

    def ready(self) -> tuple[bool, Mapping[str, Any]]:
        """Whether it can serve, and details for an operator."""


def admin_application(
    settings: AdminSettings,
    modules: Mapping[str, HostedService],
    telemetry: Telemetry,
    *,
    version: str,
    readiness: Readiness,
    routers: Iterable[APIRouter] = (),
) -> Callable[..., Any]:
    """Return the ASGI application.

    Args:
        settings: Tokens, and names that the Host header may have.
        modules: The hosted services by name.
        telemetry: What /metrics shows.
        version: The program's version, for the OpenAPI document.
        readiness: What /readyz tells.
        routers: Parts of the API that belong to no service.
    """
    application = FastAPI(
        title="Wigwag",
        version=version,
        # The interactive pages load their scripts from a public host, which an administration network may not reach.
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
        responses={"default": {"description": "application/problem+json (RFC 9457)"}},
    )
    _add_error_handlers(application)
    application.include_router(_node_router(modules, telemetry, readiness))
    for router in [*routers, *(module.router for module in modules.values())]:
        application.include_router(router)
    return Guard(application, settings)


def _node_router(modules: Mapping[str, HostedService], telemetry: Telemetry, readiness: Readiness) -> APIRouter:
    router = APIRouter(tags=["node"])

    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        """The process lives."""
        return {"status": "alive"}

    @router.get("/readyz")
    async def readyz(request: Request) -> JSONResponse:
        """At least one hosted function can be served; details for those who may read."""
        ready, states = readiness.ready, readiness.services()
        content: dict[str, Any] = {"ready": ready}
        if request.scope["wigwag.authorized"]:
            content["services"] = {
                name: {"ready": states.get(name, False), **module.ready()[1]} for name, module in modules.items()
            }
        return JSONResponse(content, HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE)

    @router.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """All metrics in Prometheus' text form."""
        content, content_type = telemetry.prometheus()
        return Response(content, media_type=content_type)

    return router


def problem(status: int, detail: str, **members: Any) -> JSONResponse:
    """Return an error as RFC 9457 has it."""
    content = {"title": HTTPStatus(status).phrase, "status": status, "detail": detail, **members}
    return JSONResponse(content, status, media_type="application/problem+json")


def _add_error_handlers(application: FastAPI) -> None:
    @application.exception_handler(WigwagError)
    async def on_wigwag_error(request: Request, error: WigwagError) -> JSONResponse:
        return problem(http_status(error), str(error))

    @application.exception_handler(HTTPException)
    async def on_http_exception(request: Request, error: HTTPException) -> JSONResponse:
        return problem(error.status_code, str(error.detail))

    @application.exception_handler(RequestValidationError)
    async def on_invalid_request(request: Request, error: RequestValidationError) -> JSONResponse:
        reasons = [_sentence(item) for item in error.errors()]
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "; ".join(reasons), errors=reasons)

    @application.exception_handler(Exception)
    async def on_bug(request: Request, error: Exception) -> JSONResponse:
        logger.error("admin request failed", path=request.url.path, exc_info=error)
        return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "an internal error; the log has the details")


def _sentence(item: Mapping[str, Any]) -> str:
    location: Sequence[str | int] = item["loc"]
    return f"{'.'.join(str(part) for part in location[1:]) or location[0]}: {item['msg']}"
