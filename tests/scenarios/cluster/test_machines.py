"""The machine under a pod fails it: disk full, no descriptors left, the clock set back. Promises hold."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.cluster import Cluster, running
from tests.support.load import LONG, load
from tests.support.preload import SystemFaults
from tests.support.processes import wait_until

SPAN = 20.0 if LONG else 2.0
HOUR = 3600
DESCRIPTORS = 96
PATIENCE = 60.0
"""Seconds."""
COUNT, RATE = 20, 100.0


@dataclass(frozen=True)
class Machine:
    """A relay of one pod, and what goes wrong around it."""

    cluster: Cluster
    faults: SystemFaults


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    (tmp_path / "pod0").mkdir()
    faults = SystemFaults(tmp_path, tmp_path / "pod0")
    with running(Cluster(tmp_path, 1, environment=faults.environment)) as cluster:
        yield Machine(cluster, faults)


def test_a_full_disk_does_not_touch_traffic_nor_clients_that_come(machine: Machine, tmp_path: Path) -> None:
    """Not even the log can be written: it lies on the same disk."""
    with load(machine.cluster, tmp_path / "load", count=COUNT, rate=RATE) as traffic:
        machine.faults.fill_disk()
        for process in traffic.processes:
            process.tell("move 5")
        traffic.go_on_until(SPAN, machine.cluster.pods[0].is_ready)
        traffic.wait_until_ready()
        machine.faults.fill_disk(full=False)
        traffic.go_on(RATE)
        counts = traffic.finish("disk full")
    assert counts["connections lost"] == counts["clients set up again"] == 0


def test_a_clock_set_back_an_hour_costs_nobody_a_session(machine: Machine, tmp_path: Path) -> None:
    with load(machine.cluster, tmp_path / "load", count=COUNT, rate=RATE) as traffic:
        for offset in (-HOUR, HOUR, 0):
            machine.faults.set_clock(offset)
            for process in traffic.processes:
                process.tell("move 5")
            traffic.go_on_until(SPAN, machine.cluster.pods[0].is_ready)
            traffic.wait_until_ready()
        counts = traffic.finish("clock an hour back, an hour ahead, right")
    assert counts["connections lost"] == counts["clients set up again"] == 0


def test_without_descriptors_who_is_connected_goes_on(tmp_path: Path) -> None:
    """More clients than the pod has descriptors for: those that found none come later, when others have left."""
    with (
        running(Cluster(tmp_path, 1, descriptors=DESCRIPTORS)) as cluster,
        load(cluster, tmp_path / "load", count=COUNT, rate=RATE) as traffic,
        load(cluster, tmp_path / "crowd", count=DESCRIPTORS // 2, rate=0, wait=False) as crowd,
    ):
        pod = cluster.pods[0]
        wait_until(lambda: "accepting rests" in pod.log.read_text(), seconds=PATIENCE, what="pod without descriptors")
        traffic.go_on_until(SPAN)
        assert not all(process.status.ready == process.status.clients for process in crowd.processes)
        counts = traffic.finish("no descriptors left")
        crowd.finish("the crowd, some of which found no place")
    assert counts["connections lost"] == 0
    assert counts["delivered"] == counts["sent"]
