"""The figures of clusters: a table on the terminal, ``results/cluster.json``, and the table in ``RESULTS.md``."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results" / "cluster.json"
EXPLANATION = Path(__file__).with_name("RESULTS.md")
BASE = "local-1"
"""The row that the others are compared with."""
LOCAL, CROSSING = "local-2", "crossing-2"
"""The rows whose difference is the price of a hop between pods."""
_BEGIN, _END = "<!-- figures: written by python -m bench.cluster -->", "<!-- end of cluster figures -->"
_COLUMNS = ("row", "µs CPU/message", "quartiles", "ratio to 1 pod", "quartiles", "msg/s", "p99, ms", "target", "met")

Result = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table.

    Args:
        name: How ``--only`` names it.
        pods: Relay processes.
        crossing: Whether each message goes from one pod to another.
        at_most: Bound of the ratio to one pod; None: none.
    """

    name: str
    pods: int
    crossing: bool
    at_most: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What one round of a row came to, all pods together."""

    cpu_us: float
    """Microseconds of CPU that all pods together spent on a message."""
    messages_per_second: float
    p99_us: float
    generator_busy: float


def summaries(rows: Sequence[Row], figures: Mapping[str, Sequence[Figure]]) -> list[Result]:
    """Return the medians of all rows and the spread of their ratios, round by round, to one pod."""
    return [_summary(row, figures[row.name], figures[BASE]) for row in rows]


def _summary(row: Row, figures: Sequence[Figure], base: Sequence[Figure]) -> Result:
    costs = [figure.cpu_us for figure in figures]
    ratios = [figure.cpu_us / one.cpu_us for figure, one in zip(figures, base, strict=True)]
    ratio = statistics.median(ratios)
    return {
        "name": row.name,
        "pods": row.pods,
        "crossing": row.crossing,
        "rounds": len(figures),
        "cpu_us": _rounded(statistics.median(costs)),
        "cpu_us_quartiles": _quartiles(costs),
        "ratio": _rounded(ratio),
        "ratio_quartiles": _quartiles(ratios),
        "messages_per_second": _rounded(statistics.median(figure.messages_per_second for figure in figures)),
        "p99_us": _rounded(statistics.median(figure.p99_us for figure in figures)),
        "generator_busy": _rounded(statistics.median(figure.generator_busy for figure in figures)),
        "at_most": row.at_most,
        "met": None if row.at_most is None else ratio <= row.at_most,
    }


def price_of_a_hop(results: Sequence[Result]) -> float | None:
    """Return how many microseconds of CPU more a message costs that goes from one pod to another."""
    costs = {result["name"]: result["cpu_us"] for result in results}
    local, crossing = costs.get(LOCAL), costs.get(CROSSING)
    return crossing - local if isinstance(local, float) and isinstance(crossing, float) else None


def print_table(results: Sequence[Result], console: Console) -> None:
    """Print all rows."""
    table = Table(title="MSRP relay: pods of one cluster")
    for column in _COLUMNS:
        table.add_column(column, justify="left" if column in ("row", "target") else "right")
    for result in results:
        table.add_row(*_cells(result))
    console.print(table)
    console.print(_price(results))


def write(results: Sequence[Result]) -> None:
    """Write the JSON file and the table in RESULTS.md."""
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("[\n" + ",\n".join(json.dumps(result, ensure_ascii=False) for result in results) + "\n]\n")
    text = EXPLANATION.read_text()
    before, after = text.split(_BEGIN)[0], text.split(_END)[1]
    lines = [_line(_COLUMNS), _line(["---"] * len(_COLUMNS)), *(_line(_cells(result)) for result in results)]
    EXPLANATION.write_text(f"{before}{_BEGIN}\n" + "\n".join([*lines, "", _price(results)]) + f"\n{_END}{after}")


def _price(results: Sequence[Result]) -> str:
    price = price_of_a_hop(results)
    return "" if price is None else f"A hop between pods costs {price:.3g} µs of CPU a message, both pods together."


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(result: Result) -> list[str]:
    at_most, p99 = result["at_most"], result["p99_us"]
    assert isinstance(p99, float)
    return [
        str(result["name"]),
        _figure(result["cpu_us"]),
        _range(result["cpu_us_quartiles"]),
        _figure(result["ratio"]),
        _range(result["ratio_quartiles"]),
        _figure(result["messages_per_second"]),
        _figure(p99 / 1000),
        "" if at_most is None else f"ratio ≤ {at_most:g}",
        {None: "", True: "yes", False: "NO"}[result["met"]],  # type: ignore[index]  # None, True or False
    ]


def _figure(value: object) -> str:
    assert isinstance(value, int | float)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _range(value: object) -> str:
    assert isinstance(value, list)
    return f"{value[0]:.3g}–{value[1]:.3g}"


def _quartiles(values: Sequence[float]) -> list[float]:
    if len(values) == 1:
        return [_rounded(values[0])] * 2
    lower, _, upper = statistics.quantiles(values, n=4, method="inclusive")
    return [_rounded(lower), _rounded(upper)]


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
