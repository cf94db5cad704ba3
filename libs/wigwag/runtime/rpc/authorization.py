"""Who may call: nobody needs anything on loopback without tokens; else a certificate or a bearer token with a role."""

import hmac
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal

import grpc

from .methods import changes_nothing
from .types import Context, Handler, ServerInterceptor

Role = Literal["read", "operate"]


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a call shows, for services that know callers of their own."""

    bearers: tuple[str, ...] = field(default=(), repr=False)
    """Tokens that it carries."""
    role: Role | None = None
    """What the server's own tokens or certificates allow; None: they don't know the caller."""
    asked: bool = False
    """Whether the server asks callers for anything."""


_CREDENTIALS: ContextVar[Credentials] = ContextVar("wigwag_credentials")
Continuation = Callable[[grpc.HandlerCallDetails], Awaitable[Handler]]

OPEN = frozenset({"/grpc.health.v1.Health/Check"})
"""Needs no token, because kubelets have none."""


class Authorization(ServerInterceptor):
    """Refuses calls whose caller lacks the role that the method needs.

    Args:
        tokens: Bearer tokens and their roles; empty: who reaches the server may do everything.
        certificates: Whether the server demands client certificates; who has one may operate, unless the token that
            comes with the call allows less.
        own: Names of services that know callers of their own, and refuse by themselves who is none of them: see
            ``credentials``.
    """

    def __init__(
        self, tokens: Sequence[tuple[str, Role]], *, certificates: bool = False, own: Collection[str] = ()
    ) -> None:
        self._tokens = [(token.encode(), role) for token, role in tokens]
        self._certificates = certificates
        self._own = frozenset(own)

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler:
        """Pass the call on or refuse it."""
        method = str(handler_call_details.method)
        presented = _bearers(handler_call_details.invocation_metadata)
        if method.lstrip("/").partition("/")[0] in self._own:
            return await self._left_to_it(continuation, handler_call_details, presented)
        if method in OPEN or not self._tokens or (self._certificates and not presented):
            return await continuation(handler_call_details)
        role = self._role(presented)
        if role is None:
            return _refusing(
                grpc.StatusCode.UNAUTHENTICATED, "a bearer token is needed, and this is none that is known"
            )
        if role != "operate" and not changes_nothing(method):
            return _refusing(grpc.StatusCode.PERMISSION_DENIED, "the token's role is read; this needs operate")
        return await continuation(handler_call_details)

    async def _left_to_it(
        self, continuation: Continuation, details: grpc.HandlerCallDetails, presented: Sequence[bytes]
    ) -> Handler:
        role = "operate" if self._certificates and not presented else self._role(presented)
        if role == "read" and not changes_nothing(str(details.method)):
            return _refusing(grpc.StatusCode.PERMISSION_DENIED, "the token's role is read; this needs operate")
        bearers = tuple(token.decode("utf-8", "replace") for token in presented)
        _CREDENTIALS.set(Credentials(bearers, role, bool(self._tokens) or self._certificates))
        return await continuation(details)

    def _role(self, presented: Iterable[bytes]) -> Role | None:
        """Return the role of the presented token; every known one is compared, in the same time."""
        found: Role | None = None
        for value in presented:
            for token, role in self._tokens:
                if hmac.compare_digest(value, token) and found != "operate":
                    found = role
        return found


def credentials() -> Credentials:
    """Return what the call that is being answered shows; of a service that knows callers of its own."""
    return _CREDENTIALS.get(Credentials())


def _bearers(metadata: Iterable[tuple[str, str | bytes]] | None) -> list[bytes]:
    found = []
    for name, value in metadata or ():
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        scheme, _, token = text.partition(" ")
        if name == "authorization" and scheme.lower() == "bearer":
            found.append(token.strip().encode())
    return found


def _refusing(code: grpc.StatusCode, reason: str) -> Handler:
    async def refuse(request: object, context: Context) -> AsyncIterator[object]:
        await context.abort(code, reason)
        yield None  # A generator: refused before the first request is read, whatever kind of method it is.

    return grpc.stream_stream_rpc_method_handler(refuse)
