"""The REST interface of applications, under ``/v1``."""

from typing import Any, Final

from fastapi import Depends, FastAPI
from fastapi.security import HTTPBearer
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import WebSocketRoute

from wigwag.runtime.tracing import Tracing
from wigwag.ua.config import UaSettings
from wigwag.ua.ports import Agent

from .authentication import Authenticator
from .gateway_failures import GatewayFailures
from .guard import OPENAPI, PATIENCE, Application, Guard
from .models import ProblemDetails
from .origins import Origins
from .problems import PROBLEM_JSON, add_error_handlers, problems_router
from .web_files import files_router
from .web_messages import messages_router
from .web_sessions import sessions_router
from .websocket import EventSockets

_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "DELETE")
_ASKED: Final = ("Authorization", "Content-Type", "Idempotency-Key", "Range", "traceparent")
_TOLD: Final = ("Location", "Content-Range", "Retry-After", "WWW-Authenticate")
EVENTS: Final = "/v1/events"
_ROOM: Final = 65_536
"""Octets of a request in JSON besides the message's body."""
_DESCRIPTION: Final = """Chat with SIP users: sessions, messages, files, and events by WebSocket at `/v1/events`.

What is answered with 2xx is durable. A request with an `Idempotency-Key` can be sent again as often as needed: it is
carried out once. Errors are problem+json (RFC 9457); their `type` says what they mean."""


def web_application(
    settings: UaSettings,
    agent: Agent,
    authenticator: Authenticator,
    *,
    version: str,
    patience: float = PATIENCE,
    tracing: Tracing | None = None,
    failures: GatewayFailures | None = None,
) -> Application:
    """Return the ASGI application.

    Args:
        settings: Of the user agent.
        agent: The use cases.
        authenticator: Tells who calls.
        version: The program's, for the OpenAPI document.
        patience: Seconds between two pieces of a body.
        tracing: Begins spans; None: there are none.
        failures: What operators are told of the gateway in OpenSIPS's form; None: nothing.
    """
    application = FastAPI(
        title="Wigwag user agent",
        version=version,
        description=_DESCRIPTION,
        # The interactive pages load their scripts from a public host.
        docs_url=None,
        redoc_url=None,
        openapi_url=OPENAPI,
        responses=_problems(),
        dependencies=[Depends(HTTPBearer(auto_error=False, description="API key, or a token of an identity provider"))],
    )
    add_error_handlers(application)
    origins = Origins(settings.api.origins, settings.api.host)
    sockets = EventSockets(agent, authenticator, origins, tracing=tracing, failures=failures)
    application.router.routes.append(WebSocketRoute(EVENTS, sockets.serve))
    for router in (sessions_router(agent), messages_router(agent), files_router(agent), problems_router()):
        application.include_router(router)
    guarded = Guard(
        application,
        authenticator,
        origins,
        # Base64 takes a third more.
        body=settings.limits.message_bytes * 4 // 3 + _ROOM,
        file=settings.limits.file_bytes,
        patience=patience,
        tracing=tracing,
    )
    return CORSMiddleware(
        guarded,
        allow_origins=[origin.rstrip("/") for origin in settings.api.origins],
        allow_methods=_METHODS,
        allow_headers=_ASKED,
        expose_headers=_TOLD,
    )


def _problems() -> dict[int | str, dict[str, Any]]:
    meanings = {
        401: "No API key or token, or none that holds",
        403: "The key does not allow it",
        404: "There is no such thing, or it is another application's",
        409: "The state forbids it",
        413: "The body is too large",
        422: "A field is malformed; `errors` names it",
        503: "Overloaded, or something is away: send it again",
    }
    content = {PROBLEM_JSON: {"schema": ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")}}
    return {status: {"description": meaning, "content": content} for status, meaning in meanings.items()}
