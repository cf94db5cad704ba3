from collections.abc import AsyncIterator, Sequence
from itertools import islice

import grpc
import grpc.aio
import pytest

from wigwag.errors import InvalidRequestError
from wigwag.runtime.rpc import Backoff, resumed

FAST = Backoff(first=0.0, longest=0.0)


def failure(code: grpc.StatusCode) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), "why", "")


class Call:
    """Yields responses, then ends as told."""

    def __init__(self, responses: Sequence[str], end: grpc.StatusCode | None) -> None:
        self.responses = responses
        self.end = end
        self.cancelled = False

    async def __aiter__(self) -> AsyncIterator[str]:
        for response in self.responses:
            yield response
        if self.end is not None:
            raise failure(self.end)

    def cancel(self) -> bool:
        self.cancelled = True
        return True


async def test_a_stream_goes_on_from_the_last_token_that_was_seen() -> None:
    calls = [Call(["1", "2"], grpc.StatusCode.UNAVAILABLE), Call([], None), Call(["", "3"], None), Call(["4"], None)]
    tokens, seen = [], []

    def open_call(token: str) -> Call:
        tokens.append(token)
        return calls[len(tokens) - 1]

    async for response in resumed(open_call, lambda response: response, token="0", backoff=FAST):
        seen.append(response)
        if response == "4":
            break
    assert seen == ["1", "2", "", "3", "4"]
    assert tokens == ["0", "2", "2", "3"]
    assert all(call.cancelled for call in calls[:3])


async def test_a_refusal_that_will_not_go_away_is_raised() -> None:
    with pytest.raises(InvalidRequestError, match="INVALID_ARGUMENT: why"):
        async for _ in resumed(lambda token: Call([], grpc.StatusCode.INVALID_ARGUMENT), str, backoff=FAST):
            pass


def test_delays_double_up_to_the_longest() -> None:
    assert list(islice(Backoff(first=1.0, longest=5.0, chance=lambda: 0.0).delays(), 5)) == [1, 2, 4, 5, 5]
    assert list(islice(Backoff(first=1.0, longest=5.0, chance=lambda: 1.0).delays(), 3)) == [0.5, 1, 2]
