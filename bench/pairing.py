"""Paired rounds: both sides are up, one is loaded at a time, the order is reversed every other round."""

import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Generic, Protocol, Self, TypeVar

from bench.generator import Report, number


@dataclass(frozen=True, slots=True)
class Contestant:
    """A running server, as the load generator is told of it."""

    name: str
    arguments: Sequence[str]


class Measurable(Protocol):
    """What rounds have to know of a row."""

    @property
    def name(self) -> str:
        """How ``--only`` names it."""

    @property
    def figure(self) -> str:
        """The report's member that the two sides are compared by."""

    @property
    def fresh(self) -> bool:
        """Whether both are started anew for each round."""

    @property
    def most_rounds(self) -> int | None:
        """Bound of the rounds, for runs that take long; None: none."""


R = TypeVar("R", bound=Measurable)
Start = Callable[[ExitStack], tuple[Contestant, Contestant]]
"""Starts ours and the peer; both end with the stack."""
Load = Callable[[Contestant], Report]
"""Loads one of them."""


@dataclass(slots=True)
class PairedRounds(Generic[R]):
    """The reports of one row, round by round.

    Args:
        row: What was measured.
        ours: Reports of our side.
        theirs: The peer's, of the same rounds; none when it refuses.
        failures: Why the peer spoiled rounds, which were then repeated with both started anew.
        refusal: Why the peer can't do this; None when it can.
    """

    row: R
    ours: list[Report] = field(default_factory=list)
    theirs: list[Report] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    refusal: str | None = None

    @property
    def ratios(self) -> list[float]:
        """Ours to theirs of each round."""
        figure = self.row.figure
        return [number(a, figure) / number(b, figure) for a, b in zip(self.ours, self.theirs, strict=True)]

    def peer_failed(self, error: str) -> None:
        """Note a spoiled round; more of them than good ones, and not just one, make a refusal."""
        self.failures.append(error)
        if len(self.failures) > len(self.theirs) + 1:
            self.refusal = error
            self.theirs.clear()


class BrokenRoundError(Exception):
    """Our side failed: no figure may come of that."""


class _Sides:
    """Both sides of a row; a context manager that starts them when they are needed."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self._stack = ExitStack()
        self._running: tuple[Contestant, Contestant] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def started(self) -> tuple[Contestant, Contestant]:
        """Return ours and the peer."""
        if self._running is None:
            self._running = self._start(self._stack)
        return self._running

    def stop(self) -> None:
        """End both; they are started anew when they are needed again."""
        self._running = None
        self._stack.close()


def measure_pairs(
    row: R, start: Start, load: Load, *, rounds: int, progress: Callable[[int, int], None]
) -> PairedRounds[R]:
    """Run all rounds of a row.

    Args:
        row: What to measure.
        start: Starts both sides.
        load: Loads one of them and says what came of it.
        rounds: Number of paired rounds.
        progress: Told rounds done and rounds to do.

    Raises:
        BrokenRoundError: Our side lost, damaged or refused something.
    """
    rounds = min(rounds, row.most_rounds or rounds)
    done = PairedRounds(row)
    with _Sides(start) as sides:
        while len(done.ours) < rounds:
            progress(len(done.ours), rounds)
            _one_round(done, sides, load)
            if row.fresh:
                sides.stop()
    return done


def _one_round(done: PairedRounds[R], sides: _Sides, load: Load) -> None:
    ours, theirs = sides.started()
    contestants = [ours] if done.refusal else [ours, theirs]
    if len(done.ours) % 2:
        contestants.reverse()
    reports = {contestant.name: load(contestant) for contestant in contestants}
    if error := reports[ours.name]["error"]:
        raise BrokenRoundError(f"{done.row.name}, round {len(done.ours) + 1}: {error}")
    if theirs.name in reports:
        if error := reports[theirs.name]["error"]:
            done.peer_failed(str(error))
            sides.stop()
            return
        done.theirs.append(reports[theirs.name])
    done.ours.append(reports[ours.name])


def quartiles(values: Sequence[float]) -> list[float]:
    """Return the lower and the upper one."""
    if len(values) == 1:
        return [rounded(values[0])] * 2
    lower, _, upper = statistics.quantiles(values, n=4, method="inclusive")
    return [rounded(lower), rounded(upper)]


def rounded(value: float) -> float:
    """Return the value with four digits that count."""
    return float(f"{value:.4g}")
