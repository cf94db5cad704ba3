"""One machine of three fails its pod: disk full, no descriptors left, the clock an hour back. No promise is broken."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.cluster import Cluster, running
from tests.support.load import LONG, RATE, load
from tests.support.pod_status import assert_outage_is_told, is_group_ready, ready_throughout
from tests.support.preload import SystemFaults
from tests.support.processes import wait_until
from tests.support.redis_server import RedisServer

SPAN = 20.0 if LONG else 2.0
HOUR = 3600
PATIENCE = 30.0
"""Seconds."""
DESCRIPTORS = 96
TALKING = 20
COUNT = 100 if LONG else 40
MOVES = f"move {COUNT // 2}"


@dataclass(frozen=True)
class Machines:
    """A relay of three pods, and what goes wrong around the first."""

    cluster: Cluster
    faults: SystemFaults


@pytest.fixture
def machines(redis: RedisServer, tmp_path: Path) -> Iterator[Machines]:
    (tmp_path / "pod0").mkdir()
    faults = SystemFaults(tmp_path, tmp_path / "pod0")
    pods = Cluster(tmp_path, 3, redis_url=redis.url, environment=[faults.environment, {}, {}])
    with running(pods) as cluster:
        yield Machines(cluster, faults)


def test_a_full_disk_under_one_of_three_pods_costs_nobody_a_message(machines: Machines, tmp_path: Path) -> None:
    """What can't be written there are the events on the pod's own bus: its status says so."""
    pod, before = machines.cluster.pods[0], time.time()
    with load(machines.cluster, tmp_path / "load", count=COUNT, jitter=0.1) as traffic:
        traffic.go_on(RATE)
        with ready_throughout(machines.cluster.pods):
            machines.faults.fill_disk()
            traffic.processes[0].tell(MOVES)
            traffic.go_on_until(SPAN)
            traffic.wait_until_ready()
            wait_until(lambda: not is_group_ready(pod, "bus"), seconds=PATIENCE, what="bus that can't be written")
            machines.faults.fill_disk(full=False)
            wait_until(lambda: is_group_ready(pod, "bus"), seconds=PATIENCE, what="bus that can be written again")
            traffic.go_on_until(SPAN)
        assert_outage_is_told(pod, "bus", before)
        counts = traffic.finish("disk full under one of three")
    assert counts["connections lost"] == counts["clients set up again"] == counts["refused"] == 0


@pytest.mark.parametrize("offset", [-HOUR, HOUR] if LONG else [-HOUR], ids="{:+d} s".format)
def test_a_wrong_clock_of_one_of_three_pods_costs_nobody_a_session(
    machines: Machines, offset: int, tmp_path: Path
) -> None:
    """Clients come to it and leave it, so that its epochs and lifetimes meet those of the others."""
    with load(machines.cluster, tmp_path / "load", count=COUNT, jitter=0.1) as traffic:
        traffic.go_on(RATE)
        with ready_throughout(machines.cluster.pods):
            for wrong in (offset, 0):
                machines.faults.set_clock(wrong)
                traffic.processes[0].tell(MOVES)
                traffic.go_on_until(SPAN)
                traffic.wait_until_ready()
        counts = traffic.finish(f"the clock of one of three off by {offset} s, then right")
    assert counts["connections lost"] == counts["clients set up again"] == counts["refused"] == 0


def test_clients_that_find_no_descriptor_at_one_of_three_pods_go_to_the_others(
    redis: RedisServer, tmp_path: Path
) -> None:
    pods = Cluster(tmp_path, 3, redis_url=redis.url, descriptors=[DESCRIPTORS, None, None])
    # More clients come to the first pod than it has descriptors for, while others talk.
    with (
        running(pods) as cluster,
        load(cluster, tmp_path / "load", count=TALKING, rate=100.0) as traffic,
        ready_throughout(cluster.pods[1:]),
        load(cluster, tmp_path / "crowd", count=DESCRIPTORS, rate=50.0, jitter=0.1) as crowd,
    ):
        traffic.go_on_until(SPAN)
        assert "accepting rests" in cluster.pods[0].log.read_text()
        for one, name in ((traffic, "who was there before"), (crowd, "the crowd")):
            counts = one.finish(f"no descriptors left at one of three: {name}")
            assert counts["connections lost"] == counts["clients set up again"] == 0
            assert counts["delivered"] == counts["sent"]
