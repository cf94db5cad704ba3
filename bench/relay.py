"""``make bench-relay``: our relay beside Kamailio's msrp module, in the same run (see RESULTS.md).

Both get one CPU, the load generator the other. A quick run: ``python -m bench.relay --rounds 2 --only 1k-50x16``.
Figures are kept when there were at least 15 rounds.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from bench import generator, report
from bench.contestants import GENERATOR_CPU, RELAY_CPU, Contest
from bench.pairing import BrokenRoundError
from bench.rounds import Result, measure, summary
from bench.rows import ROWS, Row
from tests.support.kamailio import is_installed

KEPT_ROUNDS = 15
"""Rounds from which on figures are worth keeping."""


def main() -> int:
    """Run the rows that the command line asks for."""
    options = _options()
    console = Console(width=None if sys.stdout.isatty() else 200)
    missing = _missing()
    if missing:
        console.print(missing, style="red")
        return 2
    try:
        generator.build()
    except generator.GeneratorError as error:
        console.print(str(error), style="red")
        return 2
    rows = [row for row in ROWS if not options.only or row.name in options.only]
    results, broken = _measure_all(rows, options, console)
    report.print_table(results, console)
    for note in report.notes(results):
        console.print(note)
    for text in broken:
        console.print(f"our relay failed: {text}", style="red")
    if options.rounds >= KEPT_ROUNDS:
        report.write(results)
    return 1 if broken else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.relay", description=__doc__)
    parser.add_argument(
        "--rounds", type=int, default=KEPT_ROUNDS, help="paired rounds of each row (default: %(default)s)"
    )
    parser.add_argument(
        "--seconds", type=float, default=0.7, help="measured in each half of a round (default: %(default)s)"
    )
    names = [row.name for row in ROWS]
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help=f"one row: {', '.join(names)}")
    return parser.parse_args()


def _missing() -> str | None:
    """Say what this machine lacks for figures that mean something."""
    if not is_installed():
        return "Kamailio is not installed: make peers"
    if not {RELAY_CPU, GENERATOR_CPU} <= os.sched_getaffinity(0):
        return "two CPUs are needed: one for the relay, one for the load generator"
    return None


def _measure_all(rows: list[Row], options: argparse.Namespace, console: Console) -> tuple[list[Result], list[str]]:
    results: list[Result] = []
    broken: list[str] = []
    with tempfile.TemporaryDirectory(prefix="wigwag-bench-") as directory, console.status("") as status:
        contest = Contest(Path(directory))
        for row in rows:

            def progress(done: int, rounds: int, name: str = row.name) -> None:
                status.update(f"{name}: round {done} of {rounds}")

            try:
                done = measure(row, contest, rounds=options.rounds, seconds=options.seconds, progress=progress)
                results.append(summary(done))
            except BrokenRoundError as error:
                broken.append(str(error))
    return results, broken


if __name__ == "__main__":
    sys.exit(main())
