"""Questions to an operator's HTTP service: one JSON object out, one JSON object or "not known" back.

Theory of operation. The same question asked again while it is under way joins the first one; asked again within the
cache's time it is answered from there, whether the answer was an object or "not known". Failures are never kept.
Everything that the service could do to us has a bound: the whole exchange in time, the answer in bytes, the cache in
entries, the questions under way in number.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, Self

import httpx

from wigwag.errors import ConfigurationError, WigwagError

MAX_ANSWER: Final = 65_536
"""Bytes of an answer above which it is refused."""
MAX_CACHED: Final = 10_000
"""Answers kept; above it the oldest goes."""
MAX_UNDER_WAY: Final = 1_000
"""Questions under way above which new ones are refused at once."""
MAX_CONNECTIONS: Final = 50

Answer = Mapping[str, Any]


class HookError(WigwagError):
    """The service gave no answer that can be used; the parent of the reasons."""


class HookTimeoutError(HookError):
    """The service did not answer in time."""


class HookUnreachableError(HookError):
    """The service could not be reached, or ended the connection."""


class HookAnswerError(HookError):
    """The service's answer has another status than 200 and 404, is too large, or is not a JSON object."""


class HookOverloadedError(HookError):
    """Too many questions are under way already."""


class HttpHook:
    """An HTTP service that is asked by POST; ``async with`` opens it.

    Args:
        url: ``http://`` or ``https://``; redirects are not followed.
        timeout: Seconds for a whole exchange, more than 0.
        cache: Seconds for which an answer is kept; 0: never.
        token: Sent as bearer token.
        clock: Monotonic seconds.

    Raises:
        ConfigurationError: The URL is not one.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float,
        cache: float,
        token: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = _checked(url)
        self._timeout = timeout
        self._cache_time = cache
        self._token = token
        self._clock = clock
        self._client: httpx.AsyncClient | None = None
        self._cached: dict[str, tuple[float, Answer | None]] = {}
        """Until when an answer holds; all hold equally long, so the oldest is the first."""
        self._under_way: dict[str, asyncio.Task[Answer | None]] = {}

    async def __aenter__(self) -> Self:
        """Open; no connection is made before the first question."""
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "wigwag"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        self._client = httpx.AsyncClient(
            headers=headers,
            timeout=self._timeout,
            follow_redirects=False,
            limits=httpx.Limits(max_connections=MAX_CONNECTIONS),
            trust_env=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give up what is under way and close."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._client is not None:
            client, self._client = self._client, None
            await client.aclose()

    async def ask(self, question: Answer) -> Answer | None:
        """Ask, or return what was answered a moment ago.

        Args:
            question: What JSON can express.

        Returns:
            The object of a 200, None for a 404. It may be shared with other callers.

        Raises:
            HookError: One of its kinds: there is no usable answer.
        """
        key = json.dumps(question, sort_keys=True)
        self._forget_old()
        if key in self._cached:
            return self._cached[key][1]
        task = self._under_way.get(key)
        if task is None:
            task = self._begin(key)
        # One caller that gives up must not take the answer from the others.
        return await asyncio.shield(task)

    def _begin(self, key: str) -> asyncio.Task[Answer | None]:
        if len(self._under_way) >= MAX_UNDER_WAY:
            raise HookOverloadedError(f"{self._place()}: too many questions under way")
        task = asyncio.create_task(self._exchange(key))
        self._under_way[key] = task
        task.add_done_callback(lambda done: self._end(key, done))
        return task

    def _end(self, key: str, task: asyncio.Task[Answer | None]) -> None:
        del self._under_way[key]
        if not task.cancelled() and task.exception() is None and self._cache_time > 0:
            self._cached[key] = (self._clock() + self._cache_time, task.result())

    def _forget_old(self) -> None:
        now = self._clock()
        while self._cached:
            oldest = next(iter(self._cached))
            if len(self._cached) <= MAX_CACHED and self._cached[oldest][0] > now:
                return
            del self._cached[oldest]

    async def _exchange(self, body: str) -> Answer | None:
        if self._client is None:
            raise HookUnreachableError(f"{self._place()}: the hook is not open")
        request = self._client.build_request(
            "POST", self._url, content=body.encode(), headers={"Content-Type": "application/json"}
        )
        try:
            # httpx's own timeouts are for single steps: a service that sends a byte a second would pass them all.
            async with asyncio.timeout(self._timeout):
                response = await self._client.send(request, stream=True)
                try:
                    return await self._read(response)
                finally:
                    await response.aclose()
        except (TimeoutError, httpx.TimeoutException) as error:
            raise HookTimeoutError(f"{self._place()}: no answer within {self._timeout:g} s") from error
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise HookUnreachableError(f"{self._place()}: {str(error) or type(error).__name__}") from error

    async def _read(self, response: httpx.Response) -> Answer | None:
        if response.status_code not in (httpx.codes.OK, httpx.codes.NOT_FOUND):
            raise HookAnswerError(f"{self._place()}: answered {response.status_code}")
        if response.headers.get("Content-Encoding", "identity") != "identity":
            # A few compressed bytes may stand for gigabytes.
            raise HookAnswerError(f"{self._place()}: compressed answer, although identity was asked for")
        content = bytearray()
        # Read whatever the status is: only then the connection can be used again.
        async for piece in response.aiter_raw():
            content += piece
            if len(content) > MAX_ANSWER:
                raise HookAnswerError(f"{self._place()}: answer larger than {MAX_ANSWER} bytes")
        return None if response.status_code == httpx.codes.NOT_FOUND else self._object(bytes(content))

    def _object(self, content: bytes) -> Answer:
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise HookAnswerError(f"{self._place()}: answer is not JSON") from error
        if not isinstance(answer, dict):
            raise HookAnswerError(f"{self._place()}: answer is not a JSON object")
        return answer

    def _place(self) -> str:
        return f"hook at {self._url.host}"


def _checked(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError) as error:
        raise ConfigurationError("hook url: not a URL") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ConfigurationError("hook url: has to begin with http:// or https:// and a host")
    return parsed
