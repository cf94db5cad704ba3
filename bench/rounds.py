"""The rounds of the relay's benchmark, and what is kept of them."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from bench.contestants import Contest
from bench.generator import Report, number, run
from bench.pairing import Contestant, PairedRounds, measure_pairs, quartiles, rounded
from bench.rows import Kind, Row

Result = dict[str, object]
"""What is kept of a row, as ``results/relay.json`` holds it."""
Rounds = PairedRounds[Row]


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
    arguments = row.arguments(seconds)

    def start(stack: ExitStack) -> tuple[Contestant, Contestant]:
        ours = stack.enter_context(contest.ours(tls=row.tls))
        return ours, stack.enter_context(contest.kamailio(tls=row.tls, pairs=row.pairs))

    def load(side: Contestant) -> Report:
        return run([*side.arguments, *arguments])

    return measure_pairs(row, start, load, rounds=rounds, progress=progress)


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
        result["ratio"] = rounded(statistics.median(done.ratios))
        result["ratio_quartiles"] = quartiles(done.ratios)
    result["targets"] = [_judged(target.text, result[target.member], target.at_most) for target in row.targets]
    return result


def _figures(row: Row, side: str, reports: Sequence[Report]) -> Result:
    if not reports:
        return {}

    def median(member: str) -> float:
        return rounded(statistics.median(number(report, member) for report in reports))

    if row.kind is Kind.IDLE:
        return {f"{side}_kib": median("kib_per_connection"), f"{side}_us": median("cpu_us")}
    figures: Result = {f"{side}_us": median("cpu_us")}
    figures[f"{side}_us_quartiles"] = quartiles([number(report, "cpu_us") for report in reports])
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
                figures[f"{side}_{member}_worst"] = rounded(max(number(report, member) for report in reports))
    return figures


def _judged(text: str, value: object, at_most: float) -> Mapping[str, object]:
    return {"text": text, "met": isinstance(value, int | float) and value <= at_most}
