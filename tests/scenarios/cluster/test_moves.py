"""A client comes back at another pod while its old connection still looks alive: messages follow it, in order."""

from pathlib import Path

from tests.support.cluster import Cluster
from tests.support.load import LONG, RATE, load, slowest_delivery

MOVES = 20 if LONG else 4
AT_ONCE = 5
LONGEST = 1.0
"""Seconds."""


def test_messages_reach_a_client_that_moved_within_a_second_and_in_order(cluster: Cluster, tmp_path: Path) -> None:
    with load(cluster, tmp_path / "load", jitter=0.05) as running:
        for _ in range(MOVES):
            running.go_on(RATE)
            for process in running.processes:
                process.tell(f"move {AT_ONCE} half-open")
        running.wait_until_ready()
        running.go_on(RATE)
        counts = running.finish(f"{MOVES * AT_ONCE * 2} moves")
        slowest = slowest_delivery(running.recordings())
    print(f"slowest delivery to a client that was connected when its peer sent: {slowest * 1000:.0f} ms")
    assert counts["connections left"] == MOVES * AT_ONCE * 2
    assert counts["clients set up again"] == counts["connections lost"] == 0
    assert slowest < LONGEST
