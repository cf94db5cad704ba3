"""The figures of the user agent: a table on the terminal, ``results/ua.json``, and the table in ``RESULTS.md``."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from bench.report import machine

RESULTS: Final = Path(__file__).parent / "results" / "ua.json"
EXPLANATION: Final = Path(__file__).with_name("RESULTS.md")
_BEGIN, _END = "<!-- figures: written by python -m bench.ua -->", "<!-- end of ua figures -->"
_COLUMNS: Final = {
    "name": "row",
    "kind": "by",
    "servers": "behind it",
    "per_second": "per second",
    "cpu_us": "µs CPU of the node each",
    "per_second_and_core": "per second and core",
    "node_busy": "node busy",
    "load_busy": "load busy",
    "p50_ms": "p50, ms",
    "p99_ms": "p99, ms",
    "at_least": "demanded per second",
    "met": "met",
}
_TEXT: Final = ("name", "kind", "servers")

Result = dict[str, object]


def print_table(results: Sequence[Result], console: Console) -> None:
    """Print all rows."""
    table = Table(title="User agent: from the application's call to the SIP user, node on one CPU")
    for name, column in _COLUMNS.items():
        table.add_column(column, justify="left" if name in _TEXT else "right")
    for result in results:
        table.add_row(*_cells(result))
    console.print(table)


def write(results: Sequence[Result]) -> None:
    """Put the rows into the JSON file, in place of those of the same name, and all of them into RESULTS.md."""
    known: list[Result] = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    newer = {result["name"]: result for result in results}
    rows = [newer.pop(row["name"], row) for row in known] + list(newer.values())
    RESULTS.write_text("[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n")
    lines = [f"Measured on {machine()}.", "", _line(list(_COLUMNS.values())), _line(["---"] * len(_COLUMNS))]
    lines += [_line(_cells(row)) for row in rows]
    text = EXPLANATION.read_text()
    before, after = text.split(_BEGIN)[0], text.split(_END)[1]
    EXPLANATION.write_text(f"{before}{_BEGIN}\n{chr(10).join(lines)}\n{_END}{after}")


def _cells(result: Result) -> list[str]:
    return [_cell(result[name]) for name in _COLUMNS]


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "NO"
        case int() | float():
            return f"{value:,}"
        case _:
            return str(value)


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
