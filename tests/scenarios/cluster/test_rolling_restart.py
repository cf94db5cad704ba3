"""Every pod is told to end and started again, one after the other, under load: nothing is lost."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import Cluster, running
from tests.support.load import LONG, RATE, load, most_per_second
from tests.support.redis_server import RedisServer
from wigwag.runtime.recording import Lost, Opened

GRACE = 30.0 if LONG else 6.0
PACE = 50.0
"""Connections per second of each endpoint process."""


@pytest.fixture
def draining_cluster(redis: RedisServer, tmp_path: Path) -> Iterator[Cluster]:
    with running(Cluster(tmp_path, 3, redis_url=redis.url, node={"shutdown_grace": GRACE})) as pods:
        yield pods


def test_a_rolling_restart_loses_nothing(draining_cluster: Cluster, tmp_path: Path) -> None:
    with load(draining_cluster, tmp_path / "load", pace=PACE) as running:
        for pod in draining_cluster.pods:
            running.go_on(RATE)
            pod.terminate()
            assert pod.wait_until_ended() == 0
            pod.start()
            pod.wait_until_ready()
            running.wait_until_ready()
        running.go_on(RATE)
        counts = running.finish("rolling restart")
        recordings = running.recordings()
    print(f"busiest second: {most_per_second(recordings, Lost)} lost, {most_per_second(recordings, Opened)} connected")
    assert counts["clients set up again"] == 0
    assert counts["answered, then the connection was lost"] == 0
    assert counts["reported as failed"] == counts["refused"] == 0
    assert most_per_second(recordings, Opened) <= 2 * 2 * PACE
