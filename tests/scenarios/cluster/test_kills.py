"""Pods are killed under load, again and again: no promise is broken, and sessions go on."""

import random
from pathlib import Path

import pytest

from tests.support.cluster import Cluster, running
from tests.support.load import LONG, PAIRS, RATE, Load, load
from tests.support.processes import wait_until
from tests.support.redis_server import RedisServer

KILLS = 20 if LONG else 3
SEED = 20


def kill_again_and_again(traffic: Load, kills: int) -> None:
    """Kill pods at random moments; the next one only when the last is ready again."""
    chance = random.Random(SEED)
    for _ in range(kills):
        traffic.go_on(chance.uniform(0.2, 3.0) * RATE)
        victim = chance.choice(traffic.cluster.pods)
        victim.kill()
        victim.start()
        victim.wait_until_ready()
    traffic.wait_until_ready()
    traffic.go_on(RATE)


def test_no_promise_is_broken_by_kills_and_clients_that_resume_need_no_re_invite(
    cluster: Cluster, tmp_path: Path
) -> None:
    with load(cluster, tmp_path / "load") as traffic:
        kill_again_and_again(traffic, KILLS)
        counts = traffic.finish(f"{KILLS} kills")
    assert counts["connections lost"] > 0
    assert counts["clients set up again"] == 0
    assert counts["connections given up"] == 0
    assert counts["refused"] == 0


def test_no_promise_is_broken_by_kills_when_clients_use_tls(cluster: Cluster, tmp_path: Path) -> None:
    kills = KILLS // 4 or 1
    with load(cluster, tmp_path / "load", kind="tls", count=PAIRS if LONG else 40) as traffic:
        kill_again_and_again(traffic, kills)
        counts = traffic.finish(f"{kills} kills, TLS")
    assert counts["connections lost"] > 0
    assert counts["clients set up again"] == counts["connections given up"] == counts["refused"] == 0


def test_no_promise_is_broken_toward_foreign_endpoints_which_are_set_up_again(
    redis: RedisServer, tmp_path: Path
) -> None:
    """They take a new URI with each connection; what was on its way to the old one is reported after a while."""
    pods = Cluster(tmp_path, 3, redis_url=redis.url, relay={"suspended_hold": 20.0 if LONG else 3.0})
    kills = KILLS // 4 or 1
    with running(pods) as cluster, load(cluster, tmp_path / "load", foreign=True) as traffic:
        kill_again_and_again(traffic, kills)
        counts = traffic.finish(f"{kills} kills, foreign endpoints")
    assert counts["connections lost"] > 0
    assert counts["clients set up again"] == counts["connections lost"] + counts["connections left"], "granted too late"


@pytest.mark.skipif(not LONG, reason="takes as long as what is sent to lost clients is held: make scenarios")
def test_what_was_sent_to_clients_that_are_killed_is_reported(cluster: Cluster, tmp_path: Path) -> None:
    with load(cluster, tmp_path / "load") as traffic:
        traffic.go_on(RATE)
        traffic.processes[1].kill()
        wanted = traffic.processes[0].status.sent + RATE
        wait_until(lambda: traffic.processes[0].status.sent >= wanted, seconds=30, what="more messages")
        counts = traffic.finish("one endpoint process killed")
    assert counts["connections cut with their endpoint"] == 100
    assert counts["reported as failed"] > 0


def test_one_pod_that_is_killed_loses_only_what_its_connections_lose(one_pod: Cluster, tmp_path: Path) -> None:
    with load(one_pod, tmp_path / "load", count=20) as traffic:
        kill_again_and_again(traffic, 1)
        counts = traffic.finish("one pod, one kill")
    # Without a store a session dies with its pod.
    assert counts["connections lost"] == 40
    assert counts["clients set up again"] == 40 + counts["connections left"], "granted too late"
