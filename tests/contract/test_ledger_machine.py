"""Two pods do anything in any order: no message gets two outcomes, and what is published is what happened."""

import asyncio
import contextlib
import tempfile
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tests.support.ledger import ManualClock, RecordingPublisher, new_message
from wigwag.database import Database
from wigwag.database.ledger import FINAL, Change, Claim, Ledger, LedgerRow, Release, State, Verdict
from wigwag.errors import BusError
from wigwag.runtime.ledger_sweeper import LedgerSweeper, SweepTimes

IDS = ["m0", "m1", "m2"]
LIFETIME = 100.0
Result = TypeVar("Result")

ids = st.sampled_from(IDS)
pods = st.integers(0, 1)


class LedgerMachine(RuleBasedStateMachine):
    """Drives two ledgers on one database, and keeps what their verdicts say."""

    runner: ClassVar[asyncio.Runner]
    database: ClassVar[Database]

    def __init__(self) -> None:
        super().__init__()
        self.stack = AsyncExitStack()
        self.clock = ManualClock()
        self.publisher = RecordingPublisher()
        self.happened: dict[str, list[State]] = {}
        self.doubts = dict.fromkeys(IDS, 0)
        self.run(self.begin())

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(asyncio.wait_for(work, 30))

    async def begin(self) -> None:
        async with self.database.transaction(write=True) as connection:
            await connection.exec_driver_sql("DELETE FROM wigwag_ledger")
            await connection.exec_driver_sql("DELETE FROM wigwag_lease")
        self.pods = [await self.stack.enter_async_context(Ledger(self.database, clock=self.clock)) for _ in range(2)]
        self.sweepers = [
            LedgerSweeper(ledger, self.publisher, holder=name) for name, ledger in zip("ab", self.pods, strict=True)
        ]

    def note(self, verdict: Verdict, wanted: State) -> None:
        if verdict.done:
            states = self.happened[verdict.id]
            states.append(wanted)
            assert verdict.version == len(states), "the version grows by one"

    @rule(id_=ids, pod=pods)
    def accept(self, id_: str, pod: int) -> None:
        message = new_message(id_, expires=self.clock.now + LIFETIME)
        verdict = self.run(self.pods[pod].accept_one(message))
        assert verdict.done == (id_ not in self.happened)
        if verdict.done:
            self.happened[id_] = [State.ACCEPTED]
        assert verdict.state is self.happened[id_][-1]

    @precondition(lambda self: self.happened)
    @rule(id_=ids, version=st.integers(1, 3), states=st.lists(st.sampled_from(State), min_size=2, max_size=4))
    def change_by_both_at_once(self, id_: str, version: int, states: list[State]) -> None:
        changes = [Change(id=id_, version=version, state=state) for state in states]

        async def both() -> list[Verdict]:
            half = len(changes) // 2
            return await asyncio.gather(*self.pods[0].apply(changes[:half]), *self.pods[1].apply(changes[half:]))

        verdicts = self.run(both())
        assert sum(verdict.done for verdict in verdicts) <= 1
        for verdict, state in zip(verdicts, states, strict=True):
            self.note(verdict, state)

    @precondition(lambda self: self.happened)
    @rule(id_=ids, pod=pods, token=st.integers(1, 3))
    def claim(self, id_: str, pod: int, token: int) -> None:
        verdict = self.run(self.pods[pod].apply_one(Claim(id=id_, owner=f"pod-{pod}", token=token)))
        self.doubts[id_] += verdict.done

    @precondition(lambda self: self.happened)
    @rule(id_=ids, pod=pods, token=st.integers(1, 3), attempt=st.integers(1, 3))
    def release(self, id_: str, pod: int, token: int, attempt: int) -> None:
        verdict = self.run(self.pods[pod].apply_one(Release(id=id_, token=token, attempt=attempt)))
        self.doubts[id_] -= verdict.done

    @rule(seconds=st.sampled_from([5.0, 61.0, LIFETIME]))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(pod=pods, failing=st.booleans(), keeps=st.integers(0, 2))
    def sweep(self, pod: int, failing: bool, keeps: int) -> None:
        self.publisher.failing, self.publisher.keeps = failing, keeps
        with contextlib.suppress(BusError):
            self.run(self.sweepers[pod].sweep())
        self.read_what_the_sweep_ended()

    @precondition(lambda self: self.happened)
    @rule(id_=ids, pod=pods, state=st.sampled_from(State))
    def sweep_while_a_state_changes(self, id_: str, pod: int, state: State) -> None:
        async def change() -> None:
            row = await self.pods[0].find(id_)
            if row is not None:
                if row.version > len(self.happened[id_]):
                    self.happened[id_].append(row.state)
                verdict = await self.pods[0].apply_one(Change(id=id_, version=row.version, state=state))
                self.note(verdict, state)

        self.publisher.failing, self.publisher.meanwhile = False, change
        self.run(self.sweepers[pod].sweep())
        self.publisher.meanwhile = None
        self.read_what_the_sweep_ended()

    @rule(pod=pods)
    def publish_and_die_before_the_mark(self, pod: int) -> None:
        self.publisher.failing = False

        async def half() -> None:
            events = await self.pods[pod].pending_events()
            if events:
                await self.publisher.publish(events)

        self.run(half())

    def read_what_the_sweep_ended(self) -> None:
        for row in self.rows():
            states = self.happened[row.id]
            if row.version > len(states):
                assert row.state in (State.UNCONFIRMED, State.EXPIRED)
                assert (row.state is State.UNCONFIRMED) == (self.doubts[row.id] > 0)
                states.append(row.state)

    def rows(self) -> list[LedgerRow]:
        async def read() -> list[LedgerRow]:
            return [row for id_ in IDS if (row := await self.pods[0].find(id_)) is not None]

        return self.run(read())

    @invariant()
    def rows_are_what_happened(self) -> None:
        rows = self.rows()
        assert {row.id: (row.state, row.version) for row in rows} == {
            id_: (states[-1], len(states)) for id_, states in self.happened.items()
        }

    @invariant()
    def nobody_has_two_outcomes(self) -> None:
        for states in self.happened.values():
            outcomes = [state for state in states if state in FINAL]
            assert len(outcomes) <= 1 or outcomes == [State.DELIVERED, State.DISPLAYED]

    @invariant()
    def nothing_is_invented(self) -> None:
        assert set(self.publisher.seen()) <= self.all_that_happened()

    def all_that_happened(self) -> set[tuple[str, int, State]]:
        return {(id_, number, state) for id_, states in self.happened.items() for number, state in enumerate(states, 1)}

    def teardown(self) -> None:
        """Whatever went before: in the end every message has an outcome and every state was published."""
        self.clock.now += 10 * LIFETIME
        self.publisher.failing = False

        async def all_of_it() -> None:
            self.clock.now += SweepTimes().lease
            while await self.sweepers[0].sweep():
                pass

        self.run(all_of_it())
        self.read_what_the_sweep_ended()
        assert all(states[-1] in FINAL for states in self.happened.values())
        assert set(self.publisher.seen()) == self.all_that_happened()
        self.run(self.stack.aclose())


def test_no_message_gets_two_outcomes_and_every_state_is_published() -> None:
    with tempfile.TemporaryDirectory() as directory, asyncio.Runner() as runner:
        database = Database(f"sqlite:///{Path(directory) / 'x.db'}")
        LedgerMachine.runner, LedgerMachine.database = runner, database
        runner.run(database.__aenter__())
        try:
            bounds = settings(max_examples=40, stateful_step_count=25)
            run_state_machine_as_test(LedgerMachine, settings=bounds)
        finally:
            runner.run(database.__aexit__(None, None, None))
