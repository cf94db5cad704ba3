"""What may be done to a message of the ledger, and whether it may: values in, values out.

Theory of operation. A message that waits is *claimed* for each attempt to deliver it, with the fencing token of its
claimant. From then on its outcome is in doubt: the bytes may be on the wire. The doubt ends with a change of state, or
when the claimant gives the message back because this attempt provably had no effect. Doubts of other attempts stay.
When ``due`` has come, the message becomes unconfirmed if there is a doubt, else expired.
"""

import math
from typing import Final, NamedTuple, assert_never

import msgspec

from wigwag.errors import ConflictError

from .messages import LONGEST, Refusal, Verdict, check_claim
from .states import FIRST_VERSION, State, may_become, overdue_state

LARGEST_STATUS: Final = 2**31 - 1


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Compare and set: give the message another state if it still has this version."""

    id: str
    version: int
    """The version that the caller knows."""
    state: State
    """What it is to become."""
    token: int | None = None
    """The caller's fencing token; None: the news does not depend on who owns the message (an IMDN)."""
    status: int | None = None
    """Protocol status, kept from the change that leaves ``accepted``."""
    reason: str = ""


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """Begin an attempt to deliver the message."""

    id: str
    owner: str
    token: int
    """Fencing token: a lower one than the last is refused, and so is an equal one of somebody else."""
    until: float | None = None
    """Seconds since 1970 when its outcome counts as unknown; None: after the ledger's own timeout."""
    attempts: int | None = None
    """Attempts that the caller knows of, all over: refused if there is another; None: this one supersedes it."""


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """Give the message back: this attempt provably had no effect, another one may follow."""

    id: str
    token: int
    attempt: int
    """As the claim's verdict said: a second release must not clear the doubt that another attempt left."""


class Postpone(msgspec.Struct, frozen=True, kw_only=True):
    """Wait longer for the outcome, such as for the IMDN after a 202."""

    id: str
    token: int
    attempt: int
    """As the claim's verdict said."""
    until: float
    """Seconds since 1970, such as the message's ``expires``."""


class EndOverdue(msgspec.Struct, frozen=True, kw_only=True):
    """End the message if its time has run out; what the sweep does."""

    id: str


Edit = Change | Claim | Release | Postpone | EndOverdue


def check_edit(edit: Edit) -> None:
    """Refuse what the table can't hold, before its neighbours in a batch have to suffer.

    Raises:
        ConflictError: A value is out of its range; the text names it.
    """
    match edit:
        case Claim(owner=owner, token=token, until=until):
            check_claim(owner, token)
            _check_until(until)
        case Postpone(until=until):
            _check_until(until)
        case Change(status=int(status)) if not 0 <= status <= LARGEST_STATUS:
            raise ConflictError(f"the status is not between 0 and {LARGEST_STATUS}")
        case _:
            pass


def _check_until(until: float | None) -> None:
    if until is not None and not math.isfinite(until):
        raise ConflictError("the outcome would be waited for without an end")


class Standing(NamedTuple):
    """The part of a row that edits read and write; the names are the columns'."""

    position: int
    state: State
    version: int
    attempt: int
    owner: str
    token: int
    doubts: int
    updated: float
    settled: float | None
    expires: float
    due: float
    event_pending: bool
    status: int | None
    reason: str


def verdict(message_id: str, standing: Standing | None, refusal: Refusal | None) -> Verdict:
    """Return the verdict on an edit that left the row like this."""
    if standing is None:
        return Verdict(message_id, refusal)
    return Verdict(message_id, refusal, standing.state, standing.version, standing.attempt)


def judge(edit: Edit, row: Standing, now: float, outcome_timeout: float) -> Standing | Refusal:
    """Return the row as the edit makes it, or why it may not.

    Args:
        edit: What is asked for.
        row: The row, locked.
        now: Seconds since 1970.
        outcome_timeout: Seconds after a claim until its outcome counts as unknown.
    """
    match edit:
        case Change():
            return _changed(edit, row, now)
        case Claim():
            return _claimed(edit, row, now, outcome_timeout)
        case Release():
            return _released(edit, row, now)
        case Postpone():
            return _postponed(edit, row, now)
        case EndOverdue():
            return _ended(row, now)
        case _:
            assert_never(edit)


def _changed(edit: Change, row: Standing, now: float) -> Standing | Refusal:
    if edit.version != row.version:
        return Refusal.VERSION
    if not may_become(row.state, edit.state):
        return Refusal.TRANSITION
    if edit.token is not None and edit.token < row.token:
        return Refusal.FENCED
    return _with_state(row, edit.state, now, edit.status, edit.reason)


def _claimed(edit: Claim, row: Standing, now: float, outcome_timeout: float) -> Standing | Refusal:
    if row.state is not State.ACCEPTED:
        return Refusal.TRANSITION
    if edit.token < row.token or (edit.token == row.token and row.owner not in ("", edit.owner)):
        return Refusal.FENCED
    if edit.attempts is not None and (row.owner or edit.attempts != row.attempt):
        return Refusal.FENCED
    if row.expires <= now:
        return Refusal.LATE
    return row._replace(
        attempt=row.attempt + 1,
        owner=edit.owner,
        token=edit.token,
        doubts=row.doubts + 1,
        due=now + outcome_timeout if edit.until is None else edit.until,
        updated=now,
    )


def _released(edit: Release, row: Standing, now: float) -> Standing | Refusal:
    refusal = _not_under_way(row, edit.token, edit.attempt)
    if refusal is not None:
        return refusal
    doubts = row.doubts - 1
    return row._replace(owner="", doubts=doubts, due=row.due if doubts else row.expires, updated=now)


def _postponed(edit: Postpone, row: Standing, now: float) -> Standing | Refusal:
    refusal = _not_under_way(row, edit.token, edit.attempt)
    return refusal or row._replace(due=max(row.due, edit.until), updated=now)


def _not_under_way(row: Standing, token: int, attempt: int) -> Refusal | None:
    """Only its owner may speak for an attempt, and only while it is under way."""
    if row.state is not State.ACCEPTED:
        return Refusal.TRANSITION
    if token != row.token or attempt != row.attempt:
        return Refusal.FENCED
    return None if row.owner else Refusal.TRANSITION


def _ended(row: Standing, now: float) -> Standing | Refusal:
    if row.state is not State.ACCEPTED:
        return Refusal.TRANSITION
    if row.due > now:
        return Refusal.EARLY
    return _with_state(row, overdue_state(row.doubts), now, None, "")


def _with_state(row: Standing, state: State, now: float, status: int | None, reason: str) -> Standing:
    if row.version != FIRST_VERSION:
        # The outcome's own status and words stay: events of both versions are made from this row.
        status, reason = row.status, row.reason
    return row._replace(
        state=state,
        version=row.version + 1,
        updated=now,
        settled=now if row.settled is None else row.settled,
        due=now,
        event_pending=True,
        status=status,
        reason=_storable(reason),
    )


def _storable(reason: str) -> str:
    """Return a peer's words as the column takes them: an outcome must not be lost for them."""
    return "".join(letter if letter.isprintable() else "?" for letter in reason[: LONGEST["reason"]]).strip()
