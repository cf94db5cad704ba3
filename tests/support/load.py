"""Load of a scenario: two endpoint processes whose clients talk to each other through a cluster."""

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.support.cluster import Cluster, tracebacks
from tests.support.endpoint_plan import Plan, pairs
from tests.support.endpoint_process import EndpointProcess, settle, verified
from tests.support.processes import wait_until
from wigwag.runtime.recording import Lost, Opened, Received, Recording, Sent, read_recording

LONG = os.environ.get("WIGWAG_SCENARIOS") == "long"
"""Whether scenarios run in their full length (``make scenarios``) rather than in the short form of every CI run."""
PAIRS = 100
RATE = 200.0
"""Messages per second, both directions of all pairs together."""


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


def slowest_delivery(recordings: Sequence[Recording]) -> float:
    """Return the longest time, in seconds, that a message took whose receiver was connected when it was sent."""
    standing = _standing(recordings)
    sent = {
        (record.sender, record.message_id): record
        for recording in recordings
        for record in recording.records
        if isinstance(record, Sent)
    }
    slowest = 0.0
    for recording in recordings:
        for record in recording.records:
            if isinstance(record, Received):
                began = sent[record.sender, record.message_id].time
                since = standing[record.connection]
                if began >= since:
                    slowest = max(slowest, record.time - began)
    return slowest


def _standing(recordings: Sequence[Recording]) -> dict[str, float]:
    records = (record for recording in recordings for record in recording.records)
    return {record.connection: record.time for record in records if isinstance(record, Opened)}


def most_per_second(recordings: Sequence[Recording], kind: type[Opened] | type[Lost]) -> int:
    """Return in how many records of a kind the busiest second had."""
    records = (record for recording in recordings for record in recording.records)
    seconds = Counter(int(record.time) for record in records if isinstance(record, kind))
    return max(seconds.values(), default=0)
