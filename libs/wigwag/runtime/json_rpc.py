"""JSON-RPC 2.0 over any carrier: bytes in, bytes out."""

import inspect
import json
import math
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog

from wigwag.errors import ServiceError, WigwagError

from .error_table import http_status
from .management import ArgumentError

MOST_IN_BATCH: Final = 100

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603

Params = list[Any] | dict[str, Any]
Dispatch = Callable[[str, Params], Any]
"""Runs a method: returns its result or an awaitable of it; ``MethodNotFoundError`` when there is none of the name."""

logger = structlog.get_logger(__name__)


class MethodNotFoundError(ServiceError):
    """There is no method of the name."""


class _InvalidRequestError(Exception):
    """It is no Request object (section 4); ``id`` is its own if that much could be read, else None."""

    def __init__(self, reason: str, request_id: Any = None) -> None:
        super().__init__(reason)
        self.id = request_id


async def answer(body: bytes, dispatch: Dispatch) -> bytes | None:
    """Answer one request or a batch.

    Args:
        body: What came.
        dispatch: Runs the methods.

    Returns:
        The answer; None when there is none to give, because all were notifications.
    """
    try:
        parsed = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        return _encode(_error(None, PARSE_ERROR, "Parse error", _reason(error)))
    if not isinstance(parsed, list):
        response = await _respond(parsed, dispatch)
        return None if response is None else _encode(response)
    if not 0 < len(parsed) <= MOST_IN_BATCH:
        reason = f"a batch has 1 to {MOST_IN_BATCH} requests"
        return _encode(_error(None, INVALID_REQUEST, "Invalid Request", reason))
    responses = [response for item in parsed if (response := await _respond(item, dispatch)) is not None]
    return _encode(responses) if responses else None


async def _respond(request: Any, dispatch: Dispatch) -> dict[str, Any] | None:
    try:
        method, params = _checked(request)
    except _InvalidRequestError as error:
        return _error(error.id, INVALID_REQUEST, "Invalid Request", str(error))
    response = await _run(request.get("id"), method, params, dispatch)
    # Section 4.1: no answer to a request without id, not even an error.
    return response if "id" in request else None


def _checked(request: Any) -> tuple[str, Params]:
    if not isinstance(request, dict):
        raise _InvalidRequestError("a request is an object")
    request_id = request.get("id")
    if not _is_id(request_id):
        raise _InvalidRequestError("id has to be text, a number or null")
    if request.get("jsonrpc") != "2.0":
        raise _InvalidRequestError('jsonrpc has to be "2.0"', request_id)
    method, params = request.get("method"), request.get("params", {})
    if not isinstance(method, str):
        raise _InvalidRequestError("method has to be text", request_id)
    if not isinstance(params, list | dict):
        raise _InvalidRequestError("params has to be an array or an object", request_id)
    return method, params


def _is_id(value: Any) -> bool:
    # ``1e999`` is read as infinity, which JSON can't express.
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value is None or isinstance(value, str) or is_number


async def _run(request_id: Any, method: str, params: Params, dispatch: Dispatch) -> dict[str, Any]:
    try:
        result = dispatch(method, params)
        if inspect.isawaitable(result):
            result = await _awaited(result)
    except MethodNotFoundError:
        return _error(request_id, METHOD_NOT_FOUND, "Method not found")
    except ArgumentError as error:
        return _error(request_id, INVALID_PARAMS, "Invalid params", str(error))
    except WigwagError as error:
        # As OpenSIPS: the code is that of HTTP.
        return _error(request_id, int(http_status(error)), str(error))
    except Exception:
        logger.exception("a command failed", method=method)
        return _error(request_id, INTERNAL_ERROR, "Internal error", "the log has the details")
    return {"jsonrpc": "2.0", "result": result, "id": request_id}


async def _awaited(result: Awaitable[Any]) -> Any:
    return await result


def _error(request_id: Any, code: int, message: str, data: str = "") -> dict[str, Any]:
    error: dict[str, Any] = {"code": code, "message": message}
    if data:
        error["data"] = data
    return {"jsonrpc": "2.0", "error": error, "id": request_id}


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _reason(error: Exception) -> str:
    return "nested too deep" if isinstance(error, RecursionError) else str(error)


def _encode(value: Any) -> bytes:
    return json.dumps(value).encode()
