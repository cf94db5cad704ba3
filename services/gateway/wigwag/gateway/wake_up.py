"""Tells an operator's service that a message waits for an absent user, so that it may wake his device."""

from collections import Counter
from typing import Final

import structlog

from wigwag.runtime.http_hook import HookError, HttpHook

TIMEOUT: Final = 5.0
"""Seconds for a question."""
QUIET: Final = 60.0
"""Seconds for which the same user is not asked for again."""

logger = structlog.get_logger("wigwag.gateway")


class WakeUp:
    """Asks by POST: ``{"address": "sip:bob@example.com"}``; the answer does not matter.

    Args:
        hook: The service; keeps answers for ``QUIET`` seconds.
        counters: Counts ``told`` and ``failed``.
    """

    def __init__(self, hook: HttpHook, counters: Counter[str]) -> None:
        self._hook = hook
        self._counters = counters

    async def __call__(self, recipient: str) -> None:
        """Tell that something waits for somebody; never fails."""
        try:
            await self._hook.ask({"address": recipient})
            self._counters["told"] += 1
        except HookError as error:
            self._counters["failed"] += 1
            logger.warning("a user could not be woken", reason=str(error))
