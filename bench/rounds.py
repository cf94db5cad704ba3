"""Paired rounds: both relays are up, one is loaded at a time, the order is reversed every other round."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Self

from bench.contestants import Contest, Contestant
from bench.generator import Report, number, run
from bench.rows import Kind, Row

Result = dict[str, object]
"""What is kept of a row, as ``results/relay.json`` holds it."""


@dataclass(slots=True)
class Rounds:
    """The reports of one row, round by round.

    Args:
        row: What was measured.
        ours: Reports of our relay.
        theirs: Kamailio's, of the same rounds; none when it refuses.
        failures: Why Kamailio spoiled rounds, which were then repeated with relays started anew.
        refusal: Why Kamailio can't do this; None when it can.
    """

    row: Row
    ours: list[Report] = field(default_factory=list)
    theirs: list[Report] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    refusal: str | None = None

    @property
    def ratios(self) -> list[float]:
        """Ours to theirs of each round."""
        figure = self.row.kind.figure
        return [number(a, figure) / number(b, figure) for a, b in zip(self.ours, self.theirs, strict=True)]

    def peer_failed(self, error: str) -> None:
        """Note a spoiled round; more of them than good ones, and not just one, make a refusal."""
        self.failures.append(error)
        if len(self.failures) > len(self.theirs) + 1:
            self.refusal = error
            self.theirs.clear()


class BrokenRoundError(Exception):
    """Our relay failed: no figure may come of that."""


class _Relays:
    """Both relays of a row; a context manager that starts them when they are needed."""

    def __init__(self, row: Row, contest: Contest) -> None:
        self._row = row
        self._contest = contest
        self._stack = ExitStack()
        self._running: tuple[Contestant, Contestant] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def started(self) -> tuple[Contestant, Contestant]:
        """Return ours and Kamailio."""
        if self._running is None:
            ours = self._stack.enter_context(self._contest.ours(tls=self._row.tls))
            theirs = self._stack.enter_context(self._contest.kamailio(tls=self._row.tls, pairs=self._row.pairs))
            self._running = ours, theirs
        return self._running

    def stop(self) -> None:
        """End both; they are started anew when they are needed again."""
        self._running = None
        self._stack.close()


def measure(row: Row, contest: Contest, *, rounds: int, seconds: float, progress: Callable[[int, int], None]) -> Rounds:
    """Run all rounds of a row.

    Args:
        row: What to measure.
        contest: Starts the relays.
        rounds: Number of paired rounds.
        seconds: Measured time of each side of a round.
        progress: Told rounds done and rounds to do.

    Raises:
        BrokenRoundError: Our relay lost, damaged or refused something.
    """
    rounds = min(rounds, row.most_rounds or rounds)
    done = Rounds(row)
    with _Relays(row, contest) as relays:
        while len(done.ours) < rounds:
            progress(len(done.ours), rounds)
            _one_round(done, relays, row.arguments(seconds))
            if row.fresh:
                relays.stop()
    return done


def _one_round(done: Rounds, relays: _Relays, arguments: Sequence[str]) -> None:
    ours, theirs = relays.started()
    sides = [ours] if done.refusal else [ours, theirs]
    if len(done.ours) % 2:
        sides.reverse()
    reports = {side.name: run([*side.arguments, *arguments]) for side in sides}
    if error := reports[ours.name]["error"]:
        raise BrokenRoundError(f"{done.row.name}, round {len(done.ours) + 1}: {error}")
    if theirs.name in reports:
        if error := reports[theirs.name]["error"]:
            done.peer_failed(str(error))
            relays.stop()
            return
        done.theirs.append(reports[theirs.name])
    done.ours.append(reports[ours.name])


def summary(done: Rounds) -> Result:
    """Return the medians of a row, and the spread of its ratios."""
    row = done.row
    result: Result = {
        "name": row.name,
        "kind": row.kind.value,
        "unit": row.kind.unit,
        "size": row.size,
        "pairs": row.pairs,
        "window": row.window,
        "tls": row.tls,
        "rounds": len(done.ours),
        "ours_us": None,
        "peer_us": None,
        "ratio": None,
        "ratio_quartiles": None,
        "peer_refusal": done.refusal,
        "peer_failures": done.failures,
    }
    result |= _figures(row, "ours", done.ours) | _figures(row, "peer", done.theirs)
    if done.theirs:
        result["ratio"] = _rounded(statistics.median(done.ratios))
        result["ratio_quartiles"] = _quartiles(done.ratios)
    result["targets"] = [_judged(target.text, result[target.member], target.at_most) for target in row.targets]
    return result


def _figures(row: Row, side: str, reports: Sequence[Report]) -> Result:
    if not reports:
        return {}

    def median(member: str) -> float:
        return _rounded(statistics.median(number(report, member) for report in reports))

    if row.kind is Kind.IDLE:
        return {f"{side}_kib": median("kib_per_connection"), f"{side}_us": median("cpu_us")}
    figures: Result = {f"{side}_us": median("cpu_us")}
    figures[f"{side}_us_quartiles"] = _quartiles([number(report, "cpu_us") for report in reports])
    match row.kind:
        case Kind.LOAD:
            for member in ("messages_per_second", "p50_us", "p99_us", "generator_busy"):
                figures[f"{side}_{member}"] = median(member)
        case Kind.SETUP:
            figures[f"{side}_sessions_per_second"] = median("sessions_per_second")
        case Kind.STREAM:
            for member in ("mib_per_second", "generator_busy"):
                figures[f"{side}_{member}"] = median(member)
            for member in ("rss_growth_kib", "p50_us", "p99_us"):
                figures[f"{side}_{member}"] = median(member)
                figures[f"{side}_{member}_worst"] = _rounded(max(number(report, member) for report in reports))
    return figures


def _quartiles(values: Sequence[float]) -> list[float]:
    if len(values) == 1:
        return [_rounded(values[0])] * 2
    lower, _, upper = statistics.quantiles(values, n=4, method="inclusive")
    return [_rounded(lower), _rounded(upper)]


def _judged(text: str, value: object, at_most: float) -> Mapping[str, object]:
    return {"text": text, "met": isinstance(value, int | float) and value <= at_most}


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
