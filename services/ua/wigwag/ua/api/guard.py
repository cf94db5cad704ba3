"""What a request has to pass before the REST interface sees it: Host and Origin, who calls, and bounds of its body."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from wigwag.errors import WigwagError
from wigwag.runtime.http_tracing import ended, serving
from wigwag.runtime.names import HTTP_METHOD, HTTP_ROUTE, HTTP_SERVE, HTTP_STATUS
from wigwag.runtime.traceparent import HEADER
from wigwag.runtime.tracing import Tracing

from .authentication import Authenticator, bearers
from .origins import Origins
from .problems import PATH, problem_for, problem_of

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

OPENAPI: Final = "/v1/openapi.json"
FILES: Final = "/v1/files"
PATIENCE: Final = 30.0
"""Seconds between two pieces of a body."""


class Guard:
    """ASGI middleware.

    Args:
        application: What is guarded; finds ``scope["wigwag.caller"]``.
        authenticator: Tells who calls.
        origins: Whom browsers may bring.
        body: Octets of a body at most.
        file: Octets of a file at most.
        patience: Seconds between two pieces of a body.
        tracing: Begins a span for each request of who is known; his traceparent is honoured.
    """

    def __init__(
        self,
        application: Application,
        authenticator: Authenticator,
        origins: Origins,
        *,
        body: int,
        file: int,
        patience: float = PATIENCE,
        tracing: Tracing | None = None,
    ) -> None:
        self._application = application
        self._authenticator = authenticator
        self._origins = origins
        self._body = body
        self._file = file
        self._patience = patience
        self._tracing = tracing or Tracing()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on or refuse it."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        refusal = self._refusal(scope) or await self._authenticate(scope)
        if refusal is not None:
            # What is left of the body is not read: the connection can't be used again.
            refusal.headers["connection"] = "close"
            await refusal(scope, receive, send)
            return
        if "wigwag.caller" not in scope:
            await self._pass_on(scope, receive, send)
            return
        traceparent = next(iter(values(scope, HEADER)), None)
        with serving(self._tracing, HTTP_SERVE, traceparent, {HTTP_METHOD: scope["method"]}) as span:
            status = await self._pass_on(scope, receive, send)
            if span.recorded:
                span.set(HTTP_ROUTE, getattr(scope.get("route"), "path", ""))
                ended(span, HTTP_STATUS, status)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> int:
        """Let the application answer; returns the status, 0 if it gave none."""
        limit = self._file if scope["path"] == FILES else self._body
        body = _Body(scope, receive, limit, self._patience)
        status = 0

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if not body.is_complete:
                    # What is left of it nobody wants.
                    message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        await self._application(scope, body, send_on)
        return status

    def _refusal(self, scope: Scope) -> Response | None:
        hosts = values(scope, "host")
        if not self._authenticator.demands and not self._origins.knows_host(hosts):
            return problem_for(HTTPStatus.MISDIRECTED_REQUEST, "the Host header does not name this server")
        if not self._origins.allow(values(scope, "origin"), hosts):
            return problem_for(HTTPStatus.FORBIDDEN, "requests from this origin are refused: see ua.api.origins")
        limit = self._file if scope["path"] == FILES else self._body
        if any(not length.isdigit() or int(length) > limit for length in values(scope, "content-length")):
            return problem_for(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {limit} octets")
        return None

    async def _authenticate(self, scope: Scope) -> Response | None:
        if scope["path"] == OPENAPI or scope["path"].startswith(PATH):
            return None
        try:
            scope["wigwag.caller"] = await self._authenticator.caller(bearers(values(scope, "authorization")))
        except WigwagError as error:
            return problem_of(error)
        return None


class _Body:
    """A body that is neither too large nor too slow."""

    def __init__(self, scope: Scope, receive: Receive, limit: int, patience: float) -> None:
        self._receive = receive
        self._left = limit
        self._limit = limit
        self._patience = patience
        self.is_complete = not values(scope, "transfer-encoding") and values(scope, "content-length") in ([], ["0"])
        self._ended = False

    async def __call__(self) -> Message:
        if self._ended:
            return await self._receive()
        try:
            async with asyncio.timeout(self._patience):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, f"nothing came for {self._patience:g} s") from None
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            self._ended = not message.get("more_body", False)
            self.is_complete = self.is_complete or self._ended
            if self._left < 0:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {self._limit} octets")
        return message


def values(scope: Scope, name: str) -> list[str]:
    """Return the values of a request's header."""
    wanted = name.encode()
    return [value.decode("latin-1") for known, value in scope["headers"] if known == wanted]
