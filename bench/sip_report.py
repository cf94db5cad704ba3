"""The figures of SIP: a table on the terminal, ``results/sip.json``, and the table in ``RESULTS.md``."""

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.report import figure, machine, notes, span
from bench.sip_rounds import Result

RESULTS = Path(__file__).parent / "results" / "sip.json"
EXPLANATION = Path(__file__).with_name("RESULTS.md")
_BEGIN, _END = "<!-- figures: written by python -m bench.sip -->", "<!-- end of sip figures -->"
_COLUMNS = ("row", "unit", "ours", "Kamailio", "ratio", "quartiles", "throughput", "p50 / p99, ms", "target", "met")


def print_table(results: Sequence[Result], console: Console, title: str) -> None:
    """Print all rows."""
    table = Table(title=title)
    for column in _COLUMNS:
        table.add_column(column, justify="left" if column in ("row", "unit", "target") else "right")
    for result in results:
        table.add_row(*_cells(result))
    console.print(table)
    for note in notes(results):
        console.print(note)


def write(results: Sequence[Result]) -> None:
    """Put the rows into the JSON file, in place of those of the same name, and all of them into RESULTS.md."""
    known: list[Result] = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    newer = {result["name"]: result for result in results}
    rows = [newer.pop(row["name"], row) for row in known] + list(newer.values())
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n")
    text = EXPLANATION.read_text()
    before, after = text.split(_BEGIN)[0], text.split(_END)[1]
    EXPLANATION.write_text(f"{before}{_BEGIN}\n{_markdown(rows)}\n{_END}{after}")


def _markdown(rows: Sequence[Result]) -> str:
    lines = [f"Measured on {machine()}.", "", _line(_COLUMNS), _line(["---"] * len(_COLUMNS))]
    lines += [_line(_cells(row)) for row in rows]
    return "\n".join([*lines, "", *(f"- {note}" for note in notes(rows))])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(result: Result) -> list[str]:
    targets = result["targets"]
    assert isinstance(targets, list)
    return [
        str(result["name"]),
        str(result["unit"]),
        figure(result["ours"]),
        "refused" if result["peer_refusal"] else figure(result["peer"]),
        figure(result["ratio"]),
        span(result["ratio_quartiles"]),
        _throughput(result),
        f"{_sides(result, 'p50_us', 1e-3)} / {_sides(result, 'p99_us', 1e-3)}" if "ours_p50_us" in result else "",
        "; ".join(str(target["text"]) for target in targets),
        "; ".join("yes" if target["met"] else "NO" for target in targets),
    ]


def _throughput(result: Result) -> str:
    match result["kind"]:
        case "message":
            return _sides(result, "messages_per_second") + " msg/s"
        case "register" | "hold":
            return _sides(result, "registrations_per_second") + " registrations/s"
        case "overload":
            capacity, recovery = _sides(result, "capacity"), _sides(result, "recovery_seconds_worst")
            return f"capacity {capacity} msg/s, recovery {recovery} s"
        case _:
            return ""


def _sides(result: Result, member: str, scale: float = 1) -> str:
    """Figures of both sides, ours first; ours alone when there is no other."""
    values = [result.get(f"{side}_{member}") for side in ("ours", "peer")]
    return " : ".join(figure(value * scale) for value in values if isinstance(value, int | float))
