"""What all pods share is taken away and comes back empty: what runs goes on, and all recovers by itself."""

import time
from functools import partial
from pathlib import Path

from tests.support.cluster import Cluster, Pod, running
from tests.support.kafka_broker import Broker
from tests.support.load import LONG, RATE, Load, load
from tests.support.pod_status import assert_outage_is_told, is_group_ready, ready_throughout
from tests.support.processes import wait_until
from tests.support.redis_server import RedisServer

OUTAGE = 20.0 if LONG else 5.0
"""Seconds."""
NOTICED = 30.0
"""Seconds in which a pod has to notice that something went or came: it looks for Kafka every five seconds."""


def tells(pod: Pod, group: str, *, ready: bool) -> bool:
    return is_group_ready(pod, group) is ready


def wait_until_told(traffic: Load, group: str, *, ready: bool) -> None:
    """Wait until every pod says of itself that a group is ready, or is not."""
    for pod in traffic.cluster.pods:
        wait_until(
            partial(tells, pod, group, ready=ready),
            seconds=NOTICED,
            what=f"{group} that is {'there' if ready else 'away'} at {pod.name}",
        )


def test_redis_goes_and_comes_back_empty_and_traffic_goes_on(
    cluster: Cluster, redis: RedisServer, tmp_path: Path
) -> None:
    with load(cluster, tmp_path / "load") as running:
        running.go_on(RATE)
        before = time.time()
        with ready_throughout(cluster.pods):
            redis.stop()
            running.go_on_until(OUTAGE)
            wait_until_told(running, "store", ready=False)
            redis.restart(empty=True)
            running.go_on_until(OUTAGE)
            wait_until_told(running, "store", ready=True)
        for pod in cluster.pods:
            assert_outage_is_told(pod, "store", before)
        # What the pods wrote again is good enough for the clients of one that is killed.
        victim = cluster.pods[0]
        victim.kill()
        victim.start()
        victim.wait_until_ready()
        running.wait_until_ready()
        running.go_on(RATE)
        counts = running.finish(f"Redis away for {OUTAGE:g} s, then empty, then a kill")
    assert counts["clients set up again"] == 0
    assert counts["refused"] == 0


def test_a_client_lost_while_redis_is_away_comes_back_afterwards(
    cluster: Cluster, redis: RedisServer, tmp_path: Path
) -> None:
    with load(cluster, tmp_path / "load", jitter=0.1) as running:
        running.go_on(RATE)
        with ready_throughout(cluster.pods):
            redis.stop()
            running.processes[0].tell("move 10")
            running.go_on_until(OUTAGE)
            redis.restart(empty=True)
            running.wait_until_ready()
        running.go_on(RATE)
        counts = running.finish("10 clients moved while Redis was away")
    assert counts["connections lost"] == 0
    assert counts["connections left"] == 10


def test_kafka_goes_and_comes_back_and_traffic_does_not_care(redis: RedisServer, kafka: Broker, tmp_path: Path) -> None:
    pods = Cluster(tmp_path, 3, redis_url=redis.url, kafka=kafka.bootstrap_servers)
    with running(pods) as cluster, load(cluster, tmp_path / "load") as traffic:
        wait_until_told(traffic, "bus", ready=True)
        traffic.go_on(RATE)
        before = time.time()
        with ready_throughout(cluster.pods):
            kafka.kill()
            traffic.go_on_until(OUTAGE)
            wait_until_told(traffic, "bus", ready=False)
            kafka.start()
            traffic.go_on_until(OUTAGE)
            wait_until_told(traffic, "bus", ready=True)
        for pod in cluster.pods:
            assert_outage_is_told(pod, "bus", before)
        counts = traffic.finish(f"Kafka away for {OUTAGE:g} s")
    assert counts["delivered"] == counts["sent"]
