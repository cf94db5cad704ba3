"""The tables are what runs, and what is drawn."""

from typing import Any

import pytest
from scripts.generate import sip_transactions

from tests.support.sip_transactions import RecordingUser, RecordingWire, request, response
from wigwag.protocols.sip.transactions import (
    MACHINES,
    ClientTransaction,
    Event,
    ServerTransaction,
    State,
    Transactions,
    picture,
)

STATUSES = {Event.PROVISIONAL: 180, Event.FINAL: 404, Event.SUCCESS: 200, Event.FAILURE: 486}
Transaction = ClientTransaction | ServerTransaction


def opened(name: str, state: State) -> tuple[Transactions, Transaction, RecordingWire, RecordingUser]:
    """Return a transaction that was brought into a state by what happened to it."""
    layer, wire, user = Transactions(), RecordingWire(), RecordingUser()
    method = "INVITE" if not name.startswith("non") else "MESSAGE"
    transaction: Transaction | None
    if name.endswith("client"):
        transaction = layer.send_request(request(method), wire, user, 0.0)
    else:
        transaction = layer.receive_request(request(method), wire, 0.0)
    assert transaction is not None
    transaction_user: Any = user
    transaction.user = transaction_user
    for event in PATHS[name][state]:
        happen(layer, transaction, event)
    assert transaction.state is state
    for record in (wire.sent, user.statuses, user.timeouts, user.failures):
        record.clear()
    user.acks = 0
    return layer, transaction, wire, user


def happen(layer: Transactions, transaction: Any, event: Event) -> None:
    """Let an event happen the way that it does on the outside."""
    method = "INVITE" if "Invite" in type(transaction).__name__.removeprefix("NonInvite") else "MESSAGE"
    if event in STATUSES:
        message = response(request(method), STATUSES[event])
        (transaction.receive if isinstance(transaction, ClientTransaction) else transaction.respond)(message, 1.0)
    elif event is Event.WIRE_LOST:
        transaction.lose_wire("reset", 1.0)
    elif event is Event.REQUEST:
        layer.receive_request(request(method), transaction.wire, 1.0)
    elif event is Event.ACK:
        layer.receive_ack(request("ACK"), 1.0)
    elif event is Event.CANCEL:
        transaction.cancel(1.0)
    else:
        transaction.fire(event, 1.0)


PATHS: dict[str, dict[State, list[Event]]] = {
    "INVITE client": {
        State.CALLING: [],
        State.PROCEEDING: [Event.PROVISIONAL],
        State.COMPLETED: [Event.FAILURE],
        State.ACCEPTED: [Event.PROVISIONAL, Event.SUCCESS],
    },
    "non-INVITE client": {
        State.TRYING: [],
        State.PROCEEDING: [Event.PROVISIONAL],
        State.COMPLETED: [Event.FINAL],
    },
    "INVITE server": {
        State.PROCEEDING: [Event.PROVISIONAL],
        State.COMPLETED: [Event.FAILURE],
        State.CONFIRMED: [Event.FAILURE, Event.ACK],
        State.ACCEPTED: [Event.SUCCESS],
    },
    "non-INVITE server": {
        State.TRYING: [],
        State.PROCEEDING: [Event.PROVISIONAL],
        State.COMPLETED: [Event.FINAL],
    },
}
EVENTS = {
    "INVITE client": [Event.PROVISIONAL, Event.SUCCESS, Event.FAILURE, Event.CANCEL],
    "non-INVITE client": [Event.PROVISIONAL, Event.FINAL, Event.CANCEL],
    "INVITE server": [Event.PROVISIONAL, Event.SUCCESS, Event.FAILURE, Event.REQUEST, Event.ACK],
    "non-INVITE server": [Event.PROVISIONAL, Event.FINAL, Event.REQUEST],
}
"""What can happen to each machine, beside timers and lost connections."""
_INVITE_CLIENT_TOLD = [Event.PROVISIONAL, Event.SUCCESS, Event.FAILURE, Event.WIRE_LOST]
_OPEN = (State.TRYING, State.PROCEEDING)
TOLD: dict[str, set[tuple[State, Event]]] = {
    "INVITE client": {
        *((State.CALLING, event) for event in [*_INVITE_CLIENT_TOLD, Event.TIMER_B]),
        *((State.PROCEEDING, event) for event in [*_INVITE_CLIENT_TOLD, Event.TIMER_CANCELLED]),
        (State.ACCEPTED, Event.SUCCESS),
    },
    "non-INVITE client": {
        (state, event) for state in _OPEN for event in (Event.PROVISIONAL, Event.FINAL, Event.WIRE_LOST, Event.TIMER_F)
    },
    "INVITE server": {
        *((state, Event.WIRE_LOST) for state in (State.PROCEEDING, State.COMPLETED, State.ACCEPTED)),
        (State.COMPLETED, Event.ACK),
        (State.COMPLETED, Event.TIMER_H),
    },
    "non-INVITE server": {(state, event) for state in _OPEN for event in (Event.WIRE_LOST, Event.TIMER_UNANSWERED)},
}
"""What the user hears of, by the figures of the RFCs."""
COMMON = [Event.WIRE_LOST, *(event for event in Event if event.name.startswith("TIMER"))]
CASES = [(name, state, event) for name in MACHINES for state in PATHS[name] for event in [*EVENTS[name], *COMMON]]


@pytest.mark.parametrize(("name", "state", "event"), CASES)
def test_a_transaction_does_what_the_table_says_and_nothing_else(name: str, state: State, event: Event) -> None:
    layer, transaction, wire, user = opened(name, state)
    happen(layer, transaction, event)
    following, action = MACHINES[name].get((state, event), (state, None))
    assert transaction.state is following
    told = user.statuses or user.timeouts or user.failures or user.acks
    if action is None:
        assert not told
        assert not wire.sent
    if following is State.TERMINATED:
        assert not layer.clients
        assert not layer.servers
    assert bool(told) == ((state, event) in TOLD[name])


def test_every_state_of_the_tables_is_among_the_cases() -> None:
    rows = {(name, state, event) for name, table in MACHINES.items() for state, event in table}
    assert rows <= set(CASES)
    assert {name: {state for state, _ in table} for name, table in MACHINES.items()} == {
        name: set(paths) for name, paths in PATHS.items()
    }


def test_every_timer_of_table_4_stands_in_a_machine_and_ends_or_repeats() -> None:
    events = {event for table in MACHINES.values() for _, event in table}
    assert events == set(Event)


@pytest.mark.parametrize("name", MACHINES)
def test_every_state_is_reached_and_left(name: str) -> None:
    table = MACHINES[name]
    for state in PATHS[name]:
        assert any(following is not state for (begun, _), (following, _) in table.items() if begun is state)
    assert any(following is State.TERMINATED for following, _ in table.values())


@pytest.mark.parametrize("name", MACHINES)
def test_the_picture_has_an_arrow_for_every_row(name: str) -> None:
    arrows = [line for line in picture(name).splitlines() if "-->" in line]
    assert len(arrows) == len(MACHINES[name]) + 2
    assert picture(name) in sip_transactions()
