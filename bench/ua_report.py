"""Figures of the user agent and of the gateway: a table on the terminal, a JSON file, and a table in ``RESULTS.md``."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from bench.report import machine

EXPLANATION: Final = Path(__file__).with_name("RESULTS.md")
_TEXT: Final = ("name", "kind", "servers")

Result = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One benchmark's figures.

    Args:
        name: Of the benchmark; its rows are in ``results/<name>.json``.
        title: Of the table.
        columns: Member of a row -> heading.
    """

    name: str
    title: str
    columns: Mapping[str, str]

    def print_table(self, results: Sequence[Result], console: Console) -> None:
        """Print all rows."""
        table = Table(title=self.title)
        for name, column in self.columns.items():
            table.add_column(column, justify="left" if name in _TEXT else "right")
        for result in results:
            table.add_row(*self._cells(result))
        console.print(table)

    def write(self, results: Sequence[Result]) -> None:
        """Put the rows into the JSON file, in place of those of the same name, and all of them into RESULTS.md."""
        file = EXPLANATION.parent / "results" / f"{self.name}.json"
        known: list[Result] = json.loads(file.read_text()) if file.exists() else []
        newer = {result["name"]: result for result in results}
        rows = [newer.pop(row["name"], row) for row in known] + list(newer.values())
        file.write_text("[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n")
        lines = [
            f"Measured on {machine()}.",
            "",
            _line(list(self.columns.values())),
            _line(["---"] * len(self.columns)),
        ]
        lines += [_line(self._cells(row)) for row in rows]
        begin, end = f"<!-- figures: written by python -m bench.{self.name} -->", f"<!-- end of {self.name} figures -->"
        text = EXPLANATION.read_text()
        before, after = text.split(begin)[0], text.split(end)[1]
        EXPLANATION.write_text(f"{before}{begin}\n{chr(10).join(lines)}\n{end}{after}")

    def _cells(self, result: Result) -> list[str]:
        return [_cell(result[name]) for name in self.columns]


UA_FIGURES: Final = Figures(
    name="ua",
    title="User agent: from the application's call to the SIP user, node on one CPU",
    columns={
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
    },
)


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
