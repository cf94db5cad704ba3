"""A question asked of somebody else's HTTP service: JSON there, JSON back, bounded in time, size and repetition."""

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import httpx

from wigwag.errors import ServiceError

LARGEST_ANSWER = 65_536
"""Bytes of an answer's body."""
LARGEST_CACHE = 10_000
"""Answers kept."""

Answer = Mapping[str, Any] | None
"""A JSON object, or None for 404: nothing is known."""


class HookError(ServiceError):
    """The service did not give a usable answer; the text says why."""


class HttpHook:
    """Asks one URL.

    Args:
        url: Where to POST.
        timeout: Seconds for the whole exchange.
        cache: Seconds for which an answer, also a 404, is kept; 0: never.
        token: Sent as bearer token, if any.
        now: The clock of the cache.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 2.0,
        cache: float = 0.0,
        token: str | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._timeout = timeout
        self._keep = cache
        self._now = now
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.AsyncClient(headers=headers, follow_redirects=False, timeout=timeout, trust_env=False)
        self._cache: OrderedDict[str, tuple[float, Answer]] = OrderedDict()
        self._asking: dict[str, asyncio.Future[Answer]] = {}

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def ask(self, question: Mapping[str, Any]) -> Answer:
        """Return the answer to ``question``; equal questions at the same time are asked once.

        Raises:
            HookError: There is none: refused, too late, too long, or not a JSON object.
        """
        key = json.dumps(question, sort_keys=True)
        kept = self._cache.get(key)
        if kept is not None and self._now() < kept[0]:
            return kept[1]
        if key not in self._asking:
            self._asking[key] = asyncio.ensure_future(self._ask(key))
            self._asking[key].add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(self._asking[key])

    async def _ask(self, key: str) -> Answer:
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._exchange(key)
        except TimeoutError:
            raise HookError(f"no answer within {self._timeout:g} s") from None
        except httpx.HTTPError as error:
            raise HookError(str(error) or type(error).__name__) from error
        if self._keep:
            self._cache[key] = (self._now() + self._keep, answer)
            self._cache.move_to_end(key)
            while len(self._cache) > LARGEST_CACHE:
                self._cache.popitem(last=False)
        return answer

    async def _exchange(self, body: str) -> Answer:
        headers = {"Content-Type": "application/json"}
        async with self._client.stream("POST", self._url, content=body, headers=headers) as response:
            if response.status_code == httpx.codes.NOT_FOUND:
                return None
            if response.status_code != httpx.codes.OK:
                raise HookError(f"answered {response.status_code}")
            octets = b""
            async for piece in response.aiter_bytes():
                octets += piece
                if len(octets) > LARGEST_ANSWER:
                    raise HookError(f"the answer is longer than {LARGEST_ANSWER} bytes")
        try:
            answer = json.loads(octets)
        except ValueError as error:
            raise HookError("the answer is not JSON") from error
        if not isinstance(answer, dict):
            raise HookError("the answer is not a JSON object")
        return answer
