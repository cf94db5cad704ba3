"""The states of a message and the changes between them: pure rules, one table.

Theory of operation. A message begins as accepted and leaves that state once. What it becomes then is final; only
``delivered`` is still refined to ``displayed``, which says more of the same truth. ``unconfirmed`` is final too: both
sides were told that the message may have arrived, at a moment that the specification of its channel fixes (Expires, or
the time after which silence counts); telling them something else later would be a second final state. A truth that
comes too late is refused with the state that stands, so that its bearer can count it.

Since nothing but the table changes a state, and each change raises the version by one, (state, version) determines all
states that the message had before: an event that was not published in time is made from the row as it is now.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final


class State(Enum):
    """What is known about a message (DESIGN.md section 6)."""

    ACCEPTED = "accepted"
    """Durable here, without an outcome."""
    DELIVERED = "delivered"
    """The receiver said so."""
    DISPLAYED = "displayed"
    """The receiver said that it was shown to somebody."""
    FAILED = "failed"
    """Refused, or provably never sent."""
    UNCONFIRMED = "unconfirmed"
    """It may have arrived."""
    EXPIRED = "expired"
    """Its time ran out, and no attempt to deliver it can have arrived."""


TRANSITIONS: Final[Mapping[State, Mapping[State, str]]] = {
    State.ACCEPTED: {
        State.DELIVERED: "the receiver has it",
        State.DISPLAYED: "the receiver showed it",
        State.FAILED: "refused, or never sent",
        State.UNCONFIRMED: "an attempt's outcome did not come in time",
        State.EXPIRED: "its time ran out without an attempt",
    },
    State.DELIVERED: {State.DISPLAYED: "the receiver showed it"},
}
"""State -> what it may become, and when."""

FINAL: Final = frozenset(State) - {State.ACCEPTED}
"""Both sides are told these."""
FIRST_VERSION: Final = 1
"""Version of a message that was just accepted."""


def may_become(present: State, wanted: State) -> bool:
    """Tell whether the table allows the change."""
    return wanted in TRANSITIONS.get(present, {})


def overdue_state(doubts: int) -> State:
    """Return what an accepted message becomes when its time has come.

    Args:
        doubts: Attempts whose outcome is not known; each of them may have delivered it.
    """
    return State.UNCONFIRMED if doubts else State.EXPIRED


def history(state: State, version: int) -> tuple[State, ...]:
    """Return the state at each version from the first to ``version``, which has ``state``.

    Raises:
        ValueError: No path through the table is so long.
    """
    found = _path(State.ACCEPTED, state, version - FIRST_VERSION)
    if found is None:
        raise ValueError(f"no message is {state.value} at version {version}")
    return found


def _path(start: State, end: State, steps: int) -> tuple[State, ...] | None:
    if steps == 0:
        return (start,) if start is end else None
    for following in TRANSITIONS.get(start, {}):
        rest = _path(following, end, steps - 1)
        if rest is not None:
            return (start, *rest)
    return None


def picture() -> str:
    """Return the table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", f"    [*] --> {State.ACCEPTED.value}: written and committed"]
    for state, following in TRANSITIONS.items():
        lines += [f"    {state.value} --> {wanted.value}: {when}" for wanted, when in following.items()]
    lines += [f"    {state.value} --> [*]" for state in State if state in FINAL]
    return "\n".join(lines)
