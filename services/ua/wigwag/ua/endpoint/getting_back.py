"""Getting a lost connection back: again and again, for a while."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from wigwag.errors import WigwagError

_FIRST_WAIT: Final = 0.1
_LONGEST_WAIT: Final = 2.0
_GIVE_UP: Final = 60.0
"""Seconds of trying to get a connection back: as long as a relay keeps a lost session (DESIGN.md section 4)."""


async def get_back(
    connect: Callable[[], Awaitable[None]],
    *,
    turn: AbstractAsyncContextManager[Any],
    wanted: Callable[[], bool],
    is_final: Callable[[WigwagError], bool],
) -> WigwagError | None:
    """Connect, however often it takes.

    Args:
        connect: Tries once.
        turn: Held during each try; waiting for it is no trying.
        wanted: Whether a connection is wanted still.
        is_final: Whether trying again is of no use after an error.

    Returns:
        Why there is no connection; None: there is one, or none is wanted any more.
    """
    loop = asyncio.get_running_loop()
    tried, wait = 0.0, _FIRST_WAIT
    problem: WigwagError | None = None
    while wanted():
        try:
            async with turn:
                began = loop.time()
                if wanted():
                    await connect()
        except WigwagError as error:
            problem = error
            if is_final(error):
                return problem
        else:
            return None
        tried += loop.time() - began + wait
        if tried >= _GIVE_UP:
            return problem
        await asyncio.sleep(wait)
        wait = min(wait * 2, _LONGEST_WAIT)
    return None
