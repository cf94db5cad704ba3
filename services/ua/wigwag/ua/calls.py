"""Counts what applications ask for, by use case and outcome; over which interface they do makes no difference."""

import functools
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from wigwag.errors import WigwagError
from wigwag.runtime.error_table import grpc_status

from .ports import Outcome

OK = "OK"
_FAULT = "INTERNAL"


class _Counting(Protocol):
    calls: "Counter[tuple[str, str]]"


Method = TypeVar("Method", bound=Callable[..., Awaitable[Any]])


def counted(method: Method) -> Method:
    """Count calls of a method in its object's ``calls``: by its name and the gRPC status that it amounts to."""
    name = method.__name__

    @functools.wraps(method)
    async def call(self: _Counting, *arguments: Any) -> Any:
        status = _FAULT
        try:
            result = await method(self, *arguments)
            status = OK
            return result
        except WigwagError as error:
            status = grpc_status(error)
            raise
        finally:
            self.calls[name, status] += 1

    return call  # type: ignore[return-value]


def count_outcomes(calls: "Counter[tuple[str, str]]", name: str, outcomes: list[Outcome]) -> None:
    """Count each message of a call by itself: calls of a stream say nothing."""
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    calls[name, OK] += len(outcomes) - len(errors)
    for error in errors:
        calls[name, grpc_status(error) if isinstance(error, WigwagError) else _FAULT] += 1
