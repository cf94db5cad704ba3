"""Pods are killed under load, again and again: no promise is broken, and sessions go on."""

import random
from pathlib import Path

import pytest

from tests.support.cluster import Cluster
from tests.support.load import LONG, RATE, Load, load
from tests.support.processes import wait_until

KILLS = 20 if LONG else 4
SEED = 20


def kill_again_and_again(running: Load, kills: int) -> None:
    """Kill pods at random moments; the next one only when the last is ready again."""
    chance = random.Random(SEED)
    for _ in range(kills):
        running.go_on(chance.uniform(0.2, 3.0) * RATE)
        victim = chance.choice(running.cluster.pods)
        victim.kill()
        victim.start()
        victim.wait_until_ready()
    running.wait_until_ready()
    running.go_on(RATE)


def test_no_promise_is_broken_by_kills_and_clients_that_resume_need_no_re_invite(
    cluster: Cluster, tmp_path: Path
) -> None:
    with load(cluster, tmp_path / "load") as running:
        kill_again_and_again(running, KILLS)
        counts = running.finish(f"{KILLS} kills")
    assert counts["connections lost"] > 0
    assert counts["clients set up again"] == 0
    assert counts["connections given up"] == 0
    assert counts["refused"] == 0


def test_no_promise_is_broken_toward_foreign_endpoints_which_are_set_up_again(cluster: Cluster, tmp_path: Path) -> None:
    with load(cluster, tmp_path / "load", foreign=True) as running:
        kill_again_and_again(running, KILLS // 4 or 1)
        counts = running.finish(f"{KILLS // 4 or 1} kills, foreign endpoints")
    assert counts["clients set up again"] == counts["connections lost"] > 0


@pytest.mark.skipif(not LONG, reason="takes as long as what is sent to lost clients is held: make scenarios")
def test_what_was_sent_to_clients_that_are_killed_is_reported(cluster: Cluster, tmp_path: Path) -> None:
    with load(cluster, tmp_path / "load") as running:
        running.go_on(RATE)
        running.processes[1].kill()
        wanted = running.processes[0].status.sent + RATE
        wait_until(lambda: running.processes[0].status.sent >= wanted, seconds=30, what="more messages")
        counts = running.finish("one endpoint process killed")
    assert counts["connections cut with their endpoint"] == 100
    assert counts["reported as failed"] > 0


def test_one_pod_that_is_killed_loses_only_what_its_connections_lose(one_pod: Cluster, tmp_path: Path) -> None:
    with load(one_pod, tmp_path / "load", count=50) as running:
        kill_again_and_again(running, 2)
        counts = running.finish("one pod, 2 kills")
    # Without a store a session dies with its pod.
    assert counts["clients set up again"] == counts["connections lost"] >= 100
