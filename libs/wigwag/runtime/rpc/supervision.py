"""What holds for every call: a deadline, errors as statuses, and an end when the server ends."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from functools import partial
from typing import Any, NoReturn, cast

import grpc
import grpc.aio
import structlog

from wigwag.errors import WigwagError
from wigwag.runtime.error_table import grpc_status

from .authorization import Continuation
from .types import Context, Handler, ServerInterceptor

Behaviour = Callable[[Any, Context], Any]

logger = structlog.get_logger(__name__)


class Supervision(ServerInterceptor):
    """Bounds calls and translates what they raise.

    Streams of requests have the caller's deadline or none; their servicers bound the time between two.

    Streams of responses have the caller's deadline or none; when the server ends they end with UNAVAILABLE at once,
    so that nobody who watches holds up a shutdown. Servicers write them as asynchronous generators.

    Args:
        default_timeout: Seconds that a call without a deadline gets.
    """

    def __init__(self, default_timeout: float) -> None:
        self._default_timeout = default_timeout
        self._streams: set[asyncio.Task[Any]] = set()
        self._ending = False

    def end_streams(self) -> None:
        """End every stream, also those that are about to begin."""
        self._ending = True
        for task in self._streams:
            task.cancel()

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler:
        """Wrap the method's handler."""
        handler: Any = await continuation(handler_call_details)
        if handler is None:
            return cast(Handler, None)
        kind = f"{_word(handler.request_streaming)}_{_word(handler.response_streaming)}"
        timeout = None if handler.request_streaming else self._default_timeout
        wrap = self._stream if handler.response_streaming else partial(self._single, timeout)
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        wrapped: Handler = make(
            wrap(getattr(handler, kind), str(handler_call_details.method)),
            handler.request_deserializer,
            handler.response_serializer,
        )
        return wrapped

    def _single(self, timeout: float | None, behaviour: Behaviour, method: str) -> Behaviour:
        async def supervised(request: Any, context: Context) -> Any:
            limit = asyncio.timeout(_remaining(context) or timeout)
            try:
                async with limit:
                    return await behaviour(request, context)
            except TimeoutError as error:
                if limit.expired():
                    await _abort(context, grpc.StatusCode.DEADLINE_EXCEEDED, "the call took too long")
                await _fail(context, method, error)
            except Exception as error:  # noqa: BLE001
                await _fail(context, method, error)

        return supervised

    def _stream(self, behaviour: Behaviour, method: str) -> Behaviour:
        async def supervised(request: Any, context: Context) -> AsyncIterator[Any]:
            task = asyncio.current_task()
            assert task is not None
            self._streams.add(task)
            try:
                if self._ending:
                    await _end(context)
                async with aclosing(behaviour(request, context)) as responses:
                    async for response in responses:
                        yield response
            except asyncio.CancelledError:
                if not self._ending:
                    raise
                task.uncancel()
                await _end(context)
            except Exception as error:  # noqa: BLE001
                await _fail(context, method, error)
            finally:
                self._streams.discard(task)

        return supervised


def _word(streaming: bool) -> str:
    return "stream" if streaming else "unary"


def _remaining(context: Context) -> float | None:
    remaining: float | None = context.time_remaining()
    return None if remaining is None else max(remaining, 0.001)


async def _abort(context: Context, status: grpc.StatusCode, text: str) -> NoReturn:
    try:
        await context.abort(status, text)
    except grpc.aio.AbortError:
        raise
    except Exception as error:
        # The caller has gone in this moment. The library would log it as an error of the server's.
        logger.debug("nobody is there for a status", status=status.name, reason=repr(error))
        raise asyncio.CancelledError from error
    raise AssertionError("abort returned")


async def _end(context: Context) -> NoReturn:
    await _abort(context, grpc.StatusCode.UNAVAILABLE, "the server ends")


async def _fail(context: Context, method: str, error: Exception) -> NoReturn:
    if isinstance(error, grpc.aio.AbortError):
        raise error
    if isinstance(error, WigwagError):
        await _abort(context, grpc.StatusCode[grpc_status(error)], str(error))
    logger.error("call failed", method=method, exc_info=error)
    await _abort(context, grpc.StatusCode.INTERNAL, "an internal error; the log has the details")
