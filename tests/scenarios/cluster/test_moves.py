"""Clients come to another pod: before they leave their connection, after it, or while it still looks alive.

What was written to a connection has its outcome there or nowhere: it can't be sent again, since it may have arrived. So
a client that is at the other pod before it leaves misses nothing, and nothing is told lost. One that leaves first loses
what was under way to it at that moment: that much, and no more, is reported (408).
"""

from pathlib import Path

import pytest

from tests.support.cluster import Cluster
from tests.support.load import LONG, RATE, load, reported_while_connected, slowest_deliveries

MOVES = 20 if LONG else 4
AT_ONCE = 5
LONGEST = 1.0
"""Seconds that a move may cost a message."""


@pytest.mark.parametrize("how", ["half-open", ""], ids=["half-open", "closed"])
def test_messages_reach_a_client_that_left_and_came_back_within_a_second_and_in_order(
    cluster: Cluster, how: str, tmp_path: Path
) -> None:
    with load(cluster, tmp_path / "load", jitter=0.05) as running:
        for _ in range(MOVES):
            running.go_on(RATE)
            for process in running.processes:
                process.tell(f"move {AT_ONCE} {how}")
        running.wait_until_ready()
        running.go_on(RATE)
        counts = running.finish(f"{MOVES * AT_ONCE * 2} moves")
        recordings = running.recordings()
    slowest = slowest_deliveries(recordings)
    print(f"slowest deliveries to connected clients: {slowest}")
    assert counts["connections left"] == MOVES * AT_ONCE * 2
    assert counts["clients set up again"] == counts["connections lost"] == counts["refused"] == 0
    assert slowest.to_moved < LONGEST + slowest.to_others
    assert reported_while_connected(recordings, LONGEST + slowest.to_others) == []


def test_a_client_that_comes_to_another_pod_before_it_leaves_gets_all_and_nothing_is_told_lost(
    cluster: Cluster, tmp_path: Path
) -> None:
    with load(cluster, tmp_path / "load") as running:
        for _ in range(MOVES):
            running.go_on(RATE)
            for process in running.processes:
                process.tell(f"move {4 * AT_ONCE} gently")
            running.wait_until_ready()
        running.go_on(RATE)
        counts = running.finish(f"{MOVES * 4 * AT_ONCE * 2} gentle moves")
    assert counts["connections left"] == MOVES * 4 * AT_ONCE * 2
    assert counts["delivered"] == counts["sent"]
    assert counts["clients set up again"] == counts["connections lost"] == 0
