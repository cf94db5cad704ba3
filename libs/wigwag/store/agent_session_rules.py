"""What the store decides about the user agent's sessions, as pure functions; ``redis/scripts`` says it again in Lua."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from wigwag.errors import ConflictError

from .agent_sessions import LONGEST_LEASE, MOST_CONTENT, MOST_LISTED, AgentSession
from .fencing import FencedError, MissingError
from .rules import is_live, next_epoch

KEPT_FOR_SWEEP: Final = 3_600.0
"""Seconds for which a server keeps what has expired, so that who tidies up sees all that has to go with it."""


@dataclass(frozen=True, slots=True)
class Held:
    """A session and the seconds that its lease was given for."""

    session: AgentSession
    seconds: float


def check_content(content: bytes) -> None:
    """Refuse what is too long.

    Raises:
        ConflictError: It is.
    """
    if len(content) > MOST_CONTENT:
        raise ConflictError(f"a session's content is longer than {MOST_CONTENT} bytes")


def page_size(limit: int) -> int:
    """Return how many sessions a page may have."""
    return max(1, min(limit, MOST_LISTED))


def lease_end(now: float, seconds: float) -> float:
    """Return when a lease that begins now runs out, in whole milliseconds."""
    return math.ceil((now + min(seconds, LONGEST_LEASE)) * 1000) / 1000


def is_over(lease_until: float, now: float) -> bool:
    """Whether a lease has run out."""
    return round(lease_until * 1000) <= math.floor(now * 1000)


def in_bounds(held: Held, now: float) -> Held:
    """Return it with a lease that is never later than its term from now, should the clock have been set back."""
    latest = lease_end(now, held.seconds)
    if held.session.lease_until <= latest:
        return held
    return replace(held, session=replace(held.session, lease_until=latest))


def created(session: AgentSession, lease: float, now: float) -> Held:
    """Return a session that nobody has written before."""
    token = next_epoch(session.token, now)
    return Held(replace(session, token=token, lease_until=lease_end(now, lease), ended=False), lease)


def claimed(held: Held, pod: str, lease: float, dead: Sequence[str], now: float) -> Held | None:
    """Return it as ``pod`` owns it; None when it may not have it."""
    session = held.session
    is_free = session.pod in ("", pod, *dead) or is_over(session.lease_until, now)
    if session.ended or not is_free:
        return None
    token = next_epoch(session.token, now)
    return Held(replace(session, pod=pod, token=token, lease_until=lease_end(now, lease)), lease)


def renewed(held: Held, pod: str, token: int, lease: float, now: float) -> Held | None:
    """Return it with a new lease; None when it is the caller's no more."""
    session = held.session
    if session.ended or session.token > token or (session.token == token and session.pod != pod):
        return None
    return Held(replace(session, pod=pod, token=token, lease_until=lease_end(now, lease)), lease)


def fenced(held: Held | None, session_id: str, token: int, *, ended: bool) -> Held:
    """Return the session that the caller may write.

    Args:
        held: What there is.
        session_id: Its id.
        token: The caller's.
        ended: Whether one that has ended may be written too.

    Raises:
        MissingError, FencedError: The caller may not.
    """
    if held is None:
        raise MissingError(f"session {session_id} is gone")
    if held.session.token > token:
        raise FencedError(f"session {session_id} has token {held.session.token}, not {token}")
    if held.session.ended and not ended:
        raise FencedError(f"session {session_id} has ended")
    return held


def released(held: Held, token: int, now: float) -> Held:
    """Return it as it stands when its owner gives it back."""
    session = held.session
    if session.ended or session.token > token or not session.pod:
        return held
    until = min(session.lease_until, math.floor(now * 1000) / 1000)
    return replace(held, session=replace(session, pod="", token=token, lease_until=until))


def ended(held: Held, token: int, content: bytes, expires_at: float) -> Held:
    """Return it as it is over."""
    session = replace(
        held.session, pod="", token=token, lease_until=0.0, ended=True, content=content, expires_at=expires_at
    )
    return replace(held, session=session)


def put(current: Held | None, session: AgentSession, lease: float, now: float) -> Held | None:
    """Return the caller's session as it is written again; None when it is the caller's no more."""
    if current is not None:
        known = current.session
        is_over_there = known.ended and known.token == session.token and not session.ended
        if known.token > session.token or is_over_there:
            return None
    if session.ended:
        return Held(replace(session, pod="", lease_until=0.0), lease)
    until = lease_end(now, lease) if session.pod else math.floor(now * 1000) / 1000
    return Held(replace(session, lease_until=until), lease)


def is_there(held: Held | None, now: float) -> bool:
    """Whether the session counts as there."""
    return held is not None and is_live(held.session.expires_at, now)
