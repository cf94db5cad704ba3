"""The rounds of the SIP benchmark, and what is kept of them."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from bench.generator import SIPLOAD, Report, number, run
from bench.pairing import Contestant, PairedRounds, measure_pairs, quartiles, rounded
from bench.sip_contestants import kamailio, ours
from bench.sip_rows import Kind, Row, Target

Result = dict[str, object]
"""What is kept of a row, as ``results/sip.json`` holds it."""
Rounds = PairedRounds[Row]
_RATES = ("cpu_us", "messages_per_second", "p50_us", "p99_us", "generator_busy", "retransmissions")
_MEMBERS = {
    Kind.MESSAGE: _RATES,
    Kind.REGISTER: ("registrations_per_second", "p50_us", "p99_us", "generator_busy"),
    Kind.HOLD: ("registrations_per_second", "cpu_us"),
    Kind.TRANSACTIONS: ("cpu_us",),
    Kind.OVERLOAD: ("capacity", "answered_per_second", "recovery_seconds", "duplicates"),
}
"""Members of the generator's report whose medians are kept."""


def measure(row: Row, *, rounds: int, seconds: float, alone: bool, progress: Callable[[int, int], None]) -> Rounds:
    """Run all rounds of a row.

    Args:
        row: What to measure.
        rounds: Number of paired rounds.
        seconds: Measured time of each side of a round.
        alone: Kamailio stands in our place too: what the measurement itself is worth.
        progress: Told rounds done and rounds to do.

    Raises:
        BrokenRoundError: Our side lost, damaged, doubled or refused something.
    """

    def start(stack: ExitStack) -> tuple[Contestant, Contestant]:
        first = stack.enter_context(kamailio(row, "kamailio in our place") if alone else ours(row))
        return first, stack.enter_context(kamailio(row))

    def load(side: Contestant) -> Report:
        report = run([*side.arguments, *row.arguments(seconds)], SIPLOAD)
        if row.kind is not Kind.OVERLOAD or report["error"]:
            return report
        return _overload(row, side, number(report, "messages_per_second"))

    return measure_pairs(row, start, load, rounds=rounds, progress=progress)


def _overload(row: Row, side: Contestant, capacity: float) -> Report:
    report = run([*side.arguments, *row.overload(capacity)], SIPLOAD)
    share = number(report, "answered_per_second") / capacity
    return {**report, "capacity": capacity, "share": share}


def summary(done: Rounds) -> Result:
    """Return the medians of a row, and the spread of its ratios."""
    row = done.row
    result: Result = {
        "name": row.name,
        "kind": row.kind.value,
        "unit": row.kind.unit,
        "transport": "tcp" if row.tcp else "udp",
        "pairs": row.pairs,
        "window": row.window,
        "users": row.users,
        "algorithm": row.algorithm,
        "peer_children": row.peer_children,
        "rounds": len(done.ours),
        "ours": None,
        "peer": None,
        "ratio": None,
        "ratio_quartiles": None,
        "peer_refusal": done.refusal,
        "peer_failures": done.failures,
    }
    result |= _figures(row, "ours", done.ours) | _figures(row, "peer", done.theirs)
    if done.theirs:
        result["ratio"] = rounded(statistics.median(done.ratios))
        result["ratio_quartiles"] = quartiles(done.ratios)
    result["targets"] = [_judged(target, result.get(target.member)) for target in row.targets]
    return result


def _figures(row: Row, side: str, reports: Sequence[Report]) -> Result:
    if not reports:
        return {}
    values = [number(report, row.figure) for report in reports]
    figures: Result = {side: rounded(statistics.median(values)), f"{side}_quartiles": quartiles(values)}
    for member in _MEMBERS[row.kind]:
        figures[f"{side}_{member}"] = rounded(statistics.median(number(report, member) for report in reports))
    if row.kind is Kind.OVERLOAD:
        worst = max(number(report, "recovery_seconds") for report in reports)
        figures[f"{side}_recovery_seconds_worst"] = rounded(worst)
    return figures


def _judged(target: Target, value: object) -> Mapping[str, object]:
    met = isinstance(value, int | float) and target.at_least <= value <= target.at_most
    return {"text": target.text, "met": met}
