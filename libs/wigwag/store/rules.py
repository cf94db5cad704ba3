"""What the store decides, as pure functions; ``redis/scripts`` says it again in Lua, a test holds the two together."""

from dataclasses import replace
from typing import Final

from . import MARGIN, Lease, RecordState, SessionRecord

LEASE_REMEMBERED: Final = 86_400.0
"""Seconds after its end for which a lease's token is known, so that the next one is higher even by a clock set back."""


def is_live(expires_at: float, now: float) -> bool:
    """Whether something that expires then still counts as there."""
    return expires_at + MARGIN > now


def next_epoch(previous: int, now: float) -> int:
    """Return the epoch or token after ``previous``: the wall clock in milliseconds, but never lower than what was."""
    return max(previous + 1, int(now * 1000))


def is_lapsed(
    current: SessionRecord, pod: str, now: float, *, resume_window: float, dead_since: float | None = None
) -> bool:
    """Whether the session has been without its client for too long to be resumed by ``pod``."""
    if current.state is RecordState.SUSPENDED:
        since = current.suspended_at
    elif dead_since is not None and current.pod != pod:
        since = dead_since
    else:
        return False
    # A clock that was set back must not make a window of 0 one that is open.
    return max(0.0, now - since) >= resume_window


def is_fenced(current: SessionRecord | None, wanted: SessionRecord) -> bool:
    """Whether a claim comes too late: a later owner's token has been seen, whatever became of its connection."""
    return current is not None and current.fencing_token > wanted.fencing_token


def claimed(current: SessionRecord | None, wanted: SessionRecord, now: float) -> SessionRecord:
    """Return the record after a claim."""
    known = wanted.epoch if current is None else max(current.epoch, wanted.epoch)
    kept = wanted if current is None else current
    return replace(
        wanted,
        uri=kept.uri,
        created=kept.created,
        epoch=next_epoch(known, now),
        state=RecordState.ACTIVE,
        suspended_at=0.0,
    )


def takes_over(current: SessionRecord | None, wanted: SessionRecord) -> bool:
    """Whether a claim takes the session from another pod or connection."""
    return current is not None and (current.pod, current.connection) != (wanted.pod, wanted.connection)


def held_until(until: float, seconds: float, now: float) -> float:
    """Return when a lease of ``seconds`` runs out: never later than that from now, should the clock be set back."""
    return min(until, now + seconds)


def leased(previous: Lease | None, name: str, holder: str, now: float, *, until: float) -> Lease | None:
    """Return the lease that ``holder`` gets, the one he has, or None when another holds it.

    Args:
        previous: What was given last.
        name: The lease's name.
        holder: Who asks.
        now: Wall clock.
        until: When ``previous`` runs out, as ``held_until`` returns it.
    """
    if previous is None or until <= now:
        return Lease(name, holder, next_epoch(previous.token if previous else 0, now))
    return previous if previous.holder == holder else None
