"""``make bench-gateway``: MESSAGEs of page-mode users that arrive in sessions of a session-mode user (see RESULTS.md).

The node (relay, edge, user agent and gateway in one process) has one CPU; both kinds of users, in one process, the
other. A quick look that writes nothing: ``python -m bench.gateway --rounds 1 --only messages``.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from bench.gateway_load import loaded
from bench.gateway_rows import ROWS, SIZE, Row
from bench.ua import KEPT_ROUNDS
from bench.ua_load import Measured
from bench.ua_report import Figures, Result
from bench.ua_site import LOAD_CPU, NODE_CPU, running_site

FIGURES: Final = Figures(
    name="gateway",
    title="Gateway: from MESSAGE to SEND at the receiver, node on one CPU",
    columns={
        "name": "row",
        "servers": "behind it",
        "per_second": "per second",
        "cpu_us": "µs CPU of the node each",
        "per_second_and_core": "per second and core",
        "node_busy": "node busy",
        "load_busy": "load busy",
        "p50_ms": "p50, ms",
        "p99_ms": "p99, ms",
        "at_least": "demanded per second and core",
        "met": "met",
    },
)
SETTINGS: Final = {
    "WIGWAG_RELAY__SIP__TRUSTED_NETWORKS": '["127.0.0.0/8"]',
    # The windows, not the edge, bound what is under way.
    "WIGWAG_RELAY__SIP__OVERLOAD__TARGET_DELAY": "4.0",
    "WIGWAG_RELAY__SIP__ROUTES": json.dumps(
        [{"methods": ["MESSAGE"], "user": "alice", "action": "service", "service": "gateway"}]
    ),
}


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
            results.append(_result(row, asyncio.run(_measure(row, options))))
    FIGURES.print_table(results, console)
    if options.rounds >= KEPT_ROUNDS:
        FIGURES.write(results)
    return 0 if all(result["met"] is not False for result in results) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.gateway", description=__doc__)
    parser.add_argument("--rounds", type=int, default=KEPT_ROUNDS, help="rounds of each row (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=3.0, help="measured in each round (default: %(default)s)")
    parser.add_argument("--profile", type=Path, help="where the node writes a profile (cProfile); figures are worse")
    names = [row.name for row in ROWS]
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help=f"one row: {', '.join(names)}")
    return parser.parse_args()


async def _measure(row: Row, options: argparse.Namespace) -> list[Measured]:
    services = ("relay", "ua", "gateway")
    with running_site(row.servers, services=services, settings=SETTINGS, profile=options.profile) as site:
        async with loaded(row, site) as load:
            return [await load.run(options.seconds) for _ in range(options.rounds)]


def _result(row: Row, rounds: Sequence[Measured]) -> Result:
    rate = statistics.median(len(one.times) / one.seconds for one in rounds)
    per_core = statistics.median(len(one.times) / one.cpu for one in rounds)
    return {
        "name": row.name,
        "servers": "Kafka, PostgreSQL" if row.servers else "SQLite",
        "senders": row.senders,
        "window": row.window,
        "body": SIZE,
        "rounds": len(rounds),
        "per_second": round(rate, 1),
        "cpu_us": round(statistics.median(one.cpu / len(one.times) * 1e6 for one in rounds), 1),
        "per_second_and_core": round(per_core, 1),
        "node_busy": round(statistics.median(one.cpu / one.seconds for one in rounds), 2),
        "load_busy": round(statistics.median(one.load_cpu / one.seconds for one in rounds), 2),
        "p50_ms": round(statistics.median(one.percentile(50) for one in rounds), 2),
        "p99_ms": round(statistics.median(one.percentile(99) for one in rounds), 2),
        "at_least": row.at_least,
        "met": None if row.at_least is None else per_core >= row.at_least,
    }


if __name__ == "__main__":
    sys.exit(main())
