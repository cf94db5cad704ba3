"""``make bench-cluster``: what a message costs with 1, 2 and 4 pods, and what a hop between pods costs (RESULTS.md).

Half of the CPUs are the pods', the other half the generators'. A quick run: ``python -m bench.cluster --rounds 2``.
Figures are kept when there were at least 15 rounds.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bench import cluster_report, generator
from bench.cluster_report import Figure, Row
from tests.support.cluster import PASSWORD, USERNAME, Cluster, Pod, running
from tests.support.redis_server import running_redis

KEPT_ROUNDS = 15
"""Rounds from which on figures are worth keeping."""
PAIRS, WINDOW, SIZE = 48, 16, 1024
"""Pairs of all generators together, messages of each under way at once, bytes of a message."""
ROWS = (
    Row(name="local-1", pods=1, crossing=False),
    Row(name="local-2", pods=2, crossing=False, at_most=1.25),
    Row(name="local-4", pods=4, crossing=False, at_most=1.25),
    Row(name="crossing-2", pods=2, crossing=True),
)
"""``local``: both clients of a pair are at the same pod; ``crossing``: the sender is at another one."""


class BrokenRoundError(Exception):
    """A relay lost, damaged or refused something: no figure may come of that."""


@dataclass(frozen=True, slots=True)
class Site:
    """Running clusters, by their number of pods, and the CPUs that the generators use."""

    clusters: dict[int, Cluster]
    cpus: Sequence[int]


def main() -> int:
    """Measure all rows."""
    options = _options()
    console = Console(width=None if sys.stdout.isatty() else 200)
    if len(os.sched_getaffinity(0)) < 2:
        console.print("two CPUs are needed: one for pods, one for load generators", style="red")
        return 2
    generator.build()
    rows = [row for row in ROWS if row.name == ROWS[0].name or not options.only or row.name in options.only]
    try:
        figures = _measure(rows, options.rounds, options.seconds, console)
    except BrokenRoundError as error:
        console.print(f"a relay failed: {error}", style="red")
        return 1
    results = cluster_report.summaries(rows, figures)
    cluster_report.print_table(results, console)
    if options.rounds >= KEPT_ROUNDS and not options.only:
        cluster_report.write(results)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.cluster", description=__doc__)
    parser.add_argument("--rounds", type=int, default=KEPT_ROUNDS, help="rounds of each row (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=1.0, help="measured in each round (default: %(default)s)")
    parser.add_argument("--only", action="append", choices=[row.name for row in ROWS], metavar="NAME", help="one row")
    return parser.parse_args()


def _measure(rows: Sequence[Row], rounds: int, seconds: float, console: Console) -> dict[str, list[Figure]]:
    figures: dict[str, list[Figure]] = {row.name: [] for row in rows}
    with _site({row.pods for row in rows}) as site, console.status("") as status:
        for number in range(rounds):
            # The order is reversed every other round: what drifts during a round hits all rows alike.
            for row in reversed(rows) if number % 2 else rows:
                status.update(f"{row.name}: round {number + 1} of {rounds}")
                figures[row.name].append(_one_round(row, site, seconds))
    return figures


@contextmanager
def _site(sizes: set[int]) -> Iterator[Site]:
    """Start a cluster of each size, each with a store of its own."""
    cpus = sorted(os.sched_getaffinity(0))
    theirs, ours = cpus[: len(cpus) // 2], cpus[len(cpus) // 2 :]
    with tempfile.TemporaryDirectory(prefix="wigwag-bench-") as name, ExitStack() as stack:
        clusters = {}
        for pods in sorted(sizes):
            directory = Path(name, str(pods))
            directory.mkdir()
            redis = stack.enter_context(running_redis())
            cluster = Cluster(directory, pods, redis_url=redis.url, cpus=theirs)
            clusters[pods] = stack.enter_context(running(cluster))
        yield Site(clusters, ours)


def _one_round(row: Row, site: Site, seconds: float) -> Figure:
    """Load all pods at once, with a generator each."""
    pods = site.clusters[row.pods].pods
    commands = [_arguments(row, pods, index, site.cpus[index % len(site.cpus)], seconds) for index in range(len(pods))]
    with ThreadPoolExecutor(len(commands)) as pool:
        reports = list(pool.map(generator.run, commands))
    for report in reports:
        if report["error"]:
            raise BrokenRoundError(f"{row.name}: {report['error']}")
    messages = sum(generator.number(report, "messages") for report in reports)
    # A pod's own generator counts its CPU; where messages cross, both pods serve both generators.
    seconds_of_cpu = sum(
        generator.number(report, "cpu_us") * generator.number(report, "messages") for report in reports
    )
    return Figure(
        cpu_us=seconds_of_cpu / messages / (len(pods) if row.crossing else 1),
        messages_per_second=sum(generator.number(report, "messages_per_second") for report in reports),
        p99_us=max(generator.number(report, "p99_us") for report in reports),
        generator_busy=sum(generator.number(report, "generator_busy") for report in reports),
    )


def _arguments(row: Row, pods: Sequence[Pod], index: int, cpu: int, seconds: float) -> list[str]:
    own, other = pods[index], pods[(index + 1) % len(pods)]
    options: list[tuple[str, object]] = [
        ("--port", own.ports["tcp"]),
        ("--sender-port", other.ports["tcp"] if row.crossing else own.ports["tcp"]),
        ("--cpu", cpu),
        ("--user", USERNAME),
        ("--password", PASSWORD),
        ("--pairs", PAIRS // len(pods)),
        ("--window", WINDOW),
        ("--size", SIZE),
        ("--duration", f"{seconds:g}"),
        ("--warm-up", 0.5),
    ]
    options += [("--tree", pod.pid) for pod in (pods if row.crossing else [own])]
    return [str(part) for option in options for part in option]


if __name__ == "__main__":
    sys.exit(main())
