"""Load of a scenario: two endpoint processes whose clients talk to each other through a cluster."""

import json
import math
import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests.support.cluster import Cluster, tracebacks
from tests.support.endpoint_plan import Plan, pairs
from tests.support.endpoint_process import EndpointProcess, settle, verified
from tests.support.processes import wait_until
from wigwag.runtime.recording import Lost, Opened, Received, Record, Recording, Reported, Sent, read_recording

LONG = os.environ.get("WIGWAG_SCENARIOS") == "long"
"""Whether scenarios run in their full length (``make scenarios``) rather than in the short form of every CI run."""
PAIRS = 100
RATE = 200.0
"""Messages per second, both directions of all pairs together."""
_FAILED = 300
"""Lowest status of a REPORT that tells of a failure."""
_Record = TypeVar("_Record", bound=Record)


class Load:
    """The running endpoint processes.

    Args:
        cluster: What they talk through.
        processes: Left and right.
    """

    def __init__(self, cluster: Cluster, processes: Sequence[EndpointProcess]) -> None:
        self.cluster = cluster
        self.processes = processes

    @property
    def sent(self) -> int:
        """Messages sent so far."""
        return sum(process.status.sent for process in self.processes)

    def wait_until_ready(self, seconds: float = 60.0) -> None:
        """Wait until every client is connected and knows its peer."""
        for process in self.processes:
            process.wait_until_ready(seconds)

    def go_on(self, messages: float, seconds: float = 60.0) -> None:
        """Wait until so many more messages were sent: traffic goes on."""
        wanted = self.sent + messages
        wait_until(lambda: self.sent >= wanted, seconds=seconds, what=f"{messages:g} more messages")

    def go_on_until(self, seconds: float, holds: Callable[[], object] = lambda: True) -> None:
        """Let traffic go on for some time.

        Raises:
            AssertionError: ``holds`` did not hold at some moment.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert holds(), f"it did not hold any more {seconds - (end - time.monotonic()):.1f} s later"
            self.go_on(RATE / 10)

    def finish(self, name: str) -> dict[str, int]:
        """Let all outcomes come in, judge, and print what was counted.

        Raises:
            AssertionError: A promise was broken, or a pod met an error that nobody expected.
        """
        settle(self.processes, all_of_it=LONG)
        counts = verified(self.processes)
        unexpected = tracebacks(self.cluster)
        assert not unexpected, "\n".join(unexpected[:20])
        print(f"\n{name}: {json.dumps({what: count for what, count in counts.items() if count})}")
        return counts

    def recordings(self) -> list[Recording]:
        """Return what was recorded so far."""
        return [read_recording(process.plan.recording) for process in self.processes]


@contextmanager
def load(
    cluster: Cluster,
    directory: Path,
    *,
    kind: str = "tcp",
    count: int = PAIRS,
    bare: bool = False,
    wait: bool = True,
    **plan: Any,
) -> Iterator[Load]:
    """Let pairs of clients talk until the block ends.

    Args:
        cluster: Through what.
        directory: For recordings.
        kind: ``tcp`` or ``tls``.
        count: Pairs; each client is a session.
        bare: Whether the clients of the right process have no relay of their own.
        wait: Whether the block begins when all are connected; else it begins at once.
        plan: Members of `Plan` that differ from the usual.
    """
    directory.mkdir()
    common = {"directory": str(directory), "relay": cluster.endpoint_relay(kind), "rate": plan.pop("rate", RATE) / 2}
    common |= plan
    plans = [
        Plan(name="left", clients=pairs(1, count), **common),
        Plan(name="right", clients=pairs(1, count, reverse=True), bare=bare, **common),
    ]
    with ExitStack() as stack:
        processes = [stack.enter_context(EndpointProcess(one)) for one in plans]
        running = Load(cluster, processes)
        if wait:
            running.wait_until_ready()
        yield running


@dataclass(frozen=True)
class Slowest:
    """The longest times, in seconds, that messages took whose receiver was connected when they were sent."""

    to_moved: float
    """To clients that have had several connections."""
    to_others: float
    """To those that never moved: what the machine's other work costs, too."""


def slowest_deliveries(recordings: Sequence[Recording]) -> Slowest:
    """Return how long messages took at most."""
    standing, connections = _standing(recordings), Counter(one.uri for one in _records(recordings, Opened))
    sent = {(one.sender, one.message_id): one for one in _records(recordings, Sent)}
    slowest = {True: 0.0, False: 0.0}
    for record in _records(recordings, Received):
        began = sent[record.sender, record.message_id].time
        if began >= standing[record.connection]:
            moved = connections[record.receiver] > 1
            slowest[moved] = max(slowest[moved], record.time - began)
    return Slowest(to_moved=slowest[True], to_others=slowest[False])


def reported_while_connected(recordings: Sequence[Recording], seconds: float) -> list[Sent]:
    """Return what was reported as failed although its receiver stayed connected for so long from when it was sent."""
    failed = {(one.sender, one.message_id) for one in _records(recordings, Reported) if one.status >= _FAILED}
    ended = {one.connection: one.time for one in _records(recordings, Lost)}
    stays: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for opened in _records(recordings, Opened):
        stays[opened.uri].append((opened.time, ended.get(opened.connection, math.inf)))
    return [
        one
        for one in _records(recordings, Sent)
        if (one.sender, one.message_id) in failed
        and any(came <= one.time <= left - seconds for came, left in stays[one.receiver])
    ]


def _standing(recordings: Sequence[Recording]) -> dict[str, float]:
    return {opened.connection: opened.time for opened in _records(recordings, Opened)}


def _records(recordings: Sequence[Recording], kind: type[_Record]) -> Iterator[_Record]:
    return (record for recording in recordings for record in recording.records if isinstance(record, kind))


def most_per_second(recordings: Sequence[Recording], kind: type[Opened] | type[Lost]) -> int:
    """Return in how many records of a kind the busiest second had."""
    seconds = Counter(int(record.time) for record in _records(recordings, kind))
    return max(seconds.values(), default=0)
