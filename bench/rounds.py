"""Paired rounds: both relays are up, one is loaded at a time, the order is reversed every other round."""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field

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
        theirs: Kamailio's, of the same rounds; ends at its first refusal.
        refusal: Why Kamailio can't do this; None when it can.
    """

    row: Row
    ours: list[Report] = field(default_factory=list)
    theirs: list[Report] = field(default_factory=list)
    refusal: str | None = None

    @property
    def ratios(self) -> list[float]:
        """Ours to theirs of each round."""
        figure = self.row.kind.figure
        return [number(a, figure) / number(b, figure) for a, b in zip(self.ours, self.theirs, strict=False)]


class BrokenRoundError(Exception):
    """Our relay failed: no figure may come of that."""


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
    with ExitStack() as stack:
        kept = None if row.fresh else stack.enter_context(_both(row, contest))
        for index in range(rounds):
            with nullcontext(kept) if kept else _both(row, contest) as (ours, theirs):
                for contestant in (ours, theirs) if index % 2 == 0 else (theirs, ours):
                    _one_side(done, contestant, row.arguments(seconds))
            progress(index + 1, rounds)
    return done


@contextmanager
def _both(row: Row, contest: Contest) -> Iterator[tuple[Contestant, Contestant]]:
    with contest.ours(tls=row.tls) as ours, contest.kamailio(tls=row.tls, pairs=row.pairs) as theirs:
        yield ours, theirs


def _one_side(done: Rounds, contestant: Contestant, arguments: Sequence[str]) -> None:
    if contestant.name != "ours" and done.refusal:
        return
    report = run([*contestant.arguments, *arguments])
    error = report["error"]
    if contestant.name == "ours":
        if error:
            raise BrokenRoundError(f"{done.row.name}, round {len(done.ours) + 1}: {error}")
        done.ours.append(report)
    elif error:
        done.refusal = str(error)
        done.theirs.clear()
    else:
        done.theirs.append(report)


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
            for member in ("messages_per_second", "p50_us", "p99_us"):
                figures[f"{side}_{member}"] = median(member)
        case Kind.SETUP:
            figures[f"{side}_sessions_per_second"] = median("sessions_per_second")
        case Kind.STREAM:
            figures[f"{side}_mib_per_second"] = median("mib_per_second")
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
