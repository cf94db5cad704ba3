"""Who may use the admin API: the Host and Origin of browsers, then tokens and roles.

A service on loopback is within reach of every web page that the operator looks at: by a name that resolves to 127.0.0.1
(DNS rebinding) or a form that posts across origins. Neither has a Host and an Origin that belong to this address.
"""

import hmac
import json
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from wigwag.runtime.settings import is_loopback

from .settings import AdminSettings, Role

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

LARGEST_BODY = 1_048_576
MI_PATH = "/mi"
_OPEN = frozenset({"/healthz", "/readyz"})
_READING = frozenset({"GET", "HEAD"})


class RefusedError(Exception):
    """The request goes no further."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Guard:
    """ASGI middleware in front of the admin API.

    Args:
        application: What is guarded; finds ``scope["wigwag.authorized"]``: whether the caller may read everything,
            and ``scope["wigwag.role"]``: what he may do, if anything.
        settings: Tokens and names.
    """

    def __init__(self, application: Application, settings: AdminSettings) -> None:
        self._application = application
        self._tokens = [(token.token.encode(), token.role) for token in settings.tokens if token.token is not None]
        self._names = {settings.host.lower(), *(name.lower() for name in settings.allowed_hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on or refuse it."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        try:
            self._check_host(headers)
            self._check_size(headers)
            role = scope["wigwag.role"] = self._role(headers, scope)
            scope["wigwag.authorized"] = self._authorize(scope["method"], scope["path"], role)
        except RefusedError as refusal:
            await _refuse(send, refusal)
            return
        await self._application(scope, receive, send)

    def _check_host(self, headers: list[tuple[str, str]]) -> None:
        hosts, origins = _values(headers, "host"), _values(headers, "origin")
        if len(hosts) != 1 or not self._is_known(hosts[0]):
            raise RefusedError(HTTPStatus.MISDIRECTED_REQUEST, "the Host header does not name this server")
        if any(origin.lower() != f"http://{hosts[0].lower()}" for origin in origins):
            raise RefusedError(HTTPStatus.FORBIDDEN, "requests from other origins are refused")

    def _is_known(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        # A bind to all addresses is reached by names nobody listed; the tokens that it demands protect it.
        return is_loopback(name) or name in self._names or bool(self._names & {"0.0.0.0", "::"})  # noqa: S104

    @staticmethod
    def _check_size(headers: list[tuple[str, str]]) -> None:
        lengths = _values(headers, "content-length")
        if _values(headers, "transfer-encoding") or any(int(length) > LARGEST_BODY for length in lengths):
            raise RefusedError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body has a length, {LARGEST_BODY} bytes at most"
            )

    @staticmethod
    def _authorize(method: str, path: str, role: Role | None) -> bool:
        """Return whether the caller may read; raise when the request needs more than that."""
        if path in _OPEN and method in _READING:
            return role is not None
        if role is None:
            raise RefusedError(HTTPStatus.UNAUTHORIZED, "a bearer token is needed, and this is none that is known")
        # A command of MI may only read: it asks for the role itself.
        if method not in _READING and role != "operate" and path != MI_PATH:
            raise RefusedError(HTTPStatus.FORBIDDEN, "the token's role is read; this needs operate")
        return True

    def _role(self, headers: list[tuple[str, str]], scope: Scope) -> Role | None:
        """Return the role of the presented token; every known one is compared, in the same time."""
        if not self._tokens:
            return "operate"
        found: Role | None = None
        for presented in _presented(headers, scope):
            for token, role in self._tokens:
                if hmac.compare_digest(presented.encode(), token) and found != "operate":
                    found = role
        return found


def _presented(headers: list[tuple[str, str]], scope: Scope) -> Iterator[str]:
    for value in _values(headers, "authorization"):
        scheme, _, presented = value.partition(" ")
        if scheme.lower() == "bearer":
            yield presented.strip()
    if scope["path"] == MI_PATH:
        # opensips-cli sends no headers of ours; elsewhere a token in a URL would only end up in somebody's log.
        yield from parse_qs(scope["query_string"].decode("latin-1")).get("token", ())


def _values(headers: list[tuple[str, str]], name: str) -> list[str]:
    return [value for known, value in headers if known.lower() == name]


async def _refuse(send: Send, refusal: RefusedError) -> None:
    content = {"title": refusal.status.phrase, "status": refusal.status.value, "detail": str(refusal)}
    headers = [(b"content-type", b"application/problem+json"), (b"connection", b"close")]
    if refusal.status is HTTPStatus.UNAUTHORIZED:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": refusal.status.value, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(content).encode()})
