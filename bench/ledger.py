"""``make bench-ledger``: rows that the message ledger accepts and delivers, one process (see RESULTS.md).

So many callers as the row says each hand in a message, wait for its commit, set it delivered, wait for that, and begin
again. A quick look that writes nothing: ``python -m bench.ledger --seconds 0.5 --only sqlite-100``.
"""

import argparse
import asyncio
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from tests.support.ledger import new_message
from tests.support.mariadb import running_mariadb
from tests.support.peers import find_program
from tests.support.postgresql import running_postgresql
from wigwag.database import Database
from wigwag.database.ledger import Change, Ledger, State

RESULTS: Final = Path(__file__).parent / "results" / "ledger.json"
EXPLANATION: Final = Path(__file__).with_name("RESULTS.md")
KEPT_SECONDS: Final = 2.0
"""Seconds of a row from which on its figures are worth keeping."""
BODY: Final = b"x" * 500
CALLERS: Final = (1, 10, 100, 1_000)
_BEGIN, _END = "<!-- ledger: written by python -m bench.ledger -->", "<!-- end of ledger -->"
_COLUMNS: Final = {
    "name": "row",
    "rows_per_second": "messages/s",
    "cpu_us": "µs CPU/message",
    "batch": "messages/commit",
    "p50_ms": "p50, ms",
    "p99_ms": "p99, ms",
}

Result = dict[str, object]


@dataclass(slots=True)
class Measured:
    """What the callers of one row saw."""

    seconds: float
    accept_times: list[float]

    def percentile(self, part: int) -> float:
        if len(self.accept_times) < 2:
            return 0.0
        return statistics.quantiles(self.accept_times, n=100)[part - 1] * 1_000


def main() -> int:
    """Measure the rows that the command line asks for."""
    options = _options()
    console = Console(width=None if sys.stdout.isatty() else 200)
    results = []
    for server in ("sqlite", "postgresql", "mariadb"):
        names = {f"{server}-{callers}": callers for callers in CALLERS}
        wanted = {name: callers for name, callers in names.items() if not options.only or name in options.only}
        if not wanted:
            continue
        if server != "sqlite" and not _is_installed(server):
            console.print(f"{server} is not installed: make peers", style="red")
            continue
        with _running(server) as url:
            for name, callers in wanted.items():
                results.append(asyncio.run(_measure(name, url, callers, options.seconds)))
    _print(results, console)
    if options.seconds >= KEPT_SECONDS:
        _write(results)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.ledger", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="measured for each row (default: %(default)s)")
    parser.add_argument("--only", action="append", metavar="NAME", help="one row, such as sqlite-100")
    return parser.parse_args()


def _is_installed(server: str) -> bool:
    directories = {"postgresql": ("initdb", "/usr/lib/postgresql/*/bin"), "mariadb": ("mariadbd", "/usr/sbin")}
    return find_program(*directories[server]) is not None


@contextmanager
def _running(server: str) -> Iterator[str]:
    if server == "sqlite":
        with tempfile.TemporaryDirectory(prefix="wigwag-bench-") as directory:
            yield f"sqlite:///{Path(directory) / 'ledger.sqlite3'}"
        return
    with running_postgresql() if server == "postgresql" else running_mariadb() as running:
        yield asyncio.run(running.new_database())


async def _measure(name: str, url: str, callers: int, seconds: float) -> Result:
    # Commits as they are by default: the servers here do not sync, SQLite syncs at checkpoints.
    async with Database(url) as database, Ledger(database, clock=time.time) as ledger:
        await _load(ledger, f"{name}-warm", callers, min(0.5, seconds))
        before, cpu = ledger.counters(), _cpu()
        measured = await _load(ledger, name, callers, seconds)
        after, cpu = ledger.counters(), _cpu() - cpu
    rows = after["accepted_written"] - before["accepted_written"]
    return {
        "name": name,
        "callers": callers,
        "body": len(BODY),
        "rows_per_second": round(rows / measured.seconds, 1),
        "cpu_us": round(cpu / rows * 1e6, 1),
        "batch": round(rows / (after["accepted_batches"] - before["accepted_batches"]), 1),
        "p50_ms": round(measured.percentile(50), 2),
        "p99_ms": round(measured.percentile(99), 2),
    }


async def _load(ledger: Ledger, name: str, callers: int, seconds: float) -> Measured:
    numbers, begin = count(), time.perf_counter()
    times: list[float] = []

    async def caller() -> None:
        while time.perf_counter() - begin < seconds:
            message = new_message(f"{name}-{next(numbers)}-{begin}", expires=time.time() + 3_600, body=BODY)
            start = time.perf_counter()
            await ledger.accept_one(message)
            times.append(time.perf_counter() - start)
            verdict = await ledger.apply_one(Change(id=message.id, version=1, state=State.DELIVERED, status=200))
            assert verdict.done

    await asyncio.gather(*(caller() for _ in range(callers)))
    return Measured(time.perf_counter() - begin, times)


def _cpu() -> float:
    """Return the seconds of CPU that this process used, all threads: SQLite's work is in it, a server's is not."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _print(results: list[Result], console: Console) -> None:
    table = Table(title="Message ledger: accepted, then delivered")
    for column in _COLUMNS.values():
        table.add_column(column, justify="left" if column == "row" else "right")
    for result in results:
        table.add_row(*_cells(result))
    console.print(table)


def _write(results: list[Result]) -> None:
    """Put the rows into the JSON file, in place of those of the same name, and all of them into RESULTS.md."""
    known: list[Result] = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    newer = {result["name"]: result for result in results}
    rows = [newer.pop(row["name"], row) for row in known] + list(newer.values())
    RESULTS.write_text("[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n")
    lines = [_line(list(_COLUMNS.values())), _line(["---"] * len(_COLUMNS)), *(_line(_cells(row)) for row in rows)]
    text = EXPLANATION.read_text()
    before, after = text.split(_BEGIN)[0], text.split(_END)[1]
    EXPLANATION.write_text(f"{before}{_BEGIN}\n{chr(10).join(lines)}\n{_END}{after}")


def _cells(result: Result) -> list[str]:
    values = [result[name] for name in _COLUMNS]
    return [f"{value:,}" if isinstance(value, int | float) else str(value) for value in values]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
