"""MI: JSON-RPC 2.0 over HTTP at ``/mi``, as ``opensips-cli`` speaks it.

The command reads ``which`` before anything else and shows errors only when they come with status 200.
"""

import inspect
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from wigwag.errors import NotAuthorizedError
from wigwag.runtime import json_rpc
from wigwag.runtime.management import Commands

from .settings import Role


def mi_router(commands: Commands) -> APIRouter:
    """Return the route of ``/mi``.

    Args:
        commands: What can be called.
    """
    router = APIRouter(tags=["mi"])

    @router.post("/mi", response_class=Response)
    async def mi(request: Request) -> Response:
        """JSON-RPC 2.0: one request or a batch; commands that change something need the role operate."""
        role: Role = request.scope["wigwag.role"]
        answer = await json_rpc.answer(await request.body(), _Dispatcher(commands, role))
        if answer is None:
            return Response(status_code=HTTPStatus.NO_CONTENT)
        return Response(answer, media_type="application/json")

    return router


class _Dispatcher:
    """Runs commands for a caller of one role."""

    def __init__(self, commands: Commands, role: Role) -> None:
        self._commands = commands
        self._role = role

    async def __call__(self, method: str, params: json_rpc.Params) -> Any:
        command = self._commands.find(method)
        if command is None:
            raise json_rpc.MethodNotFoundError(method)
        if command.changes and self._role != "operate":
            raise NotAuthorizedError(f"the token's role is read; {method} needs operate")
        result = command.run(command.bind(params))
        if inspect.isawaitable(result):
            result = await result
        # The command takes null for a failure.
        return "OK" if result is None else result
