"""The applications that are parts of Wigwag: the gateway between SIP MESSAGE and MSRP."""

from collections.abc import Sequence
from typing import Final

from wigwag.runtime.agents import GATEWAY
from wigwag.ua.config import BuiltInApplication

ANSWER_TIMEOUT: Final = 20.0
"""Seconds in which the gateway has to know what becomes of a call."""
WEEK: Final = 604_800.0
"""Seconds for which messages wait at most."""
_EVERYTHING: Final = ("*",)


def gateway_application(
    *,
    idle_timeout: float,
    max_duration: float,
    message_bytes: int | None = None,
    accept_types: Sequence[str] = _EVERYTHING,
    message_expires: float = WEEK,
) -> BuiltInApplication:
    """Return the gateway as the user agent knows it.

    Args:
        idle_timeout: Seconds without a message either way, after which its sessions end; 0: never.
        max_duration: Seconds that they last at most; 0: no limit.
        message_bytes: Octets of the largest message that it takes.
        accept_types: Media types that it takes.
        message_expires: Seconds for which messages wait.
    """
    return BuiltInApplication(
        name=GATEWAY,
        answer="ask",
        answer_timeout=ANSWER_TIMEOUT,
        fallback="reject",
        reject_status=480,
        accept_types=tuple(accept_types),
        accept_wrapped_types=_EVERYTHING,
        content="as_is",
        reports="application",
        calls_as_anyone=True,
        idle_timeout=idle_timeout,
        max_duration=max_duration,
        message_expires=message_expires,
        outcome_timeout=60.0,
        message_bytes=message_bytes,
    )
