"""``make bench-sip``: our SIP edge beside Kamailio as registrar and stateful proxy, in the same run (see RESULTS.md).

Both get one CPU, the load generator the other. A quick run: ``python -m bench.sip --rounds 2 --only udp-50x1``.
Figures are kept when there were at least 15 rounds; a row that takes long has fewer of its own.
"""

import argparse
import os
import sys

from rich.console import Console

from bench import generator, sip_report
from bench.pairing import BrokenRoundError
from bench.sip_contestants import GENERATOR_CPU, SERVER_CPU, can_edge
from bench.sip_rounds import Result, measure, summary
from bench.sip_rows import ROWS, Row
from tests.support.kamailio import is_installed

KEPT_ROUNDS = 15
"""Rounds from which on figures are worth keeping."""


def main() -> int:
    """Run the rows that the command line asks for."""
    options = _options()
    console = Console(width=None if sys.stdout.isatty() else 220)
    missing = _missing(options.kamailio_alone)
    if missing:
        console.print(missing, style="red")
        return 2
    try:
        generator.build(generator.SIPLOAD)
    except generator.GeneratorError as error:
        console.print(str(error), style="red")
        return 2
    rows = [row for row in ROWS if not options.only or row.name in options.only]
    results, broken = _measure_all(rows, options, console)
    title = "Kamailio beside Kamailio" if options.kamailio_alone else "SIP edge: ours beside Kamailio, one CPU each"
    sip_report.print_table(results, console, title)
    for text in broken:
        console.print(f"our side failed: {text}", style="red")
    if results and options.rounds >= KEPT_ROUNDS and not options.kamailio_alone:
        sip_report.write(results)
    return 1 if broken else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.sip", description=__doc__)
    parser.add_argument(
        "--rounds", type=int, default=KEPT_ROUNDS, help="paired rounds of each row (default: %(default)s)"
    )
    parser.add_argument(
        "--seconds", type=float, default=0.7, help="measured in each half of a round (default: %(default)s)"
    )
    parser.add_argument(
        "--kamailio-alone", action="store_true", help="Kamailio on both sides: how far ratios are from 1 by themselves"
    )
    names = [row.name for row in ROWS]
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help=f"one row: {', '.join(names)}")
    return parser.parse_args()


def _missing(kamailio_alone: bool) -> str | None:
    """Say what this machine lacks for figures that mean something."""
    if not is_installed():
        return "Kamailio is not installed: make peers"
    if not {SERVER_CPU, GENERATOR_CPU} <= os.sched_getaffinity(0):
        return "two CPUs are needed: one for the server, one for the load generator"
    if not kamailio_alone and not can_edge():
        return "this version has no SIP edge: --kamailio-alone"
    return None


def _measure_all(rows: list[Row], options: argparse.Namespace, console: Console) -> tuple[list[Result], list[str]]:
    results: list[Result] = []
    broken: list[str] = []
    with console.status("") as status:
        for row in rows:

            def progress(done: int, rounds: int, name: str = row.name) -> None:
                status.update(f"{name}: round {done} of {rounds}")

            try:
                done = measure(
                    row, rounds=options.rounds, seconds=options.seconds, alone=options.kamailio_alone, progress=progress
                )
                results.append(summary(done))
            except BrokenRoundError as error:
                broken.append(str(error))
    return results, broken


if __name__ == "__main__":
    sys.exit(main())
