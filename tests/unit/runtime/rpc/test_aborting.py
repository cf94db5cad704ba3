"""A status for a caller who has gone in that moment is nobody's error."""

import asyncio
from typing import Any, NoReturn

import grpc
import pytest
from structlog.testing import capture_logs

from wigwag.errors import NotFoundError
from wigwag.runtime.rpc.supervision import _fail


class Context:
    """A call whose caller has gone, which the library finds out when it writes."""

    async def abort(self, status: grpc.StatusCode, text: str) -> NoReturn:
        raise RuntimeError('Failed "execute_batch"')


async def test_handler_whose_caller_has_gone_ends_as_if_it_were_cancelled() -> None:
    context: Any = Context()
    with capture_logs() as logs, pytest.raises(asyncio.CancelledError):
        await _fail(context, "/Service/Method", NotFoundError("nothing"))
    assert [entry["log_level"] for entry in logs] == ["debug"]
