"""Peers without a relay of their own: each is bound to the connection of its first request, and reached there."""

from pathlib import Path

from tests.support.cluster import Cluster
from tests.support.load import LONG, RATE, load

COUNT = 100 if LONG else 40


def test_peers_without_a_relay_are_reached_across_pods(cluster: Cluster, tmp_path: Path) -> None:
    with load(cluster, tmp_path / "load", count=COUNT, bare=True) as traffic:
        traffic.go_on(2 * RATE)
        # Their clients move: the peers stay where they are.
        traffic.processes[0].tell(f"move {COUNT // 4} gently")
        traffic.wait_until_ready()
        traffic.go_on(2 * RATE)
        counts = traffic.finish("peers without a relay")
    assert counts["connections left"] == COUNT // 4
    assert counts["clients set up again"] == counts["connections lost"] == counts["refused"] == 0
    assert counts["delivered"] == counts["sent"]


def test_no_promise_is_broken_when_a_pod_with_such_peers_is_killed(cluster: Cluster, tmp_path: Path) -> None:
    """Peers come back over another connection; until their first request there they can't be reached."""
    with load(cluster, tmp_path / "load", count=COUNT, bare=True) as traffic:
        for victim in cluster.pods if LONG else cluster.pods[:1]:
            traffic.go_on(RATE)
            victim.kill()
            victim.start()
            victim.wait_until_ready()
            traffic.wait_until_ready()
            traffic.go_on(2 * RATE)
        counts = traffic.finish("peers without a relay, kills")
    assert counts["connections lost"] > 0
    assert counts["clients set up again"] == counts["connections given up"] == 0
