"""The four transaction machines as tables (RFC 3261 section 17 as corrected by RFC 6026).

Theory of operation. A table says for a state and an event which state follows and which method of the transaction
acts; what is not in the table changes nothing. The tables are not a description but what runs: ``compiled`` turns the
names of the actions into the methods. A timer that the present state has no row for is not running: timers are never
cancelled, they only find nothing to do.
"""

from collections.abc import Callable, Iterator, Mapping
from enum import IntEnum
from typing import Final


class State(IntEnum):
    """States of transactions, named as the RFCs do."""

    CALLING = 0
    TRYING = 1
    PROCEEDING = 2
    COMPLETED = 3
    CONFIRMED = 4
    ACCEPTED = 5
    TERMINATED = 6


class Event(IntEnum):
    """What can happen to a transaction."""

    PROVISIONAL = 0
    FINAL = 1
    SUCCESS = 2
    FAILURE = 3
    REQUEST = 4
    ACK = 5
    CANCEL = 6
    WIRE_LOST = 7
    TIMER_A = 8
    TIMER_B = 9
    TIMER_D = 10
    TIMER_E = 11
    TIMER_F = 12
    TIMER_G = 13
    TIMER_H = 14
    TIMER_I = 15
    TIMER_J = 16
    TIMER_K = 17
    TIMER_L = 18
    TIMER_M = 19
    TIMER_TRYING = 20
    """200 ms after an INVITE came (RFC 3261 section 17.2.1)."""
    TIMER_UNANSWERED = 21
    """64*T1 after a request came that is no INVITE: its client has given up (RFC 4320 section 3)."""
    TIMER_CANCELLED = 22
    """64*T1 after a CANCEL went (RFC 3261 section 9.1)."""


Table = Mapping[tuple[State, Event], tuple[State, str]]
Steps = tuple[tuple[tuple[State, Callable[..., None]] | None, ...], ...]
"""By event, then by state."""

S, E = State, Event

INVITE_CLIENT: Final[Table] = {
    (S.CALLING, E.TIMER_A): (S.CALLING, "send_again"),
    (S.CALLING, E.TIMER_B): (S.TERMINATED, "tell_timeout"),
    (S.CALLING, E.WIRE_LOST): (S.TERMINATED, "tell_wire_failed"),
    (S.CALLING, E.CANCEL): (S.CALLING, "hold_cancel"),
    (S.CALLING, E.PROVISIONAL): (S.PROCEEDING, "proceed"),
    (S.CALLING, E.SUCCESS): (S.ACCEPTED, "accept"),
    (S.CALLING, E.FAILURE): (S.COMPLETED, "acknowledge"),
    (S.PROCEEDING, E.PROVISIONAL): (S.PROCEEDING, "proceed"),
    (S.PROCEEDING, E.CANCEL): (S.PROCEEDING, "send_cancel"),
    (S.PROCEEDING, E.TIMER_CANCELLED): (S.TERMINATED, "tell_timeout"),
    (S.PROCEEDING, E.WIRE_LOST): (S.TERMINATED, "tell_wire_failed"),
    (S.PROCEEDING, E.SUCCESS): (S.ACCEPTED, "accept"),
    (S.PROCEEDING, E.FAILURE): (S.COMPLETED, "acknowledge"),
    (S.COMPLETED, E.FAILURE): (S.COMPLETED, "acknowledge_again"),
    (S.COMPLETED, E.TIMER_D): (S.TERMINATED, "end"),
    (S.ACCEPTED, E.SUCCESS): (S.ACCEPTED, "pass_to_user"),
    (S.ACCEPTED, E.TIMER_M): (S.TERMINATED, "end"),
}
"""RFC 6026 figure 5, and CANCEL (RFC 3261 section 9.1)."""

NON_INVITE_CLIENT: Final[Table] = {
    (S.TRYING, E.TIMER_E): (S.TRYING, "send_again"),
    (S.TRYING, E.TIMER_F): (S.TERMINATED, "tell_timeout"),
    (S.TRYING, E.WIRE_LOST): (S.TERMINATED, "tell_wire_failed"),
    (S.TRYING, E.PROVISIONAL): (S.PROCEEDING, "pass_to_user"),
    (S.TRYING, E.FINAL): (S.COMPLETED, "complete"),
    (S.PROCEEDING, E.TIMER_E): (S.PROCEEDING, "send_again_slowly"),
    (S.PROCEEDING, E.TIMER_F): (S.TERMINATED, "tell_timeout"),
    (S.PROCEEDING, E.WIRE_LOST): (S.TERMINATED, "tell_wire_failed"),
    (S.PROCEEDING, E.PROVISIONAL): (S.PROCEEDING, "pass_to_user"),
    (S.PROCEEDING, E.FINAL): (S.COMPLETED, "complete"),
    (S.COMPLETED, E.TIMER_K): (S.TERMINATED, "end"),
}
"""RFC 3261 figure 6."""

INVITE_SERVER: Final[Table] = {
    (S.PROCEEDING, E.REQUEST): (S.PROCEEDING, "send_last_again"),
    (S.PROCEEDING, E.TIMER_TRYING): (S.PROCEEDING, "send_trying"),
    (S.PROCEEDING, E.PROVISIONAL): (S.PROCEEDING, "send_provisional"),
    (S.PROCEEDING, E.WIRE_LOST): (S.PROCEEDING, "tell_wire_lost"),
    (S.PROCEEDING, E.SUCCESS): (S.ACCEPTED, "accept"),
    (S.PROCEEDING, E.FAILURE): (S.COMPLETED, "refuse"),
    (S.COMPLETED, E.REQUEST): (S.COMPLETED, "send_last_again"),
    (S.COMPLETED, E.TIMER_G): (S.COMPLETED, "retransmit"),
    (S.COMPLETED, E.TIMER_H): (S.TERMINATED, "tell_no_ack"),
    (S.COMPLETED, E.WIRE_LOST): (S.COMPLETED, "tell_wire_lost"),
    (S.COMPLETED, E.ACK): (S.CONFIRMED, "confirm"),
    (S.CONFIRMED, E.TIMER_I): (S.TERMINATED, "end"),
    (S.ACCEPTED, E.SUCCESS): (S.ACCEPTED, "send_success"),
    (S.ACCEPTED, E.ACK): (S.ACCEPTED, "leave_to_user"),
    (S.ACCEPTED, E.WIRE_LOST): (S.ACCEPTED, "tell_wire_lost"),
    (S.ACCEPTED, E.TIMER_L): (S.TERMINATED, "end"),
}
"""RFC 6026 figure 5."""

NON_INVITE_SERVER: Final[Table] = {
    (S.TRYING, E.PROVISIONAL): (S.PROCEEDING, "send_provisional"),
    (S.TRYING, E.FINAL): (S.COMPLETED, "send_final"),
    (S.TRYING, E.WIRE_LOST): (S.TRYING, "tell_wire_lost"),
    (S.TRYING, E.TIMER_UNANSWERED): (S.TERMINATED, "tell_unanswered"),
    (S.PROCEEDING, E.REQUEST): (S.PROCEEDING, "send_last_again"),
    (S.PROCEEDING, E.PROVISIONAL): (S.PROCEEDING, "send_provisional"),
    (S.PROCEEDING, E.FINAL): (S.COMPLETED, "send_final"),
    (S.PROCEEDING, E.WIRE_LOST): (S.PROCEEDING, "tell_wire_lost"),
    (S.PROCEEDING, E.TIMER_UNANSWERED): (S.TERMINATED, "tell_unanswered"),
    (S.COMPLETED, E.REQUEST): (S.COMPLETED, "send_last_again"),
    (S.COMPLETED, E.TIMER_J): (S.TERMINATED, "end"),
}
"""RFC 3261 figure 8. A lost connection ends nothing: the response may go to the address in Via (section 18.2.2)."""

FIRST: Final[Mapping[str, State]] = {
    "INVITE client": S.CALLING,
    "non-INVITE client": S.TRYING,
    "INVITE server": S.PROCEEDING,
    "non-INVITE server": S.TRYING,
}
"""Machine -> its first state."""

MACHINES: Final[Mapping[str, Table]] = {
    "INVITE client": INVITE_CLIENT,
    "non-INVITE client": NON_INVITE_CLIENT,
    "INVITE server": INVITE_SERVER,
    "non-INVITE server": NON_INVITE_SERVER,
}

_LABELS: Final = {
    E.PROVISIONAL: "1xx",
    E.FINAL: "2xx-6xx",
    E.SUCCESS: "2xx",
    E.FAILURE: "3xx-6xx",
    E.REQUEST: "retransmission",
    E.ACK: "ACK",
    E.CANCEL: "TU cancels",
    E.WIRE_LOST: "connection lost",
    E.TIMER_TRYING: "200 ms",
    E.TIMER_UNANSWERED: "64*T1 unanswered",
    E.TIMER_CANCELLED: "64*T1 after CANCEL",
}


def compiled(table: Table, kind: type) -> Steps:
    """Return the table with the methods of ``kind`` in place of their names."""
    return tuple(
        tuple(
            (table[state, event][0], getattr(kind, f"_{table[state, event][1]}")) if (state, event) in table else None
            for state in State
        )
        for event in Event
    )


def running(event: Event) -> tuple[bool, ...]:
    """Tell by state whether any machine has a row for this timer."""
    return tuple(any((state, event) in table for table in MACHINES.values()) for state in State)


def picture(name: str) -> str:
    """Return one machine as a Mermaid state diagram: each arrow has its event, then what is done."""
    return "\n".join(["stateDiagram-v2", f"    [*] --> {_title(FIRST[name])}", *_arrows(MACHINES[name])])


def _arrows(table: Table) -> Iterator[str]:
    for (state, event), (following, action) in table.items():
        label = _LABELS.get(event) or event.name.replace("_", " ").capitalize()[:-1] + event.name[-1]
        yield f"    {_title(state)} --> {_title(following)}: {label} / {action.replace('_', ' ')}"
    yield f"    {_title(State.TERMINATED)} --> [*]"


def _title(state: State) -> str:
    return state.name.capitalize()
