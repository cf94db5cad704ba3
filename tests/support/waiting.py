"""Waiting in tests: for a condition, with a deadline, never for a span of time."""

import asyncio
from collections.abc import Callable


async def until(predicate: Callable[[], object], timeout: float = 20.0) -> None:
    """Return as soon as ``predicate`` is true.

    Raises:
        AssertionError: It was not within ``timeout`` seconds.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while not predicate():
        if loop.time() > deadline:
            raise AssertionError(f"still not true after {timeout} s: {predicate}")
        await asyncio.sleep(0.002)
