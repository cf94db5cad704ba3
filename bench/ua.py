"""``make bench-ua``: what applications get out of the user agent: messages that arrive, and sessions (see RESULTS.md).

The node (relay, edge and user agent in one process) has one CPU; application and SIP user, in one process, the other.
A quick look that writes nothing: ``python -m bench.ua --rounds 1 --only stream``.
"""

import argparse
import asyncio
import os
import statistics
import sys
from collections.abc import Sequence
from typing import Final

from rich.console import Console

from bench.ua_load import Measured, loaded
from bench.ua_report import UA_FIGURES, Result
from bench.ua_rows import ROWS, SIZE, Kind, Row
from bench.ua_site import LOAD_CPU, NODE_CPU, running_site

KEPT_ROUNDS: Final = 5
"""Rounds from which on figures are worth keeping."""


def main() -> int:
    """Measure the rows that the command line asks for."""
    options = _options()
    console = Console(width=None if sys.stdout.isatty() else 200)
    if not {NODE_CPU, LOAD_CPU} <= os.sched_getaffinity(0):
        console.print("two CPUs are needed: one for the node, one for its load", style="red")
        return 2
    os.sched_setaffinity(0, {LOAD_CPU})
    rows = [row for row in ROWS if not options.only or row.name in options.only]
    results = []
    for row in rows:
        with console.status(row.name):
            results.append(_result(row, asyncio.run(_measure(row, options.rounds, options.seconds))))
    UA_FIGURES.print_table(results, console)
    if options.rounds >= KEPT_ROUNDS:
        UA_FIGURES.write(results)
    return 0 if all(result["met"] is not False for result in results) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.ua", description=__doc__)
    parser.add_argument("--rounds", type=int, default=KEPT_ROUNDS, help="rounds of each row (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=3.0, help="measured in each round (default: %(default)s)")
    names = [row.name for row in ROWS]
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help=f"one row: {', '.join(names)}")
    return parser.parse_args()


async def _measure(row: Row, rounds: int, seconds: float) -> list[Measured]:
    with running_site(row.servers) as site:
        async with loaded(row, site) as load:
            return [await load.run(seconds) for _ in range(rounds)]


def _result(row: Row, rounds: Sequence[Measured]) -> Result:
    rate = _median([len(one.times) / one.seconds for one in rounds])
    return {
        "name": row.name,
        "kind": row.kind.value,
        "unit": row.kind.unit,
        "servers": "Kafka, PostgreSQL" if row.servers else "SQLite",
        "sessions": row.sessions,
        "window": row.window,
        "body": SIZE if row.kind is not Kind.SESSIONS else 0,
        "rounds": len(rounds),
        "per_second": round(rate, 1),
        "cpu_us": round(_median([one.cpu / len(one.times) * 1e6 for one in rounds]), 1),
        "per_second_and_core": round(_median([len(one.times) / one.cpu for one in rounds]), 1),
        "node_busy": round(_median([one.cpu / one.seconds for one in rounds]), 2),
        "load_busy": round(_median([one.load_cpu / one.seconds for one in rounds]), 2),
        "p50_ms": round(_median([one.percentile(50) for one in rounds]), 2),
        "p99_ms": round(_median([one.percentile(99) for one in rounds]), 2),
        "at_least": row.at_least,
        "met": None if row.at_least is None else rate >= row.at_least,
    }


def _median(values: Sequence[float]) -> float:
    return statistics.median(values)


if __name__ == "__main__":
    sys.exit(main())
