"""What many ask for one by one is looked up together."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final, Generic, TypeVar

Found = TypeVar("Found")

MOST: Final = 500
"""Keys of one look-up, unless told otherwise."""


class Lookups(Generic[Found]):
    """Looks keys up, all that are asked for meanwhile in one step.

    Theory of operation. After a kill hundreds of messages wait for the owners of as many sessions, and a look-up for
    each would keep everything else waiting, not least what would give those sessions an owner. The first look-up
    begins at once; what is asked for while one is under way makes the next. So an answer is never older than the
    question.

    Args:
        look: Returns what there is under keys, at most ``most`` of them and no two the same; its error is that of all
            who asked.
        most: Keys of one look-up.
    """

    def __init__(self, look: Callable[[Sequence[str]], Awaitable[Mapping[str, Found]]], *, most: int = MOST) -> None:
        self._look = look
        self._most = most
        self._waiting: dict[str, asyncio.Future[Found | None]] = {}
        self._looking: asyncio.Task[None] | None = None

    async def find(self, key: str) -> Found | None:
        """Return what stands under a key, or None; raises what the look-up raises."""
        future = self._waiting.get(key)
        if future is None:
            future = self._waiting[key] = asyncio.get_running_loop().create_future()
        if self._looking is None:
            self._looking = asyncio.create_task(self._work())
        # Others may wait for the same.
        return await asyncio.shield(future)

    async def _work(self) -> None:
        try:
            while self._waiting:
                keys = list(self._waiting)[: self._most]
                await self._answer({key: self._waiting.pop(key) for key in keys})
        finally:
            self._looking = None

    async def _answer(self, asked: "Mapping[str, asyncio.Future[Found | None]]") -> None:
        try:
            found = await self._look(list(asked))
        except BaseException as error:
            _fail(asked.values(), error)
            if not isinstance(error, Exception):
                raise
            return
        for key, future in asked.items():
            future.set_result(found.get(key))


def _fail(futures: "Iterable[asyncio.Future[Found | None]]", error: BaseException) -> None:
    for future in futures:
        if isinstance(error, Exception):
            future.set_exception(error)
            future.exception()  # whoever asked may have gone
        else:
            future.cancel()
