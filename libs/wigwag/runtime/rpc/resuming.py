"""Streams of responses that go on where they stopped when the connection was lost."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

import grpc
import grpc.aio

from .channel import service_error

Response = TypeVar("Response", covariant=True)

_FINAL = frozenset(
    {
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.OUT_OF_RANGE,
    }
)


class ResponseStream(Protocol[Response]):
    """A call whose responses are read."""

    def __aiter__(self) -> AsyncIterator[Response]:
        """Yield them."""

    def cancel(self) -> bool:
        """End the call."""


def own_cancellation() -> bool:
    """Tell whether the running task is being cancelled; a call that was cancelled raises the same error."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def is_final(error: grpc.aio.AioRpcError) -> bool:
    """Tell whether the same call would fail again."""
    return error.code() in _FINAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How long to wait before connecting again, in seconds; doubled each time, less up to half by chance."""

    first: float = 0.1
    longest: float = 5.0
    chance: Callable[[], float] = random.random

    def delays(self) -> Iterator[float]:
        """Yield one after the other, without end."""
        delay = self.first
        while True:
            yield delay * (1 - self.chance() / 2)
            delay = min(delay * 2, self.longest)


async def resumed(
    open_call: Callable[[str], ResponseStream[Response]],
    token_of: Callable[[Response], str],
    *,
    token: str = "",
    backoff: Backoff | None = None,
) -> AsyncIterator[Response]:
    """Yield the responses of a call that is opened again, with the last resume token, whenever it ends.

    Args:
        open_call: Opens the call at a resume token; the empty one stands for the beginning.
        token_of: Returns the resume token that a response carries; empty: none, the one before holds.
        token: Where to begin.
        backoff: Between two attempts; begins anew when a response has come.

    Raises:
        ServiceError: The peer refuses for a reason that will not go away.
    """
    backoff = backoff or Backoff()
    delays = backoff.delays()
    while True:
        call = open_call(token)
        try:
            async for response in call:
                token = token_of(response) or token
                delays = backoff.delays()
                yield response
        except grpc.aio.AioRpcError as error:
            if is_final(error):
                raise service_error(error) from error
        except asyncio.CancelledError:
            if own_cancellation():
                raise
        finally:
            call.cancel()
        await asyncio.sleep(next(delays))
